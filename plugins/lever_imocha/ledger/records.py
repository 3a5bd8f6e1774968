"""The timeline, reference data, how far sweeps have come, and whether this is the ledger we left."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.store import Store
from lever_imocha.ledger.tables import (
    events,
    opportunities,
    reference,
    watermarks,
)

_IDENTITY, _RESTORED = "ledger.identity", "ledger.restored"
_DOUBT = timedelta(days=30)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


class Records(Store):
    """What is no work itself."""

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

    def put_reference(self, key: str, value: dict[str, Any]) -> None:
        """Keep reference data for other tasks."""
        values = {"value": value, "read_at": self._clock()}
        statement = insert(reference).values(key=key, **values)
        self._update(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def get_reference(self, key: str, *, younger_than: timedelta | None = None) -> dict[str, Any] | None:
        """Reference data kept by `put_reference`."""
        query = select(reference.c.value).where(reference.c.key == key)
        if younger_than is not None:
            query = query.where(reference.c.read_at > self._clock() - younger_than)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def watermark(self, name: str) -> datetime | None:
        """How far a sweep has come."""
        with self._engine.connect() as connection:
            return connection.execute(select(watermarks.c.at).where(watermarks.c.name == name)).scalar_one_or_none()

    def set_watermark(self, name: str, at: datetime) -> None:
        """Record how far a sweep has come."""
        statement = insert(watermarks).values(name=name, at=at)
        self._update(statement.on_conflict_do_update(index_elements=["name"], set_={"at": at}))

    def erase_name(self, opportunity_id: str) -> None:
        """Forget a candidate's name."""
        self._update(update(opportunities).where(opportunities.c.opportunity_id == opportunity_id).values(name=None))

    def masked(self, opportunity_id: str) -> set[int]:
        """Invitations of an opportunity that iMocha was asked to mask, or that a person has to."""
        query = select(events.c.invitation_id).where(
            events.c.opportunity_id == opportunity_id, events.c.kind.in_(("masked", "mask_by_hand"))
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def named(self, opportunity_ids: Sequence[str]) -> set[str]:
        """Those of whom a name is kept."""
        query = select(opportunities.c.opportunity_id).where(
            opportunities.c.opportunity_id.in_(opportunity_ids), opportunities.c.name.is_not(None)
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

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
        identity = self.get_reference(_IDENTITY) or {}
        return {"ledger": identity["id"]} | ({"event": last.id, "at": _utc(last.at)} if last else {})

    def remembers(self, seen: Mapping[str, Any]) -> bool:
        """False when this ledger once knew an event it does not know now; another ledger's events are no matter.

        :param seen: what `last_event` returned earlier.
        """
        mine = self.get_reference(_IDENTITY)
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

    def in_doubt(self) -> bool:
        """A backup was put back lately: what is about to be made at a vendor may be there already."""
        restored = self.watermark(_RESTORED)
        return restored is not None and self._clock() - restored < _DOUBT
