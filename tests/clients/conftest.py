"""The clients against the sandbox on a real port, or against a server that answers as it is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from lever_imocha.clients import imocha, lever
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.clients.limits import Limiter
from lever_imocha.clients.server_clock import ServerClock
from lever_imocha.clients.transport import ApiClient
from lever_imocha.domain.metrics import Metrics

from include.sandbox.world import World
from tests.support import Handler, Unlimited, handled_by

Answer = tuple[int, dict[str, str], str | bytes]


@dataclass(frozen=True)
class Received:
    """A request as it arrived; `target` is the path with its query, header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query)

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass
class Vendor:
    """A server that gives the answers it was told to, in turn, then 200; None drops the connection."""

    answers: list[Answer | None] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    url: str = ""

    def says(self, *bodies: Any, status: int = 200) -> None:
        """Answer with JSON."""
        headers = {"Content-Type": "application/json"}
        self.answers += [(status, headers, json.dumps(body)) for body in bodies]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    yield from serve_answers()


@pytest.fixture
def elsewhere() -> Iterator[Vendor]:
    """A second server: a host that is not the API's."""
    yield from serve_answers()


def serve_answers() -> Iterator[Vendor]:
    state = Vendor()

    class Told(Handler):
        def answer(self) -> None:
            body = self.read_body()
            headers = {key.lower(): value for key, value in self.headers.items()}
            state.received.append(Received(self.command, self.path, headers, body))
            answer = state.answers.pop(0) if state.answers else (200, {}, '{"id": "1"}')
            if answer is None:
                self.close_connection = True
                return
            status, given, text = answer
            content = text.encode() if isinstance(text, str) else text
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(content))} | given).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = answer

    with handled_by(Told) as state.url:
        yield state


@dataclass
class Counts:
    """Metrics that a test can look at."""

    counts: Counter[str] = field(default_factory=Counter)

    def count(self, name: str) -> None:
        self.counts[name] += 1

    def timing(self, name: str, seconds: float) -> None:
        """Nothing here is timed."""


def api_client(
    vendor: str,
    base_url: str,
    session: requests.Session,
    limiter: Limiter | None = None,
    metrics: Metrics | None = None,
    server_clock: ServerClock | None = None,
) -> ApiClient:
    session.trust_env = False  # nothing of the environment counts here, and each call would look through all of it
    return ApiClient(
        vendor=vendor,
        base_url=base_url,
        session=session,
        limiter=limiter or Unlimited(),
        read_error={"Lever": lever.read_error, "iMocha": imocha.read_error}[vendor],
        sleep=lambda _: None,
        metrics=metrics,
        server_clock=server_clock,
    )


def lever_client(
    base_url: str,
    key: str = "lever-key",
    limiter: Limiter | None = None,
    metrics: Metrics | None = None,
    server_clock: ServerClock | None = None,
) -> LeverClient:
    session = requests.Session()
    session.auth = (key, "")
    return LeverClient(api_client("Lever", base_url, session, limiter, metrics, server_clock))


def imocha_client(base_url: str, key: str = "imocha-key", limiter: Limiter | None = None) -> ImochaClient:
    session = requests.Session()
    session.headers["X-API-KEY"] = key
    return ImochaClient(api_client("iMocha", base_url, session, limiter), requests.Session())


@dataclass
class Sandbox:
    """Both vendors on one machine, and what they know."""

    world: World
    url: str

    @property
    def lever(self) -> LeverClient:
        return lever_client(f"{self.url}/lever/v1")

    @property
    def imocha(self) -> ImochaClient:
        return imocha_client(f"{self.url}/imocha/v3")

    def called(self, vendor: str) -> list[str]:
        """The calls so far, as method and path."""
        return [f"{call['method']} {call['path']}" for call in self.world.calls if call["vendor"] == vendor]


@pytest.fixture
def sandbox(sandbox_world: World, sandbox_url: str) -> Sandbox:
    sandbox_world.switches["rate_limit"] = False
    return Sandbox(sandbox_world, sandbox_url)
