"""
### Check whether everything is set up

Runs every night and by hand. Looks at both keys, Lever's permissions, the names in the settings, tags and tests, webhooks,
the ledger and the clocks, and logs one line for each check: what is so, and what to do. It changes nothing. An alert is
sent when something changed since the last run, and when all is well again.

Lever does not say what a key may write. Give `try_writes_on` the id of an opportunity outside of the trigger stages to have
it tried: a tag is added and taken off again, and the rest is asked for in a way that Lever has to refuse.

**When it fails:** something is wrong; the lines of the level ERROR say what to do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param
from lever_imocha.airflow_compat import CronTriggerTimetable
from lever_imocha.operators.doctor import DoctorOperator

with DAG(
    dag_id="lever_imocha_doctor",
    dag_display_name="Lever + iMocha: doctor (lever_imocha_doctor)",
    description="Checks keys, permissions, names, tags, webhooks and the ledger, and says what to do.",
    schedule=CronTriggerTimetable("23 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args={"owner": "people-ops", "execution_timeout": timedelta(minutes=30)},
    params={
        "try_writes_on": Param(
            None,
            type=["null", "string"],
            title="Try writing on",
            description="An opportunity's id: try there what the API key may write; nothing is left",
        ),
    },
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    DoctorOperator(task_id="look", try_writes_on="{{ params.try_writes_on or '' }}")
