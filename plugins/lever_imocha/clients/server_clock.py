"""By how much a vendor's clock is ahead of ours."""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

import requests

from lever_imocha.domain.clock import Clock, utc_now


class ServerClock:
    """A hook of a `requests` session: reads the time of each answer from its Date header."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self.ahead: timedelta | None = None
        """By how much the vendor's clock was ahead at its last answer, to a second or two; None if it did not say."""

    def watch(self, session: requests.Session) -> None:
        """Look at all answers that a session gets from now on."""
        session.hooks["response"].append(self._look)

    def _look(self, response: requests.Response, *_args: object, **_kwargs: object) -> None:
        try:
            moment = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError, OverflowError):
            return
        self.ahead = moment.replace(tzinfo=moment.tzinfo or UTC) - self._clock()
