"""Which of our errors Airflow tries again, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lever_imocha.airflow_compat import RetryDecision, RetryPolicy
from lever_imocha.errors import LeverImochaError, Retry


class VendorRetryPolicy(RetryPolicy):
    """Let the error decide whether the task is tried again within this run, and when.

    A bug, which is no error of ours, is tried again as the DAG says.
    """

    def __repr__(self) -> str:
        """Return the same in each process: Airflow 3.1 and 3.2 store it with the DAG, and compare it at each parse."""
        return f"{type(self).__name__}()"

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide about one failed try."""
        if not isinstance(exception, LeverImochaError):
            return RetryDecision.default()
        if exception.retry is not Retry.SOON:
            return RetryDecision.fail("trying again within this run will not help")
        if exception.retry_after:
            return RetryDecision.retry(timedelta(seconds=exception.retry_after), "rate limited")
        return RetryDecision.default()


def was_cleared(context: Mapping[str, Any], retries: int) -> bool:
    """Return whether a person has cleared the task; False in its first try, and when Airflow runs it again by itself.

    Clearing a task gives it all its retries again: its `max_tries` becomes the tries so far plus `retries`.

    :param context: of the task.
    :param retries: of the task.
    """
    task_instance = context.get("ti")
    if task_instance is None or task_instance.try_number <= 1:
        return False
    return bool(task_instance.try_number - 1 <= task_instance.max_tries - retries)
