"""
### Invite candidates who entered the assessment stage

Reads Lever's opportunities in the trigger stage, with `full` all of them, not only those who came since the last run. For each
one whose tag or rule names a test, it invites the candidate or refreshes a pending invitation. The grid has one row per
candidate; above 32 candidates, several share a row. The row `settings` is there when a name in the settings is wrong: it fails
and says what to correct, while the other rows go on.

**When it fails:** the last line of the failed row's log says what to do. Then clear that row, or wait for the next run.

**What would be done:** a run with `dry_run` sends and records nothing. The log of its first task lists each plan (invite,
hold, ignore, and why) with the candidates that it is about.

**When a limit of e-mails holds candidates:** those above `limits.per_hour` go on by themselves in the next hours. Start a
run with `over_limit` to invite all whom a limit holds now (`release`), or none of them (`drop`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param
from lever_imocha.airflow_compat import AssetOrTimeSchedule, CronTriggerTimetable
from lever_imocha.assets import candidate_invited, outlet, stage_changed
from lever_imocha.notifications.notifier import deadline
from lever_imocha.operators.assessment import CollectStageEntriesOperator, InviteCandidatesOperator
from lever_imocha.runtime.dag_defaults import default_args
from lever_imocha.settings import schedule

with DAG(
    dag_id="lever_imocha_invite",
    dag_display_name="Lever + iMocha: invite (lever_imocha_invite)",
    description="Invites candidates who entered an assessment stage in Lever.",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable(schedule(), timezone="UTC"), assets=[stage_changed]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=3,
    dagrun_timeout=timedelta(hours=3),  # a run that hangs holds up no other for good
    deadline=deadline(timedelta(hours=1)),
    default_args=default_args(retries=3, retry_exponential_backoff=True),
    params={
        "full": Param(False, title="Look at everybody", type="boolean", description="Read all candidates in the stage"),
        "dry_run": Param(
            False,
            title="Dry run",
            type="boolean",
            description="Only log what would be done about everybody in the stage, and why",
        ),
        "allow_cancelling": Param(
            False,
            title="Allow cancelling many",
            type="boolean",
            description="Cancel and forget also when suspiciously many have left",
        ),
        "over_limit": Param(
            "wait",
            title="Above a limit of e-mails",
            enum=["wait", "release", "drop"],
            description="Candidates whom a limit of e-mails holds: let them wait, invite them now, or never",
        ),
    },
    doc_md=__doc__,
    tags=["lever", "imocha"],
):
    collect = CollectStageEntriesOperator(
        task_id="collect_stage_entries",
        map_index_template="{{ task.found }}",
        outlets=[outlet(candidate_invited)],
        full="{{ params.full }}",
        allow_cancelling="{{ params.allow_cancelling }}",
        over_limit="{{ params.over_limit }}",
        preview="{{ params.dry_run }}",
    )
    InviteCandidatesOperator.partial(
        task_id="invite",
        map_index_template="{{ task.label }}",
        max_active_tis_per_dagrun=8,
        outlets=[outlet(candidate_invited)],
    ).expand(opportunity_ids=collect.output)
