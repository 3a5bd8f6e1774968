"""Alerts hold ids and our own lines, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from lever_imocha.errors import LeverImochaError, RequestRejectedError, SettingsError, WorkFailedError
from lever_imocha.ledger.alerts import Overdue
from lever_imocha.ledger.values import Work
from lever_imocha.notifications.messages import alert_of, overdue_text


def failed(error: object, *, map_index: int = -1) -> dict[str, object]:
    task = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=map_index)
    return {"ti": task, "exception": error}


def rejected() -> RequestRejectedError:
    return RequestRejectedError(vendor="Lever", call="create_form", status=400, code="Bad", detail="Ann scored 34")


def test_our_errors_are_told_whole() -> None:
    alert = alert_of(failed(SettingsError(["x: mend\nit"]), map_index=3))
    assert alert.text == "d: task t[3] failed for good in run r. x: mend it"


def test_a_vendors_words_stay_in_the_log() -> None:
    text = alert_of(failed(rejected())).text
    assert "Lever answered 400 to create_form (the vendor's words are in the task's log). Compare" in text
    assert "Ann" not in text


def test_a_bug_is_its_kind_only() -> None:
    text = alert_of(failed(KeyError("ann@example.com"))).text
    assert "KeyError, which is no error of ours" in text
    assert "ann" not in text


def test_a_lost_process_has_no_error() -> None:
    assert "process was lost" in alert_of(failed(None)).text


def test_a_slice_names_its_opportunities_on_one_line_and_not_endlessly() -> None:
    failures: dict[str, LeverImochaError] = {f"op{number}": rejected() for number in range(12)}
    text = alert_of(failed(WorkFailedError(failures))).text
    assert "12 failed, the others are done: opportunity op0: Lever answered 400" in text
    assert text.endswith("and 2 more")
    assert "\n" not in text
    assert "Ann" not in text


def test_the_same_kind_of_failure_of_the_same_task_is_the_same_news() -> None:
    batches = [alert_of(failed(WorkFailedError({key: rejected()}), map_index=index)) for index, key in enumerate("ab")]
    assert batches[0].key == batches[1].key
    assert batches[0].key != alert_of(failed(SettingsError(["x"]))).key


def test_what_waits_is_named_with_its_reason() -> None:
    at = datetime(2026, 7, 2, 3, tzinfo=UTC)
    text = overdue_text(
        [
            Overdue(opportunity_id="op1", kind=Work.INVITE, queued_at=at, parked_at=None, error="VendorDownError"),
            Overdue(opportunity_id="op2", kind=Work.WRITE_BACK, queued_at=at, parked_at=None, error=None),
            Overdue(opportunity_id="op3", kind=Work.CANCEL, queued_at=at, parked_at=at, error="NotPermittedError"),
        ]
    )
    assert text == (
        "3 waiting too long: opportunity op1 undecided since 2026-07-02 03:00 UTC, last try: VendorDownError;"
        " opportunity op2 with its report unwritten since 2026-07-02 03:00 UTC;"
        " opportunity op3 with invitations to cancel since 2026-07-02 03:00 UTC, last try: NotPermittedError;"
        " it is not tried any more by itself."
    )
