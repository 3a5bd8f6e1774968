"""The receivers' way to the database, with a limit for every wait."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, Lock, fail_after, to_thread

from lever_imocha.webhooks.context import ReceiverContext

T = TypeVar("T")

_AT_ONCE = 6  # as many as the ledger's pool has connections
_CONTEXT_SECONDS = 30.0
_BETWEEN_TRIES = 1.0


class DatabaseGate:
    """Caches the receivers' context for 30 s, and limits concurrent database work to 6.

    It uses threads of its own, so that the receivers cannot block Airflow's API. When the database was found to hang,
    whoever waits for it fails at once; then one delivery a second tries it, until one gets an answer.

    :param open_context: looks up the ledger and the secrets.
    :param patience: seconds that a delivery waits for its turn, and again for the database.
    """

    def __init__(self, open_context: Callable[[], ReceiverContext], *, patience: float = 3.0) -> None:
        self._open, self._good_until, self._patience = open_context, 0.0, patience
        self._context: ReceiverContext | None = None
        self._lock, self._turn, self._threads = Lock(), CapacityLimiter(_AT_ONCE), CapacityLimiter(math.inf)
        self._hung_at: float | None = None
        self._next_try = 0.0

    async def context(self) -> ReceiverContext:
        """Return what the receivers work with, at most 30 s old.

        :raises TimeoutError: it could not be looked up in time.
        """
        if self._context is not None and time.monotonic() < self._good_until:
            return self._context
        return await self._bounded(self._lock, self._refreshed)

    async def run(self, work: Callable[[], T]) -> T:
        """Run database work in a thread.

        :raises TimeoutError: the database does not answer, or too many wait for it.
        """
        return await self._bounded(self._turn, work)

    def _refreshed(self) -> ReceiverContext:
        if self._context is None or time.monotonic() >= self._good_until:
            self._context = self._open()
            self._good_until = time.monotonic() + _CONTEXT_SECONDS
        return self._context

    async def _bounded(self, turn: Lock | CapacityLimiter, work: Callable[[], T]) -> T:
        came = time.monotonic()
        if self._hung_at is not None:
            if came < self._next_try:
                raise TimeoutError
            self._next_try = came + _BETWEEN_TRIES
        with fail_after(self._patience):
            await turn.acquire()
        try:
            if self._hung_at is not None and self._hung_at > came:
                raise TimeoutError
            return await self._in_thread(work)
        finally:
            turn.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            with fail_after(self._patience):
                result = await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        except TimeoutError:
            self._hung_at = time.monotonic()
            self._next_try = self._hung_at + _BETWEEN_TRIES
            raise
        except Exception:
            self._hung_at = None  # an error is an answer, too
            raise
        self._hung_at = None
        return result
