"""Alerts hold ids and our own lines, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from lever_imocha.errors import (
    AssessmentError,
    LedgerError,
    LeverImochaError,
    RequestRejectedError,
    SettingsError,
    WorkFailedError,
)
from lever_imocha.ledger.alerts import Overdue
from lever_imocha.ledger.values import Work
from lever_imocha.notifications.messages import SETTINGS, alert_of, ended_text, overdue_alert


def failed(error: object, *, map_index: int = -1) -> dict[str, Any]:
    task = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=map_index)
    return {"ti": task, "exception": error}


def text_of(error: object, *, map_index: int = -1) -> str:
    return alert_of(failed(error, map_index=map_index)).text_of(None)


def keys(error: object, *, map_index: int = -1, run: str = "r") -> list[str]:
    context: dict[str, Any] = failed(error, map_index=map_index)
    context["ti"].run_id = run
    return [incident.key for incident in alert_of(context).incidents]


def rejected() -> RequestRejectedError:
    return RequestRejectedError(vendor="Lever", call="create_form", status=400, code="Bad", detail="Ann scored 34")


def test_our_errors_are_told_whole() -> None:
    assert (
        text_of(SettingsError(["x: correct\nit"]), map_index=3)
        == "d: task t[3] failed for good in run r. x: correct it"
    )


def test_a_vendors_words_stay_in_the_log() -> None:
    text = text_of(rejected())
    assert "Lever answered 400 to create_form (the vendor's words are in the task's log). Compare" in text
    assert "Ann" not in text


def test_a_bug_is_its_kind_only() -> None:
    text = text_of(KeyError("ann@example.com"))
    assert "KeyError, which is no error of ours" in text
    assert "ann" not in text


def test_a_lost_process_has_no_error() -> None:
    assert "process was lost" in text_of(None)


def test_a_slice_names_its_opportunities_on_one_line_and_not_endlessly() -> None:
    failures: dict[str, LeverImochaError] = {f"op{number}": rejected() for number in range(12)}
    text = text_of(WorkFailedError(failures))
    assert "12 failed, the others are done: opportunity op0: Lever answered 400" in text
    assert text.endswith("and 2 more")
    assert "\n" not in text
    assert "Ann" not in text


def test_the_same_failure_of_the_same_task_is_the_same_incident() -> None:
    first, second = (
        keys(WorkFailedError({key: rejected()}), map_index=index, run=key) for index, key in enumerate("ab")
    )
    assert first == second
    assert len(keys(WorkFailedError({"a": rejected(), "b": rejected(), "c": AssessmentError("x")}))) == 3
    assert len(set(keys(WorkFailedError({"a": rejected(), "b": rejected(), "c": AssessmentError("x")})))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "in run scheduled__{}",
        "row {} of {}",
        "since {}-07-{} {}:{}:{}.{}Z",
        "opportunity {:08x}-0000-4000-8000-00000000000{}",
    ],
)
def test_numbers_ids_and_times_make_no_other_incident(text: str) -> None:
    one, other = (LedgerError(text.format(*(number for _ in range(6)))) for number in (3, 5))
    assert str(one) != str(other)
    assert keys(one) == keys(other)


def test_two_mistakes_in_the_settings_are_two_incidents() -> None:
    both = keys(SettingsError(["rules[0].trigger_stage: x", "rules[1].trigger_stage: x"]))
    assert len(set(both)) == 2
    assert keys(SettingsError(["rules[1].trigger_stage: x"])) == both[1:]


def test_the_row_without_candidates_tells_of_the_settings() -> None:
    context = failed(SettingsError(["x"])) | {"task": SimpleNamespace(opportunity_ids=[])}
    assert alert_of(context).source == SETTINGS
    context = failed(SettingsError(["x"])) | {"task": SimpleNamespace(opportunity_ids=["a"])}
    assert alert_of(context).source == "task d t"


def test_the_end_of_incidents_names_each_once_without_addresses() -> None:
    incidents = alert_of(failed(WorkFailedError({"a": rejected(), "b": rejected()}))).incidents
    text = ended_text(incidents)
    assert text.startswith("well again: d: task t: Lever answered 400 to create_form")
    assert text.count("create_form") == 1
    (wrong,) = alert_of(failed(SettingsError(["perform_as: 'ann@example.com' cannot be used"]))).incidents
    assert "ann@" not in wrong.about


def test_what_waits_is_named_with_its_reason() -> None:
    at = datetime(2026, 7, 2, 3, tzinfo=UTC)
    alert = overdue_alert(
        [
            Overdue(opportunity_id="op1", kind=Work.INVITE, queued_at=at, parked_at=None, error="VendorDownError"),
            Overdue(opportunity_id="op2", kind=Work.WRITE_BACK, queued_at=at, parked_at=None, error=None),
            Overdue(opportunity_id="op3", kind=Work.CANCEL, queued_at=at, parked_at=at, error="NotPermittedError"),
        ]
    )
    assert alert.text_of(None) == (
        "3 waiting too long: opportunity op1 undecided since 2026-07-02 03:00 UTC, last try: VendorDownError;"
        " opportunity op2 with its report unwritten since 2026-07-02 03:00 UTC;"
        " opportunity op3 with invitations to cancel since 2026-07-02 03:00 UTC, last try: NotPermittedError;"
        " it is not tried any more by itself."
    )


def test_only_the_wait_that_is_news_is_told() -> None:
    at = datetime(2026, 7, 2, 3, tzinfo=UTC)
    one, other = (
        Overdue(opportunity_id=key, kind=Work.INVITE, queued_at=at, parked_at=None, error=None) for key in ("a", "b")
    )
    text = overdue_alert([one, other]).text_of(other.keys)
    assert text == "1 waiting too long: opportunity b undecided since 2026-07-02 03:00 UTC."
