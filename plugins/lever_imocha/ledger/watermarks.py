"""How far each sweep has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.errors import ClockError
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import watermarks

ACTIVATED = "activated"
"""When this ledger's first sweep began."""
SWEEP = "lever.sweep"
"""When a sweep of the trigger stages last began."""
CANCELLING_ALLOWED = "limits.cancel_share"
"""When a person last allowed to cancel more than the limit."""
FULL_SWEEP = "lever.full_sweep"
"""When everybody in the trigger stages was last looked at."""
REMOVED = "removed"
"""Until when those had entered their stage of whom everything was removed because it was over long ago."""


def trigger_stage(stage_id: str) -> str:
    """Name the time since when a stage is a trigger stage."""
    return f"trigger stage {stage_id}"


class Watermarks(LedgerPart):
    """Keeps one time for each sweep."""

    def get(self, name: str) -> datetime | None:
        """Return how far a sweep has come; None before the first one."""
        found: datetime | None = self._database.value(select(watermarks.c.at).where(watermarks.c.name == name))
        return found

    def past(self, name: str, now: datetime, *, again: timedelta = timedelta(0)) -> datetime | None:
        """Return how far a sweep has come, at most to now: a clock that was ahead once stops no sweep.

        :param again: how much is swept again after such a clock: what came since it was put right is not swept yet.
        """
        at = self.get(name)
        return at if at is None or at <= now else now - again

    def first(self, name: str, *, check: Callable[[], object] = lambda: None) -> datetime:
        """Return the time recorded under a name; when there is none yet, or one that is still to come, record one.

        What is new begins with the last sweep: whoever came since then came after the settings said it. Before the first
        sweep it begins now. One that is still to come was recorded by a clock that was ahead, unless it is ours that is
        behind: then it stays, or who was there before would be taken for new.

        :param check: called before a time is recorded.
        :raises ClockError: by `check`, when there is no time yet.
        """
        found, now = self.get(name), self._database.now()
        if found is not None and found > now:
            try:
                check()
            except ClockError:
                return found
            mark = watermarks.c
            self._database.execute(update(watermarks).where(mark.name == name, mark.at > now).values(at=now))
            return now
        if found is None:
            check()
            new = insert(watermarks).values(name=name, at=self.beginning())
            self._database.execute(new.on_conflict_do_nothing())
            found = self.get(name)
        if found is None:
            raise LookupError(f"the time {name!r} was deleted while it was read")
        return found

    def beginning(self) -> datetime:
        """Return when what is new begins: see `first`."""
        now = self._database.now()
        return self.past(SWEEP, now) or self.past(ACTIVATED, now) or now

    def database_time(self) -> datetime:
        """Return the time by the database's own clock."""
        now: datetime = self._database.value(select(func.clock_timestamp()))
        return now

    def put(self, name: str, at: datetime) -> None:
        """Record how far a sweep has come."""
        statement = insert(watermarks).values(name=name, at=at)
        self._database.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": at}))
