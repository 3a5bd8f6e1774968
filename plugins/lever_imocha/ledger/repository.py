"""What the workflows ask of the ledger and tell it; every method is one short transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Engine,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from lever_imocha.ledger.attendance import is_attended
from lever_imocha.ledger.tables import (
    SCHEMA,
    assessments,
    deliveries,
    events,
    invitations,
    notices,
    opportunities,
    reference,
    stage_entries,
    watermarks,
    write_back_steps,
)

ENDED = ("complete", "test_left", "terminated")
_IDENTITY, _RESTORED = "ledger.identity", "ledger.restored"
_DOUBT = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """An opportunity's arrival in a stage, as just read from Lever."""

    opportunity_id: str
    stage_id: str
    entered_at: datetime
    eligibility: str
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """A recorded arrival; `decision` is None while it is pending."""

    id: int
    opportunity_id: str
    stage_id: str
    entered_at: datetime
    decision: str | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One test that one opportunity is to take, with its invitation's status where there is one.

    :param adopted: the attempt had ended before the ledger first heard of its invitation.
    """

    id: int
    opportunity_id: str
    test_id: int
    entry_id: int
    rule_key: str
    invitation_id: int | None
    intended_at: datetime | None
    handled_entry_id: int | None
    written_at: datetime | None
    tries: int
    status: str | None
    adopted: bool
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """What a vendor told us: a hint, never more. `key` is the same for the same delivery sent again.

    :param vendor: ``lever`` or ``imocha``.
    :param handled: nothing is to be done about it.
    """

    vendor: str
    key: str
    event: str
    opportunity_id: str | None = None
    invitation_id: int | None = None
    handled: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something made in Lever once: begun, and done when `done_at` is set."""

    started_at: datetime
    done_at: datetime | None
    vendor_id: str | None


_ENTRY = [stage_entries.c[name] for name in StageEntry.__dataclass_fields__]
_ASSESSMENT = [assessments.c[name] for name in Assessment.__dataclass_fields__ if name in assessments.c]
_ADOPTED = func.coalesce(invitations.c.ended_at <= invitations.c.invited_at, false()).label("adopted")


def _entry(row: Row[Any]) -> StageEntry:
    return StageEntry(**row._mapping)


def _assessments() -> Select[Any]:
    joined = assessments.outerjoin(invitations, assessments.c.invitation_id == invitations.c.id)
    return select(*_ASSESSMENT, invitations.c.status, invitations.c.ended_at, _ADOPTED).select_from(joined)


def _unheld(table: Any, now: datetime) -> Any:
    """Nobody holds it, or its holder's lease is over, or its holder is dead."""
    return or_(table.c.claimed_until.is_(None), table.c.claimed_until < now, ~is_attended(table.c.claimed_by))


def _free(table: Any, now: datetime) -> Any:
    """Nobody holds it, and it is time to try."""
    return and_(_unheld(table, now), or_(table.c.not_before.is_(None), table.c.not_before <= now))


def bell(vendor: str) -> str:
    """The channel on which PostgreSQL tells that a vendor's delivery waits."""
    return f"{SCHEMA}_{vendor}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _keep_delivery() -> str:
    """One round trip for the busiest statement, compiled once: SQLAlchemy compiles ON CONFLICT anew every time."""
    names = ("vendor", "key", "event", "opportunity_id", "invitation_id", "received_at", "handled_at")
    columns = {name: bindparam(name, type_=deliveries.c[name].type) for name in names}
    kept = insert(deliveries).values(columns).on_conflict_do_nothing().returning(deliveries.c.id).cte("kept")
    freed = (
        update(opportunities)
        .where(
            opportunities.c.opportunity_id == bindparam("opportunity_id", type_=Text),
            opportunities.c.not_before.is_not(None),
        )
        .values(not_before=null())
        .cte("freed")
    )
    ring = case(
        (bindparam("rings", type_=Boolean), func.pg_notify(bindparam("bell", type_=Text), literal_column("''")))
    )
    return str(select(kept.c.id, ring).add_cte(freed).compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]


_KEEP_DELIVERY = _keep_delivery()


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


