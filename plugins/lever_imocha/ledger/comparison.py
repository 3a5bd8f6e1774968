"""What the ledger knows of the records of a vendor's list, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from lever_imocha.domain.comparison import QueuedFor, RecordedArrival, RecordedAttempt
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.entries import IS_REMOVED
from lever_imocha.ledger.tables import SCHEMA
from lever_imocha.ledger.values import NewEntry, Work

_WORK = "work.kind IS NOT NULL AS queued, work.parked_at IS NOT NULL AS parked, work.error"
_ARRIVALS = text(
    f"""
    SELECT given.id, known.id IS NOT NULL AS recorded, known.decided_at IS NOT NULL AS decided, known.decision,
           known.reason, known.eligibility AS rests_on, {IS_REMOVED.format("given.id", "given.entered")} AS removed,
           {_WORK}, ARRAY(
               SELECT test_id FROM {SCHEMA}.assessments
               WHERE opportunity_id = given.id AND invitation_id IS NOT NULL
           ) AS invited
    FROM unnest(CAST(:ids AS text[]), CAST(:stages AS text[]), CAST(:times AS timestamptz[]))
        AS given (id, stage, entered)
    LEFT JOIN {SCHEMA}.stage_entries known ON known.opportunity_id = given.id AND known.stage_id = given.stage
        AND known.entered_at = given.entered
    LEFT JOIN {SCHEMA}.work_items work ON work.opportunity_id = given.id AND work.kind = '{Work.INVITE}'
    """  # noqa: S608 - constants
)
_ATTEMPTS = text(
    f"""
    SELECT i.id, i.status, mine.*
    FROM unnest(CAST(:ids AS bigint[])) AS given (id)
    JOIN {SCHEMA}.invitations i ON i.id = given.id
    LEFT JOIN LATERAL (
        SELECT a.opportunity_id, a.invitation_id = i.id AS current, a.written_at IS NOT NULL AS written, {_WORK}
        FROM {SCHEMA}.assessment_invitations link
        JOIN {SCHEMA}.assessments a ON a.id = link.assessment_id
        LEFT JOIN {SCHEMA}.work_items work
            ON work.opportunity_id = a.opportunity_id AND work.kind = '{Work.WRITE_BACK}'
        WHERE link.invitation_id = i.id
        ORDER BY a.invitation_id = i.id DESC, a.written_at IS NOT NULL, work.kind IS NOT NULL
        LIMIT 1
    ) mine ON true
    """  # noqa: S608 - constants
)
"""Of several opportunities that have one invitation, the one that still lacks the report and has no work queued."""


class Comparison(LedgerPart):
    """Looks up many records in one statement; never writes."""

    def arrivals(self, arrivals: Sequence[NewEntry]) -> dict[str, RecordedArrival]:
        """Return what is known of arrivals, by opportunity."""
        values = {
            "ids": [one.opportunity_id for one in arrivals], "stages": [one.stage_id for one in arrivals],
            "times": [one.entered_at for one in arrivals],
        }  # fmt: skip
        rows = self._database.rows(_ARRIVALS.bindparams(**values))
        return {
            row.id: RecordedArrival(
                recorded=row.recorded,
                removed=row.removed,
                decided=row.decided,
                decision=Action(row.decision) if row.decision else None,
                reason=Reason(row.reason) if row.reason else None,
                rests_on=row.rests_on,
                invited=frozenset(row.invited),
                work=_work(row._mapping),
            )
            for row in rows
        }

    def attempts(self, invitation_ids: Sequence[int]) -> dict[int, RecordedAttempt]:
        """Return what is known of invitations; those that are not ours are left out."""
        rows = self._database.rows(_ATTEMPTS.bindparams(ids=list(invitation_ids)))
        return {
            row.id: RecordedAttempt(
                opportunity_id=row.opportunity_id,
                status=AttemptStatus(row.status),
                current=bool(row.current),
                written=bool(row.written),
                work=_work(row._mapping),
            )
            for row in rows
        }


def _work(row: Mapping[str, Any]) -> QueuedFor | None:
    return QueuedFor(parked=row["parked"], error=row["error"]) if row["queued"] else None
