"""What vendors tell us, and candidates who leave while an invitation is open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.signatures import read_callback_token
from lever_imocha.errors import ApiError, OutcomeUnknownError
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings

from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack

REASON = "Withdrew"


def tell(stack: Stack, opportunity_id: str, event: str = "candidateStageChange", key: str = "t1") -> None:
    stack.ledger.record_delivery(NewDelivery(vendor="lever", key=key, event=event, opportunity_id=opportunity_id))


def lever_calls(stack: Stack) -> list[str]:
    return [f"{call['method']} {call['path']}" for call in stack.world.calls if call["vendor"] == "lever"]


def test_a_delivery_is_enough_and_costs_one_call_to_lever(stack: Stack) -> None:
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    tell(stack, opportunity)
    stack.world.calls.clear()
    assert stack.run_invite(sweep=False) == ["invite"]
    assert len(lever_calls(stack)) == 1
    assert stack.run_invite(sweep=False) == []
    assert stack.run_invite(full=True) == []
    assert len(stack.world.mails) == 1


def test_late_and_repeated_deliveries_change_nothing(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    tell(stack, opportunity, key="t1")
    tell(stack, opportunity, key="t2")
    assert stack.run_invite(sweep=False) == ["ignore: already handled"]
    stack.world.move(opportunity, "Recruiter screen")
    tell(stack, opportunity, key="t3")
    assert stack.run_invite(sweep=False) == ["ignore: moved on"]
    assert len(stack.world.mails) == 1
    assert stack.invitation().state == "Pending"


def test_a_delivery_lever_cannot_answer_for_is_kept_for_the_sweep_and_does_not_ring(stack: Stack) -> None:
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    tell(stack, opportunity)
    stack.fault(vendor="lever", method="GET", path_contains=opportunity, status=503, times=50)
    with pytest.raises(ApiError, match="get_opportunity"):
        stack.run_invite(sweep=False)
    assert stack.ledger.waiting(deliveries_only=True) == []
    stack.world.faults.clear()
    assert stack.run_invite() == ["invite"]


@pytest.mark.parametrize(
    "leave",
    [
        lambda stack, key: stack.world.archive(key, REASON),
        lambda stack, key: stack.world.delete(key),
        lambda stack, key: (
            stack.world.archive(key, REASON),
            stack.world.anonymise(key),
        ),
    ],
    ids=["archived", "deleted", "anonymised"],
)
@pytest.mark.parametrize("told", [True, False], ids=["told", "swept"])
def test_who_leaves_has_the_pending_invitation_cancelled(
    stack: Stack, leave: Callable[[Stack, str], object], told: bool
) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    leave(stack, opportunity)
    if told:
        tell(stack, opportunity, "candidateArchiveChange")
    stack.run_invite(sweep=not told, full=not told)
    assert stack.invitation().state == "Cancelled"
    assert stack.ledger.with_open_invitation() == {}


@pytest.mark.parametrize("gone", ["archive", "delete"])
def test_a_short_sweep_notices_who_was_archived_or_deleted(stack: Stack, gone: str) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    if gone == "archive":
        stack.world.archive(opportunity, REASON)
    else:
        stack.world.delete(opportunity)
    stack.run_invite()
    assert stack.invitation().state == "Cancelled"


def test_a_key_that_may_not_list_deleted_opportunities_still_sweeps(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.fault(vendor="lever", method="GET", path_contains="/deleted", status=403)
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]


@pytest.mark.parametrize("cancel", [True, False])
def test_leaving_the_stage_cancels_only_when_the_settings_say_so(stack: Stack, cancel: bool) -> None:
    stack.settings = parse_settings(f"{SETTINGS}cancel_when: {{stage_left: {str(cancel).lower()}}}")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.move(opportunity, "Offer")
    stack.run_invite()
    assert stack.invitation().state == ("Cancelled" if cancel else "Pending")


def test_a_candidate_who_just_started_goes_on(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.invitation().state = "In Progress"
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    assert stack.invitation().state == "In Progress"
    stack.finish()
    assert stack.run_write_back() == ["written back; the recruiter has moved it on"]


@pytest.mark.parametrize("how", ["deleted", "anonymised"])
@pytest.mark.parametrize("finished", [True, False])
def test_who_is_forgotten_in_lever_is_forgotten_here_and_masked_at_imocha(
    stack: Stack, how: str, finished: bool
) -> None:
    """Also when no webhook came, and when the attempt is long over."""
    stack.settings = parse_settings(SETTINGS + "mask_deleted: true")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    if finished:
        stack.finish()
        stack.run_write_back()
    if how == "deleted":
        stack.world.delete(opportunity)
    else:
        stack.world.archive(opportunity, REASON)
        stack.world.anonymise(opportunity)
    stack.run_invite(full=True)
    assert stack.ledger.with_stored_name([opportunity]) == set()
    assert stack.world.invitations == {}
    asked = [call for call in stack.world.calls if "gdpr" in call["path"]]
    stack.run_invite(full=True)
    assert [call for call in stack.world.calls if "gdpr" in call["path"]] == asked


def test_an_invitation_that_cannot_be_masked_is_named_once(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    stack.settings = parse_settings(SETTINGS + "mask_deleted: true\ncancel_when: {deleted: false}")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.switches["report_not_ready"] = 404
    stack.world.delete(opportunity)
    stack.run_invite(full=True)
    stack.run_invite(full=True)
    assert caplog.text.count("mask it in iMocha by hand") == 1


def test_masking_survives_a_lost_answer(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "mask_deleted: true")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.fault(vendor="imocha", method="POST", path_contains="/gdpr", status=500, apply=True)
    stack.world.delete(opportunity)
    stack.run_invite(full=True)
    assert stack.ledger.with_stored_name([opportunity]) == set()


def test_an_invitation_shared_with_another_opportunity_is_kept(stack: Stack) -> None:
    leaves = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.world.archive(leaves, REASON)
    stack.run_invite()
    assert stack.invitation().state == "Pending"


def test_who_comes_back_after_leaving_gets_the_same_invitation_again(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    stack.world.archive(opportunity, None)
    stack.again(opportunity)
    assert stack.run_invite() == ["refresh"]
    assert stack.invitation().state == "Pending"


def test_who_is_unarchived_where_it_was_is_invited_again(stack: Stack) -> None:
    """No event of Lever's pipeline tells: the stage entry is the old one, and its invitation was cancelled."""
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    stack.world.archive(opportunity, None)
    assert stack.run_invite(full=True) == ["refresh"]
    assert stack.invitation().state == "Pending"
    assert stack.run_invite(full=True) == []


