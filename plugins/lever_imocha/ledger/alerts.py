"""Finds what waits too long, and remembers which incidents people were told of until they end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Text,
    all_,
    and_,
    any_,
    cast,
    column,
    delete,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.domain.decisions import GOES_ON, Reason
from lever_imocha.ledger.tables import alerts, stage_entries, work_items
from lever_imocha.ledger.values import Work
from lever_imocha.ledger.work_queue import is_dropped

_LOST = timedelta(minutes=10)
"""Who claimed an alert so long ago and has not sent it never will."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Incident:
    """What people are told of, once, until it ends.

    :param key: the same for as long as it is the same incident.
    :param source: what finds out that it has ended: a task, or a condition that each sweep looks at.
    :param about: one line, for telling that it has ended; nothing personal.
    :param error: the name of a task's error. While work waits with this error, the incident has not ended.
    """

    key: str
    source: str
    about: str
    error: str | None = None


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
    def keys(self) -> tuple[str, ...]:
        """Return texts that are the same for as long as it is the same wait; one more once it is parked."""
        wait = f"{self.kind} {self.opportunity_id} {self.queued_at.isoformat()}"
        return (f"waits {wait}", f"parked {wait}") if self.parked_at else (f"waits {wait}",)


@dataclass(frozen=True, kw_only=True)
class OverHour:
    """How many candidates the limit of e-mails an hour holds, and how many more are due to be decided about."""

    held: int
    undecided: int


class AlertLog:
    """The ledger's side of alerts."""

    def __init__(self, *, engine: Engine, clock: Clock = utc_now) -> None:
        self._engine, self._clock = engine, clock

    def overdue(self, *, entries: timedelta, reports: timedelta) -> list[Overdue]:
        """Return what waits, longest first: people to invite, and reports to write, for longer than given; what is parked.

        A hold is a decision, and waits no more; what goes on by itself at a time waits from that time on.
        """
        now, item = self._clock(), work_items.c
        by_itself = func.coalesce(item.error, "").in_([reason.value for reason in GOES_ON])
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

    def claim(self, incidents: Collection[Incident], *, repeat: timedelta | None = None) -> set[str]:
        """Claim alerts about incidents, so that each is sent once.

        :param repeat: after this an incident is told again; without it, never.
        :return: the keys of those that are to be told now.
        """
        if not incidents:
            return set()
        now, told = self._clock(), alerts.c
        of = {incident.key: incident for incident in incidents}
        texts = ("key", "source", "about", "error")
        given = (
            func.unnest(
                *(cast([getattr(incident, name) for _, incident in sorted(of.items())], ARRAY(Text)) for name in texts)
            )
            .table_valued(*(column(name, Text) for name in texts))
            .render_derived()
        )
        new = insert(alerts).from_select(
            [*texts, "told_at"], select(*(given.c[name] for name in texts), literal(now, told.told_at.type))
        )
        again = and_(told.told, told.told_at < now - repeat) if repeat is not None else false()
        statement = new.on_conflict_do_update(
            index_elements=["key"],
            set_={"told_at": now, "source": new.excluded.source, "about": new.excluded.about},
            where=or_(again, and_(~told.told, told.told_at < now - _LOST)),
        )
        with self._engine.begin() as connection:
            return set(connection.execute(statement.returning(told.key)).scalars())

    def mark_told(self, keys: Collection[str]) -> None:
        """Record that claimed alerts were sent."""
        self._set(keys, told=True)

    def give_up(self, keys: Collection[str]) -> None:
        """Give claimed alerts back: sending failed, somebody else may try."""
        self._set(keys, told_at=_NEVER)

    def _set(self, keys: Collection[str], **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(alerts).where(alerts.c.key == any_(_texts(keys))).values(values))

    def end(self, sources: Collection[str], *, still: Collection[str] = ()) -> list[Incident]:
        """Forget the incidents of some sources that have ended; one statement.

        :param still: the keys of those that last.
        :return: those that people were told of.
        """
        c = alerts.c
        lasts = select(true()).where(work_items.c.error == c.error).correlate(alerts).exists()
        ended = (
            delete(alerts)
            .where(c.source == any_(_texts(sources)), c.key != all_(_texts(still)), or_(c.error.is_(None), ~lasts))
            .returning(c.key, c.source, c.about, c.error, c.told)
        )
        with self._engine.begin() as connection:
            rows = connection.execute(ended).all()
        return [
            Incident(key=row.key, source=row.source, about=row.about, error=row.error)
            for row in sorted(rows, key=lambda row: str(row.key))
            if row.told
        ]

    def put_back(self, incidents: Collection[Incident]) -> None:
        """Take up incidents again whose end could not be told: the next one who finds it tells it."""
        rows = [
            {"key": one.key, "source": one.source, "about": one.about, "error": one.error, "told_at": self._clock()}
            for one in incidents
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(alerts).values(told=True).on_conflict_do_nothing(), rows)


def _texts(values: Collection[str]) -> ColumnElement[Any]:
    return cast(list(values), ARRAY(Text))
