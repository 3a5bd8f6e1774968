"""Stores webhooks and callbacks, and sends a PostgreSQL NOTIFY for each new one that is to be acted on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Subquery, delete, or_, select, update

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import SCHEMA, assessments, deliveries
from lever_imocha.ledger.values import NewDelivery


def channel(vendor: str) -> str:
    """Return the PostgreSQL channel that announces a vendor's new deliveries."""
    return f"{SCHEMA}_{vendor}"


_KEEP = """
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
            NOT EXISTS (SELECT 1 FROM lever_imocha.reference WHERE key = 'lever')
            OR EXISTS (
                SELECT 1 FROM lever_imocha.reference, jsonb_array_elements(value -> 'rules') AS rule
                WHERE key = 'lever' AND rule ->> 'trigger_stage_id' = %(to_stage_id)s::text
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
    INSERT INTO lever_imocha.deliveries
        (vendor, key, event, opportunity_id, invitation_id, received_at, handled_at)
    SELECT %(vendor)s, %(key)s, %(event)s, %(opportunity_id)s::text, %(invitation_id)s::bigint,
           %(received_at)s::timestamptz, CASE WHEN NOT yes THEN %(received_at)s::timestamptz END
    FROM known, relevant
    ON CONFLICT DO NOTHING
    RETURNING id
), freed AS (
    UPDATE lever_imocha.opportunities SET not_before = NULL FROM relevant
    WHERE opportunity_id = %(opportunity_id)s::text AND not_before IS NOT NULL AND yes
)
SELECT id, CASE WHEN yes THEN pg_notify(%(channel)s, '') END FROM kept, relevant
"""
"""The busiest statement, in one round trip and as text: SQLAlchemy would compile its ON CONFLICT anew every time.

Not relevant, and so handled at once, are a callback about an attempt that is written back, and a move to a stage that
is no trigger stage, of somebody of whom nothing is open: such as our own moves. Should the stages be unknown yet, every
move is relevant. A relevant delivery is tried now, even if the last try was to wait.
"""


def called_back(now: datetime) -> Subquery:
    """SQL: the callbacks of iMocha that wait to be acted on now."""
    c = deliveries.c
    return (
        select(c.id, c.invitation_id, c.received_at)
        .where(c.vendor == "imocha", c.handled_at.is_(None), or_(c.not_before.is_(None), c.not_before <= now))
        .subquery()
    )


class Deliveries(LedgerPart):
    """Deliveries of both vendors."""

    def record_delivery(self, delivery: NewDelivery) -> bool:
        """Store a delivery, and notify whoever listens for its vendor.

        :return: False when it was there already, or is about an invitation that is not ours.
        """
        now = self._clock()
        values = {
            "vendor": delivery.vendor, "key": delivery.key, "event": delivery.event, "received_at": now,
            "opportunity_id": delivery.opportunity_id, "invitation_id": delivery.invitation_id,
            "to_stage_id": delivery.to_stage_id, "handled": delivery.handled, "channel": channel(delivery.vendor),
        }  # fmt: skip
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return connection.exec_driver_sql(_KEEP, values).first() is not None

    def deliveries_of(self, opportunity_id: str) -> list[int]:
        """Unhandled deliveries about an opportunity."""
        query = select(deliveries.c.id).where(
            deliveries.c.vendor == "lever",
            deliveries.c.opportunity_id == opportunity_id,
            deliveries.c.handled_at.is_(None),
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def callbacks(self, limit: int = 200) -> dict[int, int]:
        """Return the callbacks of iMocha that wait to be acted on now: delivery id -> invitation id, oldest first."""
        query = (
            select(deliveries.c.id, deliveries.c.invitation_id)
            .where(
                deliveries.c.id.in_(select(called_back(self._clock()).c.id)),
                deliveries.c.invitation_id.in_(
                    select(assessments.c.invitation_id).where(assessments.c.written_at.is_(None))
                ),
            )
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return {row.id: row.invitation_id for row in connection.execute(query)}

    def callbacks_about(self, invitation_ids: Collection[int]) -> list[int]:
        """Return the unhandled callbacks about some invitations."""
        query = select(deliveries.c.id).where(
            deliveries.c.vendor == "imocha",
            deliveries.c.handled_at.is_(None),
            deliveries.c.invitation_id.in_(invitation_ids),
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def handle_deliveries(self, ids: Sequence[int]) -> None:
        """Record that deliveries were acted on."""
        if ids:
            self._update(update(deliveries).where(deliveries.c.id.in_(ids)).values(handled_at=self._clock()))

    def postpone_deliveries(self, ids: Sequence[int], *, not_before: datetime) -> None:
        """Set the time before which deliveries start no run; a sweep may find them earlier."""
        if ids:
            self._update(update(deliveries).where(deliveries.c.id.in_(ids)).values(not_before=not_before))

    def forget_deliveries(self, *, older_than: timedelta) -> None:
        """Drop handled deliveries no vendor will send again."""
        self._update(
            delete(deliveries).where(
                deliveries.c.handled_at.is_not(None), deliveries.c.received_at < self._clock() - older_than
            )
        )
