"""
### Remove what the ledger no longer has to keep

Every night: webhooks, the timeline, names, and everything about candidates whose assessments were over long ago, as the
settings say (`retention`). What is open stays. The task's result says how much was removed.

**When it fails:** the last line of the log says what to do. The next night goes on where it stopped; nothing waits for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from lever_imocha.notifications.notifier import SettingsNotifier, tell_success
from lever_imocha.operators.retention import RemoveOldDataOperator
from lever_imocha.runtime.retry_policy import VendorRetryPolicy

with DAG(
    dag_id="lever_imocha_retention",
    dag_display_name="Lever + iMocha: remove old data",
    description="Removes from the ledger what the settings no longer have it keep.",
    schedule=CronTriggerTimetable("17 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),  # a run that hangs holds up no other for good
    default_args={
        "owner": "people-ops",
        "retries": 2,
        "execution_timeout": timedelta(hours=1),
        "retry_delay": timedelta(minutes=1),
        "retry_policy": VendorRetryPolicy(),
        "on_failure_callback": SettingsNotifier(),
        "on_success_callback": tell_success,
    },
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    RemoveOldDataOperator(task_id="remove_old_data")
