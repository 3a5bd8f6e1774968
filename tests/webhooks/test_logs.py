"""No way of writing a callback's address brings its token into a log."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import structlog
from airflow.api_fastapi.app import init_plugins
from fastapi import FastAPI
from lever_imocha.airflow_compat import SINCE_3_2
from lever_imocha.domain.signatures import callback_token
from lever_imocha.webhooks.app import create_app, create_server_app
from lever_imocha.webhooks.context import ReceiverContext
from starlette.types import ASGIApp

from include.sandbox.server import serve
from tests.airflow_versions import add_access_log

TOKEN = callback_token(17, "the-callback-secret")
SECRET_PART = TOKEN.partition("-")[2]

REQUESTS = [
    f"{method} {path}"
    for method, path in [
        *(
            (method, f"/lever-imocha/webhooks/imocha/{TOKEN}")
            for method in ("POST", "GET", "HEAD", "OPTIONS", "PUT", "X")
        ),
        ("POST", f"/lever-imocha/webhooks/imocha/{TOKEN}/"),
        ("POST", f"/lever-imocha/webhooks/imocha/{TOKEN}/more"),
        ("POST", f"//lever-imocha/webhooks/imocha/{TOKEN}"),
        ("POST", f"/lever-imocha//webhooks//imocha//{TOKEN}"),
        ("POST", f"/lever-imocha/webhooks/imocha/../imocha/{TOKEN}"),
        ("POST", f"/LEVER-IMOCHA/WEBHOOKS/IMOCHA/{TOKEN.upper()}"),
        ("POST", f"/lever-imocha/webhooks/imocha/{TOKEN.replace('-', '%2d')}"),
        ("POST", f"/lever-imocha/webhooks/imocha/{TOKEN.replace('-', '%252D')}"),
        ("POST", f"/lever-imocha/webhooks/imocha/{TOKEN}?a=b"),
        ("POST", f"/lever-imocha/webhooks/imocha?token={TOKEN}"),
        ("POST", f"/lever-imocha/webhooks/imocha/{TOKEN[:-1]}"),
        ("POST", f"/other/webhooks/imocha/{TOKEN}"),
        ("GET", f"/imocha/{TOKEN}"),
        ("POST", f"/webhooks/imocha/{TOKEN}"),
        ("POST", f"/airflow/lever-imocha/webhooks/imocha/{TOKEN}"),
        ("POST", f"/lever-imocha%2Fwebhooks%2Fimocha%2F{TOKEN}"),
        ("POST", f"/lever-imocha%252Fwebhooks%252Fimocha%252F{TOKEN}"),
        ("POST", f"/callbacks/{TOKEN}"),
        ("GET", f"/callbacks//{TOKEN}/"),
        ("POST", f"/{TOKEN}"),
        ("POST", f"/?token={TOKEN}"),
        ("POST", f"/%2569mocha%252F{TOKEN.replace('-', '%2D')}?again={TOKEN}"),
    ]
]


class Everything(logging.Handler):
    """Keeps what any logger says, at any level."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def logged() -> Iterator[Callable[[], list[str]]]:
    """Every line that is logged, uvicorn's access log and Airflow's included."""
    handler, loggers = Everything(), [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.access")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    with structlog.testing.capture_logs() as entries:
        yield lambda: [*handler.lines, *map(str, entries)]
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def send(address: str, request: str) -> str:
    """Send a request line as it is, which no client library would do; return the answer."""
    host, port = urlsplit(address).hostname, urlsplit(address).port
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def _alone() -> ASGIApp:
    return create_server_app(create_app(lambda: ReceiverContext(ledger=None)))  # type: ignore[arg-type]


def _in_airflow() -> ASGIApp:
    """Build what Airflow's API server builds around a plugin, and its access log."""
    app = FastAPI()
    init_plugins(app)

    @app.get("/{rest:path}")
    def page(rest: str) -> str:
        return f"Airflow's page {rest}" if rest.startswith("api/") else "Airflow's page"

    add_access_log(app)
    return app


@pytest.mark.parametrize("build", [_alone, _in_airflow])
def test_no_variant_of_an_address_brings_its_token_into_a_log(
    build: Callable[[], ASGIApp], logged: Callable[[], list[str]]
) -> None:
    with serve(build(), log_level="debug", log_config=None) as address:
        for request in REQUESTS:
            answer = send(address, request)
            assert answer.startswith("HTTP/1.1 "), request
            assert SECRET_PART[:32] not in answer.lower(), request
    lines = logged()
    for name in ("uvicorn", "Airflow") if build is _in_airflow and SINCE_3_2 else ("uvicorn",):
        shown = [
            line for line in lines if "hidden" in line.lower() and ("request finished" in line) == (name == "Airflow")
        ]
        assert len(shown) >= len(REQUESTS) - 5, name  # all that are HTTP
    assert [line for line in lines if SECRET_PART[:32] in line.lower()] == []


@pytest.mark.parametrize("below", ["", "/airflow"])
def test_no_token_is_logged_behind_a_proxy_that_strips_or_adds_a_path(
    below: str, logged: Callable[[], list[str]]
) -> None:
    with serve(_in_airflow(), log_level="debug", log_config=None, root_path=below) as address:
        for request in REQUESTS:
            send(address, request)
    lines = logged()
    assert len([line for line in lines if "hidden" in line.lower()]) >= len(REQUESTS) - 5
    assert [line for line in lines if SECRET_PART[:32] in line.lower()] == []


def test_an_address_of_another_application_is_served_as_it_is() -> None:
    with serve(_in_airflow()) as address:
        assert f"runs/{TOKEN}" in send(address, f"GET /api/runs/{TOKEN}")
