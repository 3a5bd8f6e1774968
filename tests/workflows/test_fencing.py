"""A worker that counts as dead while it waits for its turn finds, when the turn comes, that it may not go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest
from lever_imocha.clients import imocha, lever
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.clients.transport import ApiClient
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.values import NewDelivery, Work
from lever_imocha.ledger.worker_locks import lock_worker
from lever_imocha.workflows.invite import InviteWorkflow
from lever_imocha.workflows.work import Result
from lever_imocha.workflows.write_back import WriteBackWorkflow
from sqlalchemy import text

from tests.support import at_once, end_session
from tests.workflows.conftest import Stack

PYTHON = "iMocha: Python Developer [101]"


@dataclass
class Turns:
    """A rate limit in which something happens while the worker waits for a chosen turn; 0 is never."""

    number: int = 0
    happen: Callable[[], None] = field(default=lambda: None)
    given: int = 0

    def acquire(self) -> None:
        """Wait for a turn."""
        self.given += 1
        if self.given == self.number:
            self.happen()

    def slow_down(self) -> None:
        """There is nothing to slow down."""

    def note_answer(self, call: str, status: int) -> None:
        """Nobody looks."""


@dataclass
class Worker:
    """One worker with its own clients, which counts as alive until it is cut off."""

    stack: Stack
    name: str
    ledger_url: str
    turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        self._lock = lock_worker(engine_for(self.ledger_url), self.name)
        self._lever, self._imocha = (
            ApiClient(
                vendor=vendor,
                base_url=client.base_url,
                session=client.session,
                limiter=self.turns,
                read_error=read_error,
                sleep=lambda _: None,
            )
            for vendor, client, read_error in (
                ("Lever", self.stack.lever._client, lever.read_error),
                ("iMocha", self.stack.imocha._client, imocha.read_error),
            )
        )

    def cut_off(self) -> None:
        """Close the connection that holds the lock: for the others the worker is dead, and it does not know."""
        end_session(self._lock, engine_for(self.ledger_url))

    def invite(self, opportunity_id: str) -> Result:
        """Work on one candidate."""
        return InviteWorkflow(**self._parts).act(opportunity_id)

    def prepare(self) -> None:
        """Look up the names of the settings, and create the form template."""
        WriteBackWorkflow(**self._parts).prepare()

    def write_back(self, opportunity_id: str) -> Result:
        """Write back what is due of one candidate."""
        return WriteBackWorkflow(**self._parts).write_back(opportunity_id)

    @property
    def _parts(self) -> dict[str, Any]:
        return {
            "lever": LeverClient(self._lever),
            "imocha": ImochaClient(self._imocha, self._imocha.session),
            "ledger": self.stack.ledger,
            "settings": self.stack.settings,
            "worker": self.name,
            "sleep": at_once,
        }


@pytest.fixture
def workers(stack: Stack, ledger_url: str) -> Iterator[tuple[Worker, Worker]]:
    both = Worker(stack, "a", ledger_url), Worker(stack, "b", ledger_url)
    yield both
    for worker in both:
        worker.cut_off()


def until_free(waiting: Callable[[], list[str]]) -> None:
    """Return when PostgreSQL has noticed that a worker is cut off, so that its candidate is offered again."""
    while not waiting():
        pass


@pytest.mark.parametrize("turn", range(1, 7))
def test_one_form_and_one_file_whichever_turn_a_worker_loses_its_claim_in(
    stack: Stack, workers: tuple[Worker, Worker], turn: int
) -> None:
    slow, quick = workers
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    # The report is ended and due; names are resolved.
    stack.settings = stack.settings.model_copy(
        update={"write_back": stack.settings.write_back.model_copy(update={"note": True, "tags": ("assessed",)})}
    )
    stack.ledger.invitations.set_status({stack.invitation().id: AttemptStatus.COMPLETE})
    WriteBackWorkflow(
        lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings, worker="first"
    ).prepare()

    def another_takes_over() -> None:
        slow.cut_off()
        until_free(lambda: stack.due(Work.WRITE_BACK))
        assert quick.write_back(opportunity) == "written back and moved on"

    slow.turns.number, slow.turns.happen = turn, another_takes_over
    slow.write_back(opportunity)
    assert slow.turns.given >= turn
    world = stack.world
    assert len(world.forms[opportunity]) == len(world.files[opportunity]) == len(world.notes[opportunity]) == 1
    moves = [call for call in world.calls if call["path"].endswith("/stage")]
    assert len(moves) == 1
    assert stack.stage(opportunity) == "Assessment Complete"


def test_two_runs_that_start_together_create_one_form_template(
    stack: Stack, workers: tuple[Worker, Worker], ledger_url: str
) -> None:
    first, second = workers
    stack.world.templates.clear()
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def another_run_starts() -> None:
        thread.start()
        with engine_for(ledger_url).connect() as connection:
            while not connection.execute(waiting).scalar_one():
                connection.rollback()

    thread = Thread(target=second.prepare)
    # Its turns: stages, user, templates, and now to create the template that the list did not have.
    first.turns.number, first.turns.happen = 4, another_run_starts
    first.prepare()
    thread.join()
    assert len(stack.world.templates) == 1


@pytest.mark.parametrize("turn", [1, 2])
def test_one_e_mail_whichever_turn_a_worker_loses_its_claim_in(
    stack: Stack, workers: tuple[Worker, Worker], turn: int
) -> None:
    slow, quick = workers
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    tell(stack, opportunity)

    def another_takes_over() -> None:
        slow.cut_off()
        until_free(stack.due)
        assert str(quick.invite(opportunity)) == "invite"

    slow.turns.number, slow.turns.happen = turn, another_takes_over
    slow.invite(opportunity)
    assert slow.turns.given >= turn
    assert len(stack.world.mails) == 1


def test_who_came_back_is_not_cancelled_by_a_worker_that_lost_its_claim(
    stack: Stack, workers: tuple[Worker, Worker]
) -> None:
    slow, quick = workers
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, "Withdrew")
    tell(stack, opportunity)

    def another_takes_over() -> None:
        slow.cut_off()
        until_free(stack.due)
        stack.world.opportunities[opportunity]["archived"] = None
        quick.invite(opportunity)

    slow.turns.number, slow.turns.happen = (
        4,
        another_takes_over,
    )  # one to read, two for the list of tests, one to cancel
    slow.invite(opportunity)
    assert slow.turns.given == 4
    assert stack.invitation().state == "Pending"


def tell(stack: Stack, opportunity_id: str) -> None:
    stack.ledger.deliveries.record(
        NewDelivery(vendor="lever", key="t", event="candidateStageChange", opportunity_id=opportunity_id)
    )
