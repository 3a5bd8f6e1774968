"""Keeps arrivals in a stage, and who works on which opportunity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.ledger.base import LedgerPart, claimable, unclaimed
from lever_imocha.ledger.tables import (
    deliveries,
    opportunities,
    stage_entries,
)
from lever_imocha.ledger.values import NewEntry, StageEntry

_ENTRY = [stage_entries.c[name] for name in StageEntry.__dataclass_fields__]


def _entry(row: Row[Any]) -> StageEntry:
    values = dict(row._mapping)
    decision, reason = values.pop("decision"), values.pop("reason")
    return StageEntry(
        decision=Action(decision) if decision else None, reason=Reason(reason) if reason else None, **values
    )


def _put_names(connection: Connection, names: Mapping[str, str | None]) -> None:
    rows = [{"opportunity_id": key, "name": name} for key, name in sorted(names.items())]
    statement = insert(opportunities).values(rows)
    new = statement.excluded.name
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["opportunity_id"],
            set_={"name": new},
            where=opportunities.c.name.is_distinct_from(new),
        )
    )


class Entries(LedgerPart):
    """Stage entries and opportunities."""

    def record_entries(self, entries: Sequence[NewEntry], *, seen_by: str) -> None:
        """Record arrivals once each. A decided one is pending again when what its decision rests on has changed."""
        if not entries:
            return
        now = self._clock()
        rows = [
            {
                "opportunity_id": entry.opportunity_id,
                "stage_id": entry.stage_id,
                "entered_at": entry.entered_at,
                "eligibility": entry.eligibility,
                "first_seen_by": seen_by,
                "first_seen_at": now,
                "pending_since": now,
            }
            for entry in entries
        ]
        statement = insert(stage_entries).values(rows)
        new = statement.excluded
        with self._engine.begin() as connection:
            _put_names(connection, {entry.opportunity_id: entry.name for entry in entries})
            changed = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["opportunity_id", "stage_id", "entered_at"],
                    set_={"eligibility": new.eligibility, "pending_since": new.pending_since, "decided_at": None},
                    where=and_(stage_entries.c.decided_at.is_not(None), stage_entries.c.eligibility != new.eligibility),
                ).returning(stage_entries.c.opportunity_id)
            ).scalars()
            # What is new is tried now, even if the last try was to wait.
            connection.execute(
                update(opportunities)
                .where(opportunities.c.opportunity_id.in_(list(changed)), opportunities.c.not_before.is_not(None))
                .values(not_before=None)
            )

    def pending_entries(self, opportunity_id: str) -> list[StageEntry]:
        """An opportunity's arrivals nobody has decided, oldest first."""
        query = (
            select(*_ENTRY)
            .where(stage_entries.c.opportunity_id == opportunity_id, stage_entries.c.decided_at.is_(None))
            .order_by(stage_entries.c.entered_at)
        )
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def decide_entry(
        self,
        entry_id: int,
        *,
        decision: Action,
        reason: Reason | None = None,
        detail: str = "",
        eligibility: str | None = None,
    ) -> None:
        """Record what was decided about an arrival, and what that rested on."""
        values: dict[str, Any] = {
            "decision": decision.value, "reason": reason and reason.value, "detail": detail, "decided_at": self._clock(),
        }  # fmt: skip
        if eligibility is not None:
            values["eligibility"] = eligibility
        self._update(update(stage_entries).where(stage_entries.c.id == entry_id).values(values))

    def last_entry(self, opportunity_id: str) -> StageEntry | None:
        """An opportunity's latest arrival."""
        query = (
            select(*_ENTRY)
            .where(stage_entries.c.opportunity_id == opportunity_id)
            .order_by(stage_entries.c.entered_at.desc(), stage_entries.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
            return _entry(row) if row else None

    def waiting(self, limit: int = 5000, *, deliveries_only: bool = False) -> list[str]:
        """Opportunities with an undecided arrival or an unhandled delivery and nobody at work, longest waiting first.

        :param deliveries_only: only those with a delivery, and not those whose next try is set for later.
        """
        now = self._clock()
        delivered = select(deliveries.c.opportunity_id, deliveries.c.received_at.label("since")).where(
            deliveries.c.vendor == "lever",
            deliveries.c.handled_at.is_(None),
            deliveries.c.opportunity_id.is_not(None),
        )
        came = select(stage_entries.c.opportunity_id, stage_entries.c.first_seen_at.label("since")).where(
            stage_entries.c.decided_at.is_(None)
        )
        soon = or_(deliveries.c.not_before.is_(None), deliveries.c.not_before <= now)
        work = (delivered.where(soon) if deliveries_only else delivered.union_all(came)).subquery()
        query = (
            select(work.c.opportunity_id)
            .outerjoin(opportunities, opportunities.c.opportunity_id == work.c.opportunity_id)
            .where(claimable(opportunities, now))
            .group_by(work.c.opportunity_id)
            .order_by(func.min(work.c.since))
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def newest_waiting(self, *, since: datetime) -> str | None:
        """Return the opportunity that Lever sent a webhook about last, after a time, if nobody works on it."""
        now = self._clock()
        query = (
            select(deliveries.c.opportunity_id)
            .outerjoin(opportunities, opportunities.c.opportunity_id == deliveries.c.opportunity_id)
            .where(
                deliveries.c.vendor == "lever",
                deliveries.c.handled_at.is_(None),
                deliveries.c.opportunity_id.is_not(None),
                deliveries.c.received_at > since,
                or_(deliveries.c.not_before.is_(None), deliveries.c.not_before <= now),
                claimable(opportunities, now),
            )
            .order_by(deliveries.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def claim(self, opportunity_id: str, *, worker: str, only_due: bool = False) -> bool:
        """Take an opportunity to work on it; return False while another worker holds it.

        :param only_due: not before the time set for the next try; a person's order counts more than that time.
        """
        self._stay_alive()
        values = {"claimed_by": worker}
        statement = insert(opportunities).values(opportunity_id=opportunity_id, **values)
        with self._engine.begin() as connection:
            taken = statement.on_conflict_do_update(
                index_elements=["opportunity_id"],
                set_=values,
                where=claimable(opportunities, self._clock()) if only_due else unclaimed(opportunities),
            )
            return connection.execute(taken.returning(opportunities.c.opportunity_id)).first() is not None

    def release(
        self, opportunity_id: str, *, worker: str, reason: str | None = None, not_before: datetime | None = None
    ) -> None:
        """Give a claimed opportunity back; with a reason when the work failed. Another worker's claim is left alone."""
        tries = opportunities.c.tries + 1 if reason else 0
        self._update(
            update(opportunities)
            .where(opportunities.c.opportunity_id == opportunity_id, opportunities.c.claimed_by == worker)
            .values(claimed_by=None, reason=reason, not_before=not_before, tries=tries)
        )

    def tries(self, opportunity_id: str) -> int:
        """How often work on an opportunity failed in a row."""
        query = select(opportunities.c.tries).where(opportunities.c.opportunity_id == opportunity_id)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none() or 0
