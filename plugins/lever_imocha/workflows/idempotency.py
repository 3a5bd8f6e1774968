"""Writing over a connection that may lose answers; neither vendor has idempotency keys."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from lever_imocha.domain.clock import Sleep
from lever_imocha.errors import OutcomeUnknownError

log = logging.getLogger(__name__)

T = TypeVar("T")
TRIES = 3


def send_until_answered(send: Callable[[], T], *, sleep: Sleep) -> T:
    """Send again, a second later and at most twice, while the answer is lost.

    :param send: a call whose repetition changes nothing more.
    :raises OutcomeUnknownError: the third answer is lost, too.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(OutcomeUnknownError),
        stop=stop_after_attempt(TRIES),
        wait=wait_fixed(1),
        sleep=sleep,
        before_sleep=_warn,
        reraise=True,
    )
    result: T = retrying(send)
    return result


def create_once(make: Callable[[], str], find: Callable[[], str | None], *, look_first: bool, sleep: Sleep) -> str:
    """Make something exactly once: look for it before making it again.

    :param make: returns the id of what it made.
    :param find: the id of what is there already, or None.
    :param look_first: it may be there already.
    """
    may_be_there = look_first

    def find_or_make() -> str:
        nonlocal may_be_there
        found = find() if may_be_there else None
        may_be_there = True
        return make() if found is None else found

    return send_until_answered(find_or_make, sleep=sleep)


def _warn(state: RetryCallState) -> None:
    log.warning("an answer was lost, which is looked up or sent again: %s", state.outcome and state.outcome.exception())
