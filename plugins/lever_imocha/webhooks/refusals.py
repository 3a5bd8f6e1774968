"""Logs refused deliveries: the first of a kind at once, then one line a minute that says how many more came."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

log = logging.getLogger(__name__)

_PERIOD = 60.0


def _later(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


class LastRefusals:
    """Keeps the last refusals where the doctor and the console find them: the first of a reason at once, then one write a minute.

    :param keep: keeps a vendor's name, a reason, and how many were refused.
    :param later: calls a function after a number of seconds.
    """

    def __init__(
        self,
        keep: Callable[[str, str, int], Awaitable[object]],
        later: Callable[[float, Callable[[], None]], object] = _later,
    ) -> None:
        self._keep, self._later = keep, later
        self._more: Counter[tuple[str, str]] = Counter()
        self._writes = set[asyncio.Future[None]]()

    async def note(self, vendor: str, reason: str) -> None:
        """Keep a refusal; whatever goes wrong, the sender gets an answer."""
        key = (vendor, reason)
        if key in self._more:
            self._more[key] += 1
            return
        self._more[key] = 0
        self._later(_PERIOD, lambda: self._sum_up(key))
        await self._put(key, 1)

    def _sum_up(self, key: tuple[str, str]) -> None:
        count = self._more.pop(key)
        if count:
            write = asyncio.ensure_future(self._put(key, count))
            self._writes.add(write)
            write.add_done_callback(self._writes.discard)

    async def _put(self, key: tuple[str, str], count: int) -> None:
        with suppress(Exception):
            await self._keep(*key, count)


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
