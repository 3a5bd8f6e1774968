"""What was looked up at a vendor, kept for the other tasks of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import reference

ACCOUNT, TESTS, LINKS, SETTINGS = "lever.account", "imocha.tests", "imocha.links", "lever"
NAMES, PROBLEMS, DOCTOR = "lever.names", "settings.problems", "doctor"
POSTINGS = "lever.postings"
"""The names of Lever's postings, by their ids."""
TRIED_KEY = "lever.key tried"
"""The mark of the API key of Lever whose permissions to write were tried by the set-up."""
COMPARISON = "comparison"
"""What comparing Lever, iMocha and the ledger found last."""
TEMPORARY_TAGS = "tags.borrowed"  # as ledgers of 0.1.0 have it
"""The tags that a tag sync has put on an opportunity for a moment."""
REFUSED = "webhooks.refused"
"""The last delivery that was refused; with a dot and the vendor's name."""
ACCOUNT_KEYS = (ACCOUNT, TESTS)
"""The values by which another account's key is noticed."""


class Cache(LedgerPart):
    """Keeps JSON values under a key."""

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keep a value for other tasks."""
        values = {"value": value, "read_at": self._database.now()}
        statement = insert(reference).values(key=key, **values)
        self._database.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def drop(self, *keys: str) -> None:
        """Forget values."""
        self._database.execute(delete(reference).where(reference.c.key.in_(keys)))

    def get(self, key: str, *, younger_than: timedelta | None = None) -> dict[str, Any] | None:
        """Return a value kept by `put`, or None."""
        query = select(reference.c.value).where(reference.c.key == key)
        if younger_than is not None:
            now = self._database.now()
            # What is kept from a time long ahead of us, a clock that was ahead has kept.
            query = query.where(reference.c.read_at.between(now - younger_than, now + younger_than))
        found: dict[str, Any] | None = self._database.value(query)
        return found

    def many(self, *keys: str) -> dict[str, dict[str, Any]]:
        """Return the values kept under some keys, by the key; those that are not there are left out."""
        query = select(reference.c.key, reference.c.value).where(reference.c.key.in_(keys))
        return dict(self._database.rows(query))
