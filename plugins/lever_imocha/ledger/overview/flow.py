"""How many come how far, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.overview.shared import AT_MOST, sql_list


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """How far those who entered a trigger stage in a period have come: of all, or of one group.

    Who was not invited has no test; who has two tests counts once as entered, and twice as invited and further on.
    Durations are in seconds: the median, and what 95 of 100 take at most.

    :param by: how they are grouped: ``all``, ``week``, ``test``, ``posting`` or ``rule``.
    :param week: the first day of the week in which they entered.
    :param stage_id: the trigger stage of the rule.
    :param completed_stage_id: of the rule; None for those who were not invited.
    """

    by: str
    test_id: int | None
    week: datetime | None
    posting_id: str | None
    stage_id: str | None
    completed_stage_id: str | None
    form_template: str | None
    entered: int
    held: int
    invited: int
    started: int
    ended: int
    written: int
    expired: int
    cancelled: int
    move_to_invitation: tuple[float, float] | None
    invitation_to_start: tuple[float, float] | None
    end_to_report: tuple[float, float] | None

    @property
    def lost(self) -> int:
        """How many were lost before they started: the invitation has expired, or was cancelled."""
        return self.expired + self.cancelled


def _quantiles(begin: str, end: str) -> str:
    """Return as SQL the median and the 95th percentile of the seconds between two times."""
    took = f"extract(epoch FROM {end} - {begin})::float8"
    return f"percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY {took}) FILTER (WHERE {end} > {begin})"


_ENDED = sql_list(status for status in AttemptStatus if status.is_ended)
_FLOW = f"""
WITH cohort AS (
    SELECT e.id, date_trunc('week', e.entered_at, 'UTC') AS week, e.decision, e.entered_at,
        e.facts #>> '{{posting_ids,0}}' AS posting_id, e.stage_id, mine.*
    FROM (
        SELECT * FROM lever_imocha.stage_entries WHERE entered_at >= :since ORDER BY entered_at DESC LIMIT {AT_MOST}
    ) e
    LEFT JOIN LATERAL (
        SELECT a.test_id, a.completed_stage_id, a.form_template, a.written_at,
               i.id AS invitation_id, i.status, i.invited_at, i.ended_at, (
            SELECT min(v.at) FROM lever_imocha.events v
            WHERE v.invitation_id = i.id AND v.opportunity_id IS NULL AND v.kind = '{AttemptStatus.IN_PROGRESS}'
        ) AS started_at
        FROM lever_imocha.assessments a LEFT JOIN lever_imocha.invitations i ON i.id = a.invitation_id
        WHERE a.opportunity_id = e.opportunity_id AND a.entry_id = e.id
        OFFSET 0  -- looked up for each arrival, and not joined as whole tables
    ) mine ON true
)
SELECT CASE grouping(week, test_id, posting_id, stage_id)
           WHEN 15 THEN 'all' WHEN 7 THEN 'week' WHEN 11 THEN 'test' WHEN 13 THEN 'posting' ELSE 'rule' END AS by,
    test_id, week, posting_id, stage_id, completed_stage_id, form_template,
    count(DISTINCT id) AS entered, count(DISTINCT id) FILTER (WHERE decision = 'hold') AS held,
    count(invitation_id) AS invited,
    count(*) FILTER (WHERE started_at IS NOT NULL OR status IN ('{AttemptStatus.IN_PROGRESS}', {_ENDED})) AS started,
    count(*) FILTER (WHERE status IN ({_ENDED})) AS ended, count(written_at) AS written,
    count(*) FILTER (WHERE status = '{AttemptStatus.EXPIRED}') AS expired,
    count(*) FILTER (WHERE status = '{AttemptStatus.CANCELLED}') AS cancelled,
    {_quantiles("entered_at", "invited_at")} AS move_to_invitation,
    {_quantiles("invited_at", "started_at")} AS invitation_to_start,
    {_quantiles("ended_at", "written_at")} AS end_to_report
FROM cohort
GROUP BY GROUPING SETS ((), (week), (test_id), (posting_id), (stage_id, completed_stage_id, form_template))
ORDER BY grouping(week, test_id, posting_id, stage_id) DESC, week, entered DESC, test_id, posting_id, stage_id
"""  # noqa: S608 - constants


class Flow(LedgerPart):
    """Reads; never writes."""

    def cohorts(self, *, since: datetime) -> list[Cohort]:
        """Return how far those who entered since a time have come: all, then by week, test, posting, rule.

        Of more than `AT_MOST` arrivals, the latest count.
        """
        rows = self._database.rows(text(_FLOW).bindparams(since=since))
        return [Cohort(**row._mapping) for row in rows]
