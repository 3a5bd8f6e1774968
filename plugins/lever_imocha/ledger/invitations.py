"""Assessments and their invitations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Select,
    Text,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from lever_imocha.domain.decisions import Departure
from lever_imocha.domain.rules import RuleKey
from lever_imocha.errors import ClaimLostError
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import (
    assessments,
    events,
    invitations,
    opportunities,
    stage_entries,
)
from lever_imocha.ledger.values import ENDED, Assessment

_ASSESSMENT = [assessments.c[name] for name in Assessment.__dataclass_fields__ if name in assessments.c]
_ADOPTED = func.coalesce(invitations.c.ended_at <= invitations.c.invited_at, false()).label("adopted")


def select_assessments() -> Select[Any]:
    joined = assessments.outerjoin(invitations, assessments.c.invitation_id == invitations.c.id)
    return select(*_ASSESSMENT, invitations.c.status, invitations.c.ended_at, _ADOPTED).select_from(joined)


class Invitations(LedgerPart):
    """Assessments and invitations."""

    def assessment(self, opportunity_id: str, test_id: int) -> Assessment | None:
        """What is known of one opportunity and one test."""
        found = [row for row in self.assessments_of(opportunity_id) if row.test_id == test_id]
        return found[0] if found else None

    def assessments_of(self, opportunity_id: str) -> list[Assessment]:
        """All assessments of an opportunity."""
        query = select_assessments().where(assessments.c.opportunity_id == opportunity_id).order_by(assessments.c.id)
        with self._engine.connect() as connection:
            return [Assessment(**row._mapping) for row in connection.execute(query)]

    def intend(self, opportunity_id: str, test_id: int, *, entry_id: int, rule_key: RuleKey, worker: str) -> int:
        """Record that an invitation is about to be sent, so that a crash after sending is known.

        One statement does this and makes sure that the worker still holds the claim.

        :return: the assessment's id.
        :raises ClaimLostError: the worker does not hold the claim on the opportunity; nothing is recorded.
        """
        given = {"entry_id": entry_id, "intended_at": self._clock(), **asdict(rule_key)}
        columns = ["opportunity_id", "test_id", *given]
        claimed = select(
            opportunities.c.opportunity_id,
            literal(test_id, BigInteger),
            *(literal(value, assessments.c[name].type) for name, value in given.items()),
        ).where(opportunities.c.opportunity_id == opportunity_id, opportunities.c.claimed_by == worker)
        # The row is locked: who takes over at this moment is waited for, or waits and then sees the intention.
        claimed = claimed.with_for_update()
        statement = insert(assessments).from_select(columns, claimed)
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            found = connection.execute(
                statement.on_conflict_do_update(index_elements=["opportunity_id", "test_id"], set_=given).returning(
                    assessments.c.id
                )
            ).scalar_one_or_none()
        if found is None:
            raise ClaimLostError(opportunity_id)
        return int(found)

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
        if not statuses:
            return []
        now, status = self._clock(), invitations.c.status
        said = select(
            func.unnest(cast(list(statuses), ARRAY(BigInteger))).label("id"),
            func.unnest(cast(list(statuses.values()), ARRAY(Text))).label("status"),
        ).subquery()
        found = (
            select(invitations.c.id, said.c.status)
            .join(said, said.c.id == invitations.c.id)
            .where(status != said.c.status, status.not_in(ENDED))
            .order_by(invitations.c.id)  # two sweeps at once lock in the same order
            .with_for_update(of=invitations)
            .cte("found")
        )
        changed = (
            update(invitations)
            .where(invitations.c.id == found.c.id)
            .values(
                status=found.c.status, ended_at=case((found.c.status.in_(ENDED), now), else_=invitations.c.ended_at)
            )
            .returning(invitations.c.id, invitations.c.status)
            .cte("changed")
        )
        recorded = insert(events).from_select(
            ["at", "kind", "invitation_id"],
            select(literal(now, DateTime(timezone=True)), changed.c.status, changed.c.id),
        )
        with self._engine.begin() as connection:
            return list(connection.execute(recorded.returning(events.c.invitation_id)).scalars())

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

    def open_invitations(self, opportunity_id: str) -> list[int]:
        """Return the invitations of an opportunity that the candidate could still begin."""
        query = self._open().where(assessments.c.opportunity_id == opportunity_id)
        with self._engine.connect() as connection:
            return [row.invitation_id for row in connection.execute(query)]

    def with_open_invitation(self) -> dict[str, Departure | None]:
        """Return the opportunities with an invitation that the candidate could still begin, and how they left.

        :return: opportunity id -> how it had left when it was last read; None when it had not.
        """
        with self._engine.connect() as connection:
            found = {row.opportunity_id: row.left_as for row in connection.execute(self._open())}
        return {key: Departure(left_as) if left_as else None for key, left_as in found.items()}

    @staticmethod
    def _open() -> Select[Any]:
        return (
            select(assessments.c.opportunity_id, assessments.c.invitation_id, assessments.c.left_as)
            .join(invitations, assessments.c.invitation_id == invitations.c.id)
            .where(invitations.c.status.in_(("pending", "unknown")))
            .order_by(assessments.c.id)
        )

    def record_departure(self, opportunity_id: str, departure: Departure | None) -> None:
        """Remember how an opportunity has left, or that it is back, so that only a change is looked at again."""
        left_as = departure.value if departure is not None else None
        self._update(
            update(assessments)
            .where(assessments.c.opportunity_id == opportunity_id, assessments.c.left_as.is_distinct_from(left_as))
            .values(left_as=left_as)
        )

    def opportunities_of_invitation(self, invitation_id: int) -> list[str]:
        """The opportunities an invitation belongs to: one person's, with the same test (imocha.md 5.3)."""
        query = select(assessments.c.opportunity_id).where(assessments.c.invitation_id == invitation_id)
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(assessments.c.id)).scalars())

    def recheck(self, invitation_id: int) -> None:
        """Have an invitation's report looked at with the next sweep."""
        self._update(update(invitations).where(invitations.c.id == invitation_id).values(checked_at=None))

    def assessment_of_callback(self, assessment_id: int) -> Assessment | None:
        """Return the assessment that a callback address was made for; None when there is none any more."""
        with self._engine.connect() as connection:
            row = connection.execute(select_assessments().where(assessments.c.id == assessment_id)).one_or_none()
        return Assessment(**row._mapping) if row is not None else None
