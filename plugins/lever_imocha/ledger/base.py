"""What the ledger's parts share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Engine,
    and_,
    func,
    or_,
    select,
)

from lever_imocha.ledger.worker_locks import is_alive


class LedgerPart:
    """A part of the ledger; every method is one short transaction.

    :param clock: aware UTC now.
    :param lock_worker: called before anything is claimed; makes sure that the worker counts as alive.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lock_worker: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine, self._clock, self._stay_alive = engine, clock, lock_worker

    @contextmanager
    def account_lock(self, name: str) -> Iterator[None]:
        """Let one process at a time look up, and create, something that the whole account shares.

        :raises LedgerError: another process holds the lock for longer than the engine's `lock_timeout`.
        """
        key = func.hashtext(f"account {name}")
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(select(func.pg_advisory_lock(key)))
            try:
                yield
            finally:
                connection.execute(select(func.pg_advisory_unlock(key)))

    def _update(self, statement: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(statement)


def unclaimed(table: Any) -> Any:
    """SQL: nobody holds it, or its holder is dead. A living worker's claim does not end, however long it waits."""
    return or_(table.c.claimed_by.is_(None), ~is_alive(table.c.claimed_by))


def claimable(table: Any, now: datetime) -> Any:
    """SQL: nobody holds it, and it is time to try."""
    return and_(unclaimed(table), or_(table.c.not_before.is_(None), table.c.not_before <= now))
