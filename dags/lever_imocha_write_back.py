"""
### Write reports back when attempts end

Waits, without occupying a worker, until an attempt has ended at iMocha. Then writes the report to Lever: profile form,
PDF file, tags, and last the stage. A report that is not final is read again later. Without `wait`, a run looks once and
ends.

**When it fails:** the last line of the failed row's log says what to do. Then clear that row, or wait: the next run tries
again. Steps that are done are not done again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param
from lever_imocha.airflow_compat import AssetOrTimeSchedule, CronTriggerTimetable
from lever_imocha.assets import attempt_ended, outlet, report_written
from lever_imocha.notifications.notifier import deadline
from lever_imocha.operators.assessment import WaitForAttemptsSensor, WriteBackReportsOperator
from lever_imocha.runtime.dag_defaults import default_args
from lever_imocha.settings import longest_run

with DAG(
    dag_id="lever_imocha_write_back",
    dag_display_name="Lever + iMocha: write back (lever_imocha_write_back)",
    description="Writes reports of ended attempts to Lever, and moves the candidates on.",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("* * * * *", timezone="UTC"), assets=[attempt_ended]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=3,  # while some are held up, by a worker that died or by Airflow, one works
    dagrun_timeout=longest_run() + timedelta(hours=3),  # a run that hangs holds up no other for good
    deadline=deadline(longest_run()),
    default_args=default_args(retries=3, retry_exponential_backoff=True),
    params={"wait": Param(True, title="Wait", type="boolean", description="Wait for an attempt to end")},
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    ended = WaitForAttemptsSensor(
        task_id="wait_for_attempts",
        map_index_template="{{ task.found }}",
        wait="{{ params.wait }}",
        execution_timeout=longest_run(),
        # Airflow may take a task that resumes early for lost; then it is tried again at once, not in a minute.
        retry_delay=timedelta(seconds=2),
        retry_exponential_backoff=False,
    )
    WriteBackReportsOperator.partial(
        task_id="write_back",
        map_index_template="{{ task.label }}",
        max_active_tis_per_dagrun=8,
        outlets=[outlet(report_written)],
    ).expand(opportunity_ids=ended.output)
