"""Answers that are not as documented: whoever they are about is served as far as possible, or told of; all others are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.errors import AssessmentError, SettingsError, UnexpectedAnswerError
from lever_imocha.settings import parse_settings

from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack


def test_who_cannot_be_read_is_told_of_and_holds_up_nobody(stack: Stack) -> None:
    odd, other = stack.candidate(PYTHON, isAnonymized="perhaps"), stack.candidate(PYTHON)
    workflow = stack.invite_workflow()
    assert set(workflow.collect()) == {odd, other}
    with pytest.raises(UnexpectedAnswerError, match="isAnonymized"):
        workflow.act(odd)
    assert str(workflow.act(other)) == "invite"
    stack.world.opportunities[odd]["isAnonymized"] = False
    assert stack.run_invite(force=True) == ["invite"]


@pytest.mark.parametrize(
    "given",
    [
        {"name": 5},
        {"createdAt": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_a_candidate_is_invited_whatever_stands_in_fields_that_decide_nothing(
    stack: Stack, given: dict[str, Any]
) -> None:
    stack.candidate(PYTHON, **given)
    assert stack.run_invite() == ["invite"]


@pytest.mark.parametrize(
    "said",
    [
        {"timeTaken": "00:20:34"},
        {"attemptedOn": "09-Oct-2020 06:51 PM"},
        {"scorePercentage": "68 %"},
        {"performanceCategory": {}},
        {"testId": "?", "testName": None, "candidateEmail": 5},
        {"pdfReportUrl": 5},
        {"sections": "none"},
        {"sections": [None, "All", {"sectionName": {}, "candidateScore": "x"}]},
    ],
    ids=str,
)
def test_a_report_is_written_without_the_fields_that_cannot_be_read(stack: Stack, said: dict[str, Any]) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.invitation().said = said
    assert stack.run_write_back() == ["written back and moved on"]
    ((form,), (_file,)) = stack.world.forms[opportunity], stack.world.files[opportunity]
    assert {field["text"]: field["value"] for field in form["fields"]}["Score"] == "34 / 50"


@pytest.mark.parametrize(
    "time",
    [None, {}, True, 0, 1782972986, 253402300799000, "yesterday", "2026-01-01T00:00:00Z"],
    ids=["null", "object", "true", "1970", "seconds", "year 9999", "word", "text"],
)
def test_nobody_is_invited_again_because_of_a_time_that_cannot_be_read(stack: Stack, time: Any) -> None:
    opportunity = stack.candidate(PYTHON, stage="New lead")
    stack.world.move(opportunity, "Assessment")
    assert stack.run_invite() == ["invite"]
    last = stack.world.opportunities[opportunity]["stageChanges"][-1]
    before, last["updatedAt"] = last["updatedAt"], time
    other = stack.candidate(PYTHON)
    workflow = stack.invite_workflow()
    assert set(workflow.collect(full=True)) == {opportunity, other}
    with pytest.raises(UnexpectedAnswerError, match="stageChanges"):
        workflow.act(opportunity)
    assert str(workflow.act(other)) == "invite"
    last["updatedAt"] = before
    assert stack.run_invite(full=True, force=True) == ["ignore: already handled"]
    assert len(stack.world.mails) == 2


@pytest.mark.parametrize("changes", [None, []], ids=str)
def test_nobody_is_invited_again_because_the_stage_changes_are_missing(stack: Stack, changes: Any) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    shown = stack.world.opportunities[opportunity]
    before, shown["stageChanges"] = shown["stageChanges"], changes
    shown["lastAdvancedAt"] += 1000  # as after archiving
    with pytest.raises(UnexpectedAnswerError, match="no stage changes"):
        stack.run_invite(full=True)
    shown["stageChanges"] = before
    stack.run_invite(full=True, force=True)
    assert len(stack.world.mails) == 1


@pytest.mark.parametrize("archived", [{}, {"reason": None, "archivedAt": None}, {"archivedAt": 0}, False], ids=str)
def test_nobodys_invitation_is_cancelled_by_what_is_no_archiving(stack: Stack, archived: Any) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["archived"] = archived
    with suppress(UnexpectedAnswerError):
        stack.run_invite(full=True)
    with suppress(UnexpectedAnswerError):
        stack.run_invite(force=True)
    assert stack.invitation().state == "Pending"


@pytest.mark.parametrize("listed", ["no list", "unreadable"])
@pytest.mark.parametrize("path", ["/forms", "/files", "/notes"])
def test_what_may_be_in_a_list_that_cannot_be_read_is_not_made_again(stack: Stack, path: str, listed: str) -> None:
    stack.settings = parse_settings(f"{SETTINGS}write_back: {{note: true}}")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.fault(vendor="lever", method="POST", path_contains=path, mode="drop", apply=True)
    body = {"no list": {"errors": []}, "unreadable": {"data": [{"id": None}]}}[listed]
    stack.fault(vendor="lever", method="GET", path_contains=path, status=200, body=body, times=3)
    with suppress(UnexpectedAnswerError):  # only the note keeps nobody waiting
        stack.run_write_back()
    stack.world.faults.clear()
    stack.run_write_back(force=True)
    assert stack.stage(opportunity) == "Assessment Complete"
    made = stack.world.forms, stack.world.files, stack.world.notes
    assert [len(of[opportunity]) for of in made] == [1, 1, 1]


@pytest.mark.parametrize("points", ["totalTestPoints", "candidatePoints", "testInvitationId"])
def test_a_report_whose_points_cannot_be_read_is_told_of(stack: Stack, points: str) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.invitation().said = {points: "many"}
    with pytest.raises(UnexpectedAnswerError, match=points):
        stack.run_write_back()
    assert opportunity not in stack.world.forms


@pytest.mark.parametrize("listed", ["nothing", "without its fields", "as not documented", "without its name"])
def test_a_list_that_lacks_the_form_template_makes_no_second_one(stack: Stack, listed: str) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    (template,) = stack.world.templates.values()
    shown: Any = {
        "nothing": [],
        "without its fields": [template | {"fields": None}],
        "as not documented": [template | {"fields": [field | {"type": {}} for field in template["fields"]]}],
        "without its name": [template | {"text": None}],
    }[listed]
    second = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    answer = {"data": shown, "hasNext": False}
    stack.fault(vendor="lever", method="GET", path_contains="/form_templates", status=200, body=answer)
    assert stack.run_write_back() == ["written back and moved on"]
    assert list(stack.world.templates) == [template["id"]]
    assert len(stack.world.forms[second]) == 1


@pytest.mark.parametrize(
    "lost", [{"mode": "drop"}, {"status": 500}, {"status": 200, "body": "<html>"}], ids=["no answer", "500", "html"]
)
def test_a_form_template_is_made_once_also_when_the_answer_is_lost(stack: Stack, lost: dict[str, Any]) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.fault(vendor="lever", method="POST", path_contains="/form_templates", apply=True, **lost)
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.templates) == 1
    assert len(stack.world.forms[opportunity]) == 1


def test_a_form_template_that_is_gone_is_made_again(stack: Stack) -> None:
    for _ in range(2):
        stack.candidate(PYTHON)
        stack.run_invite()
        stack.finish()
        assert stack.run_write_back() == ["written back and moved on"]
        stack.world.templates.clear()


def test_a_form_template_that_can_no_longer_be_filled_stops_inviting_with_the_next_sweep(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    (template,) = stack.world.templates.values()
    template["fields"].append({"type": "text", "text": "Verdict", "description": "", "required": True, "id": "v"})
    with pytest.raises(SettingsError, match="Verdict"):
        stack.run_write_back()
    stack.candidate(PYTHON)
    with pytest.raises(SettingsError, match="Verdict"):
        stack.run_invite()
    assert len(stack.world.mails) == 2


def test_who_was_anonymised_after_the_test_gets_no_report(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.world.archive(opportunity, "Withdrew")
    stack.run_invite(full=True)
    stack.world.anonymise(opportunity)
    assert stack.run_write_back() == ["anonymized in Lever"]
    assert (stack.world.forms, stack.world.files) == ({}, {})
    assert stack.run_write_back() == []
    stack.run_invite(full=True)
    assert stack.due(waiting=True) == []


@pytest.mark.parametrize("same_person", [True, False])
def test_nobody_gets_the_report_of_another_whose_number_an_answer_named(stack: Stack, same_person: bool) -> None:
    ann = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    (number,) = stack.world.invitations
    bob = stack.candidate(PYTHON, emails=["bob@example.com"])
    body = {"testInvitationId": number, "testUrl": "https://test.imocha.io/x"}
    stack.fault(vendor="imocha", method="POST", path_contains="invite", status=200, apply=True, body=body)
    stack.run_invite()
    stack.finish()
    with pytest.raises(AssessmentError, match="somebody else"):
        stack.run_write_back()
    stack.run_write_back()  # of the other, if that one had not had its turn
    assert list(stack.world.forms) == list(stack.world.files) == [ann]
    assert (stack.stage(ann), stack.stage(bob)) == ("Assessment Complete", "Assessment")
    if same_person:
        stack.world.opportunities[bob]["emails"].append("Ann@example.com")
    else:
        stack.ledger.erasure.forget(bob, even_if_open=True)
        stack.again(bob)
        stack.run_invite()
    assert stack.run_write_back(force=True) == ["written back and moved on"]
    written = {str(form["fields"]) for form in stack.world.forms[bob]}
    assert any(str(number) in form for form in written) is same_person


def test_nobody_gets_the_report_of_somebody_whom_the_ledger_does_not_know(stack: Stack) -> None:
    """The key is another account's by now, where the number of the invitation is another person's."""
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.finish()
    stack.invitation().email = "carl@example.com"
    with pytest.raises(AssessmentError, match="somebody else"):
        stack.run_write_back()
    assert (stack.world.forms, stack.world.files) == ({}, {})
    stack.invitation().email = "Ann@example.com"
    assert stack.run_write_back(force=True) == ["written back and moved on"]
    assert list(stack.world.forms) == [opportunity]


@pytest.mark.parametrize("named", ["address", "test"])
@pytest.mark.parametrize("state", ["Complete", "Cancelled", "Expired", "In Progress"])
def test_what_became_of_another_accounts_invitation_of_the_same_number_says_nothing_of_ours(
    stack: Stack, state: str, named: str
) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    ours = stack.invitation()
    stack.world.switches["open_report_names_email"] = True
    ours.email, ours.test_id = ("carl@example.com", 101) if named == "address" else ("", 102)
    stack.world.finish(ours, state)
    for _ in range(2):
        with suppress(AssessmentError):  # the report of somebody else
            stack.run_write_back()
    stack.again(opportunity)
    ours.email, ours.test_id, ours.state = "ann@example.com", 101, "Pending"
    ours.points = ours.total = ours.attempted_on = None
    stack.run_write_back(force=True)
    assert stack.ledger.invitations.status(ours.id) is AttemptStatus.PENDING
    assert stack.run_invite() == ["refresh"]
    stack.finish()
    assert stack.run_write_back(force=True) == ["written back and moved on"]
    assert list(stack.world.forms) == [opportunity]


@pytest.mark.parametrize("said", ["", "hidden"])
def test_a_report_that_names_no_address_is_written(stack: Stack, said: str) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.invitation().email = said
    assert stack.run_write_back() == ["written back and moved on"]


def test_the_report_of_who_has_another_address_in_lever_since_is_written(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=["old@example.com"])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]


def test_a_retake_is_mailed_to_the_present_address(stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}rules: [{{retake: reattempt}}]")
    opportunity = stack.candidate(PYTHON, emails=["old@example.com"])
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.again(opportunity)
    assert stack.run_invite() == ["reattempt"]
    assert [mail["to"] for mail in stack.world.mails] == ["old@example.com", "new@example.com"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/addTags", "<html>"),
        ("/addTags", {"data": {"id": "another", "stage": "offer"}}),
        ("/addTags", {"data": {"tags": []}}),
        ("/removeTags", "<html>"),
        ("/notes", "<html>"),
        ("/forms", "<html>"),
        ("/files", "<html>"),
        ("/stage", "<html>"),
    ],
    ids=str,
)
def test_a_write_that_was_done_is_not_done_again_because_its_answer_says_nothing(
    stack: Stack, path: str, body: Any
) -> None:
    stack.settings = parse_settings(
        f"{SETTINGS}explain: {{notes: true, status_tags: true}}\nwrite_back: {{note: true}}"
    )
    opportunity = stack.candidate(PYTHON)
    for method in ("POST", "PUT"):
        stack.fault(vendor="lever", method=method, path_contains=path, status=200, apply=True, body=body, times=1000)
    assert stack.run_invite() == ["invite"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.run_invite(full=True) == []
    assert stack.ledger.queue.listed() == []
    assert stack.stage(opportunity) == "Assessment Complete"
    assert stack.world.opportunities[opportunity]["tags"] == [PYTHON, "iMocha: complete"]
    made = stack.world.forms, stack.world.files, stack.world.notes
    assert [len(of[opportunity]) for of in made] == [1, 1, 2]
