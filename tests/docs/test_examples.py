"""The example DAGs of the documentation, run by Airflow against the sandbox, without ledger and settings file."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from lever_imocha.assets import announce, outlet, report_written
from sqlalchemy import select

from include.sandbox.world import Fault, World
from tests.airflow_versions import read_dags, synced

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
MODULES = ("operators.lever", "operators.imocha", "sensors.lever", "sensors.imocha")


@pytest.fixture(scope="module")
def dags() -> Any:
    bag = read_dags(ROOT / "docs" / "examples")
    assert bag.import_errors == {}
    return synced(bag).dags


def xcoms(run: Any) -> dict[str, Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = select(XComModel).where(XComModel.run_id == run.run_id, XComModel.key == "return_value")
        return {row.task_id: XComModel.deserialize_value(row) for row in session.scalars(query)}


def test_levers_operators(dags: Any, world: World, tmp_path: Path) -> None:
    candidate = world.add_opportunity(stage="Assessment", name="Ann Example", emails=["ann@example.com"])
    fields = [
        {"id": "f1", "type": "dropdown", "text": "Outcome", "options": [{"text": "Good"}], "required": True},
        {"id": "f2", "type": "date", "text": "Spoken on", "required": False},
    ]
    world.templates["t1"] = {
        "id": "t1", "text": "Reference check", "instructions": "", "group": None, "secretByDefault": False,
        "fields": fields, "createdAt": world.now_ms(),
    }  # fmt: skip
    path = tmp_path / "r.pdf"
    path.write_bytes(b"%PDF-1.4")
    run = dags["example_lever_calls"].test(run_conf={"opportunity": candidate["id"], "file": str(path)})
    assert run.state.value == "success"
    (note,), (form,), (file,) = (kept[candidate["id"]] for kept in (world.notes, world.forms, world.files))
    assert note["secret"]
    assert form["fields"][0]["value"] == "Good"
    assert (file["name"], candidate["tags"], candidate["stage"]) == ("References.pdf", [], "offer")
    made = {"note": note["id"], "form": form["id"], "upload": file["id"], "move": "offer"}
    assert xcoms(run) == made


def a_story(world: World, tmp_path: Path) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """A candidate in a stage who has taken a test, and a template; return them, and parameters that name all of it."""
    from lever_imocha.hooks.imocha import ImochaHook

    posting = world.postings[0]
    candidate = world.add_opportunity(
        stage="Assessment", tags=["To be tested"], applications=[{"id": "a1", "posting": posting["id"]}]
    )
    invitation = ImochaHook().client().invite(101, email="ann@example.com", name="Ann", send_email=False).id
    world.finish(world.invitations[invitation])
    fields = [{"id": "f1", "type": "text", "text": "Outcome", "required": True}]
    world.templates[TEMPLATE] = {
        "id": TEMPLATE, "text": "Own assessment", "instructions": "", "group": None, "secretByDefault": False,
        "fields": fields, "createdAt": world.now_ms(),
    }  # fmt: skip
    (tmp_path / "r.pdf").write_bytes(b"%PDF-1.4")
    names = {
        "opportunity": candidate["id"], "email": "ann@example.com", "file": str(tmp_path / "r.pdf"),
        "posting": posting["text"],
    }  # fmt: skip
    return candidate, invitation, names


TEMPLATE = "6f2d2c9e-0c1b-4a5c-9a38-1d5f7f0e0001"
WAITS = [  # deferred: the first look of each sensor fails, and the triggerer looks again
    Fault(vendor="lever", method="GET", path_contains="/opportunities", status=429, retry_after=60),
    Fault(vendor="imocha", method="GET", path_contains="/reports/", status=404),
]


@pytest.mark.parametrize(
    ("deferrable", "with_ledger"),
    [
        (False, True),
        *(pytest.param(*both, marks=pytest.mark.slow) for both in ((True, False), (True, True), (False, False))),
    ],
)
def test_every_operator_and_sensor(
    world: World, tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch, deferrable: bool, with_ledger: bool
) -> None:
    candidate, invitation, given = a_story(world, tmp_path)
    if with_ledger:  # everything by id, with connections of other names
        monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
        given |= {
            "stage": world.stage_id("Assessment"), "posting": world.postings[0]["id"], "template": TEMPLATE,
            "next": world.stage_id("Assessment Complete"), "acting": world.users[0]["id"],
            "lever": "lever_other", "imocha": "imocha_other",
        }  # fmt: skip
        for vendor in ("LEVER", "IMOCHA"):
            monkeypatch.setenv(f"AIRFLOW_CONN_{vendor}_OTHER", os.environ[f"AIRFLOW_CONN_{vendor}_DEFAULT"])
            monkeypatch.delenv(f"AIRFLOW_CONN_{vendor}_DEFAULT")
    if deferrable:
        world.faults += [replace(fault) for fault in WAITS]
    text = (ROOT / "docs" / "examples" / "example_every_call.py").read_text()
    (tmp_path / "example.py").write_text(text.replace("deferrable=True", f"deferrable={deferrable}"))
    run = synced(read_dags(tmp_path)).dags["example_every_call"].test(run_conf=given)
    assert run.state.value == "success"
    assert world.faults == []
    (note,), (form,), (file,) = (kept[candidate["id"]] for kept in (world.notes, world.forms, world.files))
    (again,) = set(world.invitations) - {invitation}
    assert (form["fields"][0]["value"], form["user"]) == ("complete", world.users[0]["id"])
    assert note["fields"][0]["value"] == f"Invitation {invitation}: see the form."
    assert (candidate["tags"], file["name"], world.mails) == (["Tested"], "r.pdf", [])
    assert candidate["stage"] == (world.stage_id("Assessment Complete") if with_ledger else "offer")
    assert world.invitations[again].state == "Cancelled"
    assert xcoms(run) == {
        "arrived": [candidate["id"]], "invite": invitation, "ended": [invitation], "report": "complete",
        "again": again, "form": form["id"], "note": note["id"], "upload": file["id"], "move": candidate["stage"],
    }  # fmt: skip


@pytest.mark.slow
def test_imochas_operators_with_a_wait_in_the_triggerer(dags: Any, world: World) -> None:
    from lever_imocha.hooks.imocha import ImochaHook

    first = ImochaHook().client().invite(101, email="ann@example.com", name="Ann", send_email=False).id
    world.finish(world.invitations[first])
    # The report is not there when the task looks: it waits.
    world.faults.append(Fault(vendor="imocha", method="GET", path_contains="/reports/", status=404, times=1))
    run = dags["example_imocha_calls"].test(run_conf={"email": "ann@example.com", "name": "Ann"})
    assert run.state.value == "success"
    (second,) = set(world.invitations) - {first}
    assert world.invitations[second].state == "Cancelled"
    assert world.mails == []
    assert xcoms(run) == {"invite": first, "ended": [first], "report": "complete", "again": second}


def test_hooks_in_tasks_of_ones_own(dags: Any, world: World) -> None:
    world.add_opportunity(stage="Recruiter screen", name="Ann", emails=["ann@example.com"])
    world.add_opportunity(stage="Recruiter screen", name="Ben", emails=[])
    world.add_opportunity(stage="Offer", name="Cid", emails=["cid@example.com"])
    run = dags["example_hooks"].test(run_conf={"since": "2026-01-01T00:00:00+00:00"})
    assert run.state.value == "success"
    assert [(one.email, one.test_id) for one in world.invitations.values()] == [("ann@example.com", 102)]
    assert "@" not in str(xcoms(run))


def test_a_dag_that_waits_for_reports(dags: Any, world: World) -> None:
    run = dags["example_on_report"].test()
    assert run.state.value == "success"


@pytest.mark.parametrize("ids", [["o1", "o2"], []])
def test_an_event_with_ids_only_is_raised_if_there_is_somebody_to_tell_of(world: World, ids: list[str]) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.sdk import task
    from airflow.utils.session import create_session

    with DAG(dag_id=f"raises_{len(ids)}", schedule=None) as dag:

        @task(outlets=[outlet(report_written)])
        def write(**context: Any) -> None:
            announce(context, report_written, ids)  # type: ignore[arg-type]

        write()
    bag = read_dags(os.devnull)
    bag.bag_dag(dag)
    synced(bag)
    run = dag.test()
    assert run.state.value == "success"
    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == run.run_id)).all()
        found = [(event.source_dag_id, event.name, event.extra) for event in events]
    assert [entry[2] for entry in found if entry[0] == dag.dag_id] == ([{"opportunity_ids": ids}] if ids else [])


def classes() -> list[type[BaseOperator]]:
    return [
        item
        for module in MODULES
        for item in vars(importlib.import_module(f"lever_imocha.{module}")).values()
        if inspect.isclass(item)
        and issubclass(item, BaseOperator)
        and item.__module__ == f"lever_imocha.{module}"
        and item.__name__ not in ("LeverOperator", "_LeverTagsOperator", "ImochaOperator")
    ]


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_the_example_in_a_docstring_is_a_task_and_an_example_dag_has_one(kind: type[BaseOperator]) -> None:
    block = re.search(r"\.\. code-block:: python\n\n((?: {8}.*\n|\n)+)", kind.__doc__ or "")
    assert block
    code = textwrap.dedent(block[1]).replace("invite.output", "'1'")
    with DAG(dag_id="docstring", schedule=None) as dag:
        exec(code, {kind.__name__: kind})  # the documentation's own text
    assert [type(task) for task in dag.tasks] == [kind]
    assert any(kind.__name__ in path.read_text() for path in EXAMPLES)
