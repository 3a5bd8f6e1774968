"""How long work that failed waits before it is tried again, and when only a person can help."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

FIRST, AFTER_REFUSAL, LONGEST = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=6)
MOST_TRIES = 15
"""Tries in a row; with the pauses between them they take about two days, after refusals three."""
MOST_TRIES_IN_OUTAGE = 64
"""The same while the vendor has an outage: about two weeks, so that nobody is left behind."""
LONGEST_WAIT_FOR_REPORT = timedelta(days=30)
"""A report may wait for a person at iMocha who reads the answers."""


def pause_after_failure(tries: int, *, refused: bool, transient: bool = False) -> timedelta | None:
    """Return the time until the next try: 1 minute, doubled each time up to 6 hours.

    :param tries: how often it had failed in a row before.
    :param refused: the vendor said no, so that the first pause is an hour.
    :param transient: the vendor has an outage.
    :return: None when it is not to be tried any more by itself.
    """
    if tries + 1 >= (MOST_TRIES_IN_OUTAGE if transient else MOST_TRIES):
        return None
    return min((AFTER_REFUSAL if refused else FIRST) * (1 << min(tries, 16)), LONGEST)


def pause_for_report(tries: int, waits: Sequence[timedelta], *, waited: timedelta) -> timedelta | None:
    """Return the time until a report that is not final is read again; the last of the waits is doubled up to 6 hours.

    :param tries: how often it was read in vain before.
    :param waits: of the settings `write_back.report_retry`, at least one.
    :param waited: since the attempt had ended.
    :return: None after 30 days.
    """
    if waited >= LONGEST_WAIT_FOR_REPORT:
        return None
    beyond = tries - len(waits) + 1
    return waits[tries] if beyond <= 0 else max(waits[-1], min(waits[-1] * (1 << min(beyond, 16)), LONGEST))
