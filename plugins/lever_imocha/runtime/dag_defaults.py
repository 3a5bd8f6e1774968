"""What the tasks of the DAGs have in common, but for those that tell by themselves what is wrong with the set-up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lever_imocha.notifications.notifier import SettingsNotifier, tell_success
from lever_imocha.runtime.retry_policy import VendorRetryPolicy


def default_args(**other: Any) -> dict[str, Any]:
    """Return the arguments of a DAG's tasks: tried again as the errors say, ended when they hang, told of when they fail.

    :param other: what a DAG has otherwise, or more.
    """
    return {
        "owner": "people-ops",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_policy": VendorRetryPolicy(),
        "execution_timeout": timedelta(hours=1),  # ends a worker that hangs, and with it its claims
        "on_failure_callback": SettingsNotifier(),
        "on_success_callback": tell_success,
    } | other
