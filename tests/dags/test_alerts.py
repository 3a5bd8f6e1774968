"""Who is told, and how often, when a task fails for good, a run is late, or a candidate waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.dagbag import DBDagBag
from airflow.models.deadline import Deadline
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from lever_imocha.airflow_compat import SINCE_3_3, deadline_interval
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import assessments
from lever_imocha.ledger.values import NewEntry, Work
from lever_imocha.notifications.notifier import deadline, tell_success
from lever_imocha.operators.assessment import CollectStageEntriesOperator, WaitForAttemptsSensor
from sqlalchemy import select, update

from include.sandbox.world import Fault, World
from tests.airflow_versions import CallbackTrigger, callbacks_know_the_error, read_dags, synced
from tests.support import PYTHON

GOOD = "perform_as: people-ops@example.com\n"
RECORDER = "tests.notifications.recorder.Recorder"

Told = Callable[[], list[str]]


@pytest.fixture
def alerting(settings: Callable[[str], None], tmp_path: Path) -> Callable[..., Told]:
    """Writes settings with a notifier that records, and returns how to read what it was told."""

    def write(other: str = GOOD, *, notifier: str = RECORDER, **arguments: object) -> Told:
        given = {"path": str(tmp_path / "told"), "text": "Look: {{ alert }}"} | arguments
        settings(f"{other}alerts: {json.dumps({'notifier': notifier, 'arguments': given})}\n")
        file = tmp_path / "told"
        return lambda: file.read_text().splitlines() if file.exists() else []

    return write


def run(dags: Any, dag: str = "lever_imocha_invite") -> str:
    return str(dags.dags[dag].test().state.value)


def sweep(run_type: str = "scheduled") -> None:
    context = {"dag_run": SimpleNamespace(run_type=run_type)}
    CollectStageEntriesOperator(task_id="collect").execute(context)


@pytest.mark.slow
@callbacks_know_the_error
def test_a_failure_is_told_once_in_a_while(dags: Any, world: World, alerting: Callable[..., Told]) -> None:
    told = alerting()
    world.lever_key = "another"
    assert run(dags) == "failed"
    (line,) = told()
    assert line.startswith("Look: lever_imocha_invite: task collect_stage_entries failed for good in run ")
    assert line.endswith("Check the API key in the Airflow connection's password.")
    assert "lever-key" not in line
    assert run(dags) == "failed"
    assert len(told()) == 1


@pytest.mark.slow
@callbacks_know_the_error
def test_two_mistakes_one_after_the_other_are_told_and_their_end_once(
    dags: Any, world: World, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "pol: 3\n")
    assert run(dags) == "failed"
    alerting(GOOD + "tag: 3\n")
    assert run(dags) == "failed"
    alerting()
    for _ in range(2):
        assert run(dags) == "success"
    first, second, end = told()
    assert "did you mean 'poll'?" in first
    assert "did you mean 'tags'?" in second
    assert end.startswith("Look: well again: lever_imocha_invite: task collect_stage_entries: ")
    assert "'poll'" in end
    assert "'tags'" in end


@pytest.mark.slow
@callbacks_know_the_error
def test_an_end_that_could_not_be_told_is_told_later(dags: Any, world: World, alerting: Callable[..., Told]) -> None:
    told = alerting()
    world.lever_key = "another"
    assert run(dags) == "failed"
    world.lever_key = "lever-key"
    alerting(fail=True)
    assert run(dags) == "success"
    alerting()
    assert run(dags) == "success"
    assert ["well again" in line for line in told()] == [False, True]


def test_nobody_is_told_of_an_end_who_was_not_told_of_the_incident(
    dags: Any, world: World, alerting: Callable[..., Told]
) -> None:
    alerting(fail=True)
    world.lever_key = "another"
    assert run(dags) == "failed"
    world.lever_key = "lever-key"
    told = alerting()
    assert run(dags) == "success"
    assert told() == []


@callbacks_know_the_error
def test_a_run_that_swept_nothing_is_no_end(dags: Any, world: World, alerting: Callable[..., Told]) -> None:
    told = alerting()
    world.lever_key = "another"
    assert run(dags) == "failed"
    task = SimpleNamespace(dag_id="lever_imocha_invite", task_id="collect_stage_entries", map_index=-1)
    for run_type, lines in (("asset_triggered", 1), ("scheduled", 2)):
        tell_success({"ti": task, "dag_run": SimpleNamespace(run_type=run_type)})
        assert len(told()) == lines


@pytest.mark.slow
@callbacks_know_the_error
def test_a_refused_invitation_is_well_again_when_its_candidate_is_invited(
    dags: Any, world: World, ledger_url: str, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "activation: {existing: invite}\n")
    opportunity = world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["a@example.com"])["id"]
    world.faults.append(Fault(vendor="imocha", path_contains="/invite", status=400, times=1))
    assert run(dags) == "failed"
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["b@example.com"])
    assert run(dags) == "success"
    assert ["well again" in line for line in told()] == [False], "another candidate's success is no end"
    Ledger(engine=engine_for(ledger_url)).queue.release_waiting([opportunity])
    assert run(dags) == "success"
    assert ["well again: lever_imocha_invite: task invite: iMocha answered 400" in x for x in told()] == [False, True]


@callbacks_know_the_error
def test_a_mistake_in_the_settings_is_told(dags: Any, world: World, alerting: Callable[..., Told]) -> None:
    told = alerting(GOOD + "pol: 3\n")
    assert run(dags) == "failed"
    assert ["did you mean 'poll'?" in line for line in told()] == [True]


@callbacks_know_the_error
def test_a_failure_is_told_although_the_ledger_failed(
    dags: Any, world: World, alerting: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = alerting()
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", "mysql://u@127.0.0.1:1/x")
    assert run(dags) == "failed"
    assert ["The ledger needs PostgreSQL" in line for line in told()] == [True]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"notifier": "no.such.Notifier"}, "alerts.notifier: 'no.such.Notifier' cannot be imported"),
        ({"color": "red"}, f"alerts.arguments: {RECORDER} cannot be made with them"),
        ({"fail": True}, f"{RECORDER} failed (ConnectionError); check its Airflow connection"),
    ],
)
def test_a_notifier_that_does_not_work_breaks_nothing_and_is_tried_again(
    world: World,
    ledger_url: str,
    alerting: Callable[..., Told],
    caplog: pytest.LogCaptureFixture,
    given: dict[str, Any],
    line: str,
) -> None:
    wait(world, ledger_url)
    alerting(**given)
    sweep()
    assert line in caplog.text
    told = alerting()
    sweep()
    assert len(told()) == 1


def wait(world: World, ledger_url: str) -> str:
    """A candidate whom nobody has decided about for an hour."""
    opportunity = world.add_opportunity(stage="Assessment", tags=[], name="Ann Example")
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    entry = NewEntry(opportunity_id=opportunity["id"], stage_id="s", entered_at=an_hour_ago, eligibility="tests [1]")
    ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: an_hour_ago)
    ledger.entries.record([entry], seen_by="webhook")
    item = ledger.queue.claim(opportunity["id"], [Work.INVITE], worker="w")[Work.INVITE]
    ledger.queue.put_off(item, error="VendorDownError", not_before=datetime.now(UTC) + timedelta(hours=1))
    return str(opportunity["id"])


def test_who_waits_too_long_is_told_once_by_sweeps_only(
    world: World, ledger_url: str, alerting: Callable[..., Told]
) -> None:
    opportunity_id, told = wait(world, ledger_url), alerting()
    sweep("asset_triggered")
    assert told() == []
    sweep()
    (line,) = told()
    assert line.startswith(f"Look: 1 waiting too long: opportunity {opportunity_id} undecided since ")
    assert "Ann" not in line
    sweep()
    assert len(told()) == 1
    queue = Ledger(engine=engine_for(ledger_url)).queue
    queue.finish(queue.claim(opportunity_id, [Work.INVITE], worker="w", force=True)[Work.INVITE])
    for _ in range(2):
        sweep()
        assert len(told()) == 2
    assert told()[1].startswith(f"Look: well again: opportunity {opportunity_id} undecided since ")


def test_a_run_that_a_webhook_started_and_that_finds_nothing_asks_no_vendor(
    world: World, settings: Callable[[str], None]
) -> None:
    sweep("asset_triggered")
    assert world.calls == []


def test_who_waits_is_told_although_the_sweep_fails(
    world: World, ledger_url: str, alerting: Callable[..., Told]
) -> None:
    wait(world, ledger_url)
    told = alerting()
    world.lever_key = "another"
    with pytest.raises(Exception, match="Check the API key"):
        sweep()
    assert len(told()) == 1


LISTS = {
    "Lever's list of the trigger stages": ("lever", "stage_id=", "lever.sweep"),
    "Lever's list of deleted opportunities": ("lever", "/opportunities/deleted", "lever.deleted"),
    "iMocha's list of attempts": ("imocha", "testattempts", "imocha.attempts"),
}


def poll() -> None:
    WaitForAttemptsSensor(task_id="wait", wait=False).execute({})


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_cannot_be_read_is_told_once_and_its_end_although_work_goes_on(
    name: str, world: World, ledger_url: str, alerting: Callable[..., Told]
) -> None:
    (vendor, path, mark), told = LISTS[name], alerting()
    ledger, look = Ledger(engine=engine_for(ledger_url)), sweep if vendor == "lever" else poll

    def fail(minutes: int) -> None:
        """Fail, so long after the list was last read."""
        ledger.watermarks.put(mark, datetime.now(UTC) - timedelta(minutes=minutes))
        for kind in (Work.STATUS, Work.WRITE_BACK):
            ledger.queue.enqueue(["op"], kind)
        fault = Fault(vendor=vendor, path_contains=path, status=403, times=9)
        world.faults.append(fault)
        look()
        assert fault.times < 9
        world.faults.clear()

    for _ in range(2):
        look()
    fail(3)
    assert told() == [], "it was read a moment ago"
    for _ in range(2):
        fail(16)
    (line,) = told()
    assert line.startswith(f"Look: {name} cannot be read: ")
    assert "It was last read at" in line
    for _ in range(2):
        look()
    assert told()[1:] == [f"Look: well again: {name} could not be read"]


def test_every_task_tells_but_for_the_doctors_which_tells_what_changed_and_the_set_ups_whose_person_waits(
    dags: Any,
) -> None:
    silent = {"lever_imocha_doctor", "lever_imocha_setup", "lever_imocha_deactivate"}
    assert silent < set(dags.dags)
    for dag in (dag for name, dag in dags.dags.items() if name not in silent):
        for task in dag.tasks:
            assert task.has_on_failure_callback or task.on_failure_callback, task.task_id
            assert task.has_on_success_callback or task.on_success_callback, task.task_id
            assert not task.on_retry_callback
        assert not dag.deadline


@pytest.mark.slow
@callbacks_know_the_error
def test_a_rule_that_cannot_be_used_is_told_at_the_end_of_a_run_that_invites_the_others(
    dags: Any, world: World, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "activation: {existing: invite}\nrules: [{completed_stage: Nowhere, tags: [urgent]}, {}]\n")
    for tags in ([PYTHON], [PYTHON, "urgent"]):
        world.add_opportunity(stage="Assessment", tags=tags, emails=[f"ann{len(tags)}@example.com"])
    assert run(dags) == "failed"
    assert [mail["to"] for mail in world.mails] == ["ann1@example.com"]
    assert run(dags) == "failed"
    (line,) = told()
    assert "rules[0].completed_stage: 'Nowhere' does not exist in Lever; there are: 'New lead'" in line
    alerting(GOOD + "activation: {existing: invite}\n")
    assert run(dags) == "success"
    assert told()[1].startswith("Look: well again: rules[0].completed_stage: 'Nowhere' does not exist")


@pytest.mark.slow
@callbacks_know_the_error
def test_without_the_acting_user_the_run_invites_and_says_so(
    dags: Any, world: World, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "activation: {existing: invite}\nexplain: {status_tags: true}\n")
    one, other = world.users
    one["deactivatedAt"], other["deactivatedAt"] = world.now_ms(), None
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["ann@example.com"])
    assert run(dags) == "failed"
    assert len(world.mails) == 1
    (line,) = told()
    assert "perform_as: no active Lever user has this e-mail address; name one who has" in line


@pytest.mark.slow
def test_what_comparing_cannot_explain_is_told_once_and_so_is_its_end(
    dags: Any, world: World, alerting: Callable[..., Told], ledger_url: str
) -> None:
    told = alerting(f"{GOOD}activation: {{existing: invite}}\n")
    opportunity = world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["ann@example.com"])["id"]
    assert run(dags) == "success"
    with engine_for(ledger_url).begin() as connection:
        (invitation,) = connection.execute(select(assessments.c.invitation_id)).scalars()
        connection.execute(update(assessments).values(invitation_id=None))
    for _ in range(2):
        assert run(dags, "lever_imocha_compare") == "success"
    (line,) = told()
    assert f"1 unexplained when Lever, iMocha and the ledger were compared: opportunity {opportunity}" in line
    with engine_for(ledger_url).begin() as connection:
        connection.execute(update(assessments).values(invitation_id=invitation))
    world.switches["reports_left_out"] = 1
    assert run(dags, "lever_imocha_compare") == "success"
    assert len(told()) == 1, "nothing is known to have ended"
    world.switches["reports_left_out"] = 0
    assert run(dags, "lever_imocha_compare") == "success"
    assert "well again" in told()[1]
    world.faults.append(Fault(vendor="lever", path_contains="/opportunities", status=403, times=9))
    assert run(dags, "lever_imocha_compare") == "failed"


def _listed(deadline: Any) -> list[Any]:
    return deadline if isinstance(deadline, list) else [deadline] if deadline else []


def test_scheduled_runs_have_a_deadline_once_there_is_somebody_to_tell(alerting: Callable[..., Told]) -> None:
    alerting()
    parsed = read_dags().dags
    late = {name: [alert.interval for alert in _listed(dag.deadline)] for name, dag in parsed.items()}
    assert late == {
        "lever_imocha_invite": [deadline_interval(timedelta(hours=1))],
        "lever_imocha_write_back": [deadline_interval(timedelta(hours=7))],
        "lever_imocha_compare": [],
        "lever_imocha_doctor": [],
        "lever_imocha_setup": [],
        "lever_imocha_deactivate": [],
        "lever_imocha_retention": [],
        "lever_imocha_sync_tags": [],
    }


@pytest.mark.skipif(not SINCE_3_3, reason="3.1 and 3.2 store the interval as a number by themselves")
def test_a_run_that_has_a_deadline_can_be_cleared(alerting: Callable[..., Told]) -> None:
    alerting()
    synced(read_dags())
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag("lever_imocha_invite", session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id="cleared",
            run_after=datetime(2026, 7, 2, tzinfo=UTC),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.QUEUED,
            session=session,
        )
        session.flush()
        assert dag.clear(run_id="cleared", session=session)
        (late,) = session.scalars(select(Deadline).where(Deadline.dagrun_id == run.id))
        assert run.queued_at is not None
        assert late.deadline_time - run.queued_at == timedelta(hours=1)
        session.rollback()


def test_a_late_run_is_told_by_the_triggerer(world: World, alerting: Callable[..., Told]) -> None:
    told = alerting()
    alert = deadline(timedelta(hours=1))
    assert alert is not None
    context = {
        "dag_run": {"dag_id": "lever_imocha_invite", "dag_run_id": "scheduled__1"},
        "deadline": {"id": "d1", "deadline_time": "2026-07-02T03:00:00Z"},
    }
    trigger = CallbackTrigger(alert.callback.path, {"context": context})

    async def fire() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    assert asyncio.run(fire())[-1]["state"] == "success"
    assert told() == ["Look: lever_imocha_invite: run scheduled__1 is not done in time (due 2026-07-02T03:00:00Z)."]


@pytest.mark.slow
def test_who_is_going_to_be_masked_is_told_once(
    dags: Any, world: World, ledger_url: str, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "activation: {existing: invite}\nmask_deleted: true\n")
    ids = [
        world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=[f"a{number}@example.com"])["id"]
        for number in range(2)
    ]
    assert run(dags) == "success"
    for opportunity_id in ids:
        world.delete(opportunity_id)
    assert run(dags) == "success"
    for _ in range(2):
        sweep()
        (line,) = told()
        assert line.startswith(
            "Look: 2 candidates were deleted or anonymised in Lever, and are going to be masked at iMocha"
        )
        assert "python -m lever_imocha.ledger drop" in line
    ledger = Ledger(engine=engine_for(ledger_url))
    assert ledger.queue.drop_masking(ids) == 2
    sweep()
    assert len(told()) == 1, "what a person has stopped is no news"


@pytest.mark.slow
def test_whom_the_limit_of_the_hour_holds_is_told_once_an_hour(
    dags: Any, world: World, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "activation: {existing: invite}\nlimits: {per_hour: 1}\n")
    for number in range(3):
        world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=[f"a{number}@example.com"])
    assert run(dags) == "success"
    assert told() == []
    for _ in range(2):
        sweep()
        (line,) = told()
        assert line.startswith("Look: 2 candidates are held by limits.per_hour (1 e-mails in an hour). They go on by")


@pytest.mark.slow
def test_whom_the_limit_of_one_candidate_holds_is_told_once(
    dags: Any, world: World, alerting: Callable[..., Told]
) -> None:
    told = alerting(GOOD + "activation: {existing: invite}\nlimits: {per_candidate: 1}\n")
    opportunity = world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["a@example.com"])["id"]
    assert run(dags) == "success"
    for stage in ("Recruiter screen", "Assessment"):
        world.move(opportunity, stage)
    assert run(dags) == "success"
    assert len(world.mails) == 1
    for _ in range(2):
        sweep()
        (line,) = told()
        assert line.startswith(f"Look: 1 held by limits.per_candidate, a person decides: opportunity {opportunity}.")
