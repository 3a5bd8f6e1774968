"""What vendors told us: kept, and rung for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import SCHEMA, deliveries
from lever_imocha.ledger.values import NewDelivery


def channel(vendor: str) -> str:
    """The channel on which PostgreSQL tells that a vendor's delivery waits."""
    return f"{SCHEMA}_{vendor}"


_KEEP = """
WITH known AS (
    SELECT 1 WHERE %(invitation_id)s::bigint IS NULL
    UNION ALL SELECT 1 FROM lever_imocha.invitations WHERE id = %(invitation_id)s::bigint
), kept AS (
    INSERT INTO lever_imocha.deliveries
        (vendor, key, event, opportunity_id, invitation_id, received_at, handled_at)
    SELECT %(vendor)s, %(key)s, %(event)s, %(opportunity_id)s::text, %(invitation_id)s::bigint,
           %(received_at)s::timestamptz, %(handled_at)s::timestamptz
    FROM known
    ON CONFLICT DO NOTHING
    RETURNING id
), freed AS (
    UPDATE lever_imocha.opportunities SET not_before = NULL
    WHERE opportunity_id = %(opportunity_id)s::text AND not_before IS NOT NULL
)
SELECT id, CASE WHEN %(rings)s THEN pg_notify(%(bell)s, '') END FROM kept
"""
"""The busiest statement, in one round trip and as text: SQLAlchemy would compile its ON CONFLICT anew every time.

What was told about an opportunity is tried now, even if the last try was to wait.
"""


class Deliveries(LedgerPart):
    """Deliveries of both vendors."""

    def record_delivery(self, delivery: NewDelivery) -> bool:
        """Keep a delivery and wake whoever waits for its vendor's news.

        :return: False when it was there already, or is about an invitation that is not ours.
        """
        now = self._clock()
        values = {
            "vendor": delivery.vendor, "key": delivery.key, "event": delivery.event, "received_at": now,
            "opportunity_id": delivery.opportunity_id, "invitation_id": delivery.invitation_id,
            "handled_at": now if delivery.handled else None, "bell": channel(delivery.vendor), "rings": not delivery.handled,
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
        """Unhandled callbacks of iMocha: delivery id -> invitation id, oldest first."""
        query = (
            select(deliveries.c.id, deliveries.c.invitation_id)
            .where(deliveries.c.vendor == "imocha", deliveries.c.handled_at.is_(None))
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return {row.id: row.invitation_id for row in connection.execute(query)}

    def handle_deliveries(self, ids: Sequence[int]) -> None:
        """Record that deliveries were acted on."""
        if ids:
            self._update(update(deliveries).where(deliveries.c.id.in_(ids)).values(handled_at=self._clock()))

    def postpone_deliveries(self, ids: Sequence[int], *, not_before: datetime) -> None:
        """Have deliveries not ring again before a time; a sweep finds them earlier."""
        if ids:
            self._update(update(deliveries).where(deliveries.c.id.in_(ids)).values(not_before=not_before))

    def forget_deliveries(self, *, older_than: timedelta) -> None:
        """Drop handled deliveries no vendor will send again."""
        self._update(
            delete(deliveries).where(
                deliveries.c.handled_at.is_not(None), deliveries.c.received_at < self._clock() - older_than
            )
        )
