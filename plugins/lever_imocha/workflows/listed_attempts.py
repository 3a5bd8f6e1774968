"""Lists attempts at iMocha up to now."""

from __future__ import annotations

from datetime import datetime

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.imocha import Attempt
from lever_imocha.errors import RequestRejectedError
from lever_imocha.workflows.clocks import CLOCKS_DIFFER


def list_attempts(
    imocha: ImochaClient, state: str, *, start: datetime, now: datetime, until: datetime | None = None
) -> list[Attempt]:
    """List the attempts since a time; up to a little ahead of now, unless iMocha refuses a window that ends later.

    :param until: the window's end, where it is to be earlier.
    """
    ahead = now + CLOCKS_DIFFER
    end = min(until, ahead) if until is not None else ahead
    try:
        return list(imocha.list_attempts(state=state, start_at=start, end_at=end))
    except RequestRejectedError:
        if end <= now:
            raise
        return list(imocha.list_attempts(state=state, start_at=start, end_at=now))
