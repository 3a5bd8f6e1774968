"""
### iMocha's operators: invite, wait without a worker, read the report; then a second attempt

Started by hand. The wait is deferred to the triggerer, so that it may last for days. Only ids and the report's status are
stored in XCom.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, chain
from lever_imocha.operators.imocha import (
    ImochaCancelOperator,
    ImochaGetReportOperator,
    ImochaInviteOperator,
    ImochaReattemptOperator,
)
from lever_imocha.sensors.imocha import ImochaAttemptSensor

with DAG(
    dag_id="example_imocha_calls",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    params={
        "test": Param(101, type="integer", title="Test", description="The test's number in iMocha"),
        "email": Param("", type="string", title="E-mail address"),
        "name": Param("", type="string", title="Name"),
        "send_email": Param(False, type="boolean", title="Let iMocha send e-mails"),
    },
    default_args={"retries": 2},
):
    invite = ImochaInviteOperator(
        task_id="invite",
        test_id="{{ params.test }}",
        email="{{ params.email }}",
        name="{{ params.name }}",
        send_email="{{ params.send_email }}",
    )
    ended = ImochaAttemptSensor(
        task_id="ended",
        invitation_ids=[invite.output],
        deferrable=True,
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(days=7),
    )
    report = ImochaGetReportOperator(task_id="report", invitation_id=invite.output)
    again = ImochaReattemptOperator(
        task_id="again", invitation_id=invite.output, valid_days=3, send_email="{{ params.send_email }}"
    )
    cancel = ImochaCancelOperator(task_id="cancel", invitation_id=again.output)

    chain(ended, report, again, cancel)
