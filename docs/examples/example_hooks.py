"""
### Both hooks in tasks of your own: everybody who comes to a stage is invited to a test

The clients are typed and read all pages. The task gets and returns ids: what a task returns is stored in XCom, where
everybody who may see the DAG reads it, so names and addresses stay inside the task.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param, task
from lever_imocha.sensors.lever import LeverStageSensor

with DAG(
    dag_id="example_hooks",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    params={
        "stage": Param("Recruiter screen", type="string", title="Stage", description="Name or id"),
        "since": Param("", type="string", title="Since", description="Who came after this time; empty: anybody"),
        "test": Param(102, type="integer", title="Test", description="The test's number in iMocha"),
    },
    default_args={"retries": 2},
):

    @task
    def invite(opportunity_id: str, test: str) -> int | None:
        """Invite one candidate; return the invitation's id."""
        from lever_imocha.hooks.imocha import ImochaHook
        from lever_imocha.hooks.lever import LeverHook

        candidate = LeverHook("lever_default").client().get_opportunity(opportunity_id)
        if not candidate.email or not candidate.may_contact:
            return None
        imocha = ImochaHook("imocha_default").client()
        invitation = imocha.invite(
            int(test), email=candidate.email, name=candidate.display_name or "Candidate", send_email=True
        )
        return invitation.id

    arrived = LeverStageSensor(
        task_id="arrived",
        stage="{{ params.stage }}",
        since="{{ params.since or data_interval_start or '' }}",
        deferrable=True,
        timeout=3000,
    )
    invite.partial(test="{{ params.test }}").expand(opportunity_id=arrived.output)
