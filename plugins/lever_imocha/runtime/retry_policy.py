"""Which of our errors Airflow tries again, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from lever_imocha.errors import (
    AssessmentError,
    CredentialsError,
    LedgerError,
    NotPermittedError,
    RateLimitedError,
    ReportFileError,
    RequestRejectedError,
    SettingsError,
    WorkFailedError,
)

_NO_USE_NOW = (CredentialsError, NotPermittedError, RequestRejectedError, SettingsError, AssessmentError)


class VendorRetryPolicy(RetryPolicy):
    """Decides from the error whether the task is tried again within this run.

    Rate limited: after the time the vendor gave. A wrong key, a missing permission, a refusal, settings, a ledger that
    is not migrated: the task fails at once. A refusal of one candidate is put off in the ledger, and a later run tries
    it again: within this run it would only be sent four times.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide about one failed try."""
        causes = exception.causes if isinstance(exception, WorkFailedError) else [exception]
        waits = [error.retry_after for error in causes if isinstance(error, RateLimitedError) and error.retry_after]
        if waits:
            return RetryDecision.retry(timedelta(seconds=max(waits)), "rate limited")
        if causes and all(_is_of_no_use_now(error) for error in causes):
            return RetryDecision.fail("trying again will not help")
        return RetryDecision.default()


def is_automatic_retry(context: Mapping[str, Any], retries: int) -> bool:
    """Return whether Airflow runs a task again by itself; False in its first try and after a person has cleared it.

    Clearing a task gives it all its retries again: its `max_tries` becomes the tries so far plus `retries`.

    :param context: of the task.
    :param retries: of the task.
    """
    task_instance = context.get("ti")
    if task_instance is None:
        return False
    return bool(task_instance.try_number - 1 > task_instance.max_tries - retries)


def _is_of_no_use_now(error: BaseException) -> bool:
    if isinstance(error, LedgerError):
        return not error.temporary
    if isinstance(error, ReportFileError):
        return error.permanent
    return isinstance(error, _NO_USE_NOW)
