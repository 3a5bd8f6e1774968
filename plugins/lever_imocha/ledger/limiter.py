"""One rate limit for every process that uses an API key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

import psycopg
from psycopg_pool import ConnectionPool
from pyrate_limiter import Limiter, PostgresBucket, Rate, SingleBucketFactory
from sqlalchemy import Engine, text

from lever_imocha.ledger.tables import SCHEMA


class SharedLimiter:
    """At most `rate` requests in any second, over all workers, triggers and servers that share the ledger.

    The bucket is a table that pyrate-limiter locks while it counts and adds, so that the limit holds whoever asks.

    :param name: of the API whose key is shared, a word.
    :param rate: requests a second.
    """

    def __init__(self, *, engine: Engine, name: str, rate: float) -> None:
        self._limiter, self._name = _limiter(engine, name, rate), name

    def acquire(self) -> None:
        """Wait until one more request may be sent."""
        self._limiter.try_acquire(self._name, blocking=True)


class _EnginePool:
    """The ledger's own connections, as the bucket wants them: a pool of its own would add threads to every task."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """One transaction in the ledger's schema."""
        with self._engine.begin() as connection:
            connection.execute(text(f'SET LOCAL search_path TO "{SCHEMA}"'))
            yield cast(psycopg.Connection[Any], connection.connection.driver_connection)


@lru_cache(maxsize=8)
def _limiter(engine: Engine, name: str, rate: float) -> Limiter:
    per_second = Rate(int(rate), 1000) if rate >= 1 else Rate(1, round(1000 / rate))
    with engine.begin() as connection:  # the bucket makes its own table, which two processes must not do at once
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"limit {name}"})
        bucket = PostgresBucket(cast(ConnectionPool, _EnginePool(engine)), name, [per_second])
    now: int = bucket.now()  # type: ignore[no-untyped-call]
    bucket.leak(now)  # here, and not in a thread in every task: tasks begin all the time
    return Limiter(SingleBucketFactory(bucket, schedule_leak=False))
