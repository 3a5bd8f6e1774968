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


def test_the_last_refusal_is_kept_once_a_minute_for_each_reason_and_harms_no_answer() -> None:
    now, kept = [0.0], []

    async def keep(vendor: str, reason: str) -> None:
        kept.append((now[0], vendor, reason))
        raise TimeoutError

    async def refuse() -> None:
        last = LastRefusals(keep, lambda: now[0])
        for second in (0, 1, 59, 60, 61):
            now[0] = float(second)
            await last.note("Lever", "bad signature")
        await last.note("iMocha", "unknown callback token")

    asyncio.run(refuse())
    assert kept == [
        (0, "Lever", "bad signature"),
        (60, "Lever", "bad signature"),
        (61, "iMocha", "unknown callback token"),
    ]
