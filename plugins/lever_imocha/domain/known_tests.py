"""Which of iMocha's tests are active, learned from one list after another: what one list lacks is no fact yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lever_imocha.domain.imocha import ImochaTest

ABSENT_LONG_ENOUGH = timedelta(hours=1)
"""How long lists have to lack a test that was active, before it counts as gone."""
INCOMPLETE_LONG_ENOUGH = timedelta(days=1)
"""The same for lists that are not complete, as one is for ever that has a record which nobody can read, or a wrong count."""

_SEVERAL = 3


@dataclass(frozen=True)
class KnownTests:
    """What is known of iMocha's tests.

    :param active: ids of the active tests.
    :param absent_since: of those, since when the lists lack them.
    :param incomplete_since: since when no list was complete; None when the last one was.
    """

    active: frozenset[int] = frozenset()
    absent_since: Mapping[int, datetime] = field(default_factory=dict)
    incomplete_since: datetime | None = None

    def are_all(self, now: datetime) -> bool:
        """Tell whether what the last list lacks is not there: it was complete, or lists have not been for a day."""
        return self.incomplete_since is None or now - self.incomplete_since >= INCOMPLETE_LONG_ENOUGH


def are_others(known: KnownTests, listed: Collection[ImochaTest]) -> bool:
    """Tell whether a list has none of several tests known until now: it is likely to be another account's."""
    return len(known.active) >= _SEVERAL and known.active.isdisjoint(test.id for test in listed)


def learn(known: KnownTests, listed: Collection[ImochaTest], now: datetime, *, complete: bool = True) -> KnownTests:
    """Return what is known after one more list.

    A listed test is what the list says. One that was active and is not listed stays active for an hour, as a list may be
    short for a moment, and for a day where the lists are known not to be complete.
    """
    present = {test.id for test in listed}
    longest = ABSENT_LONG_ENOUGH if complete else INCOMPLETE_LONG_ENOUGH
    absent = {test_id: known.absent_since.get(test_id, now) for test_id in known.active - present}
    absent = {key: since for key, since in absent.items() if now - since < longest}
    active = frozenset(test.id for test in listed if test.is_active)
    return KnownTests(active | absent.keys(), absent, None if complete else known.incomplete_since or now)
