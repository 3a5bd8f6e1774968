"""The set-up's tasks, each with the answer that a person has given."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import DagRunTriggerException
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
from fastapi import FastAPI, Header, HTTPException
from lever_imocha.airflow_compat import SINCE_3_2, AirflowSkipException
from lever_imocha.errors import SettingsError
from lever_imocha.ledger.database import check_schema, engine_for
from lever_imocha.operators.deactivation import (
    DEACTIVATE,
    KEEP,
    ConfirmDeactivationOperator,
    DeactivateOperator,
)
from lever_imocha.operators.setup import (
    ACTIVATE,
    AGAIN,
    BACK,
    GO_ON,
    SAVE,
    STOP,
    CheckSetUpOperator,
    ChooseOperator,
    ConfirmOperator,
    LookAgainOperator,
    SetUpOperator,
)
from lever_imocha.runtime.airflow_api import set_paused
from lever_imocha.runtime.doctor import facts_of
from lever_imocha.runtime.setup import form_of
from lever_imocha.settings import load_settings, settings_path

from dev import postgres
from include.sandbox.server import serve
from include.sandbox.world import World
from tests.airflow_versions import WaitsForAnswer
from tests.support import PYTHON, TURNS_AT_ONCE, allow_turns_at_once


@pytest.fixture(autouse=True)
def callback_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is stored already: only a task that runs in Airflow can store one."""
    monkeypatch.setenv("AIRFLOW_VAR_LEVER_IMOCHA_CALLBACK_SECRET", "the-callback-secret-of-before")


