"""Each row of the decision table, with the sandbox's state as the witness."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lever_imocha.errors import ApiError, OutcomeUnknownError, RateLimitedError, RequestRejectedError
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import parse_settings

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

FORM = "iMocha: <test's name> [<test's number>]"


def test_a_tagged_candidate_is_invited_and_mailed_once(stack: Stack) -> None:
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    assert stack.invitation().state == "Pending"
    assert len(stack.world.mails) == 1
    stack.world.calls.clear()
    assert stack.run_invite(full=True) == []
    assert stack.writes() == []


def test_a_second_arrival_refreshes_with_the_links_settings_of_that_moment(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    before = stack.invitation().end
    link = stack.world.links[101]
    link["proctoringSettings"]["proctoringMode"] = "video"
    link["invitationSchedule"]["scheduleDetails"]["invitationValidityInDays"] = 30
    stack.again(opportunity)
    assert stack.run_invite() == ["refresh"]
    invitation = stack.invitation()
    assert invitation.proctoring == "video"
    assert before is not None
    assert invitation.end is not None
    assert invitation.end > before + timedelta(days=20)
    assert len(stack.world.mails) == 2


@pytest.mark.parametrize("report_not_ready", ["status", 404, "errors"])
def test_an_attempt_in_progress_is_left_alone(stack: Stack, report_not_ready: object) -> None:
    stack.world.switches["report_not_ready"] = report_not_ready
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.invitation().state = "In Progress"
    stack.again(opportunity)
    assert stack.run_invite() == ["ignore: attempt in progress"]
    assert stack.invitation().state == "In Progress"
    assert len(stack.world.mails) == 1


@pytest.mark.parametrize("report_not_ready", ["status", 404, "errors"])
@pytest.mark.parametrize("state", ["Cancelled", "Expired", "Pending"])
def test_an_open_or_lapsed_invitation_is_revived(stack: Stack, state: str, report_not_ready: object) -> None:
    stack.world.switches["report_not_ready"] = report_not_ready
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.invitation().state = state
    stack.again(opportunity)
    assert stack.run_invite() == ["refresh"]
    assert stack.invitation().state == "Pending"
    assert len(stack.world.mails) == 2


@pytest.mark.parametrize("says_pending", [True, False])
@pytest.mark.parametrize("state", ["Complete", "Test Left", "Terminated"])
def test_an_ended_attempt_is_left_alone(stack: Stack, state: str, says_pending: bool) -> None:
    stack.world.switches["invite_says_pending"] = says_pending
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish(state)
    stack.again(opportunity)
    assert stack.run_invite() == ["ignore: already taken"]
    assert len(stack.world.mails) == 1


@pytest.mark.parametrize(
    ("tags", "given", "decision"),
    [
        ([], {}, "ignore: no assessment tag"),
        (["iMocha developer"], {}, f"hold: unknown test (iMocha developer: write it as {FORM})"),
        (["iMocha: Python Developer"], {}, f"hold: unknown test (iMocha: Python Developer: write it as {FORM})"),
        (["iMocha: Gone [999]"], {}, "hold: unknown test (iMocha: Gone [999])"),
        (["iMocha: Retired Test [103]"], {}, "hold: unknown test (iMocha: Retired Test [103])"),
        (["imocha: python developer"], {}, f"hold: unknown test (imocha: python developer: write it as {FORM})"),
        ([PYTHON], {"emails": []}, "hold: no e-mail address"),
        ([PYTHON], {"isAnonymized": True}, "hold: may not be contacted"),
        ([PYTHON], {"dataProtection": {"contact": {"allowed": False}}}, "hold: may not be contacted"),
    ],
)
def test_who_cannot_be_invited_is_not(stack: Stack, tags: list[str], given: dict[str, Any], decision: str) -> None:
    stack.candidate(*tags, **given)
    assert stack.run_invite() == [decision]
    assert stack.writes() == []


def test_who_is_archived_or_in_another_stage_is_not_invited(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, stage="applicant-new")
    stack.run_invite()
    assert stack.world.invitations == {}
    stack.world.move(opportunity, "Assessment")
    stack.world.opportunities[opportunity]["archived"] = {"reason": "x", "archivedAt": 1782972986091}
    assert stack.run_invite() == []
    stack.world.opportunities[opportunity]["archived"] = None
    assert stack.run_invite() == ["invite"]


def test_several_tags_are_several_tests_and_confidential_ones_are_seen(stack: Stack) -> None:
    stack.candidate(PYTHON, SQL, confidentiality="confidential", updatedAt=None)
    stack.run_invite()
    assert {invitation.test_id for invitation in stack.world.invitations.values()} == {101, 102}


def test_two_opportunities_of_one_person_share_the_invitation(stack: Stack) -> None:
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.candidate(PYTHON, emails=["Ann@example.com"])
    stack.run_invite()
    assert len(stack.world.invitations) == 1
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"] * 2


@pytest.mark.parametrize("mode", ["status", "drop"])
def test_a_lost_answer_makes_no_second_invitation(stack: Stack, mode: str) -> None:
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="POST", path_contains="invite", mode=mode, apply=True)
    assert stack.run_invite() == ["invite"]
    assert len(stack.world.invitations) == 1
    assert len(stack.world.mails) == 2


def test_who_is_mailed_although_the_answer_leads_elsewhere_gets_two_e_mails_at_most(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/invite", status=302, apply=True, times=10_000)
    for _ in range(5):
        with suppress(ApiError):
            stack.run_invite(force=True)
    stack.world.faults.clear()
    assert stack.run_invite(force=True) == ["invite"]
    assert len(stack.world.mails) == 2


@pytest.mark.slow
def test_all_are_found_page_by_page_with_one_read_each(stack: Stack) -> None:
    for _ in range(120):
        stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"] * 120
    reads = [call for call in stack.world.calls if call["vendor"] == "lever" and "/opportunities" in call["path"]]
    assert len(reads) == 2 + 120
    assert len(stack.world.mails) == len(stack.world.invitations) == 120


def test_a_tag_or_an_address_given_later_is_noticed_by_a_short_sweep(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "poll: {overlap: 0.001}")
    untagged, silent = stack.candidate(), stack.candidate(PYTHON, emails=[])
    assert sorted(map(str, stack.run_invite())) == ["hold: no e-mail address", "ignore: no assessment tag"]
    user = stack.lever.find_user("people-ops@example.com")
    assert user is not None
    stack.lever.add_tags(untagged, [PYTHON], perform_as=user.id)
    stack.world.opportunities[silent].update(emails=["ann@example.com"], updatedAt=stack.world.now_ms())
    assert stack.run_invite() == ["invite", "invite"]


@pytest.mark.parametrize("name", ["Ann\x00", "A\x1bnn", "\x00Ann\x9f"])
def test_a_name_that_postgresql_refuses_is_cleaned_and_harms_nobody(stack: Stack, name: str) -> None:
    stack.candidate(PYTHON, name=name, emails=["ann@example.com"])
    stack.candidate(PYTHON, "odd\x00tag", name="Ben", emails=["ben@example.com"])
    assert stack.run_invite() == ["invite", "invite"]
    invited = {invitation.email: invitation.name for invitation in stack.world.invitations.values()}
    assert invited == {"ann@example.com": "Ann", "ben@example.com": "Ben"}


def test_an_invite_that_is_refused_stops_no_other_test_of_the_candidate(stack: Stack) -> None:
    stack.candidate(PYTHON, SQL)
    stack.fault(vendor="imocha", method="POST", path_contains="/tests/101/invite", status=400, times=1)
    with pytest.raises(RequestRejectedError):
        stack.run_invite()
    assert stack.invitation().test_id == 102
    assert stack.run_invite(force=True) == ["invite"]
    assert {mail["invitation"] for mail in stack.world.mails} == set(stack.world.invitations)
    assert len(stack.world.mails) == 2, "one each"


def test_of_two_tests_that_fail_both_are_told(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    stack.candidate(PYTHON, SQL)
    for test, status in ((101, 400), (102, 404)):
        stack.fault(vendor="imocha", method="POST", path_contains=f"/tests/{test}/invite", status=status)
    with pytest.raises(RequestRejectedError):
        stack.run_invite()
    assert "failed as well: iMocha answered 404 to invite" in caplog.text


def test_of_two_kinds_of_work_that_fail_both_are_told(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    stack.settings = parse_settings(SETTINGS + "explain: {status_tags: true}")
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="POST", path_contains="/tests/101/invite", status=400)
    stack.fault(vendor="lever", path_contains="/addTags", status=429, retry_after=90)
    with pytest.raises(RateLimitedError):
        stack.run_invite()
    assert "failed as well: iMocha answered 400 to invite" in caplog.text


@pytest.mark.parametrize("refusal", [400, 403, 429])
def test_who_was_refused_the_e_mail_again_and_again_gets_it_when_it_is_accepted(stack: Stack, refusal: int) -> None:
    """Without an e-mail iMocha accepts the invitation all along."""
    stack.candidate(PYTHON)
    stack.world.switches["refused_mail"] = refusal
    for _ in range(4):
        with suppress(ApiError):
            stack.run_invite(force=True)
    assert stack.world.mails == []
    stack.world.switches["refused_mail"] = 0
    assert stack.run_invite(force=True) == ["invite"]
    assert len(stack.world.mails) == 1


@pytest.mark.slow
def test_three_days_of_trouble_at_imocha_leave_nobody_behind(stack: Stack, ledger_url: str) -> None:
    shift = timedelta(0)
    stack.clock = lambda: datetime.now(UTC) + shift
    stack.ledger = Ledger(engine=engine_for(ledger_url), clock=stack.clock)
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="POST", path_contains="/invite", status=503, times=10_000)
    with pytest.raises(OutcomeUnknownError):
        stack.run_invite()
    for _ in range(72):
        shift += timedelta(hours=1)
        stack.run_invite(sweep=False)
    stack.world.faults.clear()
    shift += timedelta(hours=6)
    assert stack.run_invite(sweep=False) == ["invite"]


def test_who_has_left_while_on_hold_is_held_no_more_though_no_webhook_says_so(stack: Stack) -> None:
    moved, archived, stays = (stack.candidate(PYTHON, emails=[]) for _ in range(3))
    stack.run_invite()
    stack.world.move(moved, "Recruiter screen")
    stack.world.archive(archived, "Withdrew")
    assert set(map(str, stack.run_invite(full=True))) == {"ignore: moved on", "ignore: archived"}
    assert stack.ledger.entries.on_hold() == {stays}
    assert stack.run_invite(full=True) == []
    stack.world.move(moved, "Assessment")
    assert stack.run_invite() == ["hold: no e-mail address"]
