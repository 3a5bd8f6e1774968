"""The timeline: what happened to whom, ids only."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import events


class Events(LedgerPart):
    """Writes and reads the timeline."""

    def record_event(
        self,
        kind: str,
        *,
        opportunity_id: str | None = None,
        invitation_id: int | None = None,
        test_id: int | None = None,
        detail: str | None = None,
    ) -> None:
        """Add to the timeline; `detail` holds no personal data."""
        self._update(
            insert(events).values(
                at=self._clock(), kind=kind, opportunity_id=opportunity_id, invitation_id=invitation_id,
                test_id=test_id, detail=detail,
            )
        )  # fmt: skip

    def event_kinds(self, opportunity_id: str) -> list[str]:
        """An opportunity's timeline, as words."""
        query = select(events.c.kind).where(events.c.opportunity_id == opportunity_id).order_by(events.c.id)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def masked_invitations(self, opportunity_id: str) -> set[int]:
        """Invitations of an opportunity that iMocha was asked to mask, or that a person has to."""
        query = select(events.c.invitation_id).where(
            events.c.opportunity_id == opportunity_id, events.c.kind.in_(("masked", "mask_by_hand"))
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())
