"""A task's process is killed with SIGKILL at every call it makes, before and after the call takes effect."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.tables import metadata
from sqlalchemy import Engine, text
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dev import postgres
from include.sandbox.app import create_app
from include.sandbox.server import serve
from tests.model import task
from tests.model.scene import Town

PYTHON = "iMocha: Python Developer [101]"
SETTINGS = """
perform_as: people-ops@example.com
write_back: {tags: [assessed], note: true}
rate_limits: {lever: 10, imocha: 50}
"""
_PROCESSES = get_context("forkserver")  # as Airflow's supervisor forks its tasks: the imports are paid for once


class Square(Town):
    """A town by the real time, which the processes go by."""

    def now(self) -> datetime:
        """The real time."""
        return datetime.now(UTC)


class Gallows:
    """In front of the sandbox: kills the caller when its `number`-th call arrives, or once that has taken effect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.victim = self.number = 0
        self.after = False

    def await_(self, victim: int, number: int, *, after: bool) -> None:
        """Whom to kill, and when; 0 is never."""
        self.victim, self.number, self.after = victim, number, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        self.number -= scope["type"] == "http"
        if scope["type"] != "http" or self.number != 0:
            await self._app(scope, receive, send)
            return

        async def unheard(_message: Message) -> None:
            """Nobody is there to hear it."""

        if self.after:
            await self._app(scope, receive, unheard)
        os.kill(self.victim, signal.SIGKILL)
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Place:
    """Vendors, a ledger, and what a task's process is told of them."""

    town: Town
    gallows: Gallows
    engine: Engine
    environment: dict[str, str]

    def begin_anew(self) -> str:
        """One tagged candidate, and nothing else."""
        self.town.begin_anew()
        with self.engine.begin() as connection:
            tables = ", ".join(table.fullname for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
        emails = ["ann@example.com"]
        return str(self.town.add_opportunity(stage="Assessment", tags=[PYTHON], emails=emails, name="Ann")["id"])

    def run(self, work: str, *, kill_at: int = 0, after: bool = False) -> bool:
        """A process does the work; True when it lived to the end of it."""
        ours, theirs = _PROCESSES.Pipe()
        process = _PROCESSES.Process(target=task.run, args=(work, self.environment, theirs))
        process.start()
        self.gallows.await_(process.pid or 0, kill_at, after=after)
        ours.send("go")
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode == 0

    def end_attempt(self) -> None:
        """The candidate takes the test."""
        (invitation,) = self.town.invitations.values()
        invitation.state, invitation.points, invitation.total = "Complete", 34, 50
        invitation.attempted_on = invitation.changed_at = self.town.now()


@pytest.fixture(scope="session")
def place(postgres_url: str, ledger_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    town = Square()
    town.begin_anew()
    gallows = Gallows(create_app(town))
    settings: Path = tmp_path_factory.mktemp("kill") / "settings.yaml"
    settings.write_text(SETTINGS)
    ledger = postgres.create_database(postgres_url, "ledger_kill", template=ledger_template)
    with serve(gallows) as url:
        environment = {"LEVER_IMOCHA_SETTINGS": str(settings), "AIRFLOW_CONN_LEVER_IMOCHA_LEDGER": ledger}
        for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
            connection: dict[str, Any] = {"conn_type": vendor, "host": f"{url}/{path}", "password": f"{vendor}-key"}
            environment[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"] = json.dumps(connection)
        _PROCESSES.set_forkserver_preload([task.__name__])
        yield Place(town, gallows, engine_for(ledger), environment)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_while_inviting(place: Place, after: bool) -> None:
    number, survived = 0, False
    while not survived:
        number += 1
        place.begin_anew()
        survived = place.run("invite", kill_at=number, after=after)
        assert place.run("invite")
        (invitation,) = place.town.invitations.values()
        assert invitation.state == "Pending"
        assert len(place.town.mails) in ((1, 2) if after else (1,))
    assert number > 5


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_while_writing_back(place: Place, after: bool) -> None:
    number, survived = 0, False
    while not survived:
        number += 1
        key = place.begin_anew()
        assert place.run("invite")
        place.end_attempt()
        survived = place.run("write_back", kill_at=number, after=after)
        assert place.run("write_back")
        assert len(place.town.forms[key]) == len(place.town.files[key]) == len(place.town.notes[key]) == 1
        assert "assessed" in place.town.opportunities[key]["tags"]
        assert len(place.town.moved_by_api) == len(place.town.mails) == 1
    assert number > 10