def context(*, paused: bool = False, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the tasks ask Airflow.

    :param before: what was chosen in the run that has started this one.
    """
    run = SimpleNamespace(conf={"answer": before} if before else None)
    return {"ti": SimpleNamespace(get_dag=lambda _dag: SimpleNamespace(is_paused=paused)), "dag_run": run}


def pressed(world: World, button: str, **given: Any) -> dict[str, Any]:
    """What Airflow hands over when a person has answered."""
    params = {
        "trigger_stage": world.stage_id("Recruiter screen"),
        "completed_stage": world.stage_id("Assessment Complete"),
        "form_template": "new",
        "acting_user": world.users[0]["id"],
        "posting": "none",
        "existing": "leave",
        "told": "both",
    }
    answered = {"responded_at": datetime.now(UTC), "responded_by_user": {"id": "1", "name": "admin"}}
    return {"chosen_options": [button], "params_input": params | given} | answered


class Airflow:
    """What a task that asks hands to Airflow, and gets back when it goes on."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self.kept: dict[str, Any] = {}
        self.asked: list[Any] = []

    def xcom_push(self, key: str, value: Any) -> None:
        self.kept[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        assert task_ids == "confirm"
        return self.kept[key]

    def send(self, msg: Any) -> None:
        if isinstance(msg, CreateHITLDetailPayload):
            self.asked.append(msg)


def confirm(
    answer: dict[str, Any], button: str, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object] = lambda: None
) -> tuple[str, dict[str, Any]]:
    """Return what the person is shown, and the answer after they have pressed a button."""
    airflow = Airflow()
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", airflow, raising=False)
    task = {"task_instance": airflow, "ti": airflow}
    with pytest.raises(WaitsForAnswer):
        ConfirmOperator(task_id="confirm", answer=answer).execute(task)
    (shown,) = airflow.asked
    assert shown.options == [GO_ON, BACK]
    meanwhile()
    event = {
        "chosen_options": [button], "params_input": {}, "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "1", "name": "admin"},
    }  # fmt: skip
    return shown.body, ConfirmOperator(task_id="confirm", answer=answer).execute_complete(task, event)


def choose(event: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    return ChooseOperator(task_id="choose").execute_complete(context(before=before), event)


@pytest.mark.skipif(not SINCE_3_2, reason="3.1 shows no form with four buttons, so it has no Stop there")
def test_stop_changes_nothing(world: World, settings: Callable[[str], None]) -> None:
    before = settings_path().read_text()
    answer = choose(pressed(world, STOP, rule="0"), before={"rule": "1"})
    assert answer["button"] == STOP
    for task in (SetUpOperator(task_id="do", answer=answer), again(answer)):
        with pytest.raises(AirflowSkipException):
            task.execute(context())
    assert settings_path().read_text() == before


def again(answer: dict[str, Any]) -> LookAgainOperator:
    return LookAgainOperator(task_id="look_again", answer=answer, trigger_dag_id="lever_imocha_setup")


def test_on_airflow_3_1_a_form_of_four_buttons_would_show_none() -> None:
    buttons = ChooseOperator(task_id="choose").options
    assert buttons == ([ACTIVATE, SAVE, AGAIN, STOP] if SINCE_3_2 else [ACTIVATE, SAVE, AGAIN])


def test_look_again_starts_a_run_that_begins_with_the_same_answer(
    world: World, settings: Callable[[str], None]
) -> None:
    world.switches["rate_limit"] = False
    answer = choose(pressed(world, AGAIN, completed_stage="offer"))
    with pytest.raises(DagRunTriggerException) as started:
        again(answer).execute(context())
    assert started.value.trigger_dag_id == "lever_imocha_setup"
    assert started.value.conf == {"answer": answer}
    with pytest.raises(AirflowSkipException):
        SetUpOperator(task_id="do", answer=answer).execute(context())
    fields = {field.name: field.default for field in form_of(facts_of(), before=answer).fields}
    assert fields["completed_stage"] == "offer"
    assert fields["trigger_stage"] == world.stage_id("Recruiter screen")


def test_another_rule_is_shown_before_anything_is_done_about_it(world: World, settings: Callable[[str], None]) -> None:
    world.switches["rate_limit"] = False
    settings("perform_as: people-ops@example.com\nrules: [{}, {trigger_stage: Offer, tests: [101]}]\n")
    other = choose(pressed(world, ACTIVATE, rule="1", told="note"))
    assert (other["button"], other["rule"], other["told"]) == (AGAIN, "1", "note")
    form = form_of(facts_of(), before=other)
    assert form.text.startswith("Nothing was made: here are the lists of the rule that you chose.")
    shown = {field.name: field.default for field in form.fields}
    assert (shown["rule"], shown["trigger_stage"], shown["told"]) == ("1", world.stage_id("Offer"), "note")
    answer = choose(pressed(world, SAVE, rule="1", trigger_stage=world.stage_id("Offer")), before=other)
    assert (answer["button"], answer["rule"]) == (SAVE, "1")


def test_an_answer_holds_ids_only(world: World, settings: Callable[[str], None]) -> None:
    answer = choose(pressed(world, SAVE))
    assert answer["button"] == SAVE
    assert answer["acting_user"] == world.users[0]["id"]
    assert not any("@" in value for value in answer.values())


def test_what_was_not_chosen_is_asked_again(world: World, settings: Callable[[str], None]) -> None:
    answer = choose(pressed(world, SAVE, acting_user=None))
    assert (answer["button"], answer["why"]) == (AGAIN, "choose a value for: acting_user")


def test_activate_with_something_wrong_asks_again_and_names_it(
    world: World, settings: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    world.switches["rate_limit"] = False
    world.lacking_permissions.add("Find all tags")
    answer = choose(pressed(world, ACTIVATE))
    assert answer["button"] == AGAIN
    assert 'the API key lacks "Find all tags"' in caplog.text
    form = form_of(facts_of(), before=answer)
    red = '- Lever permissions: error: the API key lacks "Find all tags"'
    assert form.text.startswith(f"Not activated. Correct this first:\n\n{red}")
    assert '| **error** Lever permissions | the API key lacks "Find all tags"' in form.text
    assert choose(pressed(world, SAVE))["button"] == SAVE


def test_the_form_shows_the_table_and_without_lever_offers_nothing(
    world: World, settings: Callable[[str], None]
) -> None:
    world.switches["rate_limit"] = False
    form = form_of(facts_of(), before={})
    assert "| warning tests without tag | 2 active tests have no tag in Lever" in form.text
    assert len(form.fields) == 9
    world.lever_key = "another"
    form = form_of(facts_of(), before={})
    assert "| **error** Lever key | Lever does not accept the API key" in form.text
    assert form.fields == []


def test_from_an_empty_database_to_everything_switched_on(
    world: World,
    settings: Callable[[str], None],
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world.switches["rate_limit"] = False
    url = postgres.create_database(postgres_url, "empty_setup")
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", f"{url}&{TURNS_AT_ONCE}")
    answer = choose(pressed(world, ACTIVATE))
    done = SetUpOperator(task_id="do", answer=answer).execute(context())
    check_schema(engine_for(url))
    allow_turns_at_once(engine_for(url))
    assert load_settings().rules[0].trigger_stage == "Recruiter screen"
    assert "form template 'iMocha Assessment' is made" in done
    report = CheckSetUpOperator(task_id="check", answer=answer, done=done).execute(context())
    assert (
        report[-1]
        == "on: lever_imocha_invite, lever_imocha_write_back, lever_imocha_retention, lever_imocha_compare, lever_imocha_doctor"
    )
    off = CheckSetUpOperator(task_id="check", answer=answer, done=done).execute(context(paused=True))
    assert off[-1] == (
        "by hand: Airflow, Dags: switch on "
        "lever_imocha_invite, lever_imocha_write_back, lever_imocha_retention, lever_imocha_compare, lever_imocha_doctor"
    )
    assert "people-ops@example.com" not in caplog.text
    world.imocha_key = "another"
    with pytest.raises(SettingsError, match="iMocha does not accept the API key"):
        CheckSetUpOperator(task_id="check", answer=answer, done=done).execute(context())


def test_before_an_activation_the_plan_is_shown_and_agreed_to(
    world: World, settings: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.switches["rate_limit"] = False
    answer = choose(pressed(world, ACTIVATE, existing="invite"))
    assert ConfirmOperator(task_id="confirm", answer=answer).execute(context()) == answer, "nobody is in the stage"
    one = world.add_opportunity(stage="Recruiter screen", tags=[PYTHON], emails=["ann@example.com"], name="Ann Example")
    saved = choose(pressed(world, SAVE))
    assert ConfirmOperator(task_id="confirm", answer=saved).execute(context()) == saved, "nothing is activated"
    shown, agreed = confirm(answer, GO_ON, monkeypatch)
    assert f"| invite: an e-mail to each | test 101 | 1 | {one['id']} |" in shown
    assert "E-mails: 1. 1 of them go out in the first hour: " in shown
    assert "ann@example.com" not in shown
    assert agreed == answer
    _, back = confirm(answer, BACK, monkeypatch)
    assert (back["button"], back["existing"]) == (AGAIN, "invite")
    with pytest.raises(DagRunTriggerException):
        again(back).execute(context())


def test_nobody_is_reached_whom_the_plan_did_not_show(
    world: World, settings: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.switches["rate_limit"] = False

    def candidate() -> dict[str, Any]:
        return world.add_opportunity(stage="Recruiter screen", tags=[PYTHON], emails=["a@example.com"], name="Ann")

    first = candidate()
    answer = choose(pressed(world, ACTIVATE, existing="invite"))
    _, more = confirm(answer, GO_ON, monkeypatch, meanwhile=candidate)
    assert (more["button"], more["why"][:14]) == (AGAIN, "Not activated:")
    _, fewer = confirm(answer, GO_ON, monkeypatch, meanwhile=lambda: world.move(first["id"], "Offer"))
    assert fewer == answer


def test_the_dags_are_switched_on_and_off_by_airflow_s_api(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = {"lever_imocha_invite": True, "lever_imocha_write_back": True}
    airflow = FastAPI()

    @airflow.post("/auth/token", status_code=201)
    def log_in(body: dict[str, str]) -> dict[str, str]:
        if body != {"username": "setup", "password": "secret-of-the-setup"}:
            raise HTTPException(401)
        return {"access_token": "token-of-the-setup"}

    @airflow.patch("/api/v2/dags/{dag_id}")
    def change(dag_id: str, body: dict[str, bool], authorization: Annotated[str, Header()]) -> None:
        if authorization != "Bearer token-of-the-setup":
            raise HTTPException(401)
        paused[dag_id] = body["is_paused"]

    assert not set_paused(paused, paused=False)  # there is no connection
    with serve(airflow) as url:
        connection = {"conn_type": "http", "host": url, "login": "setup", "password": "wrong-password"}
        monkeypatch.setenv("AIRFLOW_CONN_LEVER_IMOCHA_AIRFLOW", json.dumps(connection))
        assert not set_paused(paused, paused=False)
        assert all(paused.values())
        connection["password"] = "secret-of-the-setup"
        monkeypatch.setenv("AIRFLOW_CONN_LEVER_IMOCHA_AIRFLOW", json.dumps(connection))
        assert set_paused(paused, paused=False)
        assert not any(paused.values())
        port = urlsplit(url).port
        by_parts = connection | {"schema": "http", "host": "127.0.0.1", "port": port}
        monkeypatch.setenv("AIRFLOW_CONN_LEVER_IMOCHA_AIRFLOW", json.dumps(by_parts))
        assert set_paused(paused, paused=True)
        assert all(paused.values())


def test_what_is_saved_only_is_not_switched_on(world: World, settings: Callable[[str], None], tmp_path: Path) -> None:
    world.switches["rate_limit"] = False
    answer = choose(pressed(world, SAVE))
    done = SetUpOperator(task_id="do", answer=answer).execute(context())
    report = CheckSetUpOperator(task_id="check", answer=answer, done=done).execute(context(paused=True))
    assert not any(line.startswith("on: ") or "switch on" in line for line in report)


def test_where_airflow_does_not_say_what_is_on_a_person_is_told(world: World, settings: Callable[[str], None]) -> None:
    world.switches["rate_limit"] = False
    answer = choose(pressed(world, ACTIVATE))
    older = {"ti": SimpleNamespace()}  # before Airflow 3.3 a task cannot ask
    with pytest.raises(SettingsError, match="does not say what was chosen"):  # `do` has written to another machine's
        CheckSetUpOperator(task_id="check", answer=answer, done=[]).execute(older)
    done = SetUpOperator(task_id="do", answer=answer).execute(context())
    report = CheckSetUpOperator(task_id="check", answer=answer, done=done).execute(older)
    assert report[-1].startswith("by hand: Airflow, Dags: switch on lever_imocha_invite")


def test_nothing_is_switched_off_unless_a_person_agrees(world: World, settings: Callable[[str], None]) -> None:
    confirm = ConfirmDeactivationOperator(task_id="confirm")
    with pytest.raises(AirflowSkipException):
        confirm.execute_complete(context(), pressed(world, KEEP))
    confirm.execute_complete(context(), pressed(world, DEACTIVATE))


def test_switching_off_says_what_is_left_to_do(world: World, settings: Callable[[str], None]) -> None:
    world.switches["rate_limit"] = False
    off = DeactivateOperator(task_id="deactivate").execute(context())
    assert off == [
        "by hand: Airflow, Dags: switch off lever_imocha_invite, lever_imocha_write_back, lever_imocha_compare, lever_imocha_doctor",
        "No invitation is open.",
    ]
    assert DeactivateOperator(task_id="deactivate").execute(context(paused=True))[0].startswith("off: ")
