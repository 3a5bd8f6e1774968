"""Detects that a backup of the ledger was restored: the vendors then know more than the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.cache import Cache
from lever_imocha.ledger.events import Events
from lever_imocha.ledger.tables import events, reference
from lever_imocha.ledger.watermarks import Watermarks

_IDENTITY, _RESTORED = "ledger.identity", "ledger.restored"
_RECENT = timedelta(days=30)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


class RestoreDetection(Cache, Events, Watermarks):
    """Compares the ledger with the last event that was seen outside of it."""

    def last_event(self) -> dict[str, Any]:
        """The timeline's last event as JSON, by which this very ledger is known again: see `remembers`."""
        self._update(
            insert(reference)
            .values(key=_IDENTITY, value={"id": uuid.uuid4().hex}, read_at=self._clock())
            .on_conflict_do_nothing()
        )
        query = select(events.c.id, events.c.at).order_by(events.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            last = connection.execute(query).first()
        identity = self.get_cached(_IDENTITY) or {}
        return {"ledger": identity["id"]} | ({"event": last.id, "at": _utc(last.at)} if last else {})

    def is_same_history(self, seen: Mapping[str, Any]) -> bool:
        """False when this ledger once knew an event it does not know now; another ledger's events are no matter.

        :param seen: what `last_event` returned earlier.
        """
        mine = self.get_cached(_IDENTITY)
        if mine is None or mine["id"] != seen.get("ledger") or "event" not in seen:
            return True
        query = select(events.c.at).where(events.c.id == seen["event"])
        with self._engine.connect() as connection:
            at = connection.execute(query).scalar_one_or_none()
        return at is not None and _utc(at) == seen["at"]

    def mark_restored(self) -> None:
        """Record that a backup was put back: the vendors may know what this ledger does not."""
        self.record_event("restored")
        self.set_watermark(_RESTORED, self._clock())

    def recently_restored(self) -> bool:
        """A backup was put back lately: what is about to be made at a vendor may be there already."""
        restored = self.watermark(_RESTORED)
        return restored is not None and self._clock() - restored < _RECENT
