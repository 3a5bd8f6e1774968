"""Compares our clock with Lever's: who was in a stage before the first sweep is told by both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from lever_imocha.clients.lever import LeverClient
from lever_imocha.errors import ClockError
from lever_imocha.ledger.repository import Ledger

CLOCKS_DIFFER = timedelta(minutes=5)
"""By so much two clocks may differ."""


def clock_problem(lever: LeverClient) -> str | None:
    """Say what is wrong with our clock, as Lever's last answer shows; None if nothing, or if it did not say the time."""
    ahead = lever.ahead
    if ahead is None or abs(ahead) <= CLOCKS_DIFFER:
        return None
    found = "behind" if ahead > timedelta(0) else "ahead of"
    return f"our clock is {abs(round(ahead.total_seconds()))} s {found} Lever's"


def first_time(ledger: Ledger, lever: LeverClient) -> Callable[[str], datetime]:
    """Return how a time that decides who is invited is read, and recorded when there is none yet.

    It raises `ClockError` instead of recording one while our clock is wrong: a time too late would hold everybody who
    comes until then, and one too early would invite who was there before.
    """
    return partial(ledger.watermarks.first, check=partial(check_clock, lever))


def check_clock(lever: LeverClient) -> None:
    """Raise `ClockError` when our clock is wrong."""
    if problem := clock_problem(lever):
        raise ClockError(
            f"{problem[0].upper()}{problem[1:]}, so that it cannot be told who came after the first sweep, or after the"
            " settings were changed. Set the clock of Airflow's machines by a time server (NTP); nobody is invited before."
        )
