"""
### Remove what the ledger no longer has to keep

Every night: webhooks, the timeline, names, and everything about candidates whose assessments were over long ago, as the
settings say (`retention`). What is open stays. The task's result says how much was removed.

**When it fails:** the last line of the log says what to do. The next night goes on where it stopped; nothing waits for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from lever_imocha.airflow_compat import CronTriggerTimetable
from lever_imocha.operators.retention import RemoveOldDataOperator
from lever_imocha.runtime.dag_defaults import default_args

with DAG(
    dag_id="lever_imocha_retention",
    dag_display_name="Lever + iMocha: remove old data (lever_imocha_retention)",
    description="Removes from the ledger what the settings no longer have it keep.",
    schedule=CronTriggerTimetable("17 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),  # a run that hangs holds up no other for good
    default_args=default_args(),
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    RemoveOldDataOperator(task_id="remove_old_data")
