"""
### Set up Lever and iMocha

Started by hand, as often as you like. `look` checks everything as `lever_imocha_doctor` does. `choose` waits under *Required
Actions* with drop-down lists of your account's stages, form templates, users and postings. After *Activate*, `confirm` waits
there with a table of what happens to everybody who is in the stages now, if anybody is. `do` makes the ledger's tables, the
form template, Lever's webhooks and tags, and writes the settings file; what is there already is left as it is. `check` looks
again; with *Activate*, and when nothing is wrong, it switches the DAGs on and says what is left to do by hand.

*Save only* switches nothing on. *Look again*, *Back*, and *Activate* while something is wrong, start another run, which asks
anew.

**When it fails:** the last lines of the log say what to correct. Start it again: what is done is not done twice.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from lever_imocha.operators.doctor import DoctorOperator
from lever_imocha.operators.setup import (
    CheckSetUpOperator,
    ChooseOperator,
    ConfirmOperator,
    LookAgainOperator,
    SetUpOperator,
)

with DAG(
    dag_id="lever_imocha_setup",
    dag_display_name="Lever + iMocha: set up (lever_imocha_setup)",
    description="Asks what to use of both accounts, makes the rest, and switches the workflow on.",
    default_args={"owner": "people-ops"},
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=7),
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    look = DoctorOperator(task_id="look", only_log=True, execution_timeout=timedelta(minutes=30))
    choose = ChooseOperator(task_id="choose", response_timeout=timedelta(days=2))
    confirm = ConfirmOperator(task_id="confirm", answer=choose.output, response_timeout=timedelta(days=2))
    again = LookAgainOperator(
        task_id="look_again",
        answer=confirm.output,
        trigger_dag_id="lever_imocha_setup",
        execution_timeout=timedelta(minutes=30),
    )
    do = SetUpOperator(task_id="do", answer=confirm.output, execution_timeout=timedelta(minutes=30))
    check = CheckSetUpOperator(
        task_id="check", answer=confirm.output, done=do.output, execution_timeout=timedelta(minutes=30)
    )
    look >> choose >> confirm >> [do, again]
    do >> check
