"""Writing over a connection that may lose answers; neither vendor has idempotency keys."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import Retrying, retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from lever_imocha.errors import OutcomeUnknownError

repeat_when_answer_lost = retry(
    retry=retry_if_exception_type(OutcomeUnknownError), stop=stop_after_attempt(3), wait=wait_fixed(0.5), reraise=True
)
"""For a call whose repetition changes nothing more: it is sent again when its answer was lost."""


def create_once(make: Callable[[], str], find: Callable[[], str | None], *, look_first: bool) -> str:
    """Make something exactly once: look for it before making it again.

    :param make: returns the id of what it made.
    :param find: the id of what is there already, or None.
    :param look_first: it may be there already.
    """
    for attempt in Retrying(
        retry=retry_if_exception_type(OutcomeUnknownError), stop=stop_after_attempt(3), wait=wait_fixed(1), reraise=True
    ):
        with attempt:
            if look_first or attempt.retry_state.attempt_number > 1:
                found = find()
                if found is not None:
                    return found
            return make()
    raise AssertionError("unreachable")
