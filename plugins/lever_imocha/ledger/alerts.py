"""Finds what waits too long, and remembers which alerts were sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, delete, func, null, select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.tables import alerts, assessments, invitations, opportunities, stage_entries
from lever_imocha.ledger.values import ENDED


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """Something that should have been done by now.

    :param key: the same for as long as it is the same wait.
    :param reason: why the last try failed, when there was one.
    """

    key: str
    opportunity_id: str
    invitation_id: int | None
    since: datetime
    reason: str | None


class AlertLog:
    """The ledger's side of alerts.

    :param clock: aware UTC now.
    """

    def __init__(self, *, engine: Engine, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine, self._clock = engine, clock

    def overdue(self, *, entries: timedelta, reports: timedelta) -> list[Overdue]:
        """What waits, longest first: stage entries undecided, and ended attempts unwritten, for longer than given.

        A hold is a decision; an attempt whose stage entry was on hold waits from when the hold ended.
        """
        now = self._clock()
        queries = (_undecided(before=now - entries), _unwritten(before=now - reports))
        with self._engine.connect() as connection:
            found = [Overdue(**row._mapping) for query in queries for row in connection.execute(query)]
        return sorted(found, key=lambda item: item.since)

    def claim(self, keys: Sequence[str], *, repeat: timedelta | None = None) -> set[str]:
        """Claim alerts, so that each is sent once.

        :param repeat: after this it may be sent again; without it, never.
        :return: those that nobody has sent yet.
        """
        if not keys:
            return set()
        now = self._clock()
        statement = insert(alerts).values([{"key": key, "told_at": now} for key in sorted(set(keys))])
        if repeat is None:
            statement = statement.on_conflict_do_nothing()
        else:
            statement = statement.on_conflict_do_update(
                index_elements=["key"], set_={"told_at": now}, where=alerts.c.told_at < now - repeat
            )
        with self._engine.begin() as connection:
            return set(connection.execute(statement.returning(alerts.c.key)).scalars())

    def give_up(self, keys: Sequence[str]) -> None:
        """Give claimed alerts back: sending failed, somebody else may try."""
        with self._engine.begin() as connection:
            connection.execute(delete(alerts).where(alerts.c.key.in_(list(keys))))


def _undecided(*, before: datetime) -> Select[Any]:
    entry = stage_entries.c
    return (
        select(
            func.concat("entry ", entry.id, " ", func.extract("epoch", entry.pending_since)).label("key"),
            entry.opportunity_id,
            null().label("invitation_id"),
            entry.pending_since.label("since"),
            opportunities.c.reason,
        )
        .outerjoin(opportunities, opportunities.c.opportunity_id == entry.opportunity_id)
        .where(entry.decided_at.is_(None), entry.pending_since < before)
    )


def _unwritten(*, before: datetime) -> Select[Any]:
    known = assessments.c
    since = func.greatest(invitations.c.ended_at, stage_entries.c.decided_at)
    return (
        select(
            func.concat("report ", known.id, " ", known.invitation_id).label("key"),
            known.opportunity_id,
            known.invitation_id,
            since.label("since"),
            known.reason,
        )
        .join(invitations, invitations.c.id == known.invitation_id)
        .outerjoin(stage_entries, stage_entries.c.id == known.handled_entry_id)
        .where(invitations.c.status.in_(ENDED), known.written_at.is_(None), since < before)
    )
