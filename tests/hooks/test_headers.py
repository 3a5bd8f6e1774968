"""What leaves through the hooks' own doors, as a server sees it: the key, and no extra."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from airflow.models.connection import Connection
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import BaseHook
from lever_imocha.clients.limits import InProcessLimiter
from lever_imocha.clients.reachability import receiver_problem
from lever_imocha.errors import CredentialsError, NotFoundError, OutcomeUnknownError, VendorDownError
from lever_imocha.hooks import limits
from lever_imocha.hooks.base import VendorHook
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.ledger.limiter import SharedLimiter

from tests.support import Handler, handled_by

EXTRA = {
    "webhook_tokens": "tok-s3cret-of-16-letters",
    "callback_secret": "cb-s3cret-of-16-letters",
    "anything": "any-s3cret",
    "Authorization": "aut-s3cret",
    "timeout": 5,
}
KEYS = {"lever": ("authorization", "Basic azN5Og=="), "imocha": ("x-api-key", "k3y")}


class Echo:
    """A server that keeps what it is sent, and answers as told."""

    url = ""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status, self.headers, self.body = 200, {"Content-Type": "application/json"}, b"{}"
        echo = self

        class Answer(Handler):
            def answer(self) -> None:
                body = self.read_body()
                headers = {name.lower(): value for name, value in self.headers.items()}
                echo.requests.append((self.command, self.path, headers, body))
                self.send_response(echo.status)
                for name, value in (echo.headers | {"Content-Length": str(len(echo.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(echo.body)

            do_GET = do_POST = do_PUT = answer

        self.handler = Answer


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER", raising=False)
    server = Echo()
    with handled_by(server.handler) as server.url:
        for vendor in KEYS:
            connection = {"conn_type": vendor, "host": f"{server.url}/v9", "password": "k3y", "extra": EXTRA}
            monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
        yield server


def check(echo: Echo, vendor: str, method: str, path: str) -> dict[str, str]:
    """Check the one request: with the key, and nothing else of the connection."""
    ((sent_by, sent_to, headers, _),) = echo.requests
    assert (sent_by, sent_to) == (method, path)
    name, value = KEYS[vendor]
    assert headers[name] == value
    assert "s3cret" not in str(headers)
    assert not {"webhook_tokens", "callback_secret", "anything", "timeout"} & set(headers)
    return headers


def hook_of(vendor: str, **given: Any) -> VendorHook:
    return LeverHook(**given) if vendor == "lever" else ImochaHook(**given)


@pytest.mark.parametrize("vendor", KEYS)
def test_a_session_has_the_key_and_no_extra(echo: Echo, vendor: str) -> None:
    hook = hook_of(vendor)
    session = hook.get_conn(headers={"X-Own": "1"})
    session.get(hook.url_from_endpoint("stages"), timeout=5)
    assert check(echo, vendor, "GET", "/v9/stages")["x-own"] == "1"


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize("endpoint", ["stages", "/stages"])
def test_run_has_the_key_and_no_extra(echo: Echo, vendor: str, endpoint: str) -> None:
    answer = hook_of(vendor, method="GET").run(endpoint, data={"limit": "1"})
    assert answer.json() == {}
    check(echo, vendor, "GET", "/v9/stages?limit=1")


@pytest.mark.parametrize("vendor", KEYS)
def test_the_http_operator_has_the_key_and_no_extra(echo: Echo, vendor: str) -> None:
    sent = HttpOperator(
        task_id="sent", http_conn_id=f"{vendor}_default", method="GET", endpoint="stages", headers={"X-Own": "1"}
    )
    assert sent.execute({}) == "{}"
    check(echo, vendor, "GET", "/v9/stages")


@pytest.mark.parametrize("vendor", KEYS)
def test_the_hook_that_airflow_makes_for_a_connection_is_ours(echo: Echo, vendor: str) -> None:
    hook = BaseHook.get_hook(f"{vendor}_default", {"method": "POST", "auth_type": None})
    assert isinstance(hook, VendorHook)
    hook.run("notes", json={"value": "x"})
    check(echo, vendor, "POST", "/v9/notes")
    assert echo.requests[0][3] == b'{"value": "x"}'


def as_airflow_writes_it(vendor: str, url: str) -> str:
    connection = Connection(conn_id="x", conn_type=vendor, host=f"{url}/v9", password="k3y", extra=json.dumps(EXTRA))
    return connection.get_uri()


WAYS: dict[str, Callable[[str, str], str]] = {
    "JSON, the extra as text": lambda vendor, url: json.dumps(
        {"conn_type": vendor, "host": f"{url}/v9", "password": "k3y", "extra": json.dumps(EXTRA)}
    ),
    "URI": lambda vendor, url: f"{vendor}://{url.replace('://', '://:k3y@')}/v9?{urlencode(EXTRA)}",
    "URI, the extra as JSON": lambda vendor, url: (
        f"{vendor}://{url.replace('://', '://:k3y@')}/v9/?{urlencode({'__extra__': json.dumps(EXTRA)})}"
    ),
    "URI of Airflow's": as_airflow_writes_it,
}


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize("way", WAYS)
def test_however_the_connection_is_written(echo: Echo, vendor: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", WAYS[way](vendor, echo.url))
    hook = hook_of(vendor, method="GET")
    hook.run("stages")
    check(echo, vendor, "GET", "/v9/stages")
    echo.body = b'{"data": [], "tests": [], "businessUnits": []}'
    assert hook.test_connection()[0]
    assert "s3cret" not in str(echo.requests)


@pytest.mark.parametrize("vendor", KEYS)
def test_a_redirect_to_another_host_takes_no_key_along(echo: Echo, vendor: str) -> None:
    other = Echo()
    with handled_by(other.handler) as url:
        echo.status, echo.headers = 302, {"Location": url.replace("127.0.0.1", "localhost") + "/elsewhere"}
        hook_of(vendor, method="GET").run("stages")
    ((_, path, headers, _),) = other.requests
    assert path == "/elsewhere"
    assert KEYS[vendor][0] not in headers


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["other port", "other host"])
def test_a_session_sends_the_key_to_its_own_host_only(echo: Echo, vendor: str, host: str) -> None:
    other, hook = Echo(), hook_of(vendor)
    with handled_by(other.handler) as url:
        hook.get_conn().get(f"{url.replace('127.0.0.1', host)}/report.pdf", timeout=5)
    ((_, path, headers, _),) = other.requests
    assert path == "/report.pdf"
    assert "k3y" not in str(headers)
    assert KEYS[vendor][0] not in headers


def test_run_raises_our_errors_and_logs_no_answer(echo: Echo, capfd: pytest.CaptureFixture[str]) -> None:
    echo.body = b'{"code": "ResourceNotFound", "message": "ann@example.com is unknown"}'
    for status, kind in ((401, CredentialsError), (404, NotFoundError)):
        echo.status = status
        with pytest.raises(kind) as caught:
            LeverHook(method="GET").run("stages")
        assert "ann@" not in str(caught.value)
    assert LeverHook(method="GET").run("stages", extra_options={"check_response": False}).status_code == 404
    assert "ann@" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(("method", "kind"), [("GET", VendorDownError), ("POST", OutcomeUnknownError)])
def test_run_says_whether_a_lost_answer_may_have_had_an_effect(
    method: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER", raising=False)
    connection = {"conn_type": "lever", "host": "http://127.0.0.1:9/v1", "password": "k3y"}
    monkeypatch.setenv("AIRFLOW_CONN_LEVER_DEFAULT", json.dumps(connection))
    with pytest.raises(kind):
        LeverHook(method=method).run("stages?email=ann@example.com")


@pytest.mark.parametrize(("method", "kind"), [("GET", VendorDownError), ("POST", OutcomeUnknownError)])
def test_a_redirect_to_what_is_no_address_is_an_answer_that_is_lost(
    echo: Echo, method: str, kind: type[Exception]
) -> None:
    echo.status, echo.headers = 302, {"Location": "http://["}
    with pytest.raises(kind):
        LeverHook(method=method).run("stages")
    assert receiver_problem(echo.url) == "cannot be reached (ValueError)"


def in_lists(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"webhook_tokens": ["tok-s3cret-of-16-letters"], "callback_secret": ["cb-s3cret-of-16-letters"]}
    for vendor in KEYS:
        connection = {"conn_type": vendor, "host": f"{echo.url}/v9", "password": "k3y", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))


@pytest.mark.parametrize("vendor", KEYS)
def test_secrets_in_lists_make_airflows_own_http_hooks_refuse_to_send(
    echo: Echo, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_lists(echo, monkeypatch)
    with pytest.raises(requests.exceptions.InvalidHeader):
        HttpHook(method="GET", http_conn_id=f"{vendor}_default").run("stages")
    with pytest.raises(requests.exceptions.InvalidHeader):
        HttpSensor(task_id="s", method="GET", http_conn_id=f"{vendor}_default", endpoint="stages").poke({})
    with pytest.raises(TypeError):
        asyncio.run(async_run(f"{vendor}_default"))
    assert echo.requests == []


async def async_run(conn_id: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        await HttpAsyncHook(method="GET", http_conn_id=conn_id).run(session=session, endpoint="stages")


def test_secrets_in_lists_are_read(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    in_lists(echo, monkeypatch)
    assert LeverHook().webhook_tokens == ["tok-s3cret-of-16-letters"]
    assert ImochaHook().callback_secret == "cb-s3cret-of-16-letters"


def test_options_of_one_session_go_before_those_of_the_connection(echo: Echo) -> None:
    session = LeverHook().get_conn(extra_options={"verify": "/ca.pem", "proxies": {"https": "http://proxy"}})
    assert (session.verify, session.proxies) == ("/ca.pem", {"https": "http://proxy"})


def test_without_ledger_and_settings_file_the_hooks_of_a_process_share_a_limit(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", "/nowhere.yaml")
    assert isinstance(limits.limiter_for("lever"), InProcessLimiter)
    assert limits.limiter_for("lever") is limits.limiter_for("lever") is not limits.limiter_for("imocha")
    assert LeverHook().client() is not None


def test_with_a_ledger_sessions_and_clients_take_their_turn_in_it(
    echo: Echo, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
    monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", "/nowhere.yaml")
    assert isinstance(limits.limiter_for("lever"), SharedLimiter)
    echo.body = b'{"data": [], "tests": []}'
    turns = [_turn(ledger_url, "lever")]
    LeverHook().client().check()
    turns.append(_turn(ledger_url, "lever"))
    LeverHook(method="GET").run("stages")
    turns.append(_turn(ledger_url, "lever"))
    hook = LeverHook()
    requests_session = hook.get_conn()
    assert isinstance(requests_session, requests.Session)
    requests_session.get(hook.url_from_endpoint("stages"), timeout=5)
    turns.append(_turn(ledger_url, "lever"))
    assert turns[0] is None
    assert len(set(turns)) == 4


def _turn(url: str, api: str) -> object:
    from lever_imocha.ledger.database import engine_for
    from lever_imocha.ledger.tables import limits as table
    from sqlalchemy import select

    with engine_for(url).connect() as connection:
        return connection.scalar(select(table.c.turn_at).where(table.c.name == api))
