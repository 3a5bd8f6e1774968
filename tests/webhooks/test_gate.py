"""No wait for the database is without a limit, and one that hangs is not waited for by all in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.webhooks.context import ReceiverContext
from lever_imocha.webhooks.gate import DatabaseGate

CONTEXT = ReceiverContext(ledger=Ledger(engine=engine_for("postgresql://u@127.0.0.1:1/x")))


async def failing(calls: int, call: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Make many calls at once; return how many failed for want of an answer."""
    failed = 0

    async def one() -> None:
        nonlocal failed
        try:
            await call()
        except TimeoutError:
            failed += 1

    async with anyio.create_task_group() as group:
        for _ in range(calls):
            group.start_soon(one)
    return failed


@pytest.mark.parametrize("what", ["context", "run"])
def test_all_who_wait_for_a_database_that_hangs_fail_together(what: str) -> None:
    ends = threading.Event()

    def hang() -> ReceiverContext:
        ends.wait(30)
        return CONTEXT

    async def story() -> None:
        gate = DatabaseGate(hang, patience=0.3)

        def call() -> Coroutine[Any, Any, Any]:
            return gate.context() if what == "context" else gate.run(hang)

        began = time.monotonic()
        assert await failing(300, call) == 300
        assert await failing(300, call) == 300  # found to hang a moment ago: at once
        assert time.monotonic() - began < 10  # one after the other, by sixes, it would be more than 30 s
        ends.set()

    anyio.run(story)


def test_a_database_that_is_back_is_used_at_the_next_try() -> None:
    ends = threading.Event()

    async def story() -> None:
        gate = DatabaseGate(lambda: CONTEXT, patience=0.5)
        assert await failing(1, lambda: gate.run(lambda: ends.wait(30))) == 1
        ends.set()
        with anyio.fail_after(10):
            while await failing(1, lambda: gate.run(lambda: None)):
                await anyio.lowlevel.checkpoint()
        assert await failing(100, lambda: gate.run(lambda: None)) == 0

    anyio.run(story)


def test_an_error_of_the_database_is_not_taken_for_hanging() -> None:
    async def story() -> None:
        gate = DatabaseGate(lambda: CONTEXT)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await gate.run(lambda: 1 // 0)
        assert await gate.run(lambda: "done") == "done"

    anyio.run(story)
