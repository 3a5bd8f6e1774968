"""Logs refused deliveries: the first of a kind at once, then one line a minute that says how many more came."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

log = logging.getLogger(__name__)

_PERIOD = 60.0


def _later(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


class LastRefusals:
    """Keeps the last refusal of each vendor where the doctor finds it; at most once a minute for each reason.

    :param keep: keeps a vendor's name and a reason.
    :param clock: seconds.
    """

    def __init__(
        self, keep: Callable[[str, str], Awaitable[object]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep, self._clock = keep, clock
        self._kept: dict[str, float] = {}

    async def note(self, vendor: str, reason: str) -> None:
        """Keep a refusal; whatever goes wrong, the sender gets an answer."""
        now = self._clock()
        if now - self._kept.get(reason, now - _PERIOD) < _PERIOD:
            return
        self._kept[reason] = now
        with suppress(Exception):
            await self._keep(vendor, reason)


class RefusalLog:
    """Counts refusals, and what else is odd, by their reason, so that nobody who sends many fills a log.

    :param later: calls a function after a number of seconds.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], object] = _later) -> None:
        self._later = later
        self._more: Counter[tuple[int, str]] = Counter()

    def note(self, reason: str, *, level: int = logging.WARNING) -> None:
        """Record one refusal.

        :param reason: one of few fixed texts, without anything that the sender wrote.
        """
        key = (level, reason)
        if key in self._more:
            self._more[key] += 1
            return
        self._more[key] = 0
        log.log(level, "%s", reason)
        self._later(_PERIOD, lambda: self._sum_up(key))

    def _sum_up(self, key: tuple[int, str]) -> None:
        level, reason = key
        count = self._more.pop(key)
        if count:
            log.log(level, "%s (%d more in the last minute)", reason, count)
            self._more[key] = 0
            self._later(_PERIOD, lambda: self._sum_up(key))