class Ledger:
    """The ledger's repository.

    :param clock: aware UTC now.
    :param attend: called before anything is claimed; makes sure that the worker counts as alive.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        attend: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine, self._clock, self._attend = engine, clock, attend

    # Stage entries

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

    def entry(self, entry_id: int) -> StageEntry | None:
        """One arrival."""
        with self._engine.connect() as connection:
            row = connection.execute(select(*_ENTRY).where(stage_entries.c.id == entry_id)).first()
            return _entry(row) if row else None

    def decide_entry(
        self, entry_id: int, *, decision: str, reason: str | None = None, eligibility: str | None = None
    ) -> None:
        """Record what was decided about an arrival, and what that rested on."""
        values: dict[str, Any] = {"decision": decision, "reason": reason, "decided_at": self._clock()}
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

    # Opportunities: who works on which

    def waiting(self, limit: int = 5000, *, deliveries_only: bool = False) -> list[str]:
        """Opportunities with an undecided arrival or an unhandled delivery and nobody at work, longest waiting first.

        :param deliveries_only: only for what vendors told, and not what was tried in vain a moment ago.
        """
        now = self._clock()
        told = select(deliveries.c.opportunity_id, deliveries.c.received_at.label("since")).where(
            deliveries.c.vendor == "lever",
            deliveries.c.handled_at.is_(None),
            deliveries.c.opportunity_id.is_not(None),
        )
        came = select(stage_entries.c.opportunity_id, stage_entries.c.first_seen_at.label("since")).where(
            stage_entries.c.decided_at.is_(None)
        )
        soon = or_(deliveries.c.not_before.is_(None), deliveries.c.not_before <= now)
        work = (told.where(soon) if deliveries_only else told.union_all(came)).subquery()
        query = (
            select(work.c.opportunity_id)
            .outerjoin(opportunities, opportunities.c.opportunity_id == work.c.opportunity_id)
            .where(_free(opportunities, now))
            .group_by(work.c.opportunity_id)
            .order_by(func.min(work.c.since))
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def claim(self, opportunity_id: str, *, worker: str, lease: timedelta) -> bool:
        """Take an opportunity to work on it; False while another worker holds it.

        An order to try again counts more than the time set for the next try.
        """
        self._attend()
        now = self._clock()
        values = {"claimed_by": worker, "claimed_until": now + lease}
        statement = insert(opportunities).values(opportunity_id=opportunity_id, **values)
        with self._engine.begin() as connection:
            taken = statement.on_conflict_do_update(
                index_elements=["opportunity_id"], set_=values, where=_unheld(opportunities, now)
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
            .values(claimed_by=None, claimed_until=None, reason=reason, not_before=not_before, tries=tries)
        )

    def tries(self, opportunity_id: str) -> int:
        """How often work on an opportunity failed in a row."""
        query = select(opportunities.c.tries).where(opportunities.c.opportunity_id == opportunity_id)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    # Deliveries

    def record_delivery(self, delivery: NewDelivery) -> bool:
        """Keep a delivery and wake whoever waits for its vendor's news.

        :return: False when it was there already.
        """
        now = self._clock()
        values = {
            "vendor": delivery.vendor, "key": delivery.key, "event": delivery.event, "received_at": now,
            "opportunity_id": delivery.opportunity_id, "invitation_id": delivery.invitation_id,
            "handled_at": now if delivery.handled else None, "bell": bell(delivery.vendor), "rings": not delivery.handled,
        }  # fmt: skip
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return connection.exec_driver_sql(_KEEP_DELIVERY, values).first() is not None

    def deliveries_of(self, opportunity_id: str) -> list[int]:
        """Unhandled deliveries about an opportunity."""
        query = select(deliveries.c.id).where(
            deliveries.c.vendor == "lever",
            deliveries.c.opportunity_id == opportunity_id,
            deliveries.c.handled_at.is_(None),
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def callbacks(self, limit: int = 200) -> dict[int, int]:
        """Unhandled callbacks of iMocha: delivery id -> invitation id, oldest first."""
        query = (
            select(deliveries.c.id, deliveries.c.invitation_id)
            .where(deliveries.c.vendor == "imocha", deliveries.c.handled_at.is_(None))
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return {row.id: row.invitation_id for row in connection.execute(query)}

    def handle_deliveries(self, ids: Sequence[int]) -> None:
        """Record that deliveries were acted on."""
        if ids:
            self._update(update(deliveries).where(deliveries.c.id.in_(ids)).values(handled_at=self._clock()))

    def postpone_deliveries(self, ids: Sequence[int], *, not_before: datetime) -> None:
        """Have deliveries not ring again before a time; a sweep finds them earlier."""
        if ids:
            self._update(update(deliveries).where(deliveries.c.id.in_(ids)).values(not_before=not_before))

    def forget_deliveries(self, *, older_than: timedelta) -> None:
        """Drop handled deliveries no vendor will send again."""
        self._update(
            delete(deliveries).where(
                deliveries.c.handled_at.is_not(None), deliveries.c.received_at < self._clock() - older_than
            )
        )

    # Assessments and invitations

    def assessment(self, opportunity_id: str, test_id: int) -> Assessment | None:
        """What is known of one opportunity and one test."""
        found = [row for row in self.assessments_of(opportunity_id) if row.test_id == test_id]
        return found[0] if found else None

    def assessments_of(self, opportunity_id: str) -> list[Assessment]:
        """All assessments of an opportunity."""
        query = _assessments().where(assessments.c.opportunity_id == opportunity_id).order_by(assessments.c.id)
        with self._engine.connect() as connection:
            return [Assessment(**row._mapping) for row in connection.execute(query)]

    def intend(self, opportunity_id: str, test_id: int, *, entry_id: int, rule_key: str) -> int:
        """Record that an invitation is about to be sent, so that a crash after sending is known.

        :return: the assessment's id.
        """
        values = {"entry_id": entry_id, "rule_key": rule_key, "intended_at": self._clock()}
        statement = insert(assessments).values(opportunity_id=opportunity_id, test_id=test_id, **values)
        with self._engine.begin() as connection:
            return int(
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["opportunity_id", "test_id"], set_=values
                    ).returning(assessments.c.id)
                ).scalar_one()
            )

    def record_invitation(
        self, assessment_id: int, *, invitation_id: int, test_id: int, status: str, entry_id: int, refreshed: bool
    ) -> None:
        """Record the invitation iMocha answered with, and link it to the assessment."""
        now = self._clock()
        statement = insert(invitations).values(
            id=invitation_id, test_id=test_id, status=status, invited_at=now, times_invited=1,
            times_refreshed=int(refreshed), ended_at=now if status in ENDED else None,
        )  # fmt: skip
        ended = invitations.c.status.in_(ENDED)
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"],
                    set_={
                        "times_invited": invitations.c.times_invited + 1,
                        "times_refreshed": invitations.c.times_refreshed + int(refreshed),
                    },
                )
            )
            connection.execute(
                update(invitations)
                .where(invitations.c.id == invitation_id, ~ended)
                .values(status=status, checked_at=None, ended_at=now if status in ENDED else None)
            )
            changed = assessments.c.invitation_id.is_distinct_from(invitation_id)
            connection.execute(
                update(assessments)
                .where(assessments.c.id == assessment_id, changed)
                .values(invitation_id=invitation_id, written_at=None, tries=0, not_before=None)
            )
            connection.execute(
                update(assessments)
                .where(assessments.c.id == assessment_id)
                .values(intended_at=None, handled_entry_id=entry_id)
            )

    def mark_handled(self, assessment_id: int, entry_id: int) -> None:
        """Record that an arrival asked nothing more of an assessment."""
        self._update(
            update(assessments)
            .where(assessments.c.id == assessment_id)
            .values(handled_entry_id=entry_id, intended_at=None)
        )

    def reopen(self, invitation_id: int, *, left: str) -> None:
        """An invitation was withdrawn because an opportunity left: no arrival counts as handled by it any more.

        So who comes back without a new arrival is invited again, and who came to share the invitation meanwhile is
        decided about anew.
        """
        mine = assessments.c.invitation_id == invitation_id
        others = select(assessments.c.handled_entry_id).where(mine, assessments.c.opportunity_id != left)
        with self._engine.begin() as connection:
            connection.execute(update(stage_entries).where(stage_entries.c.id.in_(others)).values(decided_at=None))
            connection.execute(update(assessments).where(mine).values(handled_entry_id=None))

    def invitation_status(self, invitation_id: int) -> str | None:
        """An invitation's status; None when it is not ours."""
        with self._engine.connect() as connection:
            return connection.execute(
                select(invitations.c.status).where(invitations.c.id == invitation_id)
            ).scalar_one_or_none()

    def set_status(self, statuses: Mapping[int, str]) -> list[int]:
        """Record what iMocha says of invitations. Unknown ids are not ours, and an ended attempt stays ended.

        :return: the ids whose status changed.
        """
        now, changed = self._clock(), list[int]()
        with self._engine.begin() as connection:
            for invitation_id, status in sorted(statuses.items()):
                result = connection.execute(
                    update(invitations)
                    .where(
                        invitations.c.id == invitation_id,
                        invitations.c.status != status,
                        invitations.c.status.not_in(ENDED),
                    )
                    .values(status=status, **({"ended_at": now} if status in ENDED else {}))
                )
                if result.rowcount:
                    changed.append(invitation_id)
                    connection.execute(insert(events).values(at=now, kind=status, invitation_id=invitation_id))
        return changed

    def announce(self, invitation_ids: Sequence[int]) -> None:
        """Have the opportunities of invitations looked at, as if Lever had told us of them."""
        for invitation_id in invitation_ids:
            status = self.invitation_status(invitation_id)
            for opportunity_id in self.sharing(invitation_id):
                key = f"status {invitation_id} {opportunity_id} {status} {self._clock().isoformat()}"
                self.record_delivery(
                    NewDelivery(vendor="lever", key=key, event="status", opportunity_id=opportunity_id)
                )

    def invitations_to_check(self, *, older_than: timedelta, limit: int) -> list[int]:
        """Open invitations whose report was never looked at, or not for a while; the longest waiting first."""
        query = (
            select(invitations.c.id)
            .where(
                invitations.c.status.in_(("pending", "in_progress", "unknown")),
                or_(invitations.c.checked_at.is_(None), invitations.c.checked_at < self._clock() - older_than),
            )
            .order_by(invitations.c.checked_at.asc().nulls_first(), invitations.c.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def mark_checked(self, invitation_id: int) -> None:
        """Record that an invitation's report was looked at."""
        self._update(update(invitations).where(invitations.c.id == invitation_id).values(checked_at=self._clock()))

    def open_invitations(self, opportunity_id: str | None = None) -> list[tuple[str, int]]:
        """Opportunity and invitation where the candidate could still begin; of one opportunity, or of all."""
        query = (
            select(assessments.c.opportunity_id, assessments.c.invitation_id)
            .join(invitations, assessments.c.invitation_id == invitations.c.id)
            .where(invitations.c.status.in_(("pending", "unknown")))
            .order_by(assessments.c.id)
        )
        if opportunity_id is not None:
            query = query.where(assessments.c.opportunity_id == opportunity_id)
        with self._engine.connect() as connection:
            return [(row.opportunity_id, row.invitation_id) for row in connection.execute(query)]

    def sharing(self, invitation_id: int) -> list[str]:
        """The opportunities an invitation belongs to: one person's, with the same test (imocha.md 5.3)."""
        query = select(assessments.c.opportunity_id).where(assessments.c.invitation_id == invitation_id)
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(assessments.c.id)).scalars())

    def recheck(self, invitation_id: int) -> None:
        """Have an invitation's report looked at with the next sweep."""
        self._update(update(invitations).where(invitations.c.id == invitation_id).values(checked_at=None))

    # Writing back

    def _ended(self) -> Any:
        return and_(
            assessments.c.written_at.is_(None),
            assessments.c.invitation_id.in_(select(invitations.c.id).where(invitations.c.status.in_(ENDED))),
        )

    def due_write_backs(self, limit: int = 5000) -> list[str]:
        """Opportunities with an ended attempt that is not written back, nobody works on, and whose time has come."""
        query = (
            select(assessments.c.opportunity_id)
            .where(self._ended(), _free(assessments, self._clock()))
            .group_by(assessments.c.opportunity_id)
            .order_by(func.min(assessments.c.id))
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def claim_write_back(self, opportunity_id: str, *, worker: str, lease: timedelta) -> list[Assessment]:
        """Take all that has ended and is unwritten; empty when another worker works on any of it.

        An order to try again counts more than the time set for the next try.
        """
        self._attend()
        now = self._clock()
        with self._engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(opportunity_id))))
            busy = select(true()).where(assessments.c.opportunity_id == opportunity_id, ~_unheld(assessments, now))
            if connection.execute(busy.limit(1)).first():
                return []
            claimed = connection.execute(
                update(assessments)
                .where(assessments.c.opportunity_id == opportunity_id, self._ended())
                .values(claimed_by=worker, claimed_until=now + lease)
                .returning(assessments.c.id)
            ).scalars()
            query = _assessments().where(assessments.c.id.in_(list(claimed))).order_by(assessments.c.id)
            return [Assessment(**row._mapping) for row in connection.execute(query)]

    def reopen_write_back(self, opportunity_id: str) -> None:
        """Have an opportunity whose hold is over moved on: the steps done stay done, the stage is left to do."""
        self._update(
            update(assessments)
            .where(assessments.c.opportunity_id == opportunity_id, assessments.c.written_at.is_not(None))
            .values(written_at=None, not_before=None)
        )

    def finish_write_back(self, assessment_id: int) -> None:
        """Record that an attempt is written back."""
        self._update(
            update(assessments)
            .where(assessments.c.id == assessment_id)
            .values(written_at=self._clock(), claimed_by=None, claimed_until=None, not_before=None, reason=None)
        )

    def release_write_back(self, assessment_id: int, *, reason: str, not_before: datetime | None = None) -> None:
        """Give an assessment back unwritten."""
        self._update(
            update(assessments)
            .where(assessments.c.id == assessment_id, assessments.c.written_at.is_(None))
            .values(
                claimed_by=None, claimed_until=None, reason=reason, not_before=not_before,
                tries=assessments.c.tries + 1,
            )
        )  # fmt: skip

    def step(self, invitation_id: int, opportunity_id: str, step: str) -> Step | None:
        """What is known of one step."""
        c = write_back_steps.c
        query = select(c.started_at, c.done_at, c.vendor_id).where(
            c.invitation_id == invitation_id, c.opportunity_id == opportunity_id, c.step == step
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
            return Step(**row._mapping) if row else None

    def start_step(self, invitation_id: int, opportunity_id: str, step: str) -> None:
        """Record that a step is about to be sent."""
        statement = insert(write_back_steps).values(
            invitation_id=invitation_id, opportunity_id=opportunity_id, step=step, started_at=self._clock()
        )
        self._update(statement.on_conflict_do_nothing())

    def finish_step(self, invitation_id: int, opportunity_id: str, step: str, *, vendor_id: str | None) -> None:
        """Record that a step is known done, with the id of what was made."""
        c, now = write_back_steps.c, self._clock()
        done = (
            update(write_back_steps)
            .where(c.invitation_id == invitation_id, c.opportunity_id == opportunity_id, c.step == step)
            .values(done_at=now, vendor_id=vendor_id)
        )
        told = insert(events).values(
            at=now, kind=f"{step}_done", opportunity_id=opportunity_id, invitation_id=invitation_id
        )
        with self._engine.begin() as connection:
            connection.execute(done)
            connection.execute(told)

    # Notices: what the recruiter is told, once

    def notice(self, opportunity_id: str, problem: str) -> Step | None:
        """What is known of the note about a problem."""
        c = notices.c
        query = select(c.started_at, c.done_at, c.vendor_id).where(
            c.opportunity_id == opportunity_id, c.problem == problem
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
            return Step(**row._mapping) if row else None

    def start_notice(self, opportunity_id: str, problem: str) -> None:
        """Record that a note is about to be written."""
        statement = insert(notices).values(opportunity_id=opportunity_id, problem=problem, started_at=self._clock())
        self._update(statement.on_conflict_do_nothing())

    def finish_notice(self, opportunity_id: str, problem: str, *, vendor_id: str) -> None:
        """Record that the note is there."""
        c = notices.c
        self._update(
            update(notices)
            .where(c.opportunity_id == opportunity_id, c.problem == problem)
            .values(done_at=self._clock(), vendor_id=vendor_id)
        )

    # Timeline, reference data, watermarks

    def record_event(
        self,
        kind: str,
        *,
        opportunity_id: str | None = None,
        invitation_id: int | None = None,
        test_id: int | None = None,
        detail: str | None = None,
    ) -> None:
        """Add to the timeline; `detail` holds no personal data."""
        self._update(
            insert(events).values(
                at=self._clock(), kind=kind, opportunity_id=opportunity_id, invitation_id=invitation_id,
                test_id=test_id, detail=detail,
            )
        )  # fmt: skip

    def event_kinds(self, opportunity_id: str) -> list[str]:
        """An opportunity's timeline, as words."""
        query = select(events.c.kind).where(events.c.opportunity_id == opportunity_id).order_by(events.c.id)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def put_reference(self, key: str, value: dict[str, Any]) -> None:
        """Keep reference data for other tasks."""
        values = {"value": value, "read_at": self._clock()}
        statement = insert(reference).values(key=key, **values)
        self._update(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def get_reference(self, key: str, *, younger_than: timedelta | None = None) -> dict[str, Any] | None:
        """Reference data kept by `put_reference`."""
        query = select(reference.c.value).where(reference.c.key == key)
        if younger_than is not None:
            query = query.where(reference.c.read_at > self._clock() - younger_than)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def watermark(self, name: str) -> datetime | None:
        """How far a sweep has come."""
        with self._engine.connect() as connection:
            return connection.execute(select(watermarks.c.at).where(watermarks.c.name == name)).scalar_one_or_none()

    def set_watermark(self, name: str, at: datetime) -> None:
        """Record how far a sweep has come."""
        statement = insert(watermarks).values(name=name, at=at)
        self._update(statement.on_conflict_do_update(index_elements=["name"], set_={"at": at}))

    def erase_name(self, opportunity_id: str) -> None:
        """Forget a candidate's name."""
        self._update(update(opportunities).where(opportunities.c.opportunity_id == opportunity_id).values(name=None))

    def masked(self, opportunity_id: str) -> set[int]:
        """Invitations of an opportunity that iMocha was asked to mask, or that a person has to."""
        query = select(events.c.invitation_id).where(
            events.c.opportunity_id == opportunity_id, events.c.kind.in_(("masked", "mask_by_hand"))
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def named(self, opportunity_ids: Sequence[str]) -> set[str]:
        """Those of whom a name is kept."""
        query = select(opportunities.c.opportunity_id).where(
            opportunities.c.opportunity_id.in_(opportunity_ids), opportunities.c.name.is_not(None)
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    # Whether this is the ledger we left, or a backup put back

    def last_event(self) -> dict[str, Any]:
        """The timeline's last event as JSON, by which this very ledger is known again: see `remembers`."""
        self._update(
            insert(reference)
            .values(key=_IDENTITY, value={"id": uuid.uuid4().hex}, read_at=self._clock())
            .on_conflict_do_nothing()
        )
        query = select(events.c.id, events.c.at).order_by(events.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            last = connection.execute(query).first()
        identity = self.get_reference(_IDENTITY) or {}
        return {"ledger": identity["id"]} | ({"event": last.id, "at": _utc(last.at)} if last else {})

    def remembers(self, seen: Mapping[str, Any]) -> bool:
        """False when this ledger once knew an event it does not know now; another ledger's events are no matter.

        :param seen: what `last_event` returned earlier.
        """
        mine = self.get_reference(_IDENTITY)
        if mine is None or mine["id"] != seen.get("ledger") or "event" not in seen:
            return True
        query = select(events.c.at).where(events.c.id == seen["event"])
        with self._engine.connect() as connection:
            at = connection.execute(query).scalar_one_or_none()
        return at is not None and _utc(at) == seen["at"]

    def mark_restored(self) -> None:
        """Record that a backup was put back: the vendors may know what this ledger does not."""
        self.record_event("restored")
        self.set_watermark(_RESTORED, self._clock())

    def in_doubt(self) -> bool:
        """A backup was put back lately: what is about to be made at a vendor may be there already."""
        restored = self.watermark(_RESTORED)
        return restored is not None and self._clock() - restored < _DOUBT

    def _update(self, statement: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(statement)
