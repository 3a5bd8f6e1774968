"""Connections become clients; forms and tests of connections."""

from __future__ import annotations

import json

import pytest
from airflow.providers_manager import ProvidersManager
from lever_imocha.errors import LedgerError, SettingsError
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import ledger_engine, ledger_url
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.operators.assessment import WriteBackReportsOperator
from lever_imocha.operators.links import LeverCandidateLink

from include.sandbox.world import Fault, World


@pytest.fixture
def world(sandbox_world: World) -> World:
    return sandbox_world


@pytest.fixture
def url(sandbox_url: str) -> str:
    return sandbox_url


def connect(monkeypatch: pytest.MonkeyPatch, vendor: str, **given: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps({"conn_type": vendor} | given))


def test_both_connections_test_themselves(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", host=f"{url}/lever/v1/", password="lever-key", extra={"timeout": 5, "x": "y"})
    connect(monkeypatch, "imocha", host=f"{url}/imocha/v3", password="imocha-key")
    assert LeverHook().test_connection() == (True, "Lever accepts the API key.")
    assert ImochaHook().test_connection() == (True, "iMocha accepts the API key.")


def test_a_wrong_key_is_one_line_without_the_key(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", host=f"{url}/lever/v1", password="wrong-secret")
    connect(monkeypatch, "imocha", host=f"{url}/imocha/v3", password="wrong-secret")
    for hook in (LeverHook(), ImochaHook()):
        good, line = hook.test_connection()
        assert not good
        assert "Check the API key" in line
        assert "wrong-secret" not in line
        assert "\n" not in line


def test_imocha_falls_back_to_tests_without_the_permission_for_units(
    url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "imocha", host=f"{url}/imocha/v3", password="imocha-key")
    world.faults.append(Fault(vendor="imocha", path_contains="business-units", status=403))
    assert ImochaHook().test_connection()[0]


def test_unknown_extras_are_not_sent(url: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(
        monkeypatch,
        "lever",
        host=f"{url}/lever/v1",
        password="lever-key",
        extra={"webhook_tokens": "a-secret-of-some-length"},
    )
    LeverHook().client().check()
    assert all("webhook" not in str(call) and "a-secret-of-some-length" not in str(call) for call in world.calls)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"password": ""}, "password is empty"),
        ({"password": "k", "host": "http://api.lever.co/v1"}, "must start with https://"),
    ],
)
def test_a_connection_that_cannot_work_says_why(
    given: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "lever", **given)
    with pytest.raises(SettingsError, match=line):
        LeverHook().client()


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        (None, []),
        ("", []),
        ("one-that-is-long-enough, another-of-some-length,", ["one-that-is-long-enough", "another-of-some-length"]),
        (["one-that-is-long-enough"], ["one-that-is-long-enough"]),
    ],
)
def test_signature_tokens_are_a_list_or_text(tokens: object, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", password="k", extra={"webhook_tokens": tokens})
    assert LeverHook().webhook_tokens == found


@pytest.mark.parametrize("tokens", ["fifteen-letters", ["one-that-is-long-enough", "short"], 12345])
def test_a_short_signature_token_is_refused(tokens: object, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", password="k", extra={"webhook_tokens": tokens})
    with pytest.raises(
        SettingsError, match=r"connection lever_default: webhook_tokens in the extra is shorter than 16"
    ):
        _ = LeverHook().webhook_tokens
    assert LeverHook().test_connection()[0] is False


def test_a_short_callback_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "imocha", password="k", extra={"callback_secret": "fifteen-letters"})
    with pytest.raises(SettingsError, match="connection imocha_default: callback_secret in the extra is shorter"):
        _ = ImochaHook().callback_secret
    assert "callback_secret" in ImochaHook().test_connection()[1]


def test_a_host_may_be_a_bare_name(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", host="api.eu.lever.co/v1", password="lever-key")
    connect(monkeypatch, "imocha", password="imocha-key", port=8443)
    assert LeverHook().client()._client.base_url == "https://api.eu.lever.co/v1"
    assert ImochaHook().client()._client.base_url == "https://apiv3.imocha.io:8443/v3"


@pytest.mark.parametrize(
    ("host", "ids", "link"),
    [
        ("https://api.lever.co/v1", ["a"], "https://hire.lever.co/candidates/a"),
        ("https://api.eu.lever.co/v1", ["a"], "https://hire.eu.lever.co/candidates/a"),
        ("http://127.0.0.1:8000/v1", ["a"], "https://hire.lever.co/candidates/a"),
        ("https://api.lever.co/v1", ["a", "b"], ""),
        ("http://elsewhere/v1", ["a"], ""),
    ],
)
def test_a_row_about_one_candidate_links_to_lever(
    host: str, ids: list[str], link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "lever", host=host, password="k")
    operator = WriteBackReportsOperator(task_id="t", opportunity_ids=ids)
    assert LeverCandidateLink().get_link(operator, ti_key=None) == link


def test_both_types_show_in_the_connection_form() -> None:
    manager = ProvidersManager()
    for kind, label in (("lever", "Lever"), ("imocha", "iMocha")):
        hook = manager.hooks[kind]
        assert hook is not None
        assert hook.hook_name == label
        assert manager.field_behaviours[kind]["relabeling"]["password"] == "API key"


def test_the_ledgers_address(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER", raising=False)
    with pytest.raises(LedgerError, match="has no address"):
        ledger_engine()
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
    assert ledger_engine() is ledger_engine()


def test_the_connection_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", "postgresql://variable/x")
    monkeypatch.setenv("AIRFLOW_CONN_LEVER_IMOCHA_LEDGER", "postgres://u:p@host:5433/name")
    assert ledger_url().endswith("@host:5433/name")
