"""Keeps what the settings have asked, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from lever_imocha.domain.settings_versions import Asks, SettingsVersion
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import settings_versions

_MOST = 100


class SettingsVersions(LedgerPart):
    """The versions of the settings, as far as they say who is to take which test.

    The first and the last hundred are kept: who came between is compared with the first, and rather left alone.
    """

    def all(self) -> list[SettingsVersion]:
        """Return all that are kept, the oldest first."""
        return [
            _version(row) for row in self._database.rows(select(settings_versions).order_by(settings_versions.c.id))
        ]

    def newest(self) -> SettingsVersion | None:
        """Return the last one; None when there is none."""
        query = select(settings_versions).order_by(settings_versions.c.id.desc()).limit(1)
        return next(map(_version, self._database.rows(query)), None)

    def add(self, asks: Asks, *, since: datetime) -> SettingsVersion:
        """Record a new version; of too many, the oldest but the first is forgotten."""
        c = settings_versions.c
        values = {"since": since, "asks": asks.model_dump(mode="json", exclude_defaults=True)}
        with self._database.transaction() as connection:
            (new,) = connection.execute(insert(settings_versions).values(values).returning(c.id)).scalars()
            first, last = select(func.min(c.id)).scalar_subquery(), select(c.id).order_by(c.id.desc()).limit(_MOST)
            connection.execute(delete(settings_versions).where(c.id != first, c.id.not_in(last)))
        return SettingsVersion(id=new, since=since, asks=asks)


def _version(row: Any) -> SettingsVersion:
    return SettingsVersion(id=row.id, since=row.since, asks=Asks.model_validate(row.asks))
