"""Ended attempts on their way into Lever: what is due, which steps are done, which problems are noted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    DateTime,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.errors import ClaimLostError
from lever_imocha.ledger.base import LedgerPart, claimable, unclaimed
from lever_imocha.ledger.deliveries import called_back
from lever_imocha.ledger.invitations import select_assessments
from lever_imocha.ledger.tables import (
    assessments,
    events,
    invitations,
    notices,
    write_back_steps,
)
from lever_imocha.ledger.values import ENDED, Assessment, Step


class WriteBacks(LedgerPart):
    """Write-backs, their steps, and notices."""

    def _to_write(self) -> Any:
        """SQL: unwritten, and ended as far as is known, or iMocha has called back: the report then says."""
        return and_(
            assessments.c.written_at.is_(None),
            or_(
                assessments.c.invitation_id.in_(select(invitations.c.id).where(invitations.c.status.in_(ENDED))),
                assessments.c.invitation_id.in_(select(called_back(self._clock()).c.invitation_id)),
            ),
        )

    def due_write_backs(self, limit: int = 5000) -> list[str]:
        """Return the opportunities with an attempt to write back that nobody works on, and whose time has come."""
        query = (
            select(assessments.c.opportunity_id)
            .where(self._to_write(), claimable(assessments, self._clock()))
            .group_by(assessments.c.opportunity_id)
            .order_by(func.min(assessments.c.id))
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def newest_write_back(self, *, since: datetime) -> str | None:
        """Return the opportunity that iMocha called back about last, after a time, if nobody works on it."""
        news = called_back(self._clock())
        query = (
            select(assessments.c.opportunity_id)
            .join(news, news.c.invitation_id == assessments.c.invitation_id)
            .where(
                news.c.received_at > since, assessments.c.written_at.is_(None), claimable(assessments, self._clock())
            )
            .order_by(news.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def claim_write_back(self, opportunity_id: str, *, worker: str, only_due: bool = False) -> list[Assessment]:
        """Take all that is to be written back; empty when another worker works on any of it.

        :param only_due: not before the time set for the next try; a person's order counts more than that time.
        """
        self._stay_alive()
        with self._engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(opportunity_id))))
            busy = select(true()).where(assessments.c.opportunity_id == opportunity_id, ~unclaimed(assessments))
            if connection.execute(busy.limit(1)).first():
                return []
            claimed = connection.execute(
                update(assessments)
                .where(
                    assessments.c.opportunity_id == opportunity_id,
                    self._to_write(),
                    claimable(assessments, self._clock()) if only_due else true(),
                )
                .values(claimed_by=worker)
                .returning(assessments.c.id)
            ).scalars()
            query = select_assessments().where(assessments.c.id.in_(list(claimed))).order_by(assessments.c.id)
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
            .values(written_at=self._clock(), claimed_by=None, not_before=None, reason=None)
        )

    def release_write_back(
        self, assessment_id: int, *, worker: str, reason: str, not_before: datetime | None = None
    ) -> None:
        """Give an assessment back unwritten. Another worker's claim is left alone."""
        self._update(
            update(assessments)
            .where(
                assessments.c.id == assessment_id,
                assessments.c.written_at.is_(None),
                assessments.c.claimed_by == worker,
            )
            .values(claimed_by=None, reason=reason, not_before=not_before, tries=assessments.c.tries + 1)
        )

    def step(self, invitation_id: int, opportunity_id: str, step: str) -> Step | None:
        """What is known of one step."""
        c = write_back_steps.c
        query = select(c.started_at, c.done_at, c.vendor_id).where(
            c.invitation_id == invitation_id, c.opportunity_id == opportunity_id, c.step == step
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
            return Step(**row._mapping) if row else None

    def created_ids(self, opportunity_id: str, step: str) -> set[str]:
        """Lever's ids of what a step has made on an opportunity, for any of its invitations."""
        c = write_back_steps.c
        query = select(c.vendor_id).where(
            c.opportunity_id == opportunity_id, c.step == step, c.done_at.is_not(None), c.vendor_id.is_not(None)
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def check_write_back_claim(self, opportunity_id: str, *, worker: str) -> None:
        """Make sure that a worker still holds an opportunity's write-back.

        :raises ClaimLostError: it does not.
        """
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.execute(self._claimed(opportunity_id, worker).limit(1)).first() is None:
                raise ClaimLostError(opportunity_id)

    def start_step(self, invitation_id: int, opportunity_id: str, step: str, *, worker: str) -> None:
        """Record that a step is about to be sent, if the worker still holds the claim: one statement does both.

        :raises ClaimLostError: it does not; nothing is recorded.
        """
        mine = self._claimed(opportunity_id, worker).where(assessments.c.invitation_id == invitation_id)
        # The row is locked: who takes over at this moment is waited for, or waits and then sees the step.
        claimed = mine.with_for_update().cte()
        started = (
            insert(write_back_steps)
            .from_select(
                ["invitation_id", "opportunity_id", "step", "started_at"],
                select(
                    claimed.c.invitation_id,
                    claimed.c.opportunity_id,
                    literal(step),
                    literal(self._clock(), DateTime(timezone=True)),
                ),
            )
            .on_conflict_do_nothing()
            .cte()
        )
        statement = select(func.count()).select_from(claimed).add_cte(started)
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.execute(statement).scalar_one():
                raise ClaimLostError(opportunity_id)

    @staticmethod
    def _claimed(opportunity_id: str, worker: str) -> Select[Any]:
        return select(assessments.c.opportunity_id, assessments.c.invitation_id).where(
            assessments.c.opportunity_id == opportunity_id, assessments.c.claimed_by == worker
        )

    def finish_step(self, invitation_id: int, opportunity_id: str, step: str, *, vendor_id: str | None) -> None:
        """Record that a step is known done, with the id of what was made; also when it was found and not made."""
        now = self._clock()
        values = {"done_at": now, "vendor_id": vendor_id}
        done = insert(write_back_steps).values(
            invitation_id=invitation_id, opportunity_id=opportunity_id, step=step, started_at=now, **values
        )
        event = insert(events).values(
            at=now, kind=f"{step}_done", opportunity_id=opportunity_id, invitation_id=invitation_id
        )
        keys = ["invitation_id", "opportunity_id", "step"]
        with self._engine.begin() as connection:
            connection.execute(done.on_conflict_do_update(index_elements=keys, set_=values))
            connection.execute(event)

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
