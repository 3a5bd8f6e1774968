"""The timeline: what happened to whom, ids only."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import events


class Events(LedgerPart):
    """Writes and reads the timeline."""

    def record(
        self,
        kind: str,
        *,
        opportunity_id: str | None = None,
        invitation_id: int | None = None,
        test_id: int | None = None,
        detail: str | None = None,
    ) -> None:
        """Add to the timeline; `detail` holds no personal data."""
        self._database.execute(
            insert(events).values(
                at=self._database.now(), kind=kind, opportunity_id=opportunity_id, invitation_id=invitation_id,
                test_id=test_id, detail=detail,
            )
        )  # fmt: skip

    def kinds(self, opportunity_id: str) -> list[str]:
        """Return an opportunity's timeline, as words."""
        query = select(events.c.kind).where(events.c.opportunity_id == opportunity_id).order_by(events.c.id)
        return self._database.values(query)
