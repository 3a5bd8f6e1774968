"""The workflows against the sandbox on a real port, with a real ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.clients.server_clock import ServerClock
from lever_imocha.domain.decisions import OverLimit
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import CANDIDATE_WORK, WRITE_BACK_WORK, Work
from lever_imocha.settings import Settings, parse_settings
from lever_imocha.workflows.attempt_sweep import AttemptSweep
from lever_imocha.workflows.invite import InviteWorkflow
from lever_imocha.workflows.write_back import WriteBackWorkflow

from include.sandbox.world import Fault, Invitation, World
from tests.clients.conftest import imocha_client, lever_client
from tests.support import at_once

SETTINGS = "perform_as: people-ops@example.com\nactivation: {existing: invite}\n"


@dataclass
class Stack:
    """Everything a workflow test drives: the world, the ledger, and runs of the two DAGs' work."""

    world: World
    ledger: Ledger
    lever: LeverClient
    imocha: ImochaClient
    settings: Settings = field(default_factory=lambda: parse_settings(SETTINGS))
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    held_back: tuple[int, int] | None = None

    def candidate(self, *tags: str, stage: str = "Assessment", **given: Any) -> str:
        given.setdefault("emails", [f"ann{len(self.world.opportunities)}@example.com"])
        given.setdefault("name", "Ann Example")
        return str(self.world.add_opportunity(stage=stage, tags=list(tags), **given)["id"])

    def again(self, opportunity_id: str) -> None:
        self.world.move(opportunity_id, "Recruiter screen")
        self.world.move(opportunity_id, "Assessment")

    def invite_workflow(self) -> InviteWorkflow:
        return InviteWorkflow(
            lever=self.lever,
            imocha=self.imocha,
            ledger=self.ledger,
            settings=self.settings,
            worker="w",
            callback_secret="callback-secret",
            clock=self.clock,
            sleep=at_once,
        )

    def run_invite(
        self,
        *,
        full: bool = False,
        sweep: bool = True,
        force: bool = False,
        over_limit: OverLimit = OverLimit.WAIT,
        allow_cancelling: bool = False,
        asked_at: datetime | None = None,
    ) -> list[str | None]:
        workflow = self.invite_workflow()
        due = workflow.collect(
            full=full,
            sweep=sweep,
            waiting=force,
            over_limit=over_limit,
            allow_cancelling=allow_cancelling,
            asked_at=asked_at,
        )
        self.held_back = workflow.held_back
        outcomes = [workflow.act(opportunity_id, force=force) for opportunity_id in due]
        return [str(outcome) if outcome else None for outcome in outcomes]

    def run_write_back(self, *, sweep: bool = True, force: bool = False) -> list[str | None]:
        watch = AttemptSweep(imocha=self.imocha, ledger=self.ledger, settings=self.settings, clock=self.clock)
        due = watch.poll() if sweep else watch.due()
        if force:
            due = self.due(*WRITE_BACK_WORK, waiting=True)
        workflow = WriteBackWorkflow(
            lever=self.lever,
            imocha=self.imocha,
            ledger=self.ledger,
            settings=self.settings,
            worker="w",
            sleep=at_once,
        )
        if due:
            workflow.prepare()
        outcomes = [workflow.write_back(opportunity_id, force=force) for opportunity_id in due]
        return [str(outcome) if outcome else None for outcome in outcomes]

    def due(self, *kinds: Work, waiting: bool = False) -> list[str]:
        return self.ledger.queue.due(kinds or CANDIDATE_WORK, waiting=waiting)

    def invitation(self) -> Invitation:
        (only,) = self.world.invitations.values()
        return only

    def finish(self, state: str = "Complete", *, ready: bool = True) -> None:
        for invitation in self.world.invitations.values():
            if invitation.state in ("Pending", "In Progress"):
                self.world.finish(invitation, state, ready=ready)

    def stage(self, opportunity_id: str) -> str:
        stage = self.world.opportunities[opportunity_id]["stage"]
        return next(item["text"] for item in self.world.stages if item["id"] == stage)

    def writes(self) -> list[str]:
        return [
            f"{call['vendor']} {call['method']} {call['path']}"
            for call in self.world.calls
            if call["method"] != "GET" and not call["path"].endswith("testattempts")
        ]

    def fault(self, **given: Any) -> None:
        self.world.faults.append(Fault(**given))


@pytest.fixture
def imocha(stack: Stack) -> ImochaClient:
    return stack.imocha


@pytest.fixture
def stack(ledger: Ledger, sandbox_world: World, sandbox_url: str) -> Stack:
    return make_stack(ledger, sandbox_world, sandbox_url)


def make_stack(ledger: Ledger, sandbox_world: World, sandbox_url: str) -> Stack:
    sandbox_world.switches["rate_limit"] = False
    return Stack(
        world=sandbox_world,
        ledger=ledger,
        lever=lever_client(f"{sandbox_url}/lever/v1"),
        imocha=imocha_client(f"{sandbox_url}/imocha/v3"),
    )


def use_clock(stack: Stack, ahead: timedelta, url: str, ledger_url: str) -> None:
    """Go on with a clock that is ahead of the vendors'."""

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    stack.clock, stack.ledger = clock, Ledger(engine=engine_for(ledger_url), clock=clock)
    stack.lever = lever_client(f"{url}/lever/v1", server_clock=ServerClock(clock))
