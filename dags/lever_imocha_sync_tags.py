"""
### Create a Lever tag for every active iMocha test

Started by hand. Lever has no call that creates a tag: the missing ones are put on one opportunity for a moment. Name
that opportunity, or a posting whose first active opportunity is used. The log and the task's result list the tags
created, present, stale (their test is gone or renamed) and vanished (Lever forgot them: `keep_on_opportunity`).

**When it fails:** nothing is half done that a second run would not finish; the log's last line says what to do.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param
from lever_imocha.notifications.notifier import SettingsNotifier
from lever_imocha.operators.assessment import SyncTagsOperator
from lever_imocha.runtime.retry_policy import VendorRetryPolicy

with DAG(
    dag_id="lever_imocha_sync_tags",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "execution_timeout": timedelta(hours=1),
        "retry_delay": timedelta(minutes=1),
        "retry_policy": VendorRetryPolicy(),
        "on_failure_callback": SettingsNotifier(),
    },
    params={
        "posting": Param(None, type=["null", "string"], description="A posting's name or id"),
        "opportunity": Param(None, type=["null", "string"], description="Or an opportunity's id"),
        "dry_run": Param(False, type="boolean", description="Only say what would be created"),
        "keep_on_opportunity": Param(False, type="boolean", description="Leave the tags on the opportunity"),
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
