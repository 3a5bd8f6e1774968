"""What a recruiter, who sees only Lever, is told."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from lever_imocha.clients.transport import TRIES
from lever_imocha.domain.tags import STATUS_TAGS
from lever_imocha.errors import ApiError, LeverImochaError, OutcomeUnknownError, ReportFileError, VendorDownError
from lever_imocha.ledger.values import Work
from lever_imocha.settings import parse_settings

from tests.support import PYTHON, SQL, event_kinds
from tests.workflows.conftest import SETTINGS, Stack

GONE = "iMocha: Gone [999]"


@pytest.fixture
def telling(stack: Stack) -> Stack:
    stack.settings = parse_settings(SETTINGS + "explain: {status_tags: true, notes: true}")
    return stack


def shown(stack: Stack, opportunity: str) -> list[str]:
    return [tag for tag in stack.world.opportunities[opportunity]["tags"] if tag in STATUS_TAGS]


def notes(stack: Stack, opportunity: str) -> list[str]:
    return [note["fields"][0]["value"] for note in stack.world.notes.get(opportunity, [])]


def note_calls(stack: Stack) -> list[str]:
    """How notes were asked for since the last time."""
    methods = [call["method"] for call in stack.world.calls if "/notes" in call["path"]]
    stack.world.calls.clear()
    return methods


def expire(stack: Stack) -> None:
    stack.invitation().state, stack.invitation().changed_at = "Expired", stack.world.now()
    stack.run_write_back()
    stack.run_invite(sweep=False)


def test_nothing_is_told_unless_the_settings_say_so(stack: Stack) -> None:
    opportunity = stack.candidate(GONE)
    stack.run_invite()
    assert stack.writes() == []
    assert shown(stack, opportunity) == []


def test_without_notes_and_tags_nothing_more_is_called(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.run_invite(full=True)
    called = [call["path"].partition("?")[0].rpartition("/")[2] for call in stack.world.calls]
    assert {"notes", "addTags", "removeTags"}.isdisjoint(called)
    assert not any("owner" in call["path"] for call in stack.world.calls)


def test_only_the_latest_status_is_shown_from_the_invitation_to_the_report(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    assert shown(telling, opportunity) == ["iMocha: invited"]
    telling.invitation().state = "In Progress"
    assert telling.run_write_back() == []
    telling.run_invite(sweep=False)
    assert shown(telling, opportunity) == ["iMocha: started"]
    telling.finish()
    assert telling.run_write_back() == ["written back and moved on"]
    assert shown(telling, opportunity) == ["iMocha: complete"]
    telling.run_invite(full=True)
    telling.world.calls.clear()
    telling.run_invite(full=True)
    telling.run_write_back()
    assert telling.writes() == []


@pytest.mark.parametrize("hour", [1, 200])
def test_who_is_invited_to_one_test_is_shown_and_announced_while_the_other_waits(telling: Stack, hour: int) -> None:
    telling.settings = parse_settings(
        SETTINGS + f"explain: {{status_tags: true, notes: true}}\nlimits: {{per_hour: {hour}}}"
    )
    opportunity = telling.candidate(PYTHON, SQL)
    telling.fault(vendor="imocha", path_contains="/tests/102/invite", status=503, times=1000)
    workflow = telling.invite_workflow()
    workflow.collect()
    with suppress(OutcomeUnknownError):
        workflow.act(opportunity)
    assert workflow.invited == [opportunity]
    assert shown(telling, opportunity) == ["iMocha: invited"]
    (note,) = notes(telling, opportunity)
    assert f"{PYTHON}: invited on" in note


def test_an_expired_invitation_is_shown_as_such_and_revived_by_moving_back(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    expire(telling)
    assert shown(telling, opportunity) == ["iMocha: expired"]
    telling.again(opportunity)
    assert telling.run_invite() == ["refresh"]
    assert shown(telling, opportunity) == ["iMocha: invited"]


def test_one_note_follows_the_stay_with_one_call_for_each_change(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    assert note_calls(telling) == ["POST"]
    (note,) = notes(telling, opportunity)
    assert f"{PYTHON}: invited on {telling.world.now():%Y-%m-%d} " in note
    telling.run_invite(full=True)
    assert note_calls(telling) == []
    telling.invitation().state = "In Progress"
    telling.run_write_back()
    telling.run_invite(sweep=False)
    assert note_calls(telling) == ["PUT"]
    assert f"{PYTHON}: started" in notes(telling, opportunity)[0]
    telling.finish()
    assert telling.run_write_back() == ["written back and moved on"]
    telling.run_invite(full=True)
    assert note_calls(telling) == ["PUT"]
    (note,) = notes(telling, opportunity)
    assert f"{PYTHON}: ended, the report is in the forms and files here" in note


def test_a_note_has_no_score_link_or_address(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON, "iMocha: ann@example.com", emails=["ann@example.com"])
    telling.run_invite()
    telling.finish()
    telling.run_write_back()
    (note,) = notes(telling, opportunity)
    report = telling.world.forms[opportunity][0]["fields"]
    score, link = (next(field["value"] for field in report if field["text"] == text) for text in ("Score", "Report"))
    assert score not in note
    assert link not in note
    assert "@" not in note


def test_a_hold_is_shown_and_noted_with_its_fix_until_it_is_solved(telling: Stack) -> None:
    opportunity = telling.candidate(GONE)
    for _ in range(3):
        telling.run_invite(full=True)
    assert shown(telling, opportunity) == ["iMocha: on hold"]
    (note,) = notes(telling, opportunity)
    assert "On hold: unknown test (iMocha: Gone [999]). Put the tag of an active iMocha test" in note
    assert note_calls(telling) == ["POST"]
    telling.world.opportunities[opportunity]["tags"] = [PYTHON]
    telling.run_invite(full=True)
    assert len(telling.world.mails) == 1
    (note,) = notes(telling, opportunity)
    assert "Solved: on hold: unknown test (iMocha: Gone [999])" in note
    assert f"{PYTHON}: invited" in note
    assert note_calls(telling) == ["PUT"]


def test_who_was_moved_on_has_not_been_solved(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON, emails=[])
    telling.run_invite()
    telling.world.move(opportunity, "Recruiter screen")
    telling.ledger.queue.enqueue([opportunity], Work.INVITE)
    telling.world.opportunities[opportunity]["tags"] = []
    telling.run_invite(sweep=False)
    (note,) = notes(telling, opportunity)
    assert "No longer matters: on hold: no e-mail address" in note
    assert "Solved" not in note


def test_each_stay_has_a_note_of_its_own(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    expire(telling)
    assert f"{PYTHON}: the invitation has expired; move the candidate" in notes(telling, opportunity)[0]
    telling.again(opportunity)
    telling.run_invite()
    first, second = notes(telling, opportunity)
    assert "expired" in first
    assert f"{PYTHON}: invited on" in second


def test_until_when_a_test_can_be_taken_is_noted_where_the_settings_say_it(telling: Stack) -> None:
    telling.settings = parse_settings(SETTINGS + "explain: {notes: true}\nrules: [{validity_days: 3}]")
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    until = telling.world.now() + timedelta(days=3)
    assert f", can be taken until {until:%Y-%m-%d} " in notes(telling, opportunity)[0]


def test_the_owner_is_mentioned_when_a_person_is_needed(telling: Stack) -> None:
    opportunity = telling.candidate(GONE, owner=telling.world.users[0]["id"])
    telling.run_invite()
    (note,) = notes(telling, opportunity)
    assert note.startswith(f"@{telling.world.users[0]['username']} iMocha assessment")
    telling.world.opportunities[opportunity]["tags"] = [PYTHON]
    telling.run_invite(full=True)
    assert "@" not in notes(telling, opportunity)[0]


def test_an_invitation_that_imocha_refuses_is_noted_and_its_end_too(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.fault(vendor="imocha", path_contains="/invite", status=400, times=2)
    with pytest.raises(ApiError, match="iMocha answered 400"):
        telling.run_invite()
    assert shown(telling, opportunity) == ["iMocha: on hold"]
    assert f"On hold: iMocha does not accept the invitation to {PYTHON}. See that" in notes(telling, opportunity)[0]
    assert telling.run_invite(force=True) == ["failed again: RequestRejectedError"]
    assert note_calls(telling) == ["POST"]
    assert telling.run_invite(force=True) == ["invite"]
    assert shown(telling, opportunity) == ["iMocha: invited"]
    (note,) = notes(telling, opportunity)
    assert f"Solved: on hold: iMocha does not accept the invitation to {PYTHON}" in note


def test_mistakes_of_our_own_leave_no_note(telling: Stack) -> None:
    telling.candidate(PYTHON)
    telling.fault(vendor="imocha", path_contains="/invite", status=500, times=20)
    with pytest.raises(ApiError):
        telling.run_invite()
    telling.world.faults.clear()
    telling.fault(vendor="imocha", path_contains="/invite", status=403, times=20)
    with pytest.raises(ApiError):
        telling.run_invite(force=True)
    telling.world.faults.clear()
    telling.world.imocha_key = "another"
    with pytest.raises(ApiError):
        telling.run_invite(force=True)
    assert note_calls(telling) == []


def test_a_template_that_nobodys_report_fits_leaves_no_note(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish()
    telling.settings = parse_settings(
        SETTINGS + "explain: {notes: true}\nrules: [{form_template: Other}, {trigger_stage: Offer}]\n"
        "write_back: {create_template: false}"
    )
    telling.world.templates["x"] = {"id": "x", "text": "iMocha Assessment", "fields": []}
    before = notes(telling, opportunity)
    with pytest.raises(LeverImochaError):
        telling.run_write_back()
    assert notes(telling, opportunity) == before


def test_a_cancelled_invitation_is_shown_and_noted(telling: Stack) -> None:
    telling.settings = parse_settings(
        SETTINGS + "explain: {status_tags: true, notes: true}\ncancel_when: {stage_left: true}"
    )
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.world.move(opportunity, "Recruiter screen")
    telling.run_invite(full=True)
    assert shown(telling, opportunity) == ["iMocha: cancelled"]
    assert f"{PYTHON}: the invitation was cancelled" in notes(telling, opportunity)[0]


def test_a_report_that_does_not_come_is_shown_as_missing_until_it_is_there(telling: Stack) -> None:
    telling.settings = parse_settings(
        SETTINGS + "explain: {status_tags: true, notes: true}\nwrite_back: {report_retry: [0.001]}"
    )
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish(ready=False)
    for _ in range(3):
        telling.run_write_back(force=True)
    assert shown(telling, opportunity) == ["iMocha: report missing"]
    (note,) = notes(telling, opportunity)
    assert f"Report missing: {PYTHON}. iMocha has not finished it yet" in note
    assert f"{PYTHON}: ended, the report is missing" in note
    telling.world.finish(telling.invitation(), "Complete", ready=True)
    assert telling.run_write_back(force=True) == ["written back and moved on"]
    assert shown(telling, opportunity) == ["iMocha: complete"]
    assert f"Solved: report missing: {PYTHON}" in notes(telling, opportunity)[0]


def test_a_report_that_does_not_come_is_told_once_whatever_else_failed_meanwhile(telling: Stack) -> None:
    telling.settings = parse_settings(SETTINGS + "explain: {notes: true}\nwrite_back: {report_retry: [0.001]}")
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish(ready=False)
    telling.run_write_back(force=True)
    telling.fault(vendor="imocha", path_contains="/reports/", status=503, times=TRIES)
    with pytest.raises(VendorDownError):
        telling.run_write_back(sweep=False, force=True)
    for _ in range(2):
        telling.run_write_back(sweep=False, force=True)
    (note,) = notes(telling, opportunity)
    assert f"Report missing: {PYTHON}. iMocha has not finished it yet" in note
    assert event_kinds(telling.ledger, opportunity).count("report_missing") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_note_that_cannot_be_changed_is_replaced_once(telling: Stack, status: int) -> None:
    opportunity = telling.candidate(GONE)
    telling.run_invite()
    telling.fault(vendor="lever", method="PUT", path_contains="/notes", status=status, times=9)
    telling.world.opportunities[opportunity]["tags"] = [PYTHON]
    telling.run_invite(full=True)
    first, second = notes(telling, opportunity)
    assert "On hold" in first
    assert "Solved" in second
    note_calls(telling)
    telling.run_invite(full=True)
    assert note_calls(telling) == []
    if status != 404:
        telling.invitation().state = "In Progress"
        telling.run_write_back()
        telling.run_invite(sweep=False)
        assert note_calls(telling) == [], "only a problem is worth another note"
        assert len(notes(telling, opportunity)) == 2


def test_a_note_whose_answers_were_all_lost_is_found_by_its_mark_and_changed(telling: Stack) -> None:
    opportunity = telling.candidate(GONE)
    telling.fault(vendor="lever", method="POST", path_contains="/notes", status=500, apply=True)
    telling.fault(vendor="lever", method="GET", path_contains="/notes", status=403)
    with pytest.raises(ApiError):
        telling.run_invite()
    telling.world.opportunities[opportunity]["tags"] = [PYTHON]
    telling.run_invite(full=True, force=True)
    (note,) = notes(telling, opportunity)
    assert f"{PYTHON}: invited" in note
    assert note_calls(telling) == ["POST", "GET", "GET", "PUT"]


@pytest.mark.parametrize("apply", [True, False])
def test_a_note_whose_answer_was_lost_is_left_once(telling: Stack, apply: bool) -> None:
    opportunity = telling.candidate(PYTHON, emails=[])
    telling.fault(vendor="lever", method="POST", path_contains="/notes", status=500, apply=apply)
    telling.run_invite()
    assert len(notes(telling, opportunity)) == 1


def test_what_lever_would_not_take_is_shown_by_a_later_run(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.fault(vendor="lever", method="POST", path_contains="/addTags", status=403)
    with pytest.raises(ApiError, match="add_tags"):
        telling.run_invite()
    assert telling.due() == [], "it starts no run at once"
    assert len(notes(telling, opportunity)) == 1
    telling.run_invite(force=True)
    assert shown(telling, opportunity) == ["iMocha: invited"]
    assert len(telling.world.mails) == 1


@pytest.mark.parametrize(("status", "calls", "error"), [(422, 4, "RequestRejectedError"), (404, 2, "NotFoundError")])
def test_a_report_that_cannot_be_put_into_lever_is_noted_once(
    telling: Stack, status: int, calls: int, error: str
) -> None:
    telling.settings = parse_settings(SETTINGS + "explain: {notes: true}\nwrite_back: {report_retry: [0.001]}")
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish()
    telling.fault(vendor="lever", method="POST", path_contains="/forms", status=status, times=calls)
    with pytest.raises(ApiError, match="create_form"):
        telling.run_write_back()
    assert telling.run_write_back(force=True) == [f"failed again: {error}"]
    (note,) = notes(telling, opportunity)
    assert f"Report missing: {PYTHON}. Lever refuses it" in note
    assert telling.run_write_back(force=True) == ["written back and moved on"]
    (note,) = notes(telling, opportunity)
    assert f"Solved: report missing: {PYTHON}" in note


def test_a_note_that_cannot_be_left_does_not_hide_the_problem(telling: Stack) -> None:
    telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish()
    telling.world.switches["pdf_as"] = "bytes"
    telling.fault(vendor="imocha", path_contains="/pdfreport/", status=404)
    telling.fault(vendor="imocha", path_contains="/pdf", status=404)
    telling.fault(vendor="lever", method="POST", path_contains="/notes", status=403)
    with pytest.raises(ReportFileError):
        telling.run_write_back()


def test_a_status_tag_never_asks_for_a_test(telling: Stack) -> None:
    telling.candidate("iMocha: on hold", "imocha:Invited", "iMocha: report missing")
    assert telling.run_invite() == ["ignore: no assessment tag"]
