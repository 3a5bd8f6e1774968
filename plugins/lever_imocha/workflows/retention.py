"""Removes what the settings no longer have the ledger keep, in batches, so that nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from lever_imocha.domain.clock import Clock
from lever_imocha.errors import ClockError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.sealed_links import KEPT_FOR
from lever_imocha.ledger.watermarks import FULL_SWEEP
from lever_imocha.settings import RetentionSettings

log = logging.getLogger(__name__)

_BATCH, _MOST_BATCHES = 50, 10_000
_MOST_AHEAD = timedelta(days=1)
"""By so much our clock may be ahead: it changes little, as the shortest time for which something is kept is days."""


class Retention:
    """Removes what is older than the settings say."""

    def __init__(self, *, ledger: Ledger, settings: RetentionSettings, clock: Clock) -> None:
        self._ledger, self._settings, self._clock = ledger, settings, clock

    def run(self) -> dict[str, int]:
        """Remove all that is too old, or half a million of each kind; return how many of each.

        People count from the last sweep of everybody in the stages: while there is none, they may sit there unseen.

        :raises ClockError: our clock is days ahead of the database's; nothing is removed.
        """
        erasure, keep, now = self._ledger.erasure, self._settings, self._clock()
        if (ahead := now - self._ledger.watermarks.database_time()) > _MOST_AHEAD:
            raise ClockError(
                f"Our clock is {ahead.days} days ahead of the database's, so that nothing is removed. Set the clocks of"
                " Airflow's and the database's machines by a time server (NTP)."
            )
        removed = {
            "deliveries": _all(partial(erasure.remove_deliveries, before=now - keep.deliveries)),
            "events": _all(partial(erasure.remove_events, before=now - keep.events)),
            "bulk_requests": _all(partial(erasure.remove_bulk_requests, before=now - keep.events)),
            "sealed_links": _all(partial(erasure.remove_sealed_links, before=now - KEPT_FOR)),
            "alerts": _all(partial(erasure.remove_alerts, before=now - keep.events)),
        }
        swept = self._ledger.watermarks.past(FULL_SWEEP, now)
        if swept is None:
            log.info("nobody is removed: the trigger stages were never swept")
            return removed
        removed["names"] = _all(partial(erasure.erase_names, before=swept - keep.names))
        removed["people"] = _all(partial(erasure.remove_people, before=swept - keep.people))
        return removed


def _all(remove: Callable[..., int]) -> int:
    total = 0
    for _ in range(_MOST_BATCHES):
        total += (number := remove(limit=_BATCH))
        if number < _BATCH:
            break
    return total
