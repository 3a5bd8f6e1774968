"""Refusals in the log: the first at once, then a count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from lever_imocha.webhooks.refusals import LastRefusals, RefusalLog


class Clock:
    """Calls what was to be called later when told to."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def later(self, _seconds: float, call: Callable[[], None]) -> None:
        self._waiting.append(call)

    def minute(self) -> int:
        due, self._waiting = self._waiting, []
        for call in due:
            call()
        return len(due)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_the_first_of_a_kind_is_logged_at_once_and_the_others_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    refusals = RefusalLog(clock.later)
    for _ in range(1000):
        refusals.note("bad signature")
    refusals.note("too large")
    assert lines(caplog) == ["bad signature", "too large"]
    clock.minute()
    assert lines(caplog) == ["bad signature (999 more in the last minute)"]
    refusals.note("bad signature")
    refusals.note("too large")
    assert lines(caplog) == ["too large"]
    clock.minute()
    assert lines(caplog) == ["bad signature (1 more in the last minute)"]


def test_nothing_waits_when_nothing_comes(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    refusals = RefusalLog(clock.later)
    refusals.note("could not be stored", level=logging.ERROR)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert [clock.minute(), clock.minute()] == [1, 0]
    refusals.note("could not be stored", level=logging.ERROR)
    assert lines(caplog) == ["could not be stored", "could not be stored"]


def test_refusals_are_kept_with_one_write_a_minute_for_each_reason_and_harm_no_answer() -> None:
    clock, kept = Clock(), list[tuple[str, str, int]]()

    async def keep(vendor: str, reason: str, count: int) -> None:
        kept.append((vendor, reason, count))
        raise TimeoutError

    async def refuse() -> None:
        last = LastRefusals(keep, clock.later)
        for _ in range(100):
            await last.note("Lever", "bad signature")
        await last.note("iMocha", "unknown callback token")
        assert kept == [("Lever", "bad signature", 1), ("iMocha", "unknown callback token", 1)]
        clock.minute()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        await last.note("Lever", "bad signature")

    asyncio.run(refuse())
    assert kept[2:] == [("Lever", "bad signature", 99), ("Lever", "bad signature", 1)]
