"""
### Create a Lever tag for every active iMocha test

Started by hand. Lever has no call that creates a tag, so the missing tags are added to one opportunity and removed again.
Name that opportunity, or a posting whose first active opportunity outside of the trigger stages is used: in a trigger
stage the tags would ask for every test. The log and the task's result list the tags created, present, stale (their test was
deleted or renamed), refused (by Lever; the run then fails, and the other tags are made) and vanished (Lever no longer lists
them; then use `keep_on_opportunity`).

**When it fails:** the last line of the log says what to do. Run it again: a second run finishes what the first began.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param
from lever_imocha.operators.assessment import SyncTagsOperator
from lever_imocha.runtime.dag_defaults import default_args

with DAG(
    dag_id="lever_imocha_sync_tags",
    dag_display_name="Lever + iMocha: sync tags (lever_imocha_sync_tags)",
    description="Creates a Lever tag for every active iMocha test; started by hand.",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),  # a run that hangs holds up no other for good
    default_args=default_args(),
    params={
        "posting": Param(
            None,
            title="Posting",
            type=["null", "string"],
            description="Its name or id: one of its candidates carries the new tags for a moment",
            examples=["Python Engineer"],
        ),
        "opportunity": Param(
            None,
            title="Opportunity",
            type=["null", "string"],
            description="Or the id of one, from the address of its page in Lever; one of the two is needed for new tags",
        ),
        "dry_run": Param(
            False, title="Dry run", type="boolean", description="List what would be created; change nothing"
        ),
        "keep_on_opportunity": Param(
            False, title="Keep the tags", type="boolean", description="Leave the tags on the opportunity"
        ),
    },
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    SyncTagsOperator(
        task_id="sync_tags",
        posting="{{ params.posting or '' }}",
        opportunity="{{ params.opportunity or '' }}",
        preview="{{ params.dry_run }}",
        keep_on_opportunity="{{ params.keep_on_opportunity }}",
    )
