"""Keeps display names, which can be erased."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Text, any_, cast, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import opportunities


class Names(LedgerPart):
    """Erases display names, and lists of whom one is kept."""

    def erase(self, opportunity_id: str) -> None:
        """Forget a candidate's name."""
        self._database.execute(
            update(opportunities).where(opportunities.c.opportunity_id == opportunity_id).values(name=None)
        )

    def stored_of(self, opportunity_ids: Sequence[str]) -> set[str]:
        """Return those of whom a name is kept."""
        query = select(opportunities.c.opportunity_id).where(
            opportunities.c.opportunity_id == any_(cast(list(opportunity_ids), ARRAY(Text))),
            opportunities.c.name.is_not(None),
        )
        return set(self._database.values(query))
