"""
### Every operator and sensor once: who comes to a stage is tested, and the result is written back by your own DAG

Started by hand, for one opportunity whose address you know. Names and ids may be mixed. Only ids and the report's status are
stored in XCom.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, chain
from lever_imocha.operators import imocha, lever
from lever_imocha.sensors.imocha import ImochaAttemptSensor
from lever_imocha.sensors.lever import LeverStageSensor

with DAG(
    dag_id="example_every_call",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    params={
        "stage": Param("Assessment", type="string", title="Stage", description="Name or id"),
        "posting": Param(None, type=["string", "null"], title="Posting", description="Name or id; empty: any"),
        "opportunity": Param("", type="string", title="Opportunity", description="The id at the end of its address"),
        "email": Param("", type="string", title="E-mail address"),
        "file": Param("/data/references.pdf", type="string", title="File", description="A path where tasks run"),
        "test": Param(101, type="integer", title="Test", description="The test's number in iMocha"),
        "template": Param("Own assessment", type="string", title="Form template", description="Name or id"),
        "next": Param("Offer", type="string", title="Next stage", description="Name or id"),
        "acting": Param("people-ops@example.com", type="string", title="Acting user", description="E-mail or id"),
        "lever": Param("lever_default", type="string", title="Connection to Lever"),
        "imocha": Param("imocha_default", type="string", title="Connection to iMocha"),
    },
    default_args={
        "lever_conn_id": "{{ params.lever }}",
        "imocha_conn_id": "{{ params.imocha }}",
        "opportunity_id": "{{ params.opportunity }}",
        "perform_as": "{{ params.acting }}",
    },
):
    arrived = LeverStageSensor(
        task_id="arrived", stage="{{ params.stage }}", posting="{{ params.posting }}", deferrable=True, timeout=3600
    )
    invite = imocha.ImochaInviteOperator(
        task_id="invite", test_id="{{ params.test }}", email="{{ params.email }}", name="Candidate", send_email=False
    )
    ended = ImochaAttemptSensor(task_id="ended", invitation_ids=[invite.output], deferrable=True, timeout=86400)
    report = imocha.ImochaGetReportOperator(task_id="report", invitation_id=invite.output)
    again = imocha.ImochaReattemptOperator(task_id="again", invitation_id=invite.output, send_email=False)
    cancel = imocha.ImochaCancelOperator(task_id="cancel", invitation_id=again.output)
    form = lever.LeverCreateFormOperator(
        task_id="form", template="{{ params.template }}", values={"Outcome": "{{ ti.xcom_pull('report') }}"}
    )
    note = lever.LeverCreateNoteOperator(task_id="note", text="Invitation {{ ti.xcom_pull('invite') }}: see the form.")
    upload = lever.LeverUploadFileOperator(task_id="upload", path="{{ params.file }}")
    tag = lever.LeverAddTagsOperator(task_id="tag", tags=["Tested"])
    untag = lever.LeverRemoveTagsOperator(task_id="untag", tags=["To be tested"])
    move = lever.LeverUpdateStageOperator(task_id="move", stage="{{ params.next }}")

    chain(arrived, invite, ended, report, again, cancel, form, note, upload, tag, untag, move)
