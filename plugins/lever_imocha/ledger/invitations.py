"""iMocha's invitations: their status as far as is known, and when it was asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, null, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger.assessments import ENDED, OPEN, WITHDRAWN
from lever_imocha.ledger.events import GIVEN, UTC, appended
from lever_imocha.ledger.tables import assessment_invitations, assessments, events, invitations
from lever_imocha.ledger.values import Work, WorkItem
from lever_imocha.ledger.work_queue import QueueingPart

_ENDED_WORDS, _WITHDRAWN_WORDS = (", ".join(f"'{word.value}'" for word in words) for words in (ENDED, WITHDRAWN))
_CHANGED = f"""
    SELECT CAST(:now AS timestamptz), status, CAST(NULL AS text), id, CAST(NULL AS bigint), CAST(NULL AS text),
           CASE WHEN called_back_at IS NOT NULL THEN jsonb_build_object('callback_at', {UTC.format("called_back_at")}) END
    FROM changed
"""  # noqa: S608 - constants
_CHANGE = text(
    f"""
    WITH said AS (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[])) AS given (id, status)
    ), found AS (
        SELECT known.id, said.status FROM {invitations} AS known JOIN said ON said.id = known.id
        WHERE known.status != said.status AND known.status NOT IN ({_ENDED_WORDS})
            -- a list may say what an invitation was before it was revived; when its window has ended, it is over anyhow
            AND NOT (:listed AND known.revived_at IS NOT NULL AND said.status IN ({_WITHDRAWN_WORDS})
                AND coalesce(known.expires_at > :now, true))
        ORDER BY known.id  -- two sweeps at once lock in the same order
        FOR UPDATE OF known
    ), changed AS (
        UPDATE {invitations} AS known SET status = found.status,
            ended_at = CASE WHEN found.status IN ({_ENDED_WORDS}) THEN CAST(:now AS timestamptz) ELSE known.ended_at END
        FROM found WHERE known.id = found.id
        RETURNING known.id, known.status, known.called_back_at
    ), {appended(_CHANGED)}
    RETURNING invitation_id
    """  # noqa: S608 - constants
)
_OF_OTHERS = text(
    f"""
    SELECT said.id FROM unnest(
        CAST(:ids AS bigint[]), CAST(:checks AS smallint[]), CAST(:tests AS bigint[])
    ) AS said (id, address_check, test_id)
    WHERE NOT coalesce((
        SELECT bool_or(own.address_check IS NULL OR own.address_check = said.address_check)
        FROM {assessments} AS own WHERE own.invitation_id = said.id AND said.address_check IS NOT NULL
    ), (
        SELECT known.test_id = said.test_id FROM {invitations} AS known WHERE known.id = said.id
    ), true)
    """  # noqa: S608 - constants
)
_MASK = text(
    f"""
    WITH masked AS (
        UPDATE {invitations} SET masked_at = :now WHERE id = :invitation_id
    ), {appended(GIVEN)}
    """  # noqa: S608 - constants
)


class Invitations(QueueingPart):
    """Invitations."""

    def record(
        self,
        assessment_id: int,
        *,
        invitation_id: int,
        test_id: int,
        status: AttemptStatus,
        entry_id: int | None,
        expires_at: datetime | None = None,
        address_check: int | None = None,
    ) -> AttemptStatus:
        """Record the invitation iMocha answered with, link it to the assessment, and enqueue a report that is there.

        The report is that of all opportunities with this invitation: nobody else may have noticed that the attempt has ended.

        :param entry_id: the arrival that is handled by it; None for none.
        :param expires_at: until when it can be used; None when this is not known.
        :param address_check: see `domain.acts.address_check`, of the invited address.
        :return: the status as far as is known: an ended attempt stays ended.
        """
        with self._database.transaction():
            now_known: AttemptStatus = self._database.value(self._recorded(invitation_id, test_id, status, expires_at))
            self._database.execute(
                _linked(assessment_id, invitation_id, entry_id=entry_id, address_check=address_check)
            )
            if now_known.is_ended:
                own = assessments.c
                unwritten = select(own.opportunity_id).where(
                    own.invitation_id == invitation_id, own.written_at.is_(None)
                )
                self._queue.enqueue(self._database.values(unwritten), Work.WRITE_BACK)
        return now_known

    def _recorded(self, invitation_id: int, test_id: int, status: AttemptStatus, expires_at: datetime | None) -> Any:
        """Return the statement that records an invitation, and returns its status."""
        now = self._database.now()
        new = insert(invitations).values(
            id=invitation_id, test_id=test_id, status=status, invited_at=now, times_invited=1,
            ended_at=now if status.is_ended else None, expires_at=expires_at,
        )  # fmt: skip
        known = invitations.c
        ended = known.status.in_(ENDED)
        return new.on_conflict_do_update(
            index_elements=["id"],
            set_={
                "times_invited": known.times_invited + 1,
                "status": case((ended, known.status), else_=new.excluded.status),
                "checked_at": case((ended, known.checked_at), else_=null()),
                "ended_at": case((ended, known.ended_at), else_=new.excluded.ended_at),
                "expires_at": new.excluded.expires_at,
                "revived_at": case((known.status.in_(WITHDRAWN), now), else_=known.revived_at),
            },
        ).returning(known.status)

    def status(self, invitation_id: int) -> AttemptStatus | None:
        """Return an invitation's status as far as is known; None when it is not ours."""
        found: AttemptStatus | None = self._database.value(
            select(invitations.c.status).where(invitations.c.id == invitation_id)
        )
        return found

    def set_status(
        self,
        statuses: Mapping[int, AttemptStatus],
        *,
        listed: bool = False,
        show: bool = False,
        written_by: WorkItem | None = None,
    ) -> list[int]:
        """Record what iMocha says of invitations, and enqueue the reports of attempts that have ended.

        Unknown ids are not ours, and an ended attempt stays ended.

        :param listed: read from a list, which may have an older row too (imocha.md 6.4): that an invitation is
            cancelled or expired counts only while it was never revived, and again when its window has ended.
        :param show: enqueue that Lever shows it.
        :param written_by: the work item under which the report is being written now: it need not be enqueued again.
        :return: the ids whose status changed.
        """
        if not statuses:
            return []
        with self._database.transaction():
            changed = self._change(statuses, listed=listed)
            if changed:
                concerned = self._database.rows(
                    select(assessments.c.opportunity_id, assessments.c.written_at, assessments.c.invitation_id).where(
                        assessments.c.invitation_id.in_(changed)
                    )
                )
                ended = {key for key in changed if statuses[key].is_ended}
                due = {row.opportunity_id for row in concerned if row.invitation_id in ended and not row.written_at}
                self._queue.enqueue(due - {written_by.opportunity_id if written_by else None}, Work.WRITE_BACK)
                if show:
                    self._queue.enqueue([row.opportunity_id for row in concerned], Work.STATUS, starts_run=True)
        return changed

    def _change(self, statuses: Mapping[int, AttemptStatus], *, listed: bool) -> list[int]:
        said = {
            "ids": list(statuses), "statuses": [word.value for word in statuses.values()], "listed": listed,
            "now": self._database.now(),
        }  # fmt: skip
        with self._database.statement() as connection:
            return list(connection.execute(_CHANGE, said | vars(self._database.author)).scalars())

    def of_others(self, said: Mapping[int, tuple[int | None, int | None]]) -> list[int]:
        """Return which invitations, as far as is known, were sent to other addresses, or to other tests, than iMocha says.

        :param said: by invitation, `domain.acts.address_check` of the address that iMocha names, and the test, which counts
            where it names no address, and for earlier attempts, of whose addresses the ledger knows nothing.
        """
        if not said:
            return []
        checks, tests = zip(*said.values(), strict=True)
        return self._database.values(_OF_OTHERS.bindparams(ids=list(said), checks=list(checks), tests=list(tests)))

    def have_reports_read(self, invitation_ids: Collection[int]) -> None:
        """Have a write-back read whether attempts have ended, as after a callback; ids that are not ours say nothing."""
        own = assessments.c
        unwritten = (own.invitation_id.in_(invitation_ids), own.written_at.is_(None))
        with self._database.transaction():
            self._database.execute(
                update(invitations)
                .where(
                    invitations.c.id.in_(select(own.invitation_id).where(*unwritten)),
                    invitations.c.called_back_at.is_(None),
                )
                .values(called_back_at=self._database.now())
            )
            concerned = self._database.values(select(own.opportunity_id).where(*unwritten))
            self._queue.enqueue(concerned, Work.WRITE_BACK, news=False)

    def to_mask(self, opportunity_id: str) -> list[int]:
        """Return all invitations that an opportunity ever had, earlier attempts included, but for the masked ones."""
        query = (
            select(invitations.c.id)
            .join(assessment_invitations, assessment_invitations.c.invitation_id == invitations.c.id)
            .join(assessments, assessments.c.id == assessment_invitations.c.assessment_id)
            .where(assessments.c.opportunity_id == opportunity_id, invitations.c.masked_at.is_(None))
            .order_by(invitations.c.id)
        )
        return self._database.values(query)

    def belongs_to(self, invitation_id: int) -> list[str]:
        """Return the opportunities that ever had an invitation: one person's."""
        query = (
            select(assessments.c.opportunity_id)
            .join(assessment_invitations, assessment_invitations.c.assessment_id == assessments.c.id)
            .where(assessment_invitations.c.invitation_id == invitation_id)
            .order_by(assessments.c.id)
        )
        return self._database.values(query)

    def lifetime(self, opportunity_id: str, invitation_id: int) -> tuple[datetime, datetime]:
        """Return when an invitation was sent, and when the ledger last learned something of it; now, if it is open."""
        of_sweeps = and_(events.c.opportunity_id.is_(None), events.c.invitation_id == invitation_id)
        own = and_(events.c.opportunity_id == opportunity_id, events.c.invitation_id == invitation_id)
        last = select(func.max(events.c.at)).where(or_(of_sweeps, own)).scalar_subquery()
        query = select(
            invitations.c.invited_at,
            func.greatest(
                invitations.c.invited_at,
                invitations.c.ended_at,
                last,
                case((invitations.c.status.in_(OPEN), self._database.now()), else_=null()),
            ).label("last"),
        )
        (row,) = self._database.rows(query.where(invitations.c.id == invitation_id))
        return row.invited_at, row.last

    def mark_masked(self, opportunity_id: str, invitation_id: int) -> None:
        """Record that iMocha has been asked to mask an invitation."""
        said = {
            "now": self._database.now(), "kind": "masked", "opportunity_id": opportunity_id,
            "invitation_id": invitation_id, "test_id": None, "detail": None, "facts": None,
        }  # fmt: skip
        self._database.execute(_MASK, said | vars(self._database.author))

    def to_check(self, *, older_than: timedelta, limit: int) -> list[int]:
        """Return open invitations whose report was never looked at, or not for a while; the longest waiting first.

        A time that is still to come was recorded by a clock that was ahead: it does not count.
        """
        now = self._database.now()
        query = (
            select(invitations.c.id)
            .where(
                invitations.c.status.in_(OPEN),
                or_(
                    invitations.c.checked_at.is_(None),
                    invitations.c.checked_at < now - older_than,
                    invitations.c.checked_at > now,
                ),
            )
            .order_by(invitations.c.checked_at.asc().nulls_first(), invitations.c.id)
            .limit(limit)
        )
        return self._database.values(query)

    def mark_checked(self, invitation_id: int) -> None:
        """Record that an invitation's report was looked at."""
        self._set(invitation_id, checked_at=self._database.now())

    def recheck(self, invitation_id: int) -> None:
        """Have an invitation's report looked at with the next sweep."""
        self._set(invitation_id, checked_at=None)

    def set_window(self, invitation_id: int, *, expires_at: datetime | None) -> None:
        """Record until when an invitation can be used; None when this is not known."""
        self._set(invitation_id, expires_at=expires_at)

    def mark_answered(self, invitation_id: int, called_back_at: datetime | None) -> None:
        """Record that a callback was acted on, unless another came since.

        :param called_back_at: as it was read before.
        """
        self._database.execute(
            update(invitations)
            .where(invitations.c.id == invitation_id, invitations.c.called_back_at == called_back_at)
            .values(called_back_at=None)
        )

    def _set(self, invitation_id: int, **values: Any) -> None:
        self._database.execute(update(invitations).where(invitations.c.id == invitation_id).values(**values))


def _linked(assessment_id: int, invitation_id: int, *, entry_id: int | None, address_check: int | None) -> Any:
    """Return the statement that makes an invitation that of an assessment."""
    same = assessments.c.invitation_id == invitation_id
    belongs = insert(assessment_invitations).values(assessment_id=assessment_id, invitation_id=invitation_id)
    return (
        update(assessments)
        .where(assessments.c.id == assessment_id)
        .values(
            invitation_id=invitation_id,
            address_check=address_check,
            intended_at=None,
            mails_tried=0,
            handled_entry_id=entry_id,
            left_as=None,
            written_at=case((same, assessments.c.written_at), else_=null()),
        )
        .add_cte(belongs.on_conflict_do_nothing().cte("belongs"))
    )
