"""The receivers as a process of their own, and inside any other server, under bad connections."""

from __future__ import annotations

import json
import logging
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI
from lever_imocha.domain.signatures import callback_token
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.webhooks.app import create_app, create_server_app
from lever_imocha.webhooks.context import ReceiverContext
from lever_imocha.webhooks.server import BoundedProtocol
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.sandbox.server import serve
from tests.webhooks.test_app import KEYS, SECRET, delivery, kept

ROOT = Path(__file__).parents[2]
HEAD = b"POST /lever-imocha/webhooks/lever HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"


def post(address: str) -> requests.Response:
    return requests.post(f"{address}/lever-imocha/webhooks/lever", json=delivery(), timeout=10)


@contextmanager
def running(**environment: str) -> Iterator[tuple[str, list[str]]]:
    """Start `python -m lever_imocha.webhooks` with nothing but these variables; give its address and its log."""
    lines: list[str] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "lever_imocha.webhooks", "--port", "0"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "plugins", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"receiving at (http://[\d.:]+)", line):
                yield found.group(1), lines
                break
        else:
            raise AssertionError("".join(lines))
    finally:
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=20)[1].splitlines(keepends=True)


@pytest.fixture
def no_database() -> Iterator[socket.socket]:
    """A port where Airflow's database is said to be; nobody should come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def test_a_process_of_its_own_needs_only_the_ledger(
    ledger_url: str, ledger: Ledger, no_database: socket.socket, tmp_path: Path
) -> None:
    port = no_database.getsockname()[1]
    environment = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://u@127.0.0.1:{port}/airflow",
        "AIRFLOW_CONN_LEVER_DEFAULT": json.dumps({"conn_type": "lever"}),
        "AIRFLOW_VAR_LEVER_IMOCHA_WEBHOOK_TOKENS": json.dumps({"w1": KEYS[0]}),  # as the set-up stores them
        "AIRFLOW_CONN_IMOCHA_DEFAULT": json.dumps({"conn_type": "imocha", "extra": {"callback_secret": "short"}}),
        "LEVER_IMOCHA_LEDGER": ledger_url,
        "LEVER_IMOCHA_SETTINGS": str(ROOT / "include" / "lever_imocha.yaml"),
    }
    token = callback_token(1, SECRET)
    with running(**environment) as (address, lines):
        assert post(address).status_code == 200
        assert kept(ledger) == [("lever", "candidateStageChange", "op", None)]
        callback = f"{address}/lever-imocha/webhooks/imocha/{token}"
        assert requests.post(callback, json={}, timeout=10).status_code == 404
        for other in ("", "/", "/lever-imocha", "/lever-imocha/webhooks", "/docs", "/openapi.json", "/api/v2/version"):
            assert requests.get(address + other, timeout=10, allow_redirects=False).status_code == 404
    log = "".join(lines)
    assert "connection imocha_default: callback_secret in the extra is shorter than 16" in log
    assert token not in log
    assert "Traceback" not in log
    with pytest.raises(BlockingIOError):
        no_database.accept()


@pytest.mark.slow
def test_a_secret_that_the_set_up_has_stored_is_handed_over_by_a_variable(
    ledger_url: str, ledger: Ledger, tmp_path: Path
) -> None:
    environment = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_LEVER_DEFAULT": json.dumps({"conn_type": "lever", "extra": {"webhook_tokens": KEYS}}),
        "AIRFLOW_CONN_IMOCHA_DEFAULT": json.dumps({"conn_type": "imocha"}),
        "AIRFLOW_VAR_LEVER_IMOCHA_CALLBACK_SECRET": SECRET,
        "LEVER_IMOCHA_LEDGER": ledger_url,
        "LEVER_IMOCHA_SETTINGS": str(ROOT / "include" / "lever_imocha.yaml"),
    }
    with running(**environment) as (address, lines):
        assert post(address).status_code == 200
        callback = f"{address}/lever-imocha/webhooks/imocha/{callback_token(1, SECRET)}"
        body = {"TestInvitationId": 7, "Status": "Complete", "AttemptedOnUtc": "2020-10-09T13:21:53"}
        assert requests.post(callback, json=body, timeout=10).status_code == 404
    log = "".join(lines)
    assert "the callback address belongs to an assessment that is not known any more" in log
    assert SECRET not in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"LEVER_IMOCHA_SETTINGS": "none.yaml"}, "none.yaml: cannot be read"),
        ({"LEVER_IMOCHA_SETTINGS": "include/lever_imocha.yaml"}, "The ledger has no address"),
    ],
)
def test_it_does_not_start_without_what_it_needs(given: dict[str, str], line: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=line), running(AIRFLOW_HOME=str(tmp_path), **given):
        pass


@pytest.fixture
def alone(ledger: Ledger) -> Iterator[str]:
    """The server as it runs alone, but with a second instead of ten for a head and for a body."""
    app = create_app(lambda: ReceiverContext(ledger=ledger, webhook_tokens=KEYS), body_seconds=1)
    with served(app) as address:
        yield address


class Impatient(BoundedProtocol):
    seconds = answer_seconds = 1.0


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    with serve(create_server_app(app), http=Impatient, ws="none") as address:
        yield address


def connect(address: str) -> socket.socket:
    return socket.create_connection((urlsplit(address).hostname, urlsplit(address).port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    """What is answered until the server closes the connection, or resets it: it was sent more than it read."""
    answer = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
    return answer


def test_a_request_that_does_not_go_on_is_ended(alone: str) -> None:
    too_late = b"HTTP/1.1 408 Request Timeout"
    begun = {b"": b"", b"POST /lever-imocha/webh": b"", HEAD: b"", HEAD + b"\r\n": too_late, HEAD + b"\r\n{": too_late}
    with ExitStack() as stack:
        connections = {sent: stack.enter_context(connect(alone)) for sent in begun}
        for sent, connection in connections.items():
            connection.sendall(sent)
        answers = {sent: rest(connection).partition(b"\r\n")[0] for sent, connection in connections.items()}
    assert answers == begun


def test_a_connection_that_is_kept_open_is_ended_too(alone: str) -> None:
    content = json.dumps(delivery()).encode()
    head = HEAD.replace(b"1000", str(len(content)).encode())
    with connect(alone) as connection:
        connection.sendall(head + b"\r\n" + content + b"POST /lever-imocha")
        assert rest(connection).startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_trickles_is_ended(alone: str) -> None:
    with connect(alone) as connection, selectors.DefaultSelector() as selector:
        connection.sendall(HEAD + b"\r\n")
        selector.register(connection, selectors.EVENT_READ)
        for _ in range(150):
            if selector.select(timeout=0.1):
                break
            with suppress(ConnectionError):
                connection.sendall(b" ")
        assert rest(connection).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "head",
    [HEAD.replace(b"lever HTTP", b"nowhere HTTP"), HEAD.replace(b"POST", b"GET"), HEAD.replace(b"POST", b"OPTIONS")],
    ids=["an unknown address", "GET", "OPTIONS"],
)
def test_a_body_that_trickles_on_after_the_answer_is_ended(alone: str, head: bytes) -> None:
    with connect(alone) as connection, selectors.DefaultSelector() as selector:
        connection.sendall(head + b"\r\n")
        selector.register(connection, selectors.EVENT_READ)
        answer = b""
        for _ in range(150):
            if selector.select(timeout=0.1):
                with suppress(ConnectionError):
                    part = connection.recv(65536)
                    answer += part
                    if part:
                        continue
                break
            with suppress(ConnectionError):
                connection.sendall(b" ")
        else:
            pytest.fail("the connection was not ended")
        assert answer.startswith(b"HTTP/1.1 40")


def test_who_does_not_take_the_answer_is_ended() -> None:
    async def page(_: Request) -> Response:
        return Response(b"x" * 20_000_000)

    with (
        serve(Starlette(routes=[Route("/", page)]), http=Impatient, ws="none") as address,
        connect(address) as connection,
        selectors.DefaultSelector() as selector,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionError):  # noqa: PT012 - one of many is the first that fails
            for _ in range(150):
                selector.select(timeout=0.1)
                connection.sendall(b"G")


def test_a_path_of_digits_keeps_nobody_waiting(alone: str) -> None:
    with connect(alone) as connection:
        connection.sendall(b"POST /lever-imocha/webhooks/imocha/" + b"1" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        assert post(alone).status_code == 200
        assert time.monotonic() - began < 5  # each digit as a beginning would take half a minute


def test_silent_connections_leave_others_answered(ledger: Ledger) -> None:
    app = create_app(lambda: ReceiverContext(ledger=ledger, webhook_tokens=KEYS), body_seconds=60)
    with serve(create_server_app(app), http=BoundedProtocol, ws="none") as address, ExitStack() as stack:
        for number in range(800):
            connection = stack.enter_context(connect(address))
            connection.sendall((b"", b"POST /lever", HEAD + b"\r\n", HEAD + b"\r\n{")[number % 4])
        assert post(address).status_code == 200


def test_who_hangs_up_is_no_error(alone: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for number in range(5):
        with connect(alone) as connection:
            connection.sendall(HEAD + b"\r\n" + b" " * number)
    assert post(alone).status_code == 200
    end = time.monotonic() + 10
    while "hung up" not in caplog.text and time.monotonic() < end:
        assert post(alone).status_code == 200
    ours = [record for record in caplog.records if record.name.startswith(("lever_imocha", "uvicorn"))]
    assert [(record.levelname, record.exc_info) for record in ours] == [("INFO", None)]


def test_a_database_that_hangs_is_a_503_for_all_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x"
        context = ReceiverContext(ledger=Ledger(engine=engine_for(url)), webhook_tokens=KEYS)
        with served(create_app(lambda: context, patience=0.5)) as address, ExitStack() as stack:
            content = json.dumps(delivery()).encode()
            request = HEAD.replace(b"1000", str(len(content)).encode()) + b"Connection: close\r\n\r\n" + content
            connections = [stack.enter_context(connect(address)) for _ in range(180)]
            began = time.monotonic()
            for connection in connections:
                connection.sendall(request)
            assert {rest(connection).partition(b"\r\n")[0] for connection in connections} == {
                b"HTTP/1.1 503 Service Unavailable"
            }
            assert time.monotonic() - began < 10  # by sixes it would be 15 s and more
