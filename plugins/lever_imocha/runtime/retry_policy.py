"""Which of our errors Airflow tries again, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from lever_imocha.errors import (
    AssessmentError,
    CredentialsError,
    LedgerError,
    NotPermittedError,
    RateLimitedError,
    SettingsError,
    WorkFailedError,
)


class VendorRetryPolicy(RetryPolicy):
    """Rate limited: after the time given. Wrong key, permission, settings or ledger: fail at once, a person must act."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide about one failed try."""
        causes = exception.causes if isinstance(exception, WorkFailedError) else [exception]
        waits = [error.retry_after for error in causes if isinstance(error, RateLimitedError) and error.retry_after]
        if waits:
            return RetryDecision.retry(timedelta(seconds=max(waits)), "rate limited")
        hopeless = (CredentialsError, NotPermittedError, SettingsError, LedgerError, AssessmentError)
        if causes and all(isinstance(error, hopeless) and not getattr(error, "temporary", False) for error in causes):
            return RetryDecision.fail("trying again will not help")
        return RetryDecision.default()
