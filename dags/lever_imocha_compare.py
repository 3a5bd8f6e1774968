"""
### Compare Lever, iMocha and the ledger

Every Sunday and by hand: is everybody in Lever's trigger stages who is asked to take a test known, and is every attempt of
the last 30 days that iMocha lists as ended written back, or on its way? What was missed is queued now, as if a webhook had
told of it. What has a reason (on hold, not invited, waiting, parked) is counted by it. What nobody can explain is told by
an alert, once, with ids. The result is on the console's page *Health*.

The task's result has one line for each vendor. From a list that could not be read to its end follows no verdict.

**When it fails:** the last line of the log says what to do. Nothing waits for it; the sweeps go on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from lever_imocha.airflow_compat import CronTriggerTimetable
from lever_imocha.operators.comparison import CompareOperator
from lever_imocha.runtime.dag_defaults import default_args

with DAG(
    dag_id="lever_imocha_compare",
    dag_display_name="Lever + iMocha: compare (lever_imocha_compare)",
    description="Compares Lever, iMocha and the ledger, queues what was missed, and tells what nobody can explain.",
    schedule=CronTriggerTimetable("41 4 * * 0", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=default_args(),
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    CompareOperator(task_id="compare")
