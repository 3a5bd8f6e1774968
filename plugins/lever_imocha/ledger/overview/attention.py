"""For whom something is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from lever_imocha.domain.decisions import GOES_ON
from lever_imocha.domain.standing import NOBODY_NEEDED, ProblemKind
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.overview.shared import LATEST, sql_list
from lever_imocha.ledger.work_queue import DROPPED


@dataclass(frozen=True, kw_only=True)
class InTheWay:
    """Somebody for whom something is in the way.

    :param kind: what kind of problem it is.
    :param why: the reason of a hold, or the name of what went wrong.
    :param detail: the tag in question, or the kind of work.
    :param since: when the wait began.
    :param total: how many have the same kind of problem for the same reason.
    """

    kind: ProblemKind
    why: str
    detail: str
    opportunity_id: str
    name: str | None
    since: datetime
    total: int


_NOBODY_NEEDED, _GOES_ON = sql_list(NOBODY_NEEDED), sql_list(GOES_ON)
_ATTENTION = f"""
WITH found AS (
    SELECT CASE WHEN e.reason IN ({_NOBODY_NEEDED}) THEN '{ProblemKind.WAITS}' ELSE '{ProblemKind.HELD}' END AS kind,
           e.reason AS why, e.detail, e.opportunity_id, e.entered_at AS since
    FROM lever_imocha.stage_entries e WHERE e.decision = 'hold' AND {LATEST}
    UNION ALL
    SELECT CASE WHEN parked_at IS NOT NULL THEN '{ProblemKind.PARKED}'
                WHEN error IS NOT NULL THEN '{ProblemKind.FAILING}' ELSE '{ProblemKind.OVERDUE}' END,
           coalesce(error, kind), kind, opportunity_id, queued_at
    FROM lever_imocha.work_items
    WHERE coalesce(error, '') NOT IN ({_GOES_ON}, '{DROPPED}')
        AND (parked_at IS NOT NULL OR error IS NOT NULL OR coalesce(not_before, queued_at) < :overdue_before)
), counted AS (
    SELECT *, count(*) OVER same AS total,
           row_number() OVER (PARTITION BY kind, why ORDER BY since, opportunity_id) AS rank
    FROM found WHERE CAST(:kind AS text) IS NULL OR (kind = :kind AND why = :why)
    WINDOW same AS (PARTITION BY kind, why)
)
SELECT kind, why, detail, c.opportunity_id, o.name, since, total
FROM counted c LEFT JOIN lever_imocha.opportunities o ON o.opportunity_id = c.opportunity_id
WHERE rank > :skip AND rank <= :skip + :each
ORDER BY kind, why, rank
"""  # noqa: S608 - constants


class Attention(LedgerPart):
    """Reads; never writes."""

    def listed(
        self, *, overdue_before: datetime, each: int, kind: ProblemKind | None = None, why: str = "", skip: int = 0
    ) -> list[InTheWay]:
        """Return for whom something is in the way, by kind and reason, the longest waiting of each first.

        :param overdue_before: work that is queued since before this counts as overdue.
        :param each: at most so many for each reason.
        :param kind: with `why`: of one reason only.
        :param skip: of each reason, leave out so many first ones.
        """
        given = {"overdue_before": overdue_before, "each": each, "kind": kind, "why": why, "skip": skip}
        return [
            InTheWay(**{**row._mapping, "kind": ProblemKind(row.kind)})
            for row in self._database.rows(text(_ATTENTION).bindparams(**given))
        ]
