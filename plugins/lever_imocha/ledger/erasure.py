"""Erases what is kept about people: of one on demand, and of all whose assessments were over long ago."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    and_,
    any_,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import aliased

from lever_imocha.errors import StillOpenError
from lever_imocha.ledger.assessments import ENDED, OPEN
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.cache import TEMPORARY_TAGS
from lever_imocha.ledger.events import ABOUT, about_invitation
from lever_imocha.ledger.tables import (
    DIGEST,
    alerts,
    assessment_invitations,
    assessments,
    bulk_requests,
    deliveries,
    event_chains,
    events,
    forgotten,
    invitations,
    metadata,
    opportunities,
    reference,
    refusals,
    requests,
    sealed_links,
    stage_entries,
    watermarks,
    work_items,
)
from lever_imocha.ledger.values import Work
from lever_imocha.ledger.watermarks import REMOVED
from lever_imocha.ledger.work_queue import is_dropped, unclaimed

_ALONE = text(f"LOCK TABLE {stage_entries} IN SHARE ROW EXCLUSIVE MODE")
"""Waits for whoever records arrivals at this moment, and makes the next wait: or they would record whom we remove, by a
statement that cannot see it yet. It comes first, when we hold nothing that others wait for."""
_SHORTEST_ID = 5
"""What is shorter is no id of Lever's, and would be found in texts about others."""
_REMEMBER = text(
    f"""
    INSERT INTO {forgotten} (digest, at) VALUES ({DIGEST.format("CAST(:id AS text)")}, :now)
    ON CONFLICT (digest) DO UPDATE SET at = excluded.at
    """  # noqa: S608 - constants
)


_ABOUT_SOMEBODY = [
    table for table in reversed(metadata.sorted_tables) if "opportunity_id" in table.c and table is not events
]
"""The tables whose rows are about one opportunity, those first that point to others."""
_EMPTY = update(events).values(
    {name: null() for name in events.c.keys() if name not in ("id", "at")} | {"kind": "forgotten"}  # noqa: SIM118
)


