"""The sandbox on a real port, a receiver of what it sends, and little clients to both APIs."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

import pytest
import requests

from tests.support import Handler, handled_by


@dataclass
class Api:
    """One of the sandbox's faces; `session` carries the credentials."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def __call__(self, method: str, path: str, body: Any = None, **given: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}/{path}", json=body, timeout=20, **given)

    def ok(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        """The body of an answer that must be good."""
        answer = self(method, path, body, **given)
        assert answer.status_code in (200, 201, 204), answer.text
        return answer.json() if answer.content else None


@dataclass
class Sandbox:
    """Both vendors and the admin calls."""

    lever: Api
    imocha: Api
    admin: Api
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def switch(self, **positions: Any) -> None:
        self.admin.ok("POST", "switches", positions)

    def advance(self, seconds: float) -> None:
        self.admin.ok("POST", "clock/advance", {"seconds": seconds})

    def candidate(self, stage: str = "New applicant", **given: Any) -> str:
        number = next(self.numbers)
        person = {"name": f"Ann {number}", "emails": [f"ann{number}@example.com"], "stage": stage}
        return str(self.admin.ok("POST", "candidates", person | given)["id"])

    def opportunity(self, key: str) -> dict[str, Any]:
        seen: dict[str, Any] = self.lever.ok("GET", f"opportunities/{key}")["data"]
        return seen

    def move(self, key: str, stage: str) -> None:
        self.admin.ok("POST", f"candidates/{key}/move", {"stage": stage})

    def stage(self, text: str) -> str:
        return str(next(one["id"] for one in self.lever.ok("GET", "stages")["data"] if one["text"] == text))

    def reason(self, text: str) -> str:
        reasons = self.lever.ok("GET", "archive_reasons")["data"]
        return str(next(one["id"] for one in reasons if one["text"] == text))

    def user(self) -> str:
        return str(self.lever.ok("GET", "users")["data"][0]["id"])

    def invite(self, email: str = "ann@example.com", test: int = 101, **given: Any) -> dict[str, Any]:
        body = {"email": email, "name": "Ann", **given}
        answer: dict[str, Any] = self.imocha.ok("POST", f"tests/{test}/invite", body)
        return answer

    def invitation(self, key: int) -> dict[str, Any]:
        return next(one for one in self.admin.ok("GET", "invitations") if one["id"] == key)

    def state(self, key: int) -> str:
        return str(self.invitation(key)["state"])

    def start(self, key: int) -> None:
        self.admin.ok("POST", f"invitations/{key}/start")

    def finish(self, key: int, **given: Any) -> None:
        self.admin.ok("POST", f"invitations/{key}/finish", given)

    def deliveries(self, wait: float = 20) -> list[dict[str, Any]]:
        """All there were; with a wait, when none is to be sent within a minute."""
        found: list[dict[str, Any]] = self.admin.ok("GET", f"deliveries?wait={wait}")
        return found


@pytest.fixture
def sandbox(sandbox_url: str) -> Sandbox:
    made = Sandbox(Api(f"{sandbox_url}/lever/v1"), Api(f"{sandbox_url}/imocha/v3"), Api(f"{sandbox_url}/admin"))
    made.lever.session.auth = ("lever-key", "")
    made.imocha.session.headers["X-API-KEY"] = "imocha-key"
    made.switch(rate_limit=False)
    return made


@dataclass
class Receiver:
    """A receiver of webhooks and callbacks: gives the answers it was told to, in turn, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    posts: Queue[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=Queue)
    gate: threading.Event = field(default_factory=threading.Event)

    def bodies(self, number: int) -> list[dict[str, Any]]:
        """The next so many bodies that arrive."""
        return [self.posts.get(timeout=20)[2] for _ in range(number)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()
    state.gate.set()

    class Hook(Handler):
        def answer(self) -> None:
            body = json.loads(self.read_body())
            state.gate.wait(20)
            status = state.answers.pop(0) if state.answers else 200
            state.posts.put((self.path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 302:
                self.send_header("Location", state.url)
            self.end_headers()

        do_POST = answer

    with handled_by(Hook) as url:
        state.url = f"{url}/hook"
        yield state
