"""Lists attempts at iMocha up to now, and says what became of each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.imocha import Attempt, Said
from lever_imocha.errors import UnexpectedAnswerError, VendorDownError, VendorRefusedError
from lever_imocha.workflows.clocks import CLOCKS_DIFFER

_MAY_BE_ABOUT_THE_WINDOW = (VendorRefusedError, UnexpectedAnswerError, VendorDownError)


def list_attempts(
    imocha: ImochaClient, state: str, *, start: datetime, now: datetime, until: datetime | None = None
) -> list[Attempt]:
    """List the attempts since a time; up to a little ahead of now, unless iMocha cannot do with a window that ends later.

    :param until: the window's end, where it is to be earlier.
    """
    ahead = now + CLOCKS_DIFFER
    end = min(until, ahead) if until is not None else ahead
    try:
        return list(imocha.list_attempts(state=state, start_at=start, end_at=end))
    except _MAY_BE_ABOUT_THE_WINDOW as error:
        if end <= now or error.status is None:
            raise
        return list(imocha.list_attempts(state=state, start_at=start, end_at=now))


def said_of(attempts: Iterable[Attempt]) -> dict[int, Said]:
    """Return what became of the attempts; a word that is not known says nothing.

    One may be listed twice, with an older row (imocha.md 6.4): that it has ended counts, whatever another row says.
    """
    said = dict[int, Said]()
    for attempt in attempts:
        known = said.get(attempt.test_invitation_id)
        if not (attempt.status.can_begin or (known is not None and known.status.is_ended)):
            said[attempt.test_invitation_id] = attempt.said
    return said
