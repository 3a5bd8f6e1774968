"""Retakes, changed addresses, crashes in between, and rules that choose."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lever_imocha.errors import OutcomeUnknownError
from lever_imocha.ledger.values import Work
from lever_imocha.settings import Settings, parse_settings

from tests.support import PYTHON, event_kinds
from tests.workflows.conftest import SETTINGS, Stack


def rules(text: str) -> Settings:
    return parse_settings(f"{SETTINGS}rules: [{{{text}}}]")


def test_a_retake_is_a_new_invitation_whose_report_is_written_too(stack: Stack) -> None:
    stack.settings = rules("retake: reattempt")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.again(opportunity)
    assert stack.run_invite() == ["reattempt"]
    assert [invitation.state for invitation in stack.world.invitations.values()] == ["Complete", "Pending"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 2


def test_a_retake_waits_until_the_first_report_is_written(stack: Stack) -> None:
    stack.settings = rules("retake: reattempt")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.again(opportunity)
    assert stack.run_invite() == ["ignore: already taken (its report is being written back)"]
    assert len(stack.world.invitations) == 1


def test_a_changed_address_gets_an_invitation_and_the_old_one_is_withdrawn(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.again(opportunity)
    assert stack.run_invite() == ["refresh"]
    assert [invitation.state for invitation in stack.world.invitations.values()] == ["Cancelled", "Pending"]
    _old, new = stack.world.invitations
    assert stack.ledger.invitations.to_check(older_than=timedelta(0), limit=9) == [new], "the old one is over"


def test_a_lost_answer_to_the_withdrawal_of_the_old_one_sends_no_second_e_mail(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.again(opportunity)
    stack.fault(vendor="imocha", path_contains="/cancel", mode="drop", apply=True)
    assert stack.run_invite() == ["refresh"]
    assert [mail["to"] for mail in stack.world.mails] == ["ann0@example.com", "new@example.com"]


@pytest.mark.parametrize("status", [429, 500])
def test_an_invitation_that_cannot_be_withdrawn_keeps_no_report_out_of_lever(stack: Stack, status: int) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.again(opportunity)
    stack.fault(vendor="imocha", path_contains="/cancel", status=status, retry_after=600, times=10_000)
    assert stack.run_invite() == ["refresh"]
    assert len(stack.world.mails) == 2, "one to each address"
    assert "not_withdrawn" in event_kinds(stack.ledger, opportunity)
    _, new = stack.world.invitations.values()
    stack.world.finish(new)
    assert stack.run_write_back() == ["written back and moved on"]


def test_a_changed_address_leaves_an_invitation_that_is_shared(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.again(opportunity)
    stack.run_invite()
    assert [invitation.state for invitation in stack.world.invitations.values()] == ["Pending", "Pending"]


def test_a_crash_after_the_invitation_was_sent_makes_no_second_one(stack: Stack) -> None:
    """The intention was recorded, iMocha has invited, and nobody wrote that down."""
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    (assessment,) = stack.ledger.assessments.of(opportunity)
    item = stack.ledger.queue.enqueue_claimed(opportunity, Work.INVITE, worker="killed")[Work.INVITE]
    stack.ledger.assessments.intend(101, item, entry_id=assessment.entry_id, rule_key=assessment.rule_key)
    stack.again(opportunity)
    assert stack.run_invite() == ["refresh"]
    assert len(stack.world.invitations) == 1
    assert "invite_repeated" in event_kinds(stack.ledger, opportunity)


def test_a_validity_of_the_rule_replaces_the_links(stack: Stack) -> None:
    stack.settings = rules("validity_days: 3")
    stack.candidate(PYTHON)
    stack.run_invite()
    end = stack.invitation().end
    assert end is not None
    assert abs(end - stack.world.now() - timedelta(days=3)) < timedelta(minutes=1)


def test_a_rule_can_ask_for_a_posting(stack: Stack) -> None:
    posting = stack.world.postings[0]
    stack.settings = rules(f"postings: [{posting['text']}]")
    stack.candidate(PYTHON)
    mine = stack.candidate(PYTHON, applications=[{"id": "a", "posting": posting["id"]}])
    assert sorted(map(str, stack.run_invite())) == ["ignore: moved on", "invite"]
    assert stack.ledger.assessments.of(mine)


def test_of_two_stages_with_one_name_one_is_named_by_its_id(stack: Stack) -> None:
    stack.world.stages.append({"id": "twin", "text": "Assessment"})
    stack.settings = rules("trigger_stage: twin")
    stack.candidate(PYTHON, stage="twin")
    assert stack.run_invite() == ["invite"]


def test_a_retake_whose_answer_was_lost_and_that_runs_by_then_is_written_back(stack: Stack) -> None:
    stack.settings = rules("retake: reattempt")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.again(opportunity)
    stack.fault(vendor="imocha", path_contains="/reattempt", mode="drop", apply=True, times=4)
    with pytest.raises(OutcomeUnknownError):
        stack.run_invite()
    _first, second = stack.world.invitations.values()
    second.state = "In Progress"
    assert stack.run_invite(force=True) == ["ignore: attempt in progress"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 2
    assert len(stack.world.mails) == 2


@pytest.mark.parametrize("status", [403, 400])
def test_a_retake_that_runs_for_another_opportunity_of_the_person_is_left_alone(stack: Stack, status: int) -> None:
    stack.settings = rules("retake: reattempt")
    stack.world.switches["refused_reattempt"] = status
    first, second = (stack.candidate(PYTHON, emails=["ann@example.com"]) for _ in range(2))
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.again(first)
    stack.run_invite()
    next(item for item in stack.world.invitations.values() if item.state == "Pending").state = "In Progress"
    stack.again(second)
    assert stack.run_invite() == ["ignore: attempt in progress"]
    assert len(stack.world.invitations) == 2
    assert stack.run_invite(full=True) == []


def test_who_is_moved_to_another_trigger_stage_meanwhile_moves_on_as_that_rule_says(stack: Stack) -> None:
    stack.settings = parse_settings(
        SETTINGS + "rules: [{trigger_stage: Assessment}, {trigger_stage: Recruiter screen, completed_stage: Offer}]"
    )
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.invitation().state = "In Progress"
    stack.world.move(opportunity, "Recruiter screen")
    assert stack.run_invite() == ["ignore: attempt in progress"]
    stack.finish()
    stack.run_write_back()
    assert stack.stage(opportunity) == "Offer"


def test_a_retake_with_the_same_values_gets_a_form_of_its_own(stack: Stack) -> None:
    """Also where the template has no field for the invitation, and Lever's answer is lost."""
    stack.settings = rules("retake: reattempt")
    stack.lever.create_form_template(
        text="iMocha Assessment", fields=[{"type": "text", "text": "Score", "required": False}]
    )
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.again(opportunity)
    stack.run_invite()
    stack.finish()
    stack.fault(vendor="lever", method="POST", path_contains="/forms", status=500, apply=False)
    assert stack.run_write_back() == ["written back and moved on"]
    assert len(stack.world.forms[opportunity]) == 2
