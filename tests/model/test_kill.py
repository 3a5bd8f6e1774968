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
from sqlalchemy import Engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dev import postgres
from include.sandbox.app import create_app
from include.sandbox.server import serve
from tests.model import task
from tests.model.harness import ManualClockWorld
from tests.support import PYTHON, TURNS_AT_ONCE, allow_turns_at_once, empty_ledger

SETTINGS = """
perform_as: people-ops@example.com
activation: {existing: invite}
limits: {per_hour: 100000, per_candidate: 1000}
write_back: {tags: [assessed], note: true}
"""
_PROCESSES = get_context("forkserver")  # as Airflow's supervisor forks its tasks: the imports are paid for once


class RealClockWorld(ManualClockWorld):
    """A town by the real time, which the processes go by."""

    def now(self) -> datetime:
        """The real time."""
        return datetime.now(UTC)


class KillOnCall:
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
class KillHarness:
    """Vendors, a ledger, and what a task's process is told of them."""

    world: ManualClockWorld
    killer: KillOnCall
    engine: Engine
    environment: dict[str, str]

    def reset(self) -> str:
        """One tagged candidate, and nothing else."""
        self.world.reset()
        empty_ledger(self.engine)
        emails = ["ann@example.com"]
        return str(self.world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=emails, name="Ann")["id"])

    def run(self, work: str, *, kill_at: int = 0, after: bool = False) -> bool:
        """A process does the work; True when it lived to the end of it."""
        ours, theirs = _PROCESSES.Pipe()
        process = _PROCESSES.Process(target=task.run, args=(work, self.environment, theirs))
        process.start()
        self.killer.await_(process.pid or 0, kill_at, after=after)
        ours.send("go")
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode == 0

    def invited(self) -> str:
        """One candidate who has taken the test. Nobody kills what leads there, so it needs no process of its own."""
        key = self.reset()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            task.invite()
        (invitation,) = self.world.invitations.values()
        self.world.finish(invitation)
        return key


@pytest.fixture(scope="session")
def kill_harness(
    postgres_url: str, ledger_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KillHarness]:
    world = RealClockWorld()
    world.reset()
    killer = KillOnCall(create_app(world))
    settings: Path = tmp_path_factory.mktemp("kill") / "settings.yaml"
    settings.write_text(SETTINGS)
    ledger = postgres.create_database(postgres_url, "ledger_kill", template=ledger_template)
    allow_turns_at_once(engine_for(ledger))
    with serve(killer) as url:
        environment = {
            "LEVER_IMOCHA_SETTINGS": str(settings),
            "AIRFLOW_CONN_LEVER_IMOCHA_LEDGER": f"{ledger}&{TURNS_AT_ONCE}",
        }
        for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
            connection: dict[str, Any] = {"conn_type": vendor, "host": f"{url}/{path}", "password": f"{vendor}-key"}
            environment[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"] = json.dumps(connection)
        _PROCESSES.set_forkserver_preload([task.__name__])
        yield KillHarness(world, killer, engine_for(ledger), environment)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_while_inviting(kill_harness: KillHarness, after: bool) -> None:
    number, survived = 0, False
    while not survived:
        number += 1
        kill_harness.reset()
        survived = kill_harness.run("invite", kill_at=number, after=after)
        assert kill_harness.run("invite")
        (invitation,) = kill_harness.world.invitations.values()
        assert invitation.state == "Pending"
        assert len(kill_harness.world.mails) in ((1, 2) if after else (1,))
    assert number > 5


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_while_writing_back(kill_harness: KillHarness, after: bool) -> None:
    number, survived = 0, False
    while not survived:
        number += 1
        key = kill_harness.invited()
        survived = kill_harness.run("write_back", kill_at=number, after=after)
        assert kill_harness.run("write_back")
        assert (
            len(kill_harness.world.forms[key])
            == len(kill_harness.world.files[key])
            == len(kill_harness.world.notes[key])
            == 1
        )
        assert "assessed" in kill_harness.world.opportunities[key]["tags"]
        assert len(kill_harness.world.moved_by_api) == len(kill_harness.world.mails) == 1
    assert number > 10
