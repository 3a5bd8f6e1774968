"""What a run's note in Airflow says, on each version of Airflow."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.listeners.listener import get_listener_manager
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from lever_imocha.runtime.outcomes import counted, note_of

from include.sandbox.world import Fault, World
from tests.support import PYTHON


def ended(run: Any, *, after: tuple[str, str] | None = None) -> tuple[str | None, str | None]:
    """Airflow ends the run, as its scheduler does; return the note, and who wrote it.

    :param after: the note that a person has written before, and who.
    """
    with create_session() as session:
        in_scheduler = session.get_one(DagRun, run.id)
        if after:
            in_scheduler.dag_run_note.content, in_scheduler.dag_run_note.user_id = after
            session.flush()
        get_listener_manager().hook.on_dag_run_success(dag_run=in_scheduler, msg="")
    with create_session() as session:
        written = session.get_one(DagRun, run.id).dag_run_note
        return (written.content, written.user_id) if written else (None, None)


def test_a_finished_run_says_how_many_came_to_what(
    dags: Any, world: World, settings: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    invite = dags.dags["lever_imocha_invite"]
    assert ended(invite.test()) == (None, None), "there was nobody"
    for tags, emails in (([PYTHON], ["a@example.com"]), ([PYTHON], ["b@example.com"]), ([PYTHON], []), ([], [])):
        world.add_opportunity(stage="Assessment", tags=tags, emails=emails, name="Ann")
    run = invite.test()
    expected = ("2 invited, 1 held: no e-mail address, 1 ignored: no assessment tag", None)
    assert ended(run) == expected
    assert ended(run) == expected
    assert ended(run, after=("Ann has called", "eve")) == ("Ann has called", "eve")
    assert "has no note" not in "".join(capfd.readouterr())


def test_a_run_that_failed_says_how_many_failed(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["a@example.com"], name="Ann")
    world.faults.append(Fault(vendor="imocha", method="POST", path_contains="/invite", status=400, times=100))
    run = dags.dags["lever_imocha_invite"].test()
    assert str(run.state.value) == "failed"
    assert ended(run) == ("1 failed", None)


def test_other_dags_are_left_alone_and_nothing_is_ever_raised(caplog: pytest.LogCaptureFixture) -> None:
    end = get_listener_manager().hook.on_dag_run_failed
    end(dag_run=SimpleNamespace(dag_id="somebody_else_s", run_id="r"), msg="")
    assert caplog.records == []
    end(dag_run=SimpleNamespace(dag_id="lever_imocha_invite", run_id="r"), msg="")
    assert "the run r has no note" in caplog.text


def test_a_note_has_kinds_only_and_an_end() -> None:
    assert counted(["hold: unknown test (iMocha: Gone [999])", "failed again: TimeoutError", "status shown"]) == {
        "held: unknown test": 1, "failed again": 1, "status shown": 1,
    }  # fmt: skip
    many = [{f"{number} {'x' * 200}": 1} for number in range(20)]
    assert len(note_of(many)) == 1000
    assert note_of([]) == ""
