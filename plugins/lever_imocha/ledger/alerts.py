"""Finds what waits too long, and remembers which alerts were sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, Text, and_, any_, cast, delete, false, func, literal, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from lever_imocha.domain.decisions import Reason
from lever_imocha.ledger.tables import alerts, stage_entries, work_items
from lever_imocha.ledger.values import Work
from lever_imocha.ledger.work_queue import is_dropped


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """Work that should have been done by now.

    :param parked_at: since when it is not tried any more; None while it is.
    :param error: the name of what went wrong last, when it was tried.
    """

    opportunity_id: str
    kind: Work
    queued_at: datetime
    parked_at: datetime | None
    error: str | None

    @property
    def key(self) -> str:
        """Return a text that is the same for as long as it is the same wait."""
        return (
            f"{'parked' if self.parked_at else 'waits'} {self.kind} {self.opportunity_id} {self.queued_at.isoformat()}"
        )


@dataclass(frozen=True, kw_only=True)
class OverHour:
    """How many candidates the limit of e-mails an hour holds, and how many more are due to be decided about."""

    held: int
    undecided: int


class AlertLog:
    """The ledger's side of alerts.

    :param clock: aware UTC now.
    """

    def __init__(self, *, engine: Engine, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine, self._clock = engine, clock

    def overdue(self, *, entries: timedelta, reports: timedelta) -> list[Overdue]:
        """Return what waits, longest first: people to invite, and reports to write, for longer than given; what is parked.

        A hold is a decision, and waits no more; what goes on by itself at a time waits from that time on.
        """
        now, item = self._clock(), work_items.c
        by_itself = func.coalesce(item.error, "").in_([Reason.LIMIT.value, Reason.DELAY.value])
        its_turn = or_(~by_itself, item.not_before < now - entries)
        late = or_(
            and_(item.kind == Work.INVITE, item.queued_at < now - entries, its_turn),
            and_(item.kind == Work.WRITE_BACK, item.queued_at < now - reports),
            and_(item.parked_at.is_not(None), ~is_dropped()),
        )
        query = select(item.opportunity_id, item.kind, item.queued_at, item.parked_at, item.error).where(late)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(item.queued_at)).all()
        return [
            Overdue(opportunity_id=key, kind=kind, queued_at=queued_at, parked_at=parked_at, error=error)
            for key, kind, queued_at, parked_at, error in rows
        ]

    def over_limit(self) -> OverHour:
        """Return how many candidates the limit of the hour holds."""
        item = work_items.c
        held = and_(item.error == Reason.LIMIT.value, item.not_before.is_not(None))
        with self._engine.connect() as connection:
            row = connection.execute(
                select(
                    func.count().filter(held).label("held"),
                    func.count()
                    .filter(~func.coalesce(held, false()), item.not_before.is_(None), item.parked_at.is_(None))
                    .label("undecided"),
                ).where(item.kind == Work.INVITE)
            ).one()
        return OverHour(**row._mapping)

    def per_candidate(self) -> dict[int, str]:
        """Return who waits for a person because of the limit of one candidate: stage entry id -> opportunity id."""
        entry = stage_entries.c
        query = select(entry.id, entry.opportunity_id).where(
            entry.decision == literal_column("'hold'"), entry.reason == Reason.PER_CANDIDATE
        )
        with self._engine.connect() as connection:
            return {row.id: row.opportunity_id for row in connection.execute(query.order_by(entry.id))}

    def to_mask(self) -> dict[str, datetime]:
        """Return who is going to be masked: a text that is the same as long as it is the same wait -> from when on."""
        item = work_items.c
        query = select(item.opportunity_id, item.queued_at, item.not_before).where(
            item.kind == Work.MASK, item.parked_at.is_(None), item.not_before.is_not(None)
        )
        with self._engine.connect() as connection:
            return {f"mask {key} {queued_at.isoformat()}": time for key, queued_at, time in connection.execute(query)}

    def claim(self, keys: Sequence[str], *, repeat: timedelta | None = None) -> set[str]:
        """Claim alerts, so that each is sent once.

        :param repeat: after this it may be sent again; without it, never.
        :return: those that nobody has sent yet.
        """
        if not keys:
            return set()
        now = self._clock()
        given = select(func.unnest(cast(sorted(set(keys)), ARRAY(Text))), literal(now, alerts.c.told_at.type))
        statement = insert(alerts).from_select(["key", "told_at"], given)
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
            connection.execute(delete(alerts).where(alerts.c.key == any_(cast(list(keys), ARRAY(Text)))))
