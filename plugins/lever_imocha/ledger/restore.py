"""Detects that a backup of the ledger was restored: the vendors then know more than the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.base import Database, LedgerPart
from lever_imocha.ledger.cache import Cache
from lever_imocha.ledger.events import Events
from lever_imocha.ledger.tables import events, reference
from lever_imocha.ledger.watermarks import Watermarks

_IDENTITY, _RESTORED = "ledger.identity", "ledger.restored"
_RECENT = timedelta(days=30)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


class RestoreDetection(LedgerPart):
    """Compares the ledger with the last event that was seen outside of it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._cache, self._events, self._watermarks = Cache(database), Events(database), Watermarks(database)

    def last_event(self) -> dict[str, Any]:
        """Return the timeline's last event as JSON, by which this very ledger is known again: see `is_same_history`."""
        self._database.execute(
            insert(reference)
            .values(key=_IDENTITY, value={"id": uuid.uuid4().hex}, read_at=self._database.now())
            .on_conflict_do_nothing()
        )
        rows = self._database.rows(select(events.c.id, events.c.at).order_by(events.c.id.desc()).limit(1))
        identity = self._cache.get(_IDENTITY) or {}
        last = {"event": rows[0].id, "at": _utc(rows[0].at)} if rows else {}
        return {"ledger": identity["id"]} | last

    def is_same_history(self, seen: Mapping[str, Any]) -> bool:
        """Return False when this ledger once knew an event it does not know now; another ledger's events are no matter.

        :param seen: what `last_event` returned earlier.
        """
        mine = self._cache.get(_IDENTITY)
        if mine is None or mine["id"] != seen.get("ledger") or "event" not in seen:
            return True
        at = self._database.value(select(events.c.at).where(events.c.id == seen["event"]))
        return at is not None and _utc(at) == seen["at"]

    def mark(self) -> None:
        """Record that a backup was put back: the vendors may know what this ledger does not."""
        self._events.record("restored")
        self._watermarks.put(_RESTORED, self._database.now())

    def is_recent(self) -> bool:
        """Tell whether a backup was put back lately: what is about to be made at a vendor may be there already."""
        restored = self._watermarks.get(_RESTORED)
        return restored is not None and self._database.now() - restored < _RECENT