def test_a_shared_invitation_is_cancelled_when_the_last_one_leaves(stack: Stack) -> None:
    both = [stack.candidate(PYTHON, emails=["ann@example.com"]) for _ in range(2)]
    stack.run_invite()
    for opportunity in both:
        assert stack.invitation().state == "Pending"
        stack.world.archive(opportunity, REASON)
        stack.run_invite()
    assert stack.invitation().state == "Cancelled"


def test_an_invitation_whose_answer_was_lost_is_cancelled_when_the_candidate_leaves(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=True, times=3)
    with pytest.raises(OutcomeUnknownError):
        stack.run_invite()
    assert stack.invitation().state == "Pending"
    mails = len(stack.world.mails)
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    assert stack.invitation().state == "Cancelled"
    assert len(stack.world.mails) == mails


def test_who_came_to_share_an_invitation_while_it_was_cancelled_is_invited_again(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    invitation_id = stack.invitation().id
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.world.invitations[invitation_id].state = "Cancelled"
    stack.ledger.reopen(invitation_id, left=opportunity)
    assert stack.run_invite() == ["refresh"]
    assert stack.invitation().state == "Pending"


def test_imocha_is_given_an_address_that_names_the_assessment(stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}public_url: https://airflow.example.com/\n")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    address = str(stack.invitation().callback_url)
    start, _, token = address.rpartition("/")
    assert start == "https://airflow.example.com/lever-imocha/webhooks/imocha"
    (assessment,) = stack.ledger.assessments_of(opportunity)
    assert read_callback_token(token, "callback-secret") == assessment.id


def test_a_callback_is_heeded_without_a_sweep_and_only_for_what_the_report_says(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    invitation = stack.invitation()
    hint = NewDelivery(vendor="imocha", key="1", event="complete", invitation_id=invitation.id)
    stack.ledger.record_delivery(hint)
    assert stack.run_write_back(sweep=False) == []
    assert stack.ledger.callbacks() == {}
    stack.finish()
    stack.ledger.record_delivery(NewDelivery(vendor="imocha", key="2", event="complete", invitation_id=invitation.id))
    stack.world.calls.clear()
    assert stack.run_write_back(sweep=False) == ["written back and moved on"]
    assert not any("testattempts" in call["path"] for call in stack.world.calls)
    assert stack.stage(opportunity) == "Assessment Complete"


def test_a_ledger_restored_from_before_the_invitation_adopts_it(stack: Stack, imocha: ImochaClient) -> None:
    """The invitation exists at iMocha, and the ledger knows nothing: inviting again is an upsert there."""
    opportunity = stack.candidate(PYTHON)
    email = stack.world.opportunities[opportunity]["emails"][0]
    imocha.invite(101, email=email, name="Ann", send_email=True)
    assert stack.run_invite() == ["invite"]
    assert len(stack.world.invitations) == 1
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]


def test_who_left_with_an_open_invitation_is_read_once_and_again_only_when_something_changed(stack: Stack) -> None:
    """An invitation may stay open for weeks after the candidate was moved out of the stage."""
    stack.settings = parse_settings(SETTINGS + "poll: {full_sweep: 0.001}")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.move(opportunity, "Recruiter screen")

    def reads_of_a_full_sweep() -> int:
        stack.world.calls.clear()
        stack.run_invite()
        return lever_calls(stack).count(f"GET /opportunities/{opportunity}")

    assert [reads_of_a_full_sweep() for _ in range(3)] == [1, 0, 0]
    stack.again(opportunity)
    assert stack.run_invite(full=True) == ["refresh"]
    stack.world.move(opportunity, "Recruiter screen")
    assert [reads_of_a_full_sweep() for _ in range(2)] == [1, 0]
    stack.world.archive(opportunity, REASON)
    assert reads_of_a_full_sweep() == 1
    assert stack.invitation().state == "Cancelled"


def test_old_deliveries_are_forgotten_by_a_full_sweep(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    tell(stack, opportunity)
    stack.run_invite(sweep=False)
    stack.ledger.forget_deliveries(older_than=timedelta(seconds=-1))
    assert stack.ledger.record_delivery(
        NewDelivery(vendor="lever", key="t1", event="candidateStageChange", opportunity_id=opportunity, handled=True)
    )


@pytest.mark.parametrize("told", [True, False])
def test_what_imocha_refused_is_tried_at_once_for_a_new_arrival(stack: Stack, told: bool) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="POST", path_contains="/invite", status=400)
    with pytest.raises(ApiError):
        stack.run_invite()
    assert stack.run_invite() == []
    stack.again(opportunity)
    if told:
        tell(stack, opportunity)
    assert stack.run_invite(sweep=not told) == ["invite"]
