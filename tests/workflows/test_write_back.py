"""Reports written back exactly once, whatever goes wrong on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.errors import AssessmentError, NotPermittedError, RequestRejectedError, SettingsError, VendorDownError
from lever_imocha.ledger.values import Work
from lever_imocha.settings import parse_settings
from sqlalchemy import text

from tests.support import PYTHON, SQL, event_kinds
from tests.workflows.conftest import SETTINGS, Stack


def ended(stack: Stack, *tags: str, state: str = "Complete") -> str:
    opportunity = stack.candidate(*(tags or (PYTHON,)))
    stack.run_invite()
    stack.finish(state)
    stack.world.calls.clear()
    return opportunity


def values(stack: Stack, opportunity: str) -> dict[str, object]:
    (form,) = stack.world.forms[opportunity]
    return {field["text"]: field["value"] for field in form["fields"]}


@pytest.mark.parametrize("numbers_as_text", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("legacy", [True, False])
def test_a_report_is_written_as_form_and_file_and_the_candidate_moves_on(
    stack: Stack, numbers_as_text: bool, wrapped: bool, legacy: bool
) -> None:
    stack.world.switches.update(
        numbers_as_text=numbers_as_text, form_answers_wrapped=wrapped, times_as_text=wrapped,
        legacy_attempt_keys=legacy, empty_sweep_is_404=legacy, perform_as_required=True,
    )  # fmt: skip
    opportunity = ended(stack)
    assert stack.run_write_back() == ["written back and moved on"]
    form = values(stack, opportunity)
    assert (form["Test"], form["Status"], form["Score"], form["Percentage"]) == (
        "Python Developer", "Complete", "34 / 50", "68 %",
    )  # fmt: skip
    (file,) = stack.world.files[opportunity]
    assert file["name"] == f"iMocha report {stack.invitation().id}.pdf"
    assert file["content"].startswith(b"%PDF-")
    assert stack.stage(opportunity) == "Assessment Complete"
    stack.world.calls.clear()
    assert stack.run_write_back() == []
    assert stack.run_invite(full=True) == []
    assert stack.writes() == []


def test_it_takes_four_calls_to_lever(stack: Stack) -> None:
    first = ended(stack)
    stack.run_write_back()
    second = ended(stack)
    stack.run_write_back()
    calls = [call["path"] for call in stack.world.calls if second in call["path"]]
    assert len(calls) == 4
    assert first != second


@pytest.mark.parametrize("listed", [True, False])
def test_a_clock_that_was_ahead_hides_no_attempt(stack: Stack, listed: bool) -> None:
    ended(stack)
    stack.invitation().changed_at = stack.clock() - timedelta(hours=5)
    stack.ledger.watermarks.put("imocha.attempts", stack.clock() + timedelta(days=365))
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.invitations SET checked_at = now() + interval '1 year'"))
    if listed:
        stack.fault(vendor="imocha", method="GET", path_contains="reports", status=404)  # only the list tells of it
    else:
        stack.fault(vendor="imocha", method="POST", path_contains="testattempts", status=404, times=3)
    assert stack.run_write_back() == ["waits: report not final" if listed else "written back and moved on"]


TROUBLE = [
    {"status": 500},
    {"status": 429, "retry_after": 3600},
    {"status": 200, "body": {"errors": ["no such state"]}},
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=["500", "429", "errors"])
def test_a_list_of_attempts_that_only_serves_cancelling_hides_no_ended_one(
    stack: Stack, trouble: dict[str, Any]
) -> None:
    opportunity = ended(stack)
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.invitations SET checked_at = now()"))
    for state in ("cancelled", "expired"):
        stack.fault(vendor="imocha", method="POST", path_contains=f"state={state}", times=99, **trouble)
    assert stack.run_write_back() == ["written back and moved on"], "although it is in the second of two windows"
    stack.world.faults.clear()
    other = stack.candidate(PYTHON)
    stack.run_invite()
    (invitation,) = (one for one in stack.world.invitations.values() if one.state == "Pending")
    invitation.end = stack.clock() - timedelta(minutes=1)
    stack.run_write_back()
    assert [known.status for known in stack.ledger.assessments.of(other)] == [AttemptStatus.EXPIRED]
    assert stack.stage(opportunity) == "Assessment Complete"


@pytest.mark.parametrize("older_first", [True, False])
def test_an_attempt_that_is_listed_with_an_older_row_has_ended(stack: Stack, older_first: bool) -> None:
    ended(stack)
    ids = {"testInvitationId": stack.invitation().id, "testId": 101, "email": stack.invitation().email}
    rows = [ids | {"testStatus": "In Progress"}, ids | {"testStatus": "Complete"}]
    body = {"result": {"testAttempts": rows if older_first else rows[::-1]}}
    stack.fault(vendor="imocha", method="POST", path_contains="testattempts", status=200, body=body)
    assert stack.run_write_back() == ["written back and moved on"]


@pytest.mark.parametrize("state", ["Test Left", "Terminated"])
def test_unfinished_attempts_are_written_back_too(stack: Stack, state: str) -> None:
    opportunity = ended(stack, state=state)
    stack.run_write_back()
    assert values(stack, opportunity)["Status"] == state


@pytest.mark.parametrize("how", ["status", 404, "errors"])
def test_a_report_that_is_not_ready_is_tried_again_later(stack: Stack, how: object) -> None:
    stack.world.switches["report_not_ready"] = how
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish(ready=False)
    stack.settings = parse_settings(SETTINGS + "write_back: {report_retry: [0.001]}")
    assert stack.run_write_back() == ["waits: report not final"]
    stack.invitation().report_ready = True
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 1


@pytest.mark.parametrize("mode", ["status", "drop"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/forms"), ("POST", "/files"), ("PUT", "/stage")])
@pytest.mark.parametrize("apply", [True, False])
def test_a_lost_answer_makes_nothing_twice(stack: Stack, mode: str, method: str, path: str, apply: bool) -> None:
    opportunity = ended(stack)
    stack.fault(vendor="lever", method=method, path_contains=path, mode=mode, apply=apply)
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 1
    stages = [change["toStageId"] for change in stack.world.opportunities[opportunity]["stageChanges"]]
    assert len(stages) == 2


@pytest.mark.parametrize("pdf_as", ["url", "bytes"])
def test_the_pdf_endpoint_serves_when_the_reports_link_does_not(stack: Stack, pdf_as: str) -> None:
    stack.world.switches["pdf_as"] = pdf_as
    opportunity = ended(stack)
    stack.fault(vendor="imocha", path_contains="/pdfreport/", status=403)
    stack.run_write_back()
    assert len(stack.world.files[opportunity]) == 1


def test_field_ids_are_left_out_where_lever_refuses_them(stack: Stack) -> None:
    stack.world.switches["form_ids_allowed"] = False
    opportunity = ended(stack)
    stack.run_write_back()
    assert values(stack, opportunity)["Invitation"] == str(stack.invitation().id)


def test_the_candidate_moves_on_when_all_tests_have_ended(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, SQL)
    stack.run_invite()
    first, second = stack.world.invitations.values()
    second.state = "In Progress"
    stack.world.invitations.pop(second.id)
    stack.finish()
    stack.world.invitations[second.id] = second
    assert stack.run_write_back() == ["written back; stays in its stage: test 102 is in progress"]
    assert stack.stage(opportunity) == "Assessment"
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 2
    assert first.id != second.id


def test_who_the_recruiter_moved_on_stays_there(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.world.move(opportunity, "Offer")
    assert stack.run_write_back() == ["written back; the recruiter has moved it on"]
    assert stack.stage(opportunity) == "Offer"
    assert len(stack.world.forms[opportunity]) == 1


def test_note_and_tags_when_configured(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "write_back: {note: true, tags: [assessed]}")
    opportunity = ended(stack)
    stack.run_write_back()
    assert "assessed" in stack.world.opportunities[opportunity]["tags"]
    assert len(stack.world.notes[opportunity]) == 1


def test_a_deleted_opportunity_is_let_go(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.world.delete(opportunity)
    assert stack.run_write_back() == ["deleted in Lever"]
    assert stack.run_write_back() == []
    assert stack.run_invite(sweep=False) == ["ignore: deleted in Lever"]
    assert stack.ledger.opportunities.stored_of([opportunity]) == set()


def test_a_missing_permission_leaves_the_rest_for_later(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.fault(vendor="lever", method="POST", path_contains="/files", status=403)
    with pytest.raises(NotPermittedError, match="upload_file"):
        stack.run_write_back()
    assert stack.stage(opportunity) == "Assessment"
    assert stack.run_write_back(force=True) == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 1


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            "rules: [{trigger_stage: Nowhere}]",
            "rules\\[0\\].trigger_stage: 'Nowhere' does not exist in Lever; there are",
        ),
        ("write_back: {create_template: false}", "form_template: 'iMocha Assessment' does not exist in Lever"),
    ],
)
def test_unknown_names_are_one_line_and_nothing_is_written(stack: Stack, settings: str, line: str) -> None:
    ended(stack)
    stack.settings = parse_settings(SETTINGS + settings)
    with pytest.raises(SettingsError, match=line):
        stack.run_write_back()
    assert stack.writes() == []


def test_a_hold_that_ends_after_the_report_lets_the_candidate_move_on(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, "iMocha: Gone [999]")
    stack.run_invite()
    stack.finish()
    (outcome,) = stack.run_write_back()
    assert outcome == "written back; stays in its stage: no invitation yet for iMocha: Gone [999]"
    stack.world.opportunities[opportunity]["tags"] = [PYTHON]
    assert stack.run_invite(full=True) == ["ignore: already handled"]
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 1


def test_a_report_its_template_cannot_hold_says_what_to_change_and_waits(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "write_back: {report_retry: [0.001, 3600]}")
    stack.lever.create_form_template(
        text="iMocha Assessment",
        fields=[
            {"type": "dropdown", "text": "Status", "required": True, "options": [{"text": "Complete"}]},
            {"type": "text", "text": "Invitation", "required": False},
        ],
    )
    opportunity = ended(stack, state="Terminated")
    with pytest.raises(AssessmentError, match="'Status' has no option for this report; give it the options"):
        stack.run_write_back()
    assert stack.run_write_back() == []
    assert stack.run_write_back(force=True) == ["failed again: AssessmentError"]
    assert stack.world.forms.get(opportunity, []) == []
    assert stack.stage(opportunity) == "Assessment"


def test_a_rule_that_is_gone_stops_only_its_own_candidates(stack: Stack) -> None:
    ended(stack)
    stack.settings = parse_settings(SETTINGS + "rules: [{trigger_stage: Offer}]")
    with pytest.raises(AssessmentError, match="put back a rule"):
        stack.run_write_back()


def test_a_refused_form_is_sent_bare_once_and_says_nothing_of_its_values(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.fault(
        vendor="lever",
        method="POST",
        path_contains="/forms",
        status=400,
        times=2,
        message="bad value 34 / 50 at /fields/2",
    )
    with pytest.raises(RequestRejectedError, match=r"bad value \[removed\] at /fields/2"):
        stack.run_write_back()
    assert sum(call["path"].endswith("/forms") and call["method"] == "POST" for call in stack.world.calls) == 2
    assert stack.world.forms.get(opportunity, []) == []


def test_a_test_asked_for_since_the_invitation_is_waited_for(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.world.opportunities[opportunity]["tags"].append(SQL)
    (outcome,) = stack.run_write_back()
    assert outcome == f"written back; stays in its stage: no invitation yet for {SQL}"
    assert stack.run_invite(full=True) == ["invite"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 2


@pytest.mark.parametrize("when", ["before the report", "after the report"])
def test_a_test_no_longer_asked_for_is_not_waited_for(stack: Stack, when: str) -> None:
    opportunity = stack.candidate(PYTHON, SQL)
    stack.run_invite()
    first = next(item for item in stack.world.invitations.values() if item.test_id == 101)
    stack.world.finish(first)
    if when == "after the report":
        stack.run_write_back()
        assert stack.stage(opportunity) == "Assessment"
    stack.world.opportunities[opportunity]["tags"] = [PYTHON]
    stack.run_invite(full=True)
    stack.run_write_back()
    assert stack.stage(opportunity) == "Assessment Complete"


def test_who_came_back_for_another_test_moves_on_again(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.run_write_back()
    stack.world.opportunities[opportunity]["tags"] += [SQL, "iMocha: Gone [999]"]
    stack.again(opportunity)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    assert stack.stage(opportunity) == "Assessment"
    stack.world.opportunities[opportunity]["tags"].remove("iMocha: Gone [999]")
    stack.run_invite(full=True)
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(opportunity) == "Assessment Complete"


def test_a_crash_after_the_move_is_no_move_by_the_recruiter(stack: Stack) -> None:
    opportunity = ended(stack)
    stack.world.move(opportunity, "Assessment Complete")
    assert stack.run_write_back() == ["written back and moved on"]
    assert event_kinds(stack.ledger, opportunity)[-1] == "written_back"


def test_an_invitation_that_expired_long_before_the_first_look_is_noticed(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    invitation = stack.invitation()
    invitation.state, invitation.changed_at = "Expired", stack.world.now() - timedelta(days=3)
    stack.run_write_back()
    assert stack.ledger.invitations.status(invitation.id) == "expired"


def test_a_word_of_a_list_that_is_not_known_is_no_news(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    number = stack.invitation().id
    stack.ledger.invitations.set_status({number: AttemptStatus.IN_PROGRESS})
    body = {"result": {"testAttempts": [{"testInvitationId": number, "testStatus": "Evaluated"}]}, "errors": None}
    stack.fault(vendor="imocha", path_contains="testattempts?state=completed", status=200, body=body)
    assert stack.run_write_back() == []
    assert stack.ledger.invitations.status(number) is AttemptStatus.IN_PROGRESS


def test_a_report_that_cannot_be_read_holds_up_no_other_of_the_candidate(stack: Stack) -> None:
    opportunity = ended(stack, PYTHON, SQL)
    first = min(stack.world.invitations)
    stack.fault(vendor="imocha", path_contains=f"reports/{first}", status=500, times=6)
    with pytest.raises(VendorDownError):
        stack.run_write_back()
    assert values(stack, opportunity)["Test"] == "SQL Basics"
    assert stack.stage(opportunity) == "Assessment"
    assert stack.run_write_back(force=True) == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 2
    assert stack.stage(opportunity) == "Assessment Complete"


def test_status_tags_that_lever_refuses_hold_up_nobody(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "explain: {status_tags: true}\nwrite_back: {tags: [assessed]}\n")
    stack.world.refused_tags = {"iMocha: invited", "iMocha: complete"}
    opportunity = stack.candidate(PYTHON)
    with pytest.raises(RequestRejectedError):
        stack.run_invite()
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.world.opportunities[opportunity]["tags"] == [PYTHON, "assessed"]
    assert stack.stage(opportunity) == "Assessment Complete"


@pytest.mark.parametrize("call", ["/addTags", "/removeTags"])
def test_a_status_that_cannot_be_shown_for_now_holds_up_nobody(stack: Stack, call: str) -> None:
    stack.settings = parse_settings(SETTINGS + "explain: {status_tags: true}\n")
    opportunity = ended(stack, PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["tags"] = [PYTHON, "iMocha: invited"]
    stack.fault(vendor="lever", path_contains=f"/{opportunity}{call}", status=503, times=10_000)
    assert stack.run_write_back() == ["written back and moved on"]
    stack.world.faults.clear()
    stack.run_invite()
    assert stack.world.opportunities[opportunity]["tags"] == [PYTHON, "iMocha: complete"]


def test_a_note_that_lever_refuses_keeps_nobody_in_the_stage(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "write_back: {note: true}\n")
    opportunity = ended(stack, PYTHON)
    stack.fault(vendor="lever", path_contains="/notes", status=403, times=10_000)
    assert stack.run_write_back() == ["written back and moved on"]
    assert "note_refused" in event_kinds(stack.ledger, opportunity)


def test_a_note_that_fails_for_ever_keeps_nobody_in_the_stage_for_long(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "write_back: {note: true}\n")
    opportunity = ended(stack, PYTHON)
    stack.fault(vendor="lever", path_contains="/notes", status=500, times=10_000)
    with pytest.raises(VendorDownError):
        stack.run_write_back()
    outcomes = [stack.run_write_back(sweep=False, force=True) for _ in range(4)]
    assert outcomes[-1] == ["written back and moved on"]
    assert stack.stage(opportunity) == "Assessment Complete"
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 1


def found_again(stack: Stack, opportunity: str, record: dict[str, Any]) -> None:
    stack.world.opportunities[opportunity] = record
    stack.world.deleted.clear()


@pytest.mark.parametrize("noticed", ["by a sweep", "by a webhook"])
@pytest.mark.parametrize("retake", ["never", "reattempt"])
def test_the_report_of_who_is_found_again_is_written(stack: Stack, noticed: str, retake: str) -> None:
    stack.settings = parse_settings(SETTINGS + f"rules: [{{retake: {retake}}}]\n")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    record = stack.world.opportunities[opportunity]
    stack.world.delete(opportunity)
    assert stack.run_write_back() == ["deleted in Lever"]
    stack.run_invite()
    assert stack.run_write_back() == []
    found_again(stack, opportunity, record)
    if noticed == "by a sweep":
        stack.run_invite(full=True)
    else:
        stack.again(opportunity)
        stack.ledger.queue.enqueue([opportunity], Work.INVITE)
        stack.run_invite(sweep=False)
    assert len(stack.world.mails) == 1
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 1
    assert stack.run_write_back() == []


def test_who_was_written_back_before_is_not_written_back_again(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    record = stack.world.opportunities[opportunity]
    stack.world.delete(opportunity)
    stack.run_invite(full=True)
    found_again(stack, opportunity, record)
    stack.ledger.queue.enqueue([opportunity], Work.INVITE)
    stack.run_invite(full=True)
    assert stack.due(Work.WRITE_BACK) == []


def test_the_report_of_who_was_masked_is_not_waited_for(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    record = stack.world.opportunities[opportunity]
    stack.world.delete(opportunity)
    stack.run_write_back()
    stack.run_invite()
    (number,) = stack.world.invitations
    stack.ledger.invitations.mark_masked(opportunity, number)
    found_again(stack, opportunity, record)
    stack.run_invite(full=True)
    assert stack.due(Work.WRITE_BACK) == []
