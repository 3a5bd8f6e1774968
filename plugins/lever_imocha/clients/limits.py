"""What a client needs of a rate limit, and one that holds within a single process."""

from __future__ import annotations

from typing import Protocol


class Limiter(Protocol):
    """Lets one request through at a time."""

    def acquire(self) -> None:
        """Wait until one more request may be sent."""

    def slow_down(self) -> None:
        """Let requests through less often for a while, because the vendor answered 429."""

    def note_answer(self, call: str, status: int) -> None:
        """Remember what the vendor has answered last."""


class InProcessLimiter:
    """For whoever works without a ledger, and for a connection test; with a ledger, its limiter is shared.

    :param rate: requests a second.
    """

    def __init__(self, rate: int) -> None:
        # Imported here: a task, which uses the ledger's limiter, need not load it.
        from pyrate_limiter import Duration, InMemoryBucket, Rate
        from pyrate_limiter import Limiter as PyrateLimiter

        self._limiter = PyrateLimiter(InMemoryBucket([Rate(rate, Duration.SECOND)]))

    def acquire(self) -> None:
        """Wait until one more request may be sent."""
        self._limiter.try_acquire("request", blocking=True)

    def slow_down(self) -> None:
        """Do nothing: one process sends slowly anyway, and each request waits as long as the vendor asks."""

    def note_answer(self, call: str, status: int) -> None:
        """Do nothing: nobody looks."""
