"""By how much a vendor's clock is ahead of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import requests


class ServerClock:
    """A hook of a `requests` session: reads the time of each answer from its Date header.

    :param clock: aware UTC now.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self.ahead: timedelta | None = None
        """By how much the vendor's clock was ahead at its last answer, to a second or two; None if it did not say."""

    def watch(self, session: requests.Session) -> None:
        """Look at all answers that a session gets from now on."""
        session.hooks["response"].append(self._look)

    def _look(self, response: requests.Response, *_args: object, **_kwargs: object) -> None:
        try:
            moment = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return
        self.ahead = moment.replace(tzinfo=moment.tzinfo or UTC) - self._clock()
