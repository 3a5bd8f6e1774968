"""What vendors told us: kept, and rung for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    Boolean,
    Text,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from lever_imocha.ledger.store import Store
from lever_imocha.ledger.tables import (
    SCHEMA,
    deliveries,
    opportunities,
)
from lever_imocha.ledger.values import NewDelivery


def bell(vendor: str) -> str:
    """The channel on which PostgreSQL tells that a vendor's delivery waits."""
    return f"{SCHEMA}_{vendor}"


def _keep_delivery() -> str:
    """One round trip for the busiest statement, compiled once: SQLAlchemy compiles ON CONFLICT anew every time."""
    names = ("vendor", "key", "event", "opportunity_id", "invitation_id", "received_at", "handled_at")
    columns = {name: bindparam(name, type_=deliveries.c[name].type) for name in names}
    kept = insert(deliveries).values(columns).on_conflict_do_nothing().returning(deliveries.c.id).cte("kept")
    freed = (
        update(opportunities)
        .where(
            opportunities.c.opportunity_id == bindparam("opportunity_id", type_=Text),
            opportunities.c.not_before.is_not(None),
        )
        .values(not_before=null())
        .cte("freed")
    )
    ring = case(
        (bindparam("rings", type_=Boolean), func.pg_notify(bindparam("bell", type_=Text), literal_column("''")))
    )
    return str(select(kept.c.id, ring).add_cte(freed).compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]


_KEEP_DELIVERY = _keep_delivery()


class Deliveries(Store):
    """Deliveries of both vendors."""

    def record_delivery(self, delivery: NewDelivery) -> bool:
        """Keep a delivery and wake whoever waits for its vendor's news.

        :return: False when it was there already.
        """
        now = self._clock()
        values = {
            "vendor": delivery.vendor, "key": delivery.key, "event": delivery.event, "received_at": now,
            "opportunity_id": delivery.opportunity_id, "invitation_id": delivery.invitation_id,
            "handled_at": now if delivery.handled else None, "bell": bell(delivery.vendor), "rings": not delivery.handled,
        }  # fmt: skip
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return connection.exec_driver_sql(_KEEP_DELIVERY, values).first() is not None

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
