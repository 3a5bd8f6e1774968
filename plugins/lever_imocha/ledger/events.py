"""The timeline: what happened to whom, ids only."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import events
from lever_imocha.ledger.values import Event

SENT = ("invited", "refreshed", "reattempt_given")
"""Kinds of events: iMocha was asked for an e-mail, and has accepted it."""


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

    def newest(self, opportunity_id: str, kinds: Collection[str]) -> list[Event]:
        """Return an opportunity's events of some kinds, newest first."""
        c = events.c
        query = select(c.at, c.kind, c.test_id, c.invitation_id, c.detail).where(
            c.opportunity_id == opportunity_id, c.kind.in_(kinds)
        )
        return [Event(**row._mapping) for row in self._database.rows(query.order_by(c.id.desc()))]
