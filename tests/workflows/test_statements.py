"""How many statements PostgreSQL is sent for each candidate: on a database 1 ms away each is a millisecond of waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from sqlalchemy import Engine, QueuePool, event

from tests.clients.conftest import imocha_client, lever_client
from tests.support import PYTHON, at_once
from tests.workflows.conftest import Stack


@dataclass
class Statements:
    """Counts statements, with the BEGIN and COMMIT of each transaction, and the question whether the worker lives."""

    count: int = 0

    def listen(self, engine: Engine) -> None:
        """Count what this engine sends."""
        event.listen(engine, "before_cursor_execute", lambda *_: self.add(1))
        event.listen(engine, "commit", lambda _: self.add(2))

    def add(self, number: int) -> None:
        """Count some."""
        self.count += number

    def each(self, work: Callable[[], object], candidates: int) -> float:
        """Return how many one candidate takes."""
        self.count = 0
        work()
        return self.count / candidates


@pytest.fixture
def counted(stack: Stack, ledger_url: str, sandbox_url: str) -> tuple[Stack, Statements]:
    """The workflows with the shared rate limit, as tasks use them."""
    statements, engine = Statements(), engine_for(ledger_url)
    statements.listen(engine)
    stack.ledger = Ledger(engine=engine, lock_worker=lambda: statements.add(1))
    limits = {name: SharedLimiter(engine=engine, name=name, rate=10, sleep=at_once) for name in ("lever", "imocha")}
    stack.lever = lever_client(f"{sandbox_url}/lever/v1", limiter=limits["lever"])
    stack.imocha = imocha_client(f"{sandbox_url}/imocha/v3", limiter=limits["imocha"])
    return stack, statements


def test_few_statements_invite_one_and_write_one_back(counted: tuple[Stack, Statements]) -> None:
    stack, statements = counted
    number = 20
    for _ in range(number):
        stack.candidate(PYTHON)
    inviting = statements.each(lambda: stack.run_invite(), number)
    stack.finish()
    writing = statements.each(lambda: stack.run_write_back(), number)
    assert len(stack.world.mails) == number
    assert sum(len(forms) for forms in stack.world.forms.values()) == number
    assert 10 < inviting <= 35
    assert 10 < writing <= 50


def test_a_worker_needs_two_connections_beside_its_lock(counted: tuple[Stack, Statements], ledger_url: str) -> None:
    stack, _ = counted
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    pool = engine_for(ledger_url).pool
    assert isinstance(pool, QueuePool)
    assert (pool.checkedin(), pool.checkedout()) == (2, 0)  # one of them while something is made that all share
