"""That there is advice for whatever may stand in the way."""

from __future__ import annotations

import pytest
from lever_imocha import errors
from lever_imocha.domain.advice import fix_of_hold, words_of_problem
from lever_imocha.domain.decisions import Reason
from lever_imocha.workflows.deletion import NOT_FOUND
from lever_imocha.workflows.masking import CANNOT_MASK, OTHER_ADDRESS, WRONG_CLOCK

HOLDS = [
    Reason.UNKNOWN_TEST, Reason.NO_LINK, Reason.NO_EMAIL, Reason.MAY_NOT_CONTACT, Reason.BEFORE_ACTIVATION, Reason.DELAY, Reason.LIMIT,
    Reason.PER_CANDIDATE,
]  # fmt: skip
NEVER_IN_THE_QUEUE = {
    "ApiError",
    "VendorRefusedError",
    "ClaimLostError",
    "DeliveryRefusedError",
    "WorkFailedError",
    "StillOpenError",
}


@pytest.mark.parametrize("reason", HOLDS)
def test_every_hold_says_what_to_do(reason: Reason) -> None:
    assert "runbook" not in fix_of_hold(reason)


@pytest.mark.parametrize("why", [CANNOT_MASK, OTHER_ADDRESS, WRONG_CLOCK, NOT_FOUND])
def test_what_work_waits_for_is_said_in_words(why: str) -> None:
    assert words_of_problem(why)[1] != words_of_problem("")[1]


def test_every_error_about_one_candidate_is_said_in_words() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    ours = [kind for kind in kinds if issubclass(kind, errors.LeverImochaError) and kind is not errors.LeverImochaError]
    names = {kind.__name__ for kind in ours if kind.scope is errors.Scope.CANDIDATE} - NEVER_IN_THE_QUEUE
    assert {name for name in names if words_of_problem(name)[0] == name} == set()
    assert len(names) > 8
