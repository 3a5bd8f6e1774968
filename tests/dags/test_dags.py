"""The DAGs as Airflow runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.ledger.repository import Ledger

from include.sandbox.world import World
from tests.support import PYTHON

IDS = [
    "lever_imocha_compare",
    "lever_imocha_deactivate",
    "lever_imocha_doctor",
    "lever_imocha_invite",
    "lever_imocha_retention",
    "lever_imocha_setup",
    "lever_imocha_sync_tags",
    "lever_imocha_write_back",
]


def state(run: Any) -> str:
    return str(run.state.value)


def said(run: Any) -> dict[str, str | None]:
    """What the rows of a run's list of tasks say."""
    return {task.task_id: task.rendered_map_index for task in run.get_task_instances()}


def test_all_dags_are_read_and_say_what_they_do(dags: Any) -> None:
    assert dags.import_errors == {}
    assert sorted(dags.dags) == IDS
    assert all(dag.doc_md and "When it fails" in dag.doc_md for dag in dags.dags.values())


def test_a_dag_is_found_on_the_page_by_the_id_that_the_documents_name(dags: Any) -> None:
    assert [dag_id for dag_id, dag in dags.dags.items() if dag_id not in dag.dag_display_name] == []


def test_dag_files_only_wire() -> None:
    for path in (Path(__file__).parents[2] / "dags").glob("*.py"):
        assert path.stem in IDS
        assert len(path.read_text().splitlines()) < 80


def test_a_candidate_from_the_move_to_the_report(
    dags: Any, world: World, settings: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    opportunity = world.add_opportunity(
        stage="Assessment", tags=[PYTHON], emails=["ann@example.com"], name="Ann Example"
    )
    invite = dags.dags["lever_imocha_invite"].test()
    assert state(invite) == "success"
    assert said(invite) == {"collect_stage_entries": "1 to decide about", "invite": f"{opportunity['id']} · invite"}
    (invitation,) = world.invitations.values()
    assert len(world.mails) == 1
    world.finish(invitation)
    assert state(dags.dags["lever_imocha_write_back"].test()) == "success"
    assert opportunity["stage"] == world.stage_id("Assessment Complete")
    assert len(world.forms[opportunity["id"]]) == len(world.files[opportunity["id"]]) == 1
    logged = "".join(capfd.readouterr())
    assert opportunity["id"] in logged
    for secret in ("ann@example.com", "Ann Example", "pdfreport", "lever-key", "imocha-key", "34 / 50"):
        assert secret not in logged


def test_an_event_says_which_task_of_which_run_it_is_of(
    dags: Any, world: World, settings: Callable[[str], None], ledger: Ledger
) -> None:
    opportunity = str(world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["ann@example.com"])["id"])
    run = dags.dags["lever_imocha_invite"].test()
    (invited,) = (moment for moment in ledger.timeline.of(opportunity) if moment.kind == "invited")
    assert invited.run == f"lever_imocha_invite/{run.run_id}"
    assert invited.task == "invite/0"


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
    dags: Any, world: World, settings: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    settings("perform_as: people-ops@example.com\nactivation: {existing: invite}\n")
    one = world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["a@example.com"])["id"]
    invite = dags.dags["lever_imocha_invite"]
    assert state(invite.test(run_conf={"dry_run": True})) == "success"
    assert f"1 x invite, test 101: {one}" in capfd.readouterr().out
    assert world.mails == []
    assert state(invite.test(run_conf={"dry_run": False})) == "success"  # `DAG.test` keeps the parameters of the last
    assert len(world.mails) == 1


def test_every_run_and_every_task_has_an_end(dags: Any) -> None:
    assert [dag_id for dag_id, dag in dags.dags.items() if dag.dagrun_timeout is None] == []
    endless = [task for dag in dags.dags.values() for task in dag.tasks if task.execution_timeout is None]
    assert {task.task_id for task in endless} <= {"choose", "confirm"}, "those wait for a person, until the run's end"


@pytest.mark.slow
def test_a_limit_holds_until_a_person_releases_or_drops(
    dags: Any, world: World, settings: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    settings(
        "perform_as: people-ops@example.com\nactivation: {existing: invite}\nlimits: {per_hour: 1}\n"
        "poll: {full_sweep: 1}\n"
    )
    invite, early = dags.dags["lever_imocha_invite"], datetime.now(UTC)
    for number in range(3):
        world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=[f"a{number}@example.com"])
    assert state(invite.test()) == "success"
    assert len(world.mails) == 1
    assert state(invite.test()) == "success"
    assert len(world.mails) == 1
    assert "2 on hold by the setting limits.per_hour (1)" in caplog.text
    # Started while the DAG was paused, before they came: the person cannot have meant them.
    assert state(invite.test(run_conf={"over_limit": "release"}, run_after=early)) == "success"
    assert len(world.mails) == 1
    assert state(invite.test(run_conf={"over_limit": "release"})) == "success"
    assert len(world.mails) == 3
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["b@example.com"])
    assert state(invite.test(run_conf={"full": True})) == "success"
    assert state(invite.test(run_conf={"over_limit": "drop"})) == "success"
    assert state(invite.test(run_conf={"over_limit": "release"})) == "success"
    assert len(world.mails) == 3


def test_waiting_ends_with_nothing_to_do(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    assert state(dags.dags["lever_imocha_write_back"].test()) == "success"
    assert [call["method"] for call in world.calls if call["vendor"] == "lever"] == []


def test_a_wrong_key_fails_at_once_and_writes_nothing(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["ann@example.com"])
    world.lever_key = "another"
    run = dags.dags["lever_imocha_invite"].test()
    assert state(run) == "failed"
    assert run.get_task_instance("collect_stage_entries").try_number == 1
    assert world.invitations == {}


def test_unknown_stage_fails_at_once(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    settings("perform_as: people-ops@example.com\nrules: [{trigger_stage: Nowhere}]")
    assert state(dags.dags["lever_imocha_invite"].test()) == "failed"


def test_tags_are_synced_by_hand(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    carrier = world.add_opportunity(stage="Offer")
    run = dags.dags["lever_imocha_sync_tags"].test(run_conf={"opportunity": carrier["id"], "keep_on_opportunity": True})
    assert state(run) == "success"
    assert carrier["tags"] == [PYTHON, "iMocha: SQL Basics [102]"]


def test_a_tag_that_lever_refuses_fails_the_run_and_is_in_its_result(
    dags: Any, world: World, settings: Callable[[str], None]
) -> None:
    carrier = world.add_opportunity(stage="Offer")
    world.refused_tags.add(PYTHON)
    run = dags.dags["lever_imocha_sync_tags"].test(run_conf={"opportunity": carrier["id"], "keep_on_opportunity": True})
    assert state(run) == "failed"
    result = run.get_task_instance("sync_tags").xcom_pull("sync_tags")
    assert (result["created"], list(result["refused"])) == (["iMocha: SQL Basics [102]"], [PYTHON])


def test_old_data_is_removed_each_night(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    run = dags.dags["lever_imocha_retention"].test()
    assert state(run) == "success"
    assert run.get_task_instance("remove_old_data").xcom_pull("remove_old_data") == {
        "alerts": 0, "bulk_requests": 0, "deliveries": 0, "events": 0, "sealed_links": 0,
    }  # fmt: skip


def test_the_plugin_loads_without_touching_the_standard_library() -> None:
    from airflow.plugins_manager import ensure_plugins_loaded

    ensure_plugins_loaded()
    assert hasattr(sys.modules["http"], "HTTPStatus")
    assert "invite" not in sys.modules
