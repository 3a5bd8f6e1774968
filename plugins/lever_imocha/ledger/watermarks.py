"""How far each sweep has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import watermarks


class Watermarks(LedgerPart):
    """Keeps one time for each sweep."""

    def watermark(self, name: str) -> datetime | None:
        """How far a sweep has come."""
        with self._engine.connect() as connection:
            return connection.execute(select(watermarks.c.at).where(watermarks.c.name == name)).scalar_one_or_none()

    def set_watermark(self, name: str, at: datetime) -> None:
        """Record how far a sweep has come."""
        statement = insert(watermarks).values(name=name, at=at)
        self._update(statement.on_conflict_do_update(index_elements=["name"], set_={"at": at}))
