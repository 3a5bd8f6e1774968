"""What a client needs of a rate limit, and one that holds within a single process."""

from __future__ import annotations

from typing import Protocol

from pyrate_limiter import Duration, InMemoryBucket, Rate
from pyrate_limiter import Limiter as PyrateLimiter


class Limiter(Protocol):
    """Lets one request through at a time."""

    def acquire(self) -> None:
        """Wait until one more request may be sent."""


class InProcessLimiter:
    """For a connection test, which runs without the ledger; work shares the ledger's limiter.

    :param rate: requests a second.
    """

    def __init__(self, rate: int) -> None:
        self._limiter = PyrateLimiter(InMemoryBucket([Rate(rate, Duration.SECOND)]))

    def acquire(self) -> None:
        """Wait until one more request may be sent."""
        self._limiter.try_acquire("request", blocking=True)
