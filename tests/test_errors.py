"""Every error knows when trying again helps, whom it concerns, and what may be said of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import RetryAction
from lever_imocha.errors import (
    AirflowDownError,
    ApiError,
    AssessmentError,
    BugError,
    ClaimLostError,
    ClockError,
    CredentialsError,
    DeliveryRefusedError,
    LedgerError,
    LedgerVersionError,
    LeverImochaError,
    NotFoundError,
    NotPermittedError,
    OutcomeUnknownError,
    RateLimitedError,
    ReattemptNotAllowedError,
    ReportFileError,
    RequestRejectedError,
    Retry,
    Scope,
    SettingsError,
    StillOpenError,
    TagsRefusedError,
    UnexpectedAnswerError,
    VendorDownError,
    VendorRefusedError,
    WaitFailedError,
    WorkFailedError,
)
from lever_imocha.runtime.batch_run import run_batch
from lever_imocha.runtime.retry_policy import VendorRetryPolicy

NEVER, LATER, SOON = Retry.NEVER, Retry.LATER, Retry.SOON
ACCOUNT, CANDIDATE = Scope.ACCOUNT, Scope.CANDIDATE
WORDS = "Ann scored 34"
CALL: dict[str, Any] = {"vendor": "iMocha", "call": "invite", "status": 400, "code": WORDS, "detail": WORDS}

ERRORS: list[tuple[LeverImochaError, Retry, Scope]] = [
    (LeverImochaError("something"), SOON, CANDIDATE),
    (SettingsError(["x: correct it"]), NEVER, ACCOUNT),
    (LedgerError("not migrated"), NEVER, ACCOUNT),
    (LedgerVersionError("not migrated"), NEVER, ACCOUNT),
    (LedgerError("out of reach", temporary=True), SOON, ACCOUNT),
    (AirflowDownError(), SOON, ACCOUNT),
    (ApiError(**CALL), SOON, CANDIDATE),
    (CredentialsError(**CALL), NEVER, ACCOUNT),
    (VendorRefusedError(**CALL), LATER, CANDIDATE),
    (NotPermittedError(**CALL), NEVER, CANDIDATE),
    (NotFoundError(**CALL), LATER, CANDIDATE),
    (RequestRejectedError(**CALL), LATER, CANDIDATE),
    (ReattemptNotAllowedError(**CALL), LATER, CANDIDATE),
    (RateLimitedError(**CALL, retry_after=90), SOON, Scope.UNCLEAR),
    (VendorDownError(**CALL), SOON, CANDIDATE),
    (OutcomeUnknownError(**CALL), SOON, CANDIDATE),
    (UnexpectedAnswerError(**CALL), SOON, CANDIDATE),
    (ReportFileError("broke off"), SOON, CANDIDATE),
    (ReportFileError("too large", permanent=True), LATER, CANDIDATE),
    (AssessmentError("a field has no option"), LATER, CANDIDATE),
    (BugError(KeyError("Ann Example")), LATER, CANDIDATE),
    (TagsRefusedError({"iMocha: A [1]": WORDS}), NEVER, ACCOUNT),
    (ClaimLostError("op"), SOON, CANDIDATE),
    (ClockError("our clock is wrong"), NEVER, ACCOUNT),
    (StillOpenError(["its invitation is open"]), NEVER, CANDIDATE),
    (WaitFailedError("the key is wrong"), NEVER, ACCOUNT),
    (DeliveryRefusedError(400, "no signature"), NEVER, CANDIDATE),
    (WorkFailedError({"op": NotPermittedError(**CALL)}), NEVER, CANDIDATE),
    (WorkFailedError({"op": NotPermittedError(**CALL), "other": NotFoundError(**CALL)}), LATER, CANDIDATE),
    (WorkFailedError({"op": NotFoundError(**CALL), "other": VendorDownError(**CALL)}), SOON, CANDIDATE),
    (WorkFailedError({"op": RateLimitedError(**CALL, retry_after=3600)}), LATER, CANDIDATE),
]


def name(value: object) -> str:
    return type(value).__name__ if isinstance(value, Exception) else str(value)


every_error = pytest.mark.parametrize(("error", "retry", "scope"), ERRORS, ids=name)


def classes(root: type[LeverImochaError]) -> Iterator[type[LeverImochaError]]:
    """The package's own part of the tree."""
    if root.__module__.startswith("lever_imocha."):
        yield root
    for child in root.__subclasses__():
        yield from classes(child)


def test_every_class_of_the_tree_has_a_row() -> None:
    assert {type(error) for error, _, _ in ERRORS} == set(classes(LeverImochaError))


def test_the_runbook_names_no_error_that_is_gone() -> None:
    runbook = (Path(__file__).parent.parent / "docs" / "runbook.md").read_text()
    named = set(re.findall(r"^\| `(\w+Error)` \|", runbook, re.MULTILINE))
    assert named
    assert named <= {kind.__name__ for kind in classes(LeverImochaError)}


@every_error
def test_what_an_error_knows(error: LeverImochaError, retry: Retry, scope: Scope) -> None:
    assert (error.retry, error.scope) == (retry, scope)


@every_error
def test_what_may_be_said_is_one_line_without_the_vendors_words(
    error: LeverImochaError, retry: Retry, scope: Scope
) -> None:
    assert error.public_message
    assert "\n" not in error.public_message
    assert "Ann" not in error.public_message
    if isinstance(error, ApiError):
        assert WORDS in str(error), "the log has them"


@every_error
def test_airflow_tries_again_within_the_run_what_this_helps(
    error: LeverImochaError, retry: Retry, scope: Scope
) -> None:
    for failure in (error, WorkFailedError({"a": error, "b": error})):
        decision = VendorRetryPolicy().evaluate(failure, 1, 3)
        assert (decision.action is not RetryAction.FAIL) == (retry is SOON)


@every_error
def test_a_batch_ends_at_once_where_all_would_fail_and_else_goes_on(
    error: LeverImochaError, retry: Retry, scope: Scope
) -> None:
    tried: list[str] = []

    def work(opportunity_id: str) -> str:
        tried.append(opportunity_id)
        if opportunity_id == "a":
            raise error
        return "done"

    with pytest.raises(LeverImochaError) as caught:
        run_batch(["a", "b"], work)
    if scope is ACCOUNT:
        assert (caught.value, tried) == (error, ["a"])
    else:
        assert isinstance(caught.value, WorkFailedError)
        assert (caught.value.failures, tried) == ({"a": error}, ["a", "b"])


def test_a_bug_is_tried_again_as_the_dag_says() -> None:
    assert VendorRetryPolicy().evaluate(KeyError("x"), 1, 3).action is RetryAction.DEFAULT


def test_a_batch_waits_as_long_as_the_vendor_asked_of_one_of_them_unless_a_later_run_is_soon_enough() -> None:
    waits = {str(seconds): RateLimitedError(**CALL, retry_after=seconds) for seconds in (60, 90, 3600, None)}
    decision = VendorRetryPolicy().evaluate(WorkFailedError(waits | {"op": NotFoundError(**CALL)}), 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=90))
