"""Stores webhooks and callbacks, once each, and makes the work that they ask for due."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text, true, update

from lever_imocha.ledger.cache import SETTINGS
from lever_imocha.ledger.tables import assessments, deliveries, invitations
from lever_imocha.ledger.values import WORK_OF_VENDOR, NewDelivery
from lever_imocha.ledger.work_queue import MAKE_DUE, QueueingPart, channel

_KEEP = f"""
WITH known AS (
    SELECT 1 WHERE %(invitation_id)s::bigint IS NULL
    UNION ALL SELECT 1 FROM lever_imocha.invitations WHERE id = %(invitation_id)s::bigint
), relevant AS (
    SELECT NOT %(handled)s AND CASE
        WHEN %(invitation_id)s::bigint IS NOT NULL THEN EXISTS (
            SELECT 1 FROM lever_imocha.assessments
            WHERE invitation_id = %(invitation_id)s::bigint AND written_at IS NULL
        )
        WHEN %(to_stage_id)s::text IS NOT NULL THEN
            NOT EXISTS (SELECT 1 FROM lever_imocha.reference WHERE key = '{SETTINGS}')
            OR EXISTS (
                SELECT 1 FROM lever_imocha.reference, jsonb_array_elements(value -> 'rules') AS rule
                WHERE key = '{SETTINGS}' AND rule ->> 'trigger_stage_id' = %(to_stage_id)s::text
            )
            OR EXISTS (
                SELECT 1 FROM lever_imocha.assessments JOIN lever_imocha.invitations
                    ON invitations.id = assessments.invitation_id
                WHERE opportunity_id = %(opportunity_id)s::text AND status IN ('pending', 'unknown')
            )
            OR EXISTS (
                SELECT 1 FROM lever_imocha.assessments
                WHERE opportunity_id = %(opportunity_id)s::text AND intended_at IS NOT NULL
            )
            OR EXISTS (
                SELECT 1 FROM lever_imocha.stage_entries
                WHERE opportunity_id = %(opportunity_id)s::text AND (decided_at IS NULL OR decision = 'hold')
            )
        ELSE true
    END AS yes
), kept AS (
    INSERT INTO lever_imocha.deliveries (vendor, key, event, opportunity_id, invitation_id, received_at)
    SELECT %(vendor)s, %(key)s, %(event)s, %(opportunity_id)s::text, %(invitation_id)s::bigint,
           %(received_at)s::timestamptz
    FROM known
    ON CONFLICT DO NOTHING
    RETURNING id
), called_back AS (
    UPDATE lever_imocha.invitations SET called_back_at = %(received_at)s::timestamptz
    FROM kept, relevant WHERE yes AND invitations.id = %(invitation_id)s::bigint
), concerned AS (
    SELECT %(opportunity_id)s::text AS opportunity_id WHERE %(opportunity_id)s::text IS NOT NULL
    UNION ALL
    SELECT opportunity_id FROM lever_imocha.assessments
    WHERE invitation_id = %(invitation_id)s::bigint AND written_at IS NULL
), queued AS (
    INSERT INTO lever_imocha.work_items AS item (opportunity_id, kind, queued_at, starts_run)
    SELECT opportunity_id, %(kind)s, %(received_at)s::timestamptz, true
    FROM kept, relevant, concerned WHERE yes {MAKE_DUE}
)
SELECT id, CASE WHEN yes THEN pg_notify(%(channel)s, '') END FROM kept, relevant
"""  # noqa: S608 - a constant
"""The busiest statement, in one round trip and as text: SQLAlchemy would compile its ON CONFLICT anew every time.

Not relevant, and no work, are a callback about an attempt that is written back, and a move to a stage that is no trigger
stage, of somebody of whom nothing is open: such as our own moves. While the stages are not known yet, every move is
relevant.
"""


_COUNT_REFUSED = text(
    """
    INSERT INTO lever_imocha.refusals AS known (vendor, day, why, count, last_at)
    VALUES (:vendor, CAST(CAST(:now AS timestamptz) AT TIME ZONE 'UTC' AS date), :why, :count, :now)
    ON CONFLICT (vendor, day, why) DO UPDATE
        SET count = known.count + excluded.count, last_at = greatest(known.last_at, excluded.last_at)
    """
)


class Deliveries(QueueingPart):
    """Deliveries of both vendors."""

    def record(self, delivery: NewDelivery) -> bool:
        """Store a delivery, and make what it asks for due.

        :return: False when it was there already, or is about an invitation that is not ours.
        """
        kind = WORK_OF_VENDOR[delivery.vendor][0]
        values = {
            "vendor": delivery.vendor, "key": delivery.key, "event": delivery.event,
            "received_at": self._database.now(), "opportunity_id": delivery.opportunity_id,
            "invitation_id": delivery.invitation_id, "to_stage_id": delivery.to_stage_id, "handled": delivery.handled,
            "kind": kind.value, "channel": channel(kind),
        }  # fmt: skip
        with self._database.statement() as connection:
            return connection.exec_driver_sql(_KEEP, values).first() is not None

    def count_refused(self, vendor: str, why: str, count: int) -> None:
        """Count deliveries in a vendor's name that were refused.

        :param why: one of few texts, with nothing in it that the sender wrote.
        """
        values = {"vendor": vendor, "why": why, "count": count, "now": self._database.now()}
        self._database.execute(_COUNT_REFUSED, values)

    def concerned(self, delivery_id: int) -> list[str]:
        """Return the opportunities that a stored delivery is about; none when it is not stored any more."""
        c, own = deliveries.c, assessments.c
        about = select(own.opportunity_id).join(deliveries, c.invitation_id == own.invitation_id)
        named = select(c.opportunity_id).where(c.id == delivery_id, c.opportunity_id.is_not(None))
        return sorted(self._database.values(named.union(about.where(c.id == delivery_id))))

    def replay(self, delivery_id: int, opportunity_id: str) -> bool:
        """Make what a stored delivery asks for due again, for one opportunity.

        :return: False when nothing is left to do: its report is in Lever, or the delivery is not stored any more.
        """
        c, own = deliveries.c, assessments.c
        rows = self._database.rows(select(c.vendor, c.invitation_id).where(c.id == delivery_id))
        if not rows:
            return False
        ((vendor, invitation_id),) = rows
        if vendor == "imocha":
            named = true() if invitation_id is None else own.invitation_id == invitation_id
            unwritten = select(own.invitation_id).where(
                own.opportunity_id == opportunity_id, own.written_at.is_(None), named
            )
            called = (
                update(invitations).where(invitations.c.id.in_(unwritten)).values(called_back_at=self._database.now())
            )
            if not self._database.values(called.returning(invitations.c.id)):
                return False
        self._queue.enqueue([opportunity_id], WORK_OF_VENDOR[vendor][0], starts_run=True)
        return True

    def has_stage_change(self, opportunity_id: str, *, since: datetime) -> bool:
        """Tell whether Lever has told of a stage change of an opportunity since a time."""
        c = deliveries.c
        query = select(true()).where(
            c.opportunity_id == opportunity_id, c.event == "candidateStageChange", c.received_at >= since
        )
        return self._database.value(query.limit(1)) is not None

    def last(self, vendor: str) -> datetime | None:
        """Return when a vendor's last delivery came; None when there is none."""
        c = deliveries.c
        query = select(c.received_at).where(c.vendor == vendor).order_by(c.received_at.desc()).limit(1)
        found: datetime | None = self._database.value(query)
        return found
