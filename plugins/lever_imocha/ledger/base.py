"""What the ledger's parts share: connections, the clock, and who holds a claim."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from lever_imocha.domain.clock import Clock, utc_now


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who writes what is written to the timeline.

    :param source: ``workflow``, ``console``, ``command``.
    :param actor: the person, where it is one.
    :param run: the run of a DAG that does it, as ``dag/run``.
    :param task: its task, as ``task/map index``.
    """

    source: str = "workflow"
    actor: str | None = None
    run: str | None = None
    task: str | None = None


WORKFLOW = Author()


class Database:
    """Hands out connections: the one of this thread's open transaction, or one for a single statement.

    A statement outside of a transaction is one in itself: PostgreSQL is sent no BEGIN and no COMMIT for it.

    :param lock_worker: called before anything is claimed; makes sure that the worker counts as running.
    :param author: who writes to the timeline.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock = utc_now,
        lock_worker: Callable[[], None] = lambda: None,
        author: Author = WORKFLOW,
    ) -> None:
        self._engine, self._single = engine, engine.execution_options(isolation_level="AUTOCOMMIT")
        self._open = threading.local()
        self.now, self.lock_worker, self.author = clock, lock_worker, author

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Do all statements inside as one transaction; within another one, as a part of that."""
        outer: Connection | None = getattr(self._open, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._engine.begin() as connection:
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """Hand out a connection for one statement."""
        outer: Connection | None = getattr(self._open, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._single.connect() as connection:
            yield connection

    def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> None:
        """Execute one statement whose result does not matter."""
        with self.statement() as connection:
            connection.execute(statement, values)

    def rows(self, query: Any) -> list[Any]:
        """Return all rows of one query."""
        with self.statement() as connection:
            return list(connection.execute(query))

    def values(self, query: Any) -> list[Any]:
        """Return the first column of all rows of one query."""
        with self.statement() as connection:
            return list(connection.execute(query).scalars())

    def value(self, query: Any) -> Any:
        """Return the first column of the first row; None when there is none."""
        with self.statement() as connection:
            return connection.execute(query).scalar()

    @contextmanager
    def account_lock(self, name: str) -> Iterator[None]:
        """Let one process at a time look up, and create, something that the whole account shares.

        :raises LedgerError: another process holds the lock for longer than the engine's `lock_timeout`.
        """
        key = func.hashtext(f"account {name}")
        with self._single.connect() as connection:
            connection.execute(select(func.pg_advisory_lock(key)))
            try:
                yield
            finally:
                connection.execute(select(func.pg_advisory_unlock(key)))


class LedgerPart:
    """A part of the ledger, with one job."""

    def __init__(self, database: Database) -> None:
        self._database = database
