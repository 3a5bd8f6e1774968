"""
### Lever's operators, one after the other, on one opportunity

Started by hand. Each operator is one call; take what you need. Stage, template and acting user are given by name here;
an id works as well.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, chain
from lever_imocha.operators.lever import (
    LeverAddTagsOperator,
    LeverCreateFormOperator,
    LeverCreateNoteOperator,
    LeverRemoveTagsOperator,
    LeverUpdateStageOperator,
    LeverUploadFileOperator,
)

with DAG(
    dag_id="example_lever_calls",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    params={
        "opportunity": Param("", type="string", title="Opportunity", description="The id at the end of its address"),
        "file": Param("/data/references.pdf", type="string", title="File", description="A path where tasks run"),
        "stage": Param("Offer", type="string", title="Stage", description="Name or id"),
    },
    default_args={
        "retries": 2,
        "opportunity_id": "{{ params.opportunity }}",
        "perform_as": "people-ops@example.com",
    },
):
    tag = LeverAddTagsOperator(task_id="tag", tags=["Reference check"])
    note = LeverCreateNoteOperator(task_id="note", text="References were asked for on {{ ds }}.", secret=True)
    form = LeverCreateFormOperator(
        task_id="form", template="Reference check", values={"Outcome": "Good", "Spoken on": "2026-01-31"}
    )
    upload = LeverUploadFileOperator(task_id="upload", path="{{ params.file }}", name="References.pdf")
    untag = LeverRemoveTagsOperator(task_id="untag", tags=["Reference check"])
    move = LeverUpdateStageOperator(task_id="move", stage="{{ params.stage }}")

    chain(tag, note, form, upload, untag, move)
