"""What was made at a vendor: once each, begun before it is sent, done when its id is known."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.errors import ClaimLostError
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.events import GIVEN, appended
from lever_imocha.ledger.tables import effects
from lever_imocha.ledger.values import Effect, EffectState, WorkItem
from lever_imocha.ledger.work_queue import claimed_by

_FINISH = text(
    f"""
    WITH done AS (
        INSERT INTO {effects} (opportunity_id, subject, step, started_at, done_at, vendor_id)
        VALUES (:opportunity_id, :subject, :step, :now, :now, :vendor_id)
        ON CONFLICT (opportunity_id, subject, step) DO UPDATE
            SET done_at = excluded.done_at, vendor_id = excluded.vendor_id
    ), {appended(GIVEN)}
    """  # noqa: S608 - constants
)


class Effects(LedgerPart):
    """Effects."""

    def state(self, effect: Effect) -> EffectState | None:
        """Return what is known of an effect; None when it was never begun."""
        c = effects.c
        query = select(c.started_at, c.done_at, c.vendor_id, c.content).where(
            c.opportunity_id == effect.opportunity_id, c.subject == effect.subject, c.step == effect.step
        )
        rows = self._database.rows(query)
        return EffectState(**rows[0]._mapping) if rows else None

    def created_ids(self, opportunity_id: str, step: str) -> set[str]:
        """Return the vendor's ids of what a step has made on an opportunity, for any subject."""
        c = effects.c
        query = select(c.vendor_id).where(c.opportunity_id == opportunity_id, c.step == step, c.vendor_id.is_not(None))
        return set(self._database.values(query))

    def last_made(self, effect: Effect) -> str | None:
        """Return the vendor's id of what a step has made last, of the effect or one of its revisions."""
        c = effects.c
        same = or_(c.subject == effect.subject, c.subject.startswith(f"{effect.subject} revision ", autoescape=True))
        query = select(c.vendor_id).where(c.opportunity_id == effect.opportunity_id, c.step == effect.step, same)
        found: str | None = self._database.value(
            query.where(c.done_at.is_not(None)).order_by(c.done_at.desc()).limit(1)
        )
        return found

    def start(self, effect: Effect, item: WorkItem) -> None:
        """Record that an effect is about to be sent, if the worker still holds the work item: one statement does both.

        :raises ClaimLostError: it does not hold it; nothing is recorded.
        """
        held = claimed_by(item.opportunity_id, item.kind, item.worker).cte("held")
        started = (
            insert(effects)
            .from_select(
                ["opportunity_id", "subject", "step", "started_at"],
                select(
                    literal(effect.opportunity_id),
                    literal(effect.subject),
                    literal(effect.step),
                    literal(self._database.now(), DateTime(timezone=True)),
                ).select_from(held),
            )
            .on_conflict_do_nothing()
            .cte("started")
        )
        if not self._database.value(select(func.count()).select_from(held).add_cte(started)):
            raise ClaimLostError(item.opportunity_id)

    def finish(self, effect: Effect, *, vendor_id: str | None) -> None:
        """Record that an effect is there, with the id of what was made; also when it was found and not made."""
        said = {
            "now": self._database.now(), "kind": f"{effect.step}_done", **vars(effect), "vendor_id": vendor_id,
            "invitation_id": None, "test_id": None, "detail": vendor_id, "facts": None,
        }  # fmt: skip
        self._database.execute(_FINISH, said | vars(self._database.author))

    def remember(self, effect: Effect, content: dict[str, Any]) -> None:
        """Record what an effect says now, or is about to say."""
        c = effects.c
        self._database.execute(
            update(effects)
            .where(c.opportunity_id == effect.opportunity_id, c.subject == effect.subject, c.step == effect.step)
            .values(content=content)
        )
