"""Connections become clients; forms and tests of connections."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from lever_imocha.errors import AirflowDownError, LedgerError, Retry, SettingsError
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import find_ledger_url, ledger_engine, ledger_url
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.operators.assessment import WriteBackReportsOperator
from lever_imocha.operators.links import LeverCandidateLink, TimelineLink

from include.sandbox.world import Fault, World
from tests.clients.conftest import Answer, Vendor, serve_answers


@pytest.fixture
def world(sandbox_world: World) -> World:
    return sandbox_world


@pytest.fixture
def url(sandbox_url: str) -> str:
    return sandbox_url


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    yield from serve_answers()


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
        ({"password": "a\nb"}, "password is no API key"),
        ({"password": "clé"}, "password is no API key"),
        ({"password": "k", "host": "api lever co"}, "be a web address"),
        ({"password": "k", "host": "https://"}, "be a web address"),
        ({"password": "k", "host": "https://["}, "be a web address"),
        ({"password": "k", "host": "https://user:pass@api.lever.co"}, "be a web address"),
        ({"password": "k", "host": "https://api.lever.co:x/v1"}, "be a web address"),
        ({"password": "k", "port": "https"}, "port must be a number"),
        ({"password": "k", "extra": "timeout: 5"}, "extra must be JSON"),
        ({"password": "k", "extra": "[1]"}, "extra must be JSON"),
        ({"password": "k", "extra": {"timeout": "soon"}}, "timeout must be 1 to 300"),
        ({"password": "k", "extra": {"timeout": "nan"}}, "timeout must be 1 to 300"),
        ({"password": "k", "extra": {"verify": "/no/such/file.pem"}}, "there is no CA bundle"),
        ({"password": "k", "extra": {"verify": "x" * 5000}}, "there is no CA bundle"),
        ({"password": "k", "extra": {"proxies": "http://proxy.example"}}, "proxies must be an object"),
        ({"password": "k", "extra": {"proxies": {"https": "no address"}}}, "proxies must be an object"),
        ({"password": "k", "extra": {"proxies": ["http://proxy.example"]}}, "proxies must be an object"),
        ({"password": "k", "host": "http://api.lever.co/v1"}, "must start with https://"),
    ],
)
def test_a_connection_that_cannot_work_says_why(
    given: dict[str, object], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "lever", **given)
    with pytest.raises(SettingsError, match=line):
        LeverHook().client()
    good, said = LeverHook().test_connection()
    assert not good
    assert line in said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, "<html>Welcome</html>"), "host"),
        ((301, {"Location": "https://elsewhere.example/"}, ""), "host"),
        ((200, {}, "5"), "host"),
        ((404, {}, "<html>"), "404"),
        ((503, {}, ""), "503"),
        (None, "no answer"),
    ],
)
def test_an_answer_that_is_not_the_vendors_is_one_sentence(
    vendor: Vendor, answer: Answer | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "lever", host=vendor.url, password="k")
    vendor.answers = [answer]
    good, line = LeverHook().test_connection()
    assert not good
    assert said in line
    assert "\n" not in line
    assert len(vendor.received) == 1


@pytest.mark.parametrize("proxies", [{"HTTPS": "http://connection.example"}, '{"https": "http://connection.example"}'])
@pytest.mark.parametrize(("given", "verify"), [(False, False), ("false", False), (__file__, __file__)])
def test_the_connections_own_settings_win_over_the_environment(
    given: object, verify: object, proxies: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/the/environments.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example")
    extra = {"verify": given, "proxies": proxies}
    connect(monkeypatch, "lever", password="k", extra=extra)
    session = LeverHook().client()._client.session
    used = session.merge_environment_settings("https://api.lever.co/v1", {}, None, None, None)
    assert (used["verify"], used["proxies"]["https"]) == (verify, "http://connection.example")


def test_without_a_setting_of_the_connection_the_environments_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", __file__)
    connect(monkeypatch, "lever", password="k")
    session = LeverHook().client()._client.session
    used = session.merge_environment_settings("https://api.lever.co/v1", {}, None, None, None)
    assert used["verify"] == __file__
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/the/environments.pem")
    with pytest.raises(SettingsError, match=r"REQUESTS_CA_BUNDLE .* there is no CA bundle /the/environments.pem"):
        LeverHook().client().check()


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        (None, []),
        ("", []),
        ("one-that-is-long-enough, another-of-some-length,", ["one-that-is-long-enough", "another-of-some-length"]),
        (["one-that-is-long-enough"], ["one-that-is-long-enough"]),
        ({"w1": "one-that-is-long-enough"}, ["one-that-is-long-enough"]),
        (' {"w1": "one-that-is-long-enough"}', ["one-that-is-long-enough"]),
        (
            '["one-that-is-long-enough", "another-of-some-length"]',
            ["one-that-is-long-enough", "another-of-some-length"],
        ),
        ("one-that-is-long-enough\nanother-of-some-length; ", ["one-that-is-long-enough", "another-of-some-length"]),
    ],
)
def test_signature_tokens_are_a_list_or_text(tokens: object, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", password="k", extra={"webhook_tokens": tokens})
    assert LeverHook().webhook_tokens == found


@pytest.mark.parametrize(
    "tokens", ["fifteen-letters", ["one-that-is-long-enough", "short"], 12345, [None], "[one]", ["fourteen-sign  "]]
)
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


def test_the_callback_secret_that_the_set_up_has_stored_counts_where_the_connection_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(monkeypatch, "imocha", password="k")
    assert ImochaHook().callback_secret is None
    monkeypatch.setenv("AIRFLOW_VAR_LEVER_IMOCHA_CALLBACK_SECRET", "made-by-the-set-up")
    assert ImochaHook().callback_secret == "made-by-the-set-up"
    connect(monkeypatch, "imocha", password="k", extra={"callback_secret": "the-connection-s-own"})
    assert ImochaHook().callback_secret == "the-connection-s-own"


@pytest.mark.parametrize("stored", ["short", "fifteen-letters", "  fifteen-letters\n"])
def test_a_short_secret_that_is_stored_is_refused(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", password="k")
    connect(monkeypatch, "imocha", password="k")
    monkeypatch.setenv("AIRFLOW_VAR_LEVER_IMOCHA_CALLBACK_SECRET", stored)
    monkeypatch.setenv("AIRFLOW_VAR_LEVER_IMOCHA_WEBHOOK_TOKENS", json.dumps({"w1": stored}))
    with pytest.raises(SettingsError, match="variable lever_imocha_callback_secret is shorter than 16"):
        _ = ImochaHook().callback_secret
    with pytest.raises(SettingsError, match="variable lever_imocha_webhook_tokens is shorter than 16"):
        _ = LeverHook().webhook_tokens


def test_blanks_around_a_secret_that_is_handed_over_make_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "lever", password="k")
    connect(monkeypatch, "imocha", password="k")
    monkeypatch.setenv("AIRFLOW_VAR_LEVER_IMOCHA_CALLBACK_SECRET", " made-by-the-set-up\n")
    monkeypatch.setenv(
        "AIRFLOW_VAR_LEVER_IMOCHA_WEBHOOK_TOKENS", '{"w1": " one-that-is-long-enough ", "w2": "", "w3": null}'
    )
    assert ImochaHook().callback_secret == "made-by-the-set-up"
    assert LeverHook().webhook_tokens == ["one-that-is-long-enough"]


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
        ("http://127.0.0.1:8000/v1", ["a"], "http://127.0.0.1:8000/?open=a"),
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


def test_airflow_knows_both_types() -> None:
    manager = ProvidersManager()
    for kind, label in (("lever", "Lever"), ("imocha", "iMocha")):
        hook = manager.hooks[kind]
        assert hook is not None
        assert hook.hook_name == label


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


@pytest.mark.parametrize(("ids", "page"), [(["op"], "people/op"), (["op", "other"], ""), ([], "")])
def test_a_row_leads_to_the_timeline(ids: list[str], page: str) -> None:
    operator = WriteBackReportsOperator(task_id="t", opportunity_ids=ids)
    assert TimelineLink().get_link(operator, ti_key=None).endswith(f"/lever-imocha/console/{page}")


class Supervisor:
    """Answers a task that asks Airflow for connections and variables."""

    def __init__(self, error: ErrorType) -> None:
        self._error = error

    def send(self, _request: object) -> ErrorResponse:
        return ErrorResponse(error=self._error)


@pytest.fixture
def airflow_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test the place of a task whose questions Airflow's API server cannot answer."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(ErrorType.API_SERVER_ERROR), raising=False)


@pytest.mark.usefixtures("airflow_is_down")
def test_nothing_counts_as_missing_while_airflow_cannot_look_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER", raising=False)
    with pytest.raises(LedgerError, match="Airflow cannot look up") as caught:
        find_ledger_url()
    assert caught.value.retry is Retry.SOON
    for hook in (LeverHook(), ImochaHook()):
        with pytest.raises(AirflowDownError):
            hook.client()
    connect(monkeypatch, "lever", password="k")
    connect(monkeypatch, "imocha", password="k")
    for secret in (lambda: LeverHook().webhook_tokens, lambda: ImochaHook().callback_secret):
        with pytest.raises(AirflowDownError):
            secret()


def test_what_airflow_has_looked_for_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(ErrorType.VARIABLE_NOT_FOUND), raising=False)
    with pytest.raises(SettingsError, match="connection lever_default: does not exist"):
        LeverHook().client()
    connect(monkeypatch, "imocha", password="k")
    assert ImochaHook().callback_secret is None


def test_a_row_that_failed_before_it_had_its_values_has_no_link() -> None:
    assert LeverCandidateLink().get_link(object(), ti_key=None) == ""
