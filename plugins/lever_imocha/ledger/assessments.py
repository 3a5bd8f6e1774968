"""Assessments: one test that one opportunity is to take, from the intention to invite to the report in Lever."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, false, func, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.domain.decisions import Departure
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import RuleKey
from lever_imocha.errors import ClaimLostError
from lever_imocha.ledger.tables import assessments, effects, invitations, stage_entries
from lever_imocha.ledger.values import Assessment, Work, WorkItem
from lever_imocha.ledger.work_queue import QueueingPart, claimed_by

_OWN = [assessments.c[name] for name in Assessment.__dataclass_fields__ if name in assessments.c]
_ADOPTED = func.coalesce(invitations.c.ended_at <= invitations.c.invited_at, false()).label("adopted")
_ASSESSMENTS = select(
    *_OWN,
    invitations.c.status,
    invitations.c.ended_at,
    invitations.c.expires_at,
    invitations.c.called_back_at,
    _ADOPTED,
).select_from(assessments.outerjoin(invitations, assessments.c.invitation_id == invitations.c.id))

ENDED = [status for status in AttemptStatus if status.is_ended]
OPEN = [status for status in AttemptStatus if status.is_open]
CAN_BEGIN = [status for status in AttemptStatus if status.can_begin]
WITHDRAWN = [AttemptStatus.CANCELLED, AttemptStatus.EXPIRED]


class Assessments(QueueingPart):
    """Assessments."""

    def of(self, opportunity_id: str) -> list[Assessment]:
        """Return all assessments of an opportunity, oldest first."""
        return self._found(_ASSESSMENTS.where(assessments.c.opportunity_id == opportunity_id))

    def get(self, assessment_id: int) -> Assessment | None:
        """Return one assessment; None when there is none of this id."""
        return next(iter(self._found(_ASSESSMENTS.where(assessments.c.id == assessment_id))), None)

    def to_write(self, opportunity_id: str) -> list[Assessment]:
        """Return an opportunity's assessments whose report is to be written.

        Their attempt has ended as far as is known, or iMocha has called back: the report then says.
        """
        ended = or_(invitations.c.status.in_(ENDED), invitations.c.called_back_at.is_not(None))
        unwritten = assessments.c.written_at.is_(None)
        return self._found(_ASSESSMENTS.where(assessments.c.opportunity_id == opportunity_id, unwritten, ended))

    def _found(self, query: Select[Any]) -> list[Assessment]:
        return [Assessment(**row._mapping) for row in self._database.rows(query.order_by(assessments.c.id))]

    def intend(
        self, test_id: int, item: WorkItem, *, entry_id: int, rule_key: RuleKey, link_id: int | None = None
    ) -> int:
        """Record that an invitation is about to be sent, so that a crash after sending is known.

        One statement does this and makes sure that the worker still holds the work item.

        :param link_id: the test link that it goes through; None for the Default link.
        :return: the assessment's id.
        :raises ClaimLostError: it does not hold it; nothing is recorded.
        """
        given = {"entry_id": entry_id, "link_id": link_id, "intended_at": self._database.now(), **asdict(rule_key)}
        columns = ["opportunity_id", "test_id", *given]
        held = claimed_by(item.opportunity_id, item.kind, item.worker).cte("held")
        values = select(
            held.c.opportunity_id,
            literal(test_id, BigInteger),
            *(literal(value, assessments.c[name].type) for name, value in given.items()),
        )
        statement = insert(assessments).from_select(columns, values)
        found = self._database.value(
            statement.on_conflict_do_update(index_elements=["opportunity_id", "test_id"], set_=given).returning(
                assessments.c.id
            )
        )
        if found is None:
            raise ClaimLostError(item.opportunity_id)
        return int(found)

    def count_mail(self, assessment_id: int, number: int = 1) -> None:
        """Record that iMocha is about to be asked for an e-mail; the count is forgotten when it answers.

        :param number: -1 takes one back that was not sent.
        """
        tried = func.greatest(assessments.c.mails_tried + number, 0)
        self._database.execute(update(assessments).where(assessments.c.id == assessment_id).values(mails_tried=tried))

    def mark_handled(self, assessment_id: int, entry_id: int) -> None:
        """Record that an arrival asked nothing more of an assessment."""
        self._database.execute(
            update(assessments)
            .where(assessments.c.id == assessment_id)
            .values(handled_entry_id=entry_id, intended_at=None)
        )

    def reopen(self, invitation_id: int, *, left: str) -> None:
        """Let no arrival count as handled by an invitation that was withdrawn because an opportunity left.

        So who comes back without a new arrival is invited again, and who came to share the invitation meanwhile is
        decided about anew.
        """
        mine = assessments.c.invitation_id == invitation_id
        others = select(assessments.c.handled_entry_id).where(mine, assessments.c.opportunity_id != left)
        undecided = (
            update(stage_entries)
            .where(stage_entries.c.id.in_(others))
            .values(decided_at=None, pending_since=self._database.now())
            .returning(stage_entries.c.opportunity_id)
        )
        with self._database.transaction():
            self._queue.enqueue(self._database.values(undecided), Work.INVITE)
            self._database.execute(update(assessments).where(mine).values(handled_entry_id=None))

    def send_again(self, opportunity_id: str) -> bool:
        """Have an opportunity's last arrival decided again, and no invitation count as handled that is not begun.

        :return: whether there is such an invitation.
        """
        latest = (
            select(stage_entries.c.id)
            .where(stage_entries.c.opportunity_id == opportunity_id)
            .order_by(stage_entries.c.entered_at.desc(), stage_entries.c.id.desc())
            .limit(1)
        )
        not_begun = select(invitations.c.id).where(invitations.c.status.in_([*CAN_BEGIN, *WITHDRAWN]))
        unhandled = (
            update(assessments)
            .where(assessments.c.opportunity_id == opportunity_id, assessments.c.invitation_id.in_(not_begun))
            .values(handled_entry_id=None)
            .returning(assessments.c.id)
        )
        undecided = update(stage_entries).where(stage_entries.c.id == latest.scalar_subquery())
        with self._database.transaction():
            if not self._database.values(unhandled):
                return False
            self._database.execute(undecided.values(decided_at=None, pending_since=self._database.now()))
            self._queue.enqueue([opportunity_id], Work.INVITE)
        return True

    def mark_written(self, assessment_ids: Collection[int]) -> None:
        """Record that reports are in Lever, and that what iMocha called back about is done."""
        written = (
            update(assessments)
            .where(assessments.c.id.in_(assessment_ids))
            .values(written_at=self._database.now())
            .returning(assessments.c.invitation_id)
            .cte("written")
        )
        self._database.execute(
            update(invitations).where(invitations.c.id == written.c.invitation_id).values(called_back_at=None)
        )

    def write_again(self, opportunity_id: str) -> None:
        """Have an opportunity whose hold is over moved on: the steps done stay done, the stage is left to do."""
        self._write_again(assessments.c.opportunity_id == opportunity_id)

    def _write_again(self, *which: ColumnElement[bool]) -> None:
        """Have reports written that count as written, but for those of masked attempts: there is none any more."""
        own = assessments.c
        masked = select(true()).where(invitations.c.id == own.invitation_id, invitations.c.masked_at.is_not(None))
        written = (
            update(assessments)
            .where(*which, own.written_at.is_not(None), ~masked.correlate(assessments).exists())
            .values(written_at=None)
            .returning(own.opportunity_id)
        )
        with self._database.transaction():
            self._queue.enqueue(self._database.values(written), Work.WRITE_BACK)

    def open_invitations(self, opportunity_id: str) -> list[int]:
        """Return the invitations of an opportunity that the candidate could still begin."""
        query = self._can_begin().where(assessments.c.opportunity_id == opportunity_id)
        return [row.invitation_id for row in self._database.rows(query)]

    def with_open_invitation(self) -> dict[str, Departure | None]:
        """Return the opportunities with an invitation that the candidate could still begin, and how they left.

        :return: opportunity id -> how it had left when it was last read; None when it had not.
        """
        return {row.opportunity_id: row.left_as for row in self._database.rows(self._can_begin())}

    def count_open(self) -> int:
        """Return how many opportunities have an invitation that the candidate could still begin."""
        opened = self._can_begin().order_by(None).subquery()
        return int(self._database.value(select(func.count(opened.c.opportunity_id.distinct()))))

    @staticmethod
    def _can_begin() -> Select[Any]:
        return (
            select(assessments.c.opportunity_id, assessments.c.invitation_id, assessments.c.left_as)
            .join(invitations, assessments.c.invitation_id == invitations.c.id)
            .where(invitations.c.status.in_(CAN_BEGIN))
            .order_by(assessments.c.id)
        )

    def record_departure(self, opportunity_id: str, departure: Departure | None) -> None:
        """Remember how an opportunity has left, or that it is back, so that only a change is looked at again.

        Of one that was deleted nothing counts as decided when it is seen again; the reports that it could not be given
        are then written.
        """
        mine = assessments.c.opportunity_id == opportunity_id
        with self._database.transaction():
            if departure is Departure.DELETED:
                entry = stage_entries.c
                self._database.execute(
                    update(stage_entries).where(entry.opportunity_id == opportunity_id).values(eligibility="")
                )
            else:
                self._write_again(mine, assessments.c.left_as == Departure.DELETED, ~_has_form())
            self._database.execute(
                update(assessments)
                .where(mine, assessments.c.left_as.is_distinct_from(departure))
                .values(left_as=departure)
            )

    def sharing(self, invitation_id: int) -> list[str]:
        """Return the opportunities an invitation belongs to: one person's, with the same test (imocha.md 5.3)."""
        query = select(assessments.c.opportunity_id).where(assessments.c.invitation_id == invitation_id)
        return self._database.values(query.order_by(assessments.c.id))


def _has_form() -> ColumnElement[bool]:
    """Return as SQL that the report's form is in Lever."""
    made = effects.c
    return (
        select(true())
        .where(
            made.opportunity_id == assessments.c.opportunity_id,
            made.subject == func.concat("invitation ", assessments.c.invitation_id),
            made.step == "form",
            made.done_at.is_not(None),
        )
        .correlate(assessments)
        .exists()
    )
