"""
### Switch Lever and iMocha off

The other side of `lever_imocha_setup`, started by hand. `confirm` waits under *Required Actions*: it says what will be switched
off, and which candidates have an open invitation. `deactivate` deletes our webhooks in Lever and switches the DAGs off.
Nothing is changed about candidates, and the ledger and the settings stay. `lever_imocha_retention` stays on.

To go on later, start `lever_imocha_setup` and choose *Activate*.

**When it fails:** the last lines of the log say what to correct. Start it again: what is done is not done twice.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from lever_imocha.operators.deactivation import ConfirmDeactivationOperator, DeactivateOperator

with DAG(
    dag_id="lever_imocha_deactivate",
    dag_display_name="Lever + iMocha: switch off (lever_imocha_deactivate)",
    description="Deletes our webhooks in Lever and switches the workflow off, after asking.",
    default_args={"owner": "people-ops"},
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=7),
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    confirm = ConfirmDeactivationOperator(task_id="confirm", response_timeout=timedelta(days=2))
    confirm >> DeactivateOperator(task_id="deactivate", execution_timeout=timedelta(minutes=30))
