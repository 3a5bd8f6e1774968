"""Which failures Airflow tries again within a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from lever_imocha.errors import (
    AssessmentError,
    CredentialsError,
    LedgerError,
    LeverImochaError,
    NotPermittedError,
    OutcomeUnknownError,
    RateLimitedError,
    ReportFileError,
    RequestRejectedError,
    SettingsError,
    VendorDownError,
    WorkFailedError,
)
from lever_imocha.runtime.retry_policy import VendorRetryPolicy, is_automatic_retry

CALL: dict[str, Any] = {"vendor": "iMocha", "call": "invite"}


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (LedgerError("no ledger", temporary=True), True),
        (LedgerError("not migrated"), False),
        (SettingsError(["x"]), False),
        (CredentialsError(**CALL), False),
        (NotPermittedError(**CALL), False),
        (RequestRejectedError(**CALL), False),
        (AssessmentError("x"), False),
        (ReportFileError("too large", permanent=True), False),
        (ReportFileError("broke off"), True),
        (VendorDownError(**CALL), True),
        (OutcomeUnknownError(**CALL), True),
        (RateLimitedError(**CALL, retry_after=5), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_tried_again_alone_and_in_a_batch(error: LeverImochaError, again: bool) -> None:
    for failure in (error, WorkFailedError({"a": error, "b": error})):
        assert (VendorRetryPolicy().evaluate(failure, 1, 3).action is not RetryAction.FAIL) == again


def test_a_batch_is_tried_again_for_those_it_helps() -> None:
    mixed = WorkFailedError({"a": RequestRejectedError(**CALL), "b": VendorDownError(**CALL)})
    assert VendorRetryPolicy().evaluate(mixed, 1, 3).action is not RetryAction.FAIL


@pytest.mark.parametrize(
    ("try_number", "max_tries", "automatic"),
    [(1, 3, False), (2, 3, True), (4, 3, True), (5, 7, False), (6, 7, True)],
    ids=["first", "retried", "last retry", "cleared after four tries", "retried after that"],
)
def test_a_cleared_task_is_no_automatic_retry(try_number: int, max_tries: int, automatic: bool) -> None:
    task_instance = SimpleNamespace(try_number=try_number, max_tries=max_tries)
    assert is_automatic_retry({"ti": task_instance}, 3) is automatic