class Erasure(LedgerPart):
    """Erases rows in batches, each a short transaction, and passes over rows that another transaction holds."""

    def forget(self, opportunity_id: str, *, even_if_open: bool = False, dry_run: bool = False) -> dict[str, int]:
        """Erase everything about an opportunity, in one transaction.

        A hash of its id stays: so the arrival in a stage that was decided about is not taken for a new one, as long as
        the opportunity stays there.

        :param even_if_open: also when something of it is open.
        :param dry_run: erase nothing.
        :return: table -> how many rows; empty when nothing is known of it.
        :raises StillOpenError: something is open, or a worker is at it.
        """
        if len(opportunity_id) < _SHORTEST_ID:
            return {}
        with self._database.transaction() as connection:
            connection.execute(_ALONE)
            self._database.rows(select(work_items).where(_about(work_items, [opportunity_id])).with_for_update())
            if still := self._open_things(opportunity_id, even_if_open=even_if_open):
                raise StillOpenError(still)
            rows = self._erase(connection, [opportunity_id])
            rows |= self._erase_mentions(connection, opportunity_id)
            if dry_run:
                connection.get_transaction().rollback()  # type: ignore[union-attr]
            elif any(rows.values()):
                connection.execute(_REMEMBER, {"id": opportunity_id, "now": self._database.now()})
        return {name: count for name, count in sorted(rows.items()) if count}

    def _open_things(self, opportunity_id: str, *, even_if_open: bool) -> list[str]:
        work, item = work_items.c, select(true()).where(_about(work_items, [opportunity_id]))
        found = select(true()).select_from(assessments).where(_about(assessments, [opportunity_id]))
        questions = {
            "its invitation at iMocha is open": found.where(_has_open_invitation()),
            "it may have been invited, the answer was lost": found.where(assessments.c.intended_at.is_not(None)),
            "its report is not in Lever yet": found.where(_is_unwritten()),
            "it is not masked at iMocha yet": item.where(work.kind == Work.MASK, ~is_dropped()),
            "what somebody asked for on the console is not done yet": select(true()).where(
                _about(requests, [opportunity_id]), requests.c.done_at.is_(None)
            ),
        }
        asked = {} if even_if_open else questions
        asked |= {
            "a worker is at it": item.where(~unclaimed()),
            "a tag sync has put tags on it; run lever_imocha_sync_tags to its end": _carries_tags(opportunity_id),
        }
        return [words for words, query in asked.items() if self._database.value(query.limit(1))]

    @staticmethod
    def _erase_mentions(connection: Connection, opportunity_id: str) -> dict[str, int]:
        """Erase what carries the id in a text: alerts that were sent, and values that were looked up, which are JSON."""
        told = or_(*(cast(column, Text).contains(opportunity_id, autoescape=True) for column in alerts.c))
        looked_up = cast(reference.c.value, Text).contains(f'"{opportunity_id}"', autoescape=True)
        return {
            alerts.name: connection.execute(delete(alerts).where(told)).rowcount,
            reference.name: connection.execute(delete(reference).where(looked_up)).rowcount,
        }

    def remove_people(self, *, before: datetime, limit: int) -> int:
        """Remove everything about some of those of whom all was over before a time, and who were last seen before it.

        Should one be seen in a trigger stage again, their arrival of then is no news: see `Entries.record`.

        :param before: the last sweep of everybody in the stages, less the time for which is kept.
        :return: of how many.
        """
        known = opportunities.c
        done = (
            select(known.opportunity_id)
            .where(known.seen_at < before, ~_is_open(known.opportunity_id), ~_is_young(known.opportunity_id, before))
            .order_by(known.seen_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.transaction() as connection:
            connection.execute(_ALONE)
            keys = self._database.values(done)
            if keys:
                self._keep_them_out(connection, keys)
                self._erase(connection, keys)
        return len(keys)

    def _keep_them_out(self, connection: Connection, keys: Sequence[str]) -> None:
        """Move the time on until when arrivals that the ledger does not know are no news; hashes before it are not needed."""
        entered = select(func.max(stage_entries.c.entered_at)).where(_about(stage_entries, keys)).scalar_subquery()
        new = insert(watermarks).from_select(
            ["name", "at"], select(literal_column(f"'{REMOVED}'"), entered).where(entered.is_not(None))
        )
        at = func.greatest(watermarks.c.at, new.excluded.at)
        moved = new.on_conflict_do_update(index_elements=["name"], set_={"at": at}).returning(watermarks.c.at)
        until = connection.execute(moved).scalar()
        if until is not None:
            connection.execute(delete(forgotten).where(forgotten.c.at <= until))

    def erase_names(self, *, before: datetime, limit: int) -> int:
        """Erase some of the names of those last seen before a time, unless something is open; return how many."""
        known = opportunities.c
        old = (
            select(known.opportunity_id)
            .where(known.name.is_not(None), known.seen_at < before, ~_is_open(known.opportunity_id))
            .order_by(known.seen_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return self._count(update(opportunities).where(known.opportunity_id.in_(old)).values(name=null()))

    def remove_events(self, *, before: datetime, limit: int) -> int:
        """Remove some of the timeline before a time, but for its end and what is open; return how many."""
        last = select(func.max(events.c.id)).scalar_subquery()
        old = (
            select(events.c.id)
            .where(events.c.at < before, events.c.id < last, ~_is_open(events.c.opportunity_id))
            .order_by(events.c.at)
            .limit(limit)
        )
        gone = (
            delete(events)
            .where(events.c.id.in_(old))
            .returning(literal_column(ABOUT).label("about"), events.c.number, events.c.hash)
            .cte("gone")
        )
        # A chain keeps where it was cut, so that the rest can still be verified.
        ends = select(gone).distinct(gone.c.about).where(gone.c.number.is_not(None))
        cut = ends.order_by(gone.c.about, gone.c.number.desc()).subquery()
        moved = (
            update(event_chains)
            .where(event_chains.c.about == cut.c.about, event_chains.c.removed < cut.c.number)
            .values(removed=cut.c.number, removed_hash=cut.c.hash)
            .cte("moved")
        )
        return int(self._database.value(select(func.count()).select_from(gone).add_cte(moved)))

    def remove_deliveries(self, *, before: datetime, limit: int) -> int:
        """Remove some of the deliveries before a time, and the counts of the refused; return how many deliveries."""
        old = select(deliveries.c.id).where(deliveries.c.received_at < before).order_by(deliveries.c.received_at)
        counts = delete(refusals).where(refusals.c.day < before.date()).cte("counts")
        return self._count(delete(deliveries).where(deliveries.c.id.in_(old.limit(limit))).add_cte(counts))

    def remove_bulk_requests(self, *, before: datetime, limit: int) -> int:
        """Remove some of the requests about many that were asked for before a time and are done; return how many.

        What each of them asked for about one person goes with it.
        """
        c = bulk_requests.c
        is_open = _any(requests.c.bulk_id == c.id, requests.c.done_at.is_(None))
        with self._database.transaction() as connection:
            old = self._database.values(select(c.id).where(c.asked_at < before, ~is_open).order_by(c.id).limit(limit))
            connection.execute(delete(requests).where(requests.c.bulk_id.in_(old)))
            return int(connection.execute(delete(bulk_requests).where(c.id.in_(old))).rowcount)

    def remove_sealed_links(self, *, before: datetime, limit: int) -> int:
        """Remove some of the test links that were asked for before a time, sealed or not; return how many."""
        c = sealed_links.c
        old = select(c.request_id).where(c.asked_at < before).order_by(c.request_id).limit(limit)
        return self._count(delete(sealed_links).where(c.request_id.in_(old)))

    def remove_alerts(self, *, before: datetime, limit: int) -> int:
        """Remove some of the alerts sent before a time, so that what lasts is told again; return how many."""
        old = select(alerts.c.key).where(alerts.c.told_at < before).order_by(alerts.c.told_at)
        return self._count(delete(alerts).where(alerts.c.key.in_(old.limit(limit))))

    def _count(self, statement: Any) -> int:
        with self._database.statement() as connection:
            return int(connection.execute(statement).rowcount)

    @staticmethod
    def _erase(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
        """Erase all rows about opportunities; an invitation that another opportunity has, too, stays with it.

        Events are emptied: the timeline's numbers tell a ledger from its backup (`RestoreDetection`). They go with time.
        """
        own = list(connection.execute(_own_invitations(keys)).scalars())
        of_them = and_(events.c.opportunity_id.is_(None), events.c.invitation_id.in_(own))
        linked = assessment_invitations.c.assessment_id == assessments.c.id
        statements: list[tuple[Table, Any]] = [
            (events, _EMPTY.where(or_(_about(events, keys), of_them))),
            (event_chains, delete(event_chains).where(event_chains.c.about.in_([*keys, *map(about_invitation, own)]))),
            (deliveries, delete(deliveries).where(deliveries.c.invitation_id.in_(own))),
            (assessment_invitations, delete(assessment_invitations).where(linked, _about(assessments, keys))),
            *((table, delete(table).where(_about(table, keys))) for table in _ABOUT_SOMEBODY),
            (invitations, delete(invitations).where(invitations.c.id.in_(own))),
        ]
        of_many = select(requests.c.bulk_id).where(_about(requests, keys), requests.c.bulk_id.is_not(None)).distinct()
        bulk_ids = connection.execute(of_many).scalars().all()
        rows = Counter[str]()
        for table, statement in statements:
            rows[table.name] += connection.execute(statement).rowcount
        if bulk_ids:
            rows[bulk_requests.name] = _take_out_of_bulks(connection, bulk_ids)
        return dict(rows)


def _take_out_of_bulks(connection: Connection, bulk_ids: Sequence[int]) -> int:
    """Count anew who is asked about in requests about many; remove those that are about nobody, and return how many."""
    c, concerned = bulk_requests.c, bulk_requests.c.id.in_(bulk_ids)
    left = select(func.count()).where(requests.c.bulk_id == c.id).scalar_subquery()
    connection.execute(update(bulk_requests).where(concerned).values(asked=left))
    return int(connection.execute(delete(bulk_requests).where(concerned, c.asked == 0)).rowcount)


def _about(table: Table, keys: Sequence[str]) -> ColumnElement[bool]:
    return table.c.opportunity_id == any_(cast(list(keys), ARRAY(Text)))


def _any(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return as SQL that there is such a row, looked up for each row around it: `EXISTS` beside an `OR` may read all."""
    return func.coalesce(select(true()).where(*conditions).limit(1).scalar_subquery(), false())


def _carries_tags(opportunity_id: str) -> Any:
    """Return as SQL that an opportunity has tags of a tag sync that are to be taken off: they ask for every test."""
    kept = reference.c.value
    on = and_(kept["opportunity_id"].astext == opportunity_id, kept["are_off"].as_boolean().is_not(true()))
    return select(true()).where(reference.c.key == TEMPORARY_TAGS, on)


def _own_invitations(keys: Sequence[str]) -> Any:
    """Return as SQL the invitations that belong to no other opportunity."""
    link, other, of_other = assessment_invitations.c, aliased(assessment_invitations), aliased(assessments)
    shared = exists().where(
        other.c.invitation_id == link.invitation_id,
        of_other.c.id == other.c.assessment_id,
        of_other.c.opportunity_id != any_(cast(list(keys), ARRAY(Text))),
    )
    mine = select(link.invitation_id).join(assessments, assessments.c.id == link.assessment_id)
    return mine.where(_about(assessments, keys), ~shared).distinct()


def _has_open_invitation() -> ColumnElement[bool]:
    return _any(
        assessment_invitations.c.assessment_id == assessments.c.id,
        invitations.c.id == assessment_invitations.c.invitation_id,
        invitations.c.status.in_(OPEN),
    )


def _is_unwritten() -> ColumnElement[bool]:
    ended = or_(invitations.c.status.in_(ENDED), invitations.c.called_back_at.is_not(None))
    return and_(
        assessments.c.written_at.is_(None),
        _any(invitations.c.id == assessments.c.invitation_id, ended),
    )


def _is_open(opportunity_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return as SQL that something about an opportunity is to be done, to be decided, open at iMocha, or to be written."""
    return or_(
        _any(work_items.c.opportunity_id == opportunity_id, ~is_dropped()),
        _any(requests.c.opportunity_id == opportunity_id, requests.c.done_at.is_(None)),
        _any(stage_entries.c.opportunity_id == opportunity_id, stage_entries.c.decided_at.is_(None)),
        _any(assessments.c.opportunity_id == opportunity_id, or_(_has_open_invitation(), _is_unwritten())),
    )


def _is_young(opportunity_id: ColumnElement[str], before: datetime) -> ColumnElement[bool]:
    """Return as SQL that something of an opportunity happened since a time."""
    entry, own = stage_entries.c, assessments.c
    return or_(
        _any(
            entry.opportunity_id == opportunity_id,
            or_(entry.entered_at >= before, entry.first_seen_at >= before, entry.decided_at >= before),
        ),
        _any(own.opportunity_id == opportunity_id, or_(own.written_at >= before, own.intended_at >= before)),
    )
