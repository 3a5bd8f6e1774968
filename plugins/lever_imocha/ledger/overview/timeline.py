"""What was told, decided and done: about one opportunity, or in one run of a DAG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.events import ABOUT, CONTENT
from lever_imocha.ledger.overview.shared import AT_MOST


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One line of a timeline.

    :param source: who told or did it: ``webhook``, ``callback``, ``sweep``, ``read``, ``workflow``, ``console``,
        ``command``.
    :param actor: the person, where it was one.
    :param delivery_id: of the delivery that it was.
    :param run: the run of a DAG that did it, as ``dag/run``; its task is ``task/map index``.
    :param facts: what it rests on.
    :param chain: which chain of events it belongs to, with its number there; None for what is not an event.
    :param content: what its hash is made of.
    """

    at: datetime
    source: str
    actor: str | None
    kind: str
    detail: str | None
    test_id: int | None
    invitation_id: int | None
    delivery_id: int | None
    run: str | None
    task: str | None
    facts: dict[str, Any] | None
    chain: str | None
    number: int | None
    hash: str | None
    content: str | None


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a run of a DAG has done about somebody."""

    opportunity_id: str
    name: str | None
    at: datetime
    kind: str
    detail: str | None
    test_id: int | None


TIMELINE = f"""
WITH mine AS (
    SELECT known.invitation_id
    FROM lever_imocha.assessments JOIN lever_imocha.assessment_invitations known ON known.assessment_id = assessments.id
    WHERE opportunity_id = :id
), told AS (
    SELECT entered_at AS at, first_seen_by AS source, 'entered' AS kind, stage_id AS detail, NULL::bigint AS test_id,
           NULL::bigint AS invitation_id, NULL::bigint AS delivery_id
    FROM lever_imocha.stage_entries WHERE opportunity_id = :id
    UNION ALL
    SELECT received_at, 'webhook', event, NULL, NULL, invitation_id, id
    FROM lever_imocha.deliveries WHERE opportunity_id = :id
    UNION ALL
    SELECT received_at, 'callback', event, NULL, NULL, invitation_id, id
    FROM lever_imocha.deliveries WHERE opportunity_id IS NULL AND invitation_id IN (SELECT invitation_id FROM mine)
    UNION ALL
    SELECT started_at, 'workflow', 'begun', step, NULL, NULL, NULL
    FROM lever_imocha.effects WHERE opportunity_id = :id AND done_at IS NULL
    UNION ALL
    SELECT at, 'workflow', CASE WHEN answered_at IS NULL THEN 'mail_unanswered' ELSE 'mail_accepted' END, NULL, test_id,
           NULL, NULL
    FROM lever_imocha.mails WHERE opportunity_id = :id
), recorded AS (
    SELECT * FROM lever_imocha.events WHERE opportunity_id = :id
    UNION ALL
    SELECT * FROM lever_imocha.events WHERE opportunity_id IS NULL AND invitation_id IN (SELECT invitation_id FROM mine)
)
SELECT at, source, NULL AS actor, kind, detail, test_id, invitation_id, delivery_id, NULL AS run, NULL AS task,
       NULL::jsonb AS facts, NULL AS chain, NULL::int AS number, NULL AS hash, NULL AS content
FROM told
UNION ALL
SELECT at, coalesce(source, 'workflow'), actor, CASE WHEN opportunity_id IS NULL THEN 'status_' || kind ELSE kind END,
       detail, test_id, invitation_id, NULL, run, task, facts, {ABOUT}, number, encode(hash, 'hex'), {CONTENT}
FROM recorded
ORDER BY at DESC, number DESC NULLS LAST, kind LIMIT :limit
"""  # noqa: S608 - constants
_OF_RUN = f"""
WITH done AS (
    SELECT * FROM lever_imocha.events WHERE run = :run AND (CAST(:task AS text) IS NULL OR task = :task)
    ORDER BY id LIMIT {AT_MOST}
)
SELECT coalesce(done.opportunity_id, own.opportunity_id) AS opportunity_id, known.name, done.at, done.detail,
       CASE WHEN done.opportunity_id IS NULL THEN 'status_' || kind ELSE kind END AS kind, done.test_id
FROM done
LEFT JOIN lever_imocha.assessments own ON done.opportunity_id IS NULL AND own.invitation_id = done.invitation_id
LEFT JOIN lever_imocha.opportunities known
    ON known.opportunity_id = coalesce(done.opportunity_id, own.opportunity_id)
WHERE coalesce(done.opportunity_id, own.opportunity_id) IS NOT NULL
ORDER BY done.id
"""  # noqa: S608 - constants


class Timeline(LedgerPart):
    """Reads; never writes."""

    def of(self, opportunity_id: str, *, limit: int = 500) -> list[Moment]:
        """Return what was told, decided and done about an opportunity, the latest first."""
        rows = self._database.rows(text(TIMELINE).bindparams(id=opportunity_id, limit=limit))
        return [Moment(**row._mapping) for row in rows]

    def of_run(self, run: str, *, task: str | None = None) -> list[Done]:
        """Return what a run of a DAG has done, in that order.

        :param run: as in the events' `Author`, ``dag/run``.
        :param task: of one task only, ``task/map index``.
        """
        rows = self._database.rows(text(_OF_RUN).bindparams(run=run, task=task))
        return [Done(**row._mapping) for row in rows]
