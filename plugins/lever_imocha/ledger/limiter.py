"""One rate limit for every process that uses an API key."""

from __future__ import annotations

from functools import lru_cache

from psycopg_pool import ConnectionPool
from pyrate_limiter import Limiter, PostgresBucket, Rate
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


@lru_cache(maxsize=8)
def _limiter(engine: Engine, name: str, rate: float) -> Limiter:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    pool = ConnectionPool(
        url, min_size=1, max_size=2, open=True, kwargs={"options": f"-c search_path={SCHEMA}"}, name=f"limit-{name}"
    )
    per_second = Rate(int(rate), 1000) if rate >= 1 else Rate(1, round(1000 / rate))
    with engine.begin() as connection:  # the bucket makes its own table, which two processes must not do at once
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"limit {name}"})
        bucket = PostgresBucket(pool, name, [per_second])
    return Limiter(bucket)
