"""Which of iMocha's tests are active, learned from one list after another: what one list lacks is no fact yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lever_imocha.domain.imocha import ImochaTest

ABSENT_LONG_ENOUGH = timedelta(hours=1)
"""How long lists have to lack a test that was active, before it counts as gone."""

_SEVERAL = 3


@dataclass(frozen=True)
class KnownTests:
    """What is known of iMocha's tests.

    :param active: ids of the active tests.
    :param absent_since: of those, since when the lists lack them.
    """

    active: frozenset[int] = frozenset()
    absent_since: Mapping[int, datetime] = field(default_factory=dict)


def are_others(known: KnownTests, listed: Collection[ImochaTest]) -> bool:
    """Tell whether a list has none of several tests known until now: it is likely to be another account's."""
    return len(known.active) >= _SEVERAL and known.active.isdisjoint(test.id for test in listed)


def learn(known: KnownTests, listed: Collection[ImochaTest], now: datetime, *, complete: bool = True) -> KnownTests:
    """Return what is known after one more list.

    A listed test is what the list says. One that was active and is not listed stays active for an hour, as a list may be
    short for a moment. A list that is known not to be complete says nothing of what it lacks.
    """
    present = {test.id for test in listed}
    absent = {test_id: known.absent_since.get(test_id, now) for test_id in known.active - present}
    absent = {key: since for key, since in absent.items() if not complete or now - since < ABSENT_LONG_ENOUGH}
    return KnownTests(frozenset(test.id for test in listed if test.is_active) | absent.keys(), absent)
