"""Whether a worker's process still runs: until it ends, it holds a lock on its own name.

PostgreSQL drops the lock with the connection, so the claims of a killed worker come free at once, and those of a machine
that is gone within a minute. A worker that hangs is ended by its task's `execution_timeout`; one that nothing can end, such
as a frozen container's, counts as ended after two hours. Needs sessions: behind a pooler that hands every transaction
another one (PgBouncer's transaction mode), name the database itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import BigInteger, ColumnElement, Engine, cast, column, func, select, table

from lever_imocha.ledger.database import KEEPALIVES, unusable

_CLASS = 76_105_109  # sets these locks apart from others in the database
_LOCKS = table("pg_locks", *(column(name) for name in ("locktype", "classid", "objid", "granted", "pid")))
_SESSIONS = table("pg_stat_activity", column("pid"), column("state_change"))
_LONGEST_SILENCE = timedelta(hours=2)
"""A worker says that it runs before each candidate, and its task ends after an hour."""

# By itself PostgreSQL asks after two hours whether a session's machine is still there.
_KEPT = ", ".join(f"set_config('tcp_{name}', '{value}', false)" for name, value in KEEPALIVES.items())
_LOCK = f"SELECT {_KEPT}, pg_advisory_lock_shared(%s, hashtext(%s))"


def lock_worker(engine: Engine, worker: str) -> psycopg.Connection[Any]:
    """Hold the lock on a worker's name until the connection is closed, at the latest when the process ends.

    :raises LedgerError: the database cannot be reached.
    """
    _, address = engine.dialect.create_connect_args(engine.url)
    try:
        connection: psycopg.Connection[Any] = psycopg.connect(**address, autocommit=True)
        connection.execute(_LOCK, (_CLASS, worker))
    except psycopg.OperationalError as error:
        raise unusable(error, connecting=True) from None
    return connection


class WorkerLock:
    """A worker's lock from its first claim until its process ends, also after PostgreSQL was restarted."""

    def __init__(self, engine: Engine, worker: str) -> None:
        self.worker = worker
        self._engine = engine
        self._connection: psycopg.Connection[Any] | None = None

    def renew(self) -> None:
        """Take the lock, unless the connection that holds it still works."""
        try:
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return
        except psycopg.Error:
            pass
        self._connection = lock_worker(self._engine, self.worker)


def is_running(worker: ColumnElement[Any], *, longest_silence: timedelta = _LONGEST_SILENCE) -> ColumnElement[bool]:
    """Return as SQL that the worker of that name still runs; PostgreSQL shows a lock's signed numbers as unsigned ones.

    :param longest_silence: how long ago it has said so at most. Of another role's session this is not known, and it counts
        as running.
    """
    heard_of = func.coalesce(_SESSIONS.c.state_change, func.now())
    held = (
        select(cast(_LOCKS.c.objid, BigInteger))
        .join(_SESSIONS, _SESSIONS.c.pid == _LOCKS.c.pid)
        .where(_LOCKS.c.locktype == "advisory", _LOCKS.c.granted, cast(_LOCKS.c.classid, BigInteger) == _CLASS)
        .where(heard_of > func.now() - longest_silence)
    )
    return cast(func.hashtext(worker), BigInteger).op("&")(0xFFFFFFFF).in_(held)
