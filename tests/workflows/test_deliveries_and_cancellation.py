"""What vendors tell us, and candidates who leave while an invitation is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.transport import TRIES
from lever_imocha.domain.acts import Act
from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.signatures import read_callback_token
from lever_imocha.errors import (
    ApiError,
    OutcomeUnknownError,
    RequestRejectedError,
    UnexpectedAnswerError,
    VendorDownError,
    VendorRefusedError,
    WorkFailedError,
)
from lever_imocha.ledger.values import NewDelivery, Work
from lever_imocha.runtime.batch_run import run_batch
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.invite import InviteWorkflow
from lever_imocha.workflows.work import Result
from sqlalchemy import text

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

REASON = "Withdrew"


def tell(stack: Stack, opportunity_id: str, event: str = "candidateStageChange", key: str = "t1") -> None:
    stack.ledger.deliveries.record(NewDelivery(vendor="lever", key=key, event=event, opportunity_id=opportunity_id))


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


def test_a_delivery_lever_cannot_answer_for_waits_and_starts_no_run_after_run(stack: Stack) -> None:
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    tell(stack, opportunity)
    stack.fault(vendor="lever", method="GET", path_contains=opportunity, status=503, times=50)
    with pytest.raises(ApiError, match="get_opportunity"):
        stack.run_invite(sweep=False)
    assert stack.due() == []
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
    assert stack.ledger.assessments.with_open_invitation() == {}


@pytest.mark.parametrize("status", [403, 404])
def test_a_cancellation_is_done_only_when_imocha_says_so(stack: Stack, status: int) -> None:
    """Only a 400 says that the invitation is not pending; a 404 comes with another account's key, too."""
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, REASON)
    stack.fault(vendor="imocha", method="POST", path_contains="/cancel", status=status, times=3)
    with pytest.raises(VendorRefusedError):
        stack.run_invite()
    for _ in range(2):
        stack.run_invite(force=True)
        assert stack.due(Work.CANCEL, waiting=True) == [opportunity]
    stack.run_invite(force=True)
    assert stack.invitation().state == "Cancelled"


def test_an_invite_that_is_refused_keeps_no_other_invitation_open(stack: Stack) -> None:
    opportunity = stack.candidate(SQL, PYTHON)
    stack.fault(vendor="imocha", method="POST", path_contains="/tests/102/invite", status=400, times=1000)
    with pytest.raises(RequestRejectedError):
        stack.run_invite()
    assert stack.invitation().state == "Pending"
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    assert stack.invitation().state == "Cancelled"


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


@pytest.mark.parametrize("applied", [True, False], ids=["done", "not done"])
def test_who_is_unarchived_while_it_is_unknown_whether_the_cancelling_was_done_is_invited_again(
    stack: Stack, applied: bool
) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, REASON)
    stack.fault(vendor="imocha", method="POST", path_contains="/cancel", mode="drop", apply=applied, times=1000)
    with pytest.raises(OutcomeUnknownError):
        stack.run_invite()
    assert stack.invitation().state == ("Cancelled" if applied else "Pending")
    stack.world.archive(opportunity, None)
    stack.run_invite(force=True)
    assert stack.invitation().state == "Pending"
    assert len(stack.world.mails) == 2
    assert stack.run_invite(full=True, force=True) == []


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
    stack.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=True, times=4)
    with pytest.raises(OutcomeUnknownError):
        stack.run_invite()
    assert stack.invitation().state == "Pending"
    mails = len(stack.world.mails)
    stack.world.archive(opportunity, REASON)
    stack.run_invite(force=True)
    assert stack.invitation().state == "Cancelled"
    assert len(stack.world.mails) == mails


def test_who_came_to_share_an_invitation_while_it_was_cancelled_is_invited_again(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    invitation_id = stack.invitation().id
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.world.invitations[invitation_id].state = "Cancelled"
    stack.ledger.assessments.reopen(invitation_id, left=opportunity)
    assert stack.run_invite() == ["refresh"]
    assert stack.invitation().state == "Pending"


def test_imocha_is_given_an_address_that_names_the_assessment(stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}public_url: https://airflow.example.com/\n")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    address = str(stack.invitation().callback_url)
    start, _, token = address.rpartition("/")
    assert start == "https://airflow.example.com/lever-imocha/webhooks/imocha"
    (assessment,) = stack.ledger.assessments.of(opportunity)
    assert read_callback_token(token, "callback-secret") == assessment.id


def test_a_callback_is_heeded_without_a_sweep_and_only_for_what_the_report_says(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    invitation = stack.invitation()
    hint = NewDelivery(vendor="imocha", key="1", event="complete", invitation_id=invitation.id)
    stack.ledger.deliveries.record(hint)
    assert stack.run_write_back(sweep=False) == ["attempt not ended"]
    assert stack.due(Work.WRITE_BACK, waiting=True) == []
    assert stack.run_write_back(sweep=False) == []
    stack.finish()
    stack.ledger.deliveries.record(NewDelivery(vendor="imocha", key="2", event="complete", invitation_id=invitation.id))
    stack.world.calls.clear()
    assert stack.run_write_back(sweep=False) == ["written back and moved on"]
    calls = [call["path"].partition("?")[0] for call in stack.world.calls if call["vendor"] == "imocha"]
    assert len(calls) == 2, "the report and its PDF, each once"
    assert stack.stage(opportunity) == "Assessment Complete"
    late = NewDelivery(vendor="imocha", key="3", event="complete", invitation_id=invitation.id)
    assert stack.ledger.deliveries.record(late)
    assert stack.due(Work.WRITE_BACK, waiting=True) == [], "what is written has nothing left to be told about"


def test_a_callback_that_cannot_be_followed_waits_and_does_not_hold_up_others(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    invitation = stack.invitation()
    stack.finish()
    stack.ledger.deliveries.record(NewDelivery(vendor="imocha", key="1", event="complete", invitation_id=invitation.id))
    stack.fault(vendor="imocha", path_contains=f"reports/{invitation.id}", status=500, times=50)
    with pytest.raises(ApiError, match="get_report"):
        stack.run_write_back(sweep=False)
    assert stack.due(Work.WRITE_BACK) == [], "it starts no run after run"
    stack.world.faults.clear()
    assert stack.run_write_back(force=True) == ["written back and moved on"]


def moved(opportunity_id: str, to_stage_id: str, key: str) -> NewDelivery:
    return NewDelivery(
        vendor="lever", key=key, event="candidateStageChange", opportunity_id=opportunity_id, to_stage_id=to_stage_id
    )


def test_a_move_that_concerns_nobody_of_ours_costs_no_call(stack: Stack) -> None:
    """Our own move to the completed stage, and every move of the account between other stages."""
    stack.run_invite()
    world, ledger = stack.world, stack.ledger
    trigger, other = world.stage_id("Assessment"), world.stage_id("Assessment Complete")
    stranger, opportunity = stack.candidate(stage="Offer"), stack.candidate(PYTHON)
    ledger.deliveries.record(moved(stranger, other, "1"))
    assert stack.due() == []
    ledger.deliveries.record(moved(opportunity, trigger, "2"))
    assert stack.run_invite(sweep=False) == ["invite"]
    ledger.deliveries.record(moved(opportunity, other, "3"))
    assert stack.due() == [opportunity], "its invitation is open"
    assert stack.run_invite(sweep=False) == ["ignore: already handled"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    ledger.deliveries.record(moved(opportunity, other, "4"))
    assert stack.due() == []


def test_a_move_out_of_the_stage_is_looked_at_while_a_hold_or_nothing_is_decided(stack: Stack) -> None:
    stack.run_invite()
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    stack.ledger.deliveries.record(moved(opportunity, stack.world.stage_id("Offer"), "1"))
    assert stack.due() == [opportunity]


def test_what_was_refused_is_not_sent_again_by_a_retry_of_the_batch(stack: Stack) -> None:
    """Airflow tries a batch again when it helps some of it."""
    refused, unlucky = stack.candidate(PYTHON), stack.candidate(SQL)
    workflow = InviteWorkflow(
        lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings, worker="w"
    )
    due = workflow.collect()
    stack.fault(vendor="imocha", method="POST", path_contains="/tests/101/invite", status=400, times=50)
    stack.fault(vendor="lever", path_contains=unlucky, status=503, times=6)
    with pytest.raises(WorkFailedError):
        run_batch(due, workflow.act)
    assert run_batch(due, workflow.act) == {"nothing to do": 2}
    assert sum("/tests/101/invite" in write for write in stack.writes()) == 1
    stack.world.faults.clear()
    assert run_batch([refused], partial(workflow.act, force=True)) == {"invite": 1}, (
        "a person's order counts more than the time"
    )


def test_one_who_comes_alone_during_a_burst_overtakes_it(stack: Stack) -> None:
    stack.run_invite()
    burst = [stack.candidate(PYTHON) for _ in range(4)]
    for opportunity in burst:
        tell(stack, opportunity, key=opportunity)
    workflow = InviteWorkflow(
        lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings, worker="w"
    )
    invited: list[str] = []

    def work(opportunity_id: str) -> Result:
        if not invited:
            tell(stack, stack.candidate(PYTHON, emails=["lone@example.com"]), key="lone")
        invited.append(opportunity_id)
        return workflow.act(opportunity_id)

    assert run_batch(burst, work, newest=workflow.newest) == {"invite": 5}
    assert [mail["to"] for mail in stack.world.mails].index("lone@example.com") == 1
    assert invited[0] == burst[0]
    assert invited[2:] == burst[1:]


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


@pytest.mark.parametrize("lost", [1, 4, 5, 9, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 6, 7, 8))])
@pytest.mark.parametrize("applied", [True, False])
def test_however_many_answers_are_lost_there_is_one_invitation_and_at_most_two_e_mails(
    stack: Stack, lost: int, applied: bool
) -> None:
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=applied, times=lost)
    for _ in range(4):
        with suppress(OutcomeUnknownError):
            stack.run_invite(force=True)
    assert stack.invitation().state == "Pending"
    assert 1 <= len(stack.world.mails) <= 2


def test_an_older_row_of_a_revived_invitation_counts_no_more(stack: Stack) -> None:
    stack.world.switches["attempts_keep_history"] = True
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    stack.run_write_back()
    stack.world.archive(opportunity, None)
    assert stack.run_invite(full=True) == ["refresh"]
    stack.run_write_back()
    assert stack.ledger.invitations.status(stack.invitation().id) is AttemptStatus.PENDING
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    assert stack.invitation().state == "Cancelled"
    assert stack.ledger.invitations.status(stack.invitation().id) is AttemptStatus.CANCELLED, "we did it ourselves"


def test_a_revived_invitation_that_expires_again_is_noticed_by_the_list_when_its_window_has_ended(stack: Stack) -> None:
    stack.world.switches["report_not_ready"] = 404
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    for again in (True, False):
        stack.invitation().state, stack.invitation().changed_at = "Expired", stack.world.now()
        stack.ledger.invitations.set_window(stack.invitation().id, expires_at=stack.world.now())
        stack.run_write_back()
        assert stack.ledger.invitations.status(stack.invitation().id) is AttemptStatus.EXPIRED
        if again:
            stack.again(opportunity)
            assert stack.run_invite() == ["refresh"]


@pytest.mark.parametrize("path", ["/opportunities/deleted", "archived_at_start", "updated_at_start"])
def test_a_list_that_only_serves_forgetting_stops_nobody(stack: Stack, path: str) -> None:
    stack.run_invite()
    stack.candidate(PYTHON)
    stack.fault(vendor="lever", method="GET", path_contains=path, status=500, times=1000)
    assert stack.run_invite(full=True) == ["invite"]


def test_who_is_known_to_wait_is_invited_while_the_stages_cannot_be_listed(stack: Stack) -> None:
    stack.run_invite()
    tell(stack, stack.candidate(PYTHON))
    stack.fault(vendor="lever", method="GET", path_contains="/opportunities", status=503, times=6)
    assert stack.run_invite() == ["invite"]
    stack.fault(vendor="lever", method="GET", path_contains="/opportunities", status=503, times=6)
    with pytest.raises(VendorDownError):
        stack.run_invite()


@pytest.mark.parametrize("status", [400, 503])
def test_who_is_on_the_pages_before_a_list_breaks_off_is_invited(stack: Stack, status: int) -> None:
    """The second list of a short sweep cannot be read: of who was given a tag or an address."""
    stack.run_invite()
    stack.candidate(PYTHON)
    stack.fault(vendor="lever", path_contains="updated_at_start", status=status, times=10_000)
    assert stack.run_invite() == ["invite"]


def test_a_list_of_tests_that_cannot_be_read_stops_only_who_is_to_take_a_new_one(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.add_test(104, "New")
    new = stack.candidate("iMocha: New [104]")
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="GET", path_contains="/tests", status=500, times=12)
    workflow = stack.invite_workflow()
    with pytest.raises(WorkFailedError) as caught:
        run_batch(workflow.collect(), workflow.act)
    assert list(caught.value.failures) == [new]
    assert [mail["to"] for mail in stack.world.mails] == ["ann0@example.com", "ann2@example.com"]
    stack.world.faults.clear()
    assert stack.run_invite() == ["invite"], "the new one is known now"


def test_a_test_that_is_not_known_for_sure_stops_no_other_part_of_the_sweep(stack: Stack) -> None:
    leaves = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.add_test(999, "Odd")
    stack.world.tests[999]["testId"] = "none"  # so that no list is complete
    asks = stack.candidate("iMocha: Gone [998]")
    stack.world.archive(leaves, stack.world.archive_reasons[1]["id"])
    workflow = stack.invite_workflow()
    assert set(workflow.collect()) == {asks, leaves}
    with pytest.raises(UnexpectedAnswerError, match="not complete"):
        stack.invite_workflow().act(asks)  # by another task, which finds the list in the ledger
    workflow.act(leaves)
    assert stack.invitation().state == "Cancelled"
    (waiting,) = stack.ledger.queue.listed()
    assert (waiting.opportunity_id, waiting.kind, waiting.tries) == (asks, Work.INVITE, 1)


def test_lists_that_were_not_complete_for_a_day_say_what_they_lack(stack: Stack) -> None:
    stack.world.add_test(999, "Odd")
    stack.world.tests[999]["testId"] = "none"
    stack.candidate("iMocha: Gone [998]")
    with pytest.raises(UnexpectedAnswerError, match="not complete"):
        stack.run_invite()
    late = datetime.now(UTC) + timedelta(days=1)
    stack.clock = lambda: late
    assert stack.run_invite(force=True) == [f"hold: {Reason.UNKNOWN_TEST} (iMocha: Gone [998])"]
    stack.world.add_test(998, "Gone")
    assert stack.run_invite(full=True) == ["invite"]


def test_a_list_that_is_not_complete_is_read_once_in_a_sweep(stack: Stack) -> None:
    for _ in range(3):
        stack.candidate(PYTHON)
    stack.world.add_test(999, "Odd")
    stack.world.tests[999]["testId"] = "none"
    assert len(stack.invite_workflow().collect()) == 3
    assert sum(call["path"].startswith("/tests") for call in stack.world.calls) == 2, "its pages"


def test_a_list_that_cannot_be_read_is_asked_for_once_in_a_sweep(stack: Stack) -> None:
    for _ in range(3):
        stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="GET", path_contains="/tests", status=500, times=1000)
    assert len(stack.invite_workflow().collect()) == 3
    assert sum(call["path"].startswith("/tests") for call in stack.world.calls) == TRIES


def test_a_bug_about_one_candidate_stops_only_that_one(stack: Stack) -> None:
    """Something no error of ours stands for: here a database without a table that only one candidate needs."""
    stack.settings = parse_settings(SETTINGS + "explain: {notes: true}\n")
    held, invited = stack.candidate(PYTHON, emails=[]), stack.candidate(SQL)
    workflow = stack.invite_workflow()
    due = workflow.collect()
    with stack.ledger.transaction() as connection:
        connection.execute(
            text(f"ALTER TABLE lever_imocha.effects ADD CONSTRAINT broken CHECK (opportunity_id <> '{held}')")
        )
    try:
        with pytest.raises(WorkFailedError, match=r"IntegrityError at .*This is a bug: report this line") as caught:
            run_batch(due, workflow.act)
    finally:
        with stack.ledger.transaction() as connection:
            connection.execute(text("ALTER TABLE lever_imocha.effects DROP CONSTRAINT broken"))
    assert list(caught.value.failures) == [held]
    assert len(stack.world.mails) == 1
    assert stack.due(waiting=True) == [held]
    assert invited not in stack.due(waiting=True)


@pytest.mark.parametrize("how", ["told", "swept", "written back"])
def test_one_answer_not_found_is_no_proof_that_a_candidate_is_deleted(stack: Stack, how: str) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    if how == "written back":
        stack.finish()
    stack.fault(vendor="lever", method="GET", path_contains=f"opportunities/{opportunity}", status=404, times=20)
    if how == "written back":
        stack.fault(vendor="lever", method="POST", path_contains=opportunity, status=404, times=20)
        assert stack.run_write_back() == ["waits: not found in Lever"]
    else:
        tell(stack, opportunity, "candidateDeleted")
        assert stack.run_invite(full=how == "swept") == ["waits: not found in Lever"]
        assert stack.invitation().state == "Pending"
    stack.world.faults.clear()
    if how == "written back":
        assert stack.run_write_back(force=True) == ["written back and moved on"]
    else:
        assert stack.run_invite(force=True) == ["ignore: already handled"]
        assert stack.invitation().state == "Pending"
    assert stack.ledger.opportunities.stored_of([opportunity]) == {opportunity}


def test_the_same_answer_for_a_day_is_a_proof(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.delete(opportunity)
    stack.fault(vendor="lever", method="GET", path_contains="/opportunities/deleted", status=403, times=1000)
    tell(stack, opportunity, "candidateDeleted")
    assert stack.run_invite() == ["waits: not found in Lever"]
    assert stack.invitation().state == "Pending"
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.opportunities SET missing_since = now() - interval '1 day'"))
    stack.run_invite(force=True)
    assert stack.invitation().state == "Cancelled"


def test_a_rule_that_is_taken_out_for_a_while_cancels_nobody(stack: Stack) -> None:
    """Nobody has moved: who is where the assessment began has not left, whatever the settings name."""
    with_rule = SETTINGS + "cancel_when: {stage_left: true}\n"
    stack.settings = parse_settings(with_rule)
    stays, leaves = stack.candidate(PYTHON), stack.candidate(PYTHON)
    stack.run_invite()
    stack.settings = parse_settings(with_rule + "rules: [{trigger_stage: Offer}]")
    stack.world.move(leaves, "Recruiter screen")
    for _ in range(2):
        stack.run_invite(full=True)
    state = {one.email: one.state for one in stack.world.invitations.values()}
    emails = {key: stack.world.opportunities[key]["emails"][0] for key in (stays, leaves)}
    assert (state[emails[stays]], state[emails[leaves]]) == ("Pending", "Cancelled")
    stack.settings = parse_settings(with_rule)
    assert stack.run_invite(full=True) == []


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("stage_left", [True, False])
def test_a_sweep_that_would_cancel_many_cancels_none_and_asks(stack: Stack, full: bool, stage_left: bool) -> None:
    stack.settings = parse_settings(SETTINGS + f"cancel_when: {{stage_left: {str(stage_left).lower()}}}\n")
    candidates = [stack.candidate(PYTHON) for _ in range(7)]
    stack.run_invite()
    for opportunity in candidates[:6]:
        if stage_left:
            stack.world.move(opportunity, "Recruiter screen")
        else:
            stack.world.archive(opportunity, REASON)
    newcomer = stack.candidate(SQL)
    assert stack.run_invite(full=full) == ["invite"]
    assert stack.held_back == (6, 7)
    assert {item.state for item in stack.world.invitations.values()} == {"Pending"}
    stack.run_invite(full=full, allow_cancelling=True)
    assert [item.state for item in stack.world.invitations.values()].count("Cancelled") == 6
    assert stack.stage(newcomer) == "Assessment"


def test_a_run_that_is_cleared_an_hour_later_allows_no_cancelling(stack: Stack) -> None:
    candidates = [stack.candidate(PYTHON) for _ in range(7)]
    stack.run_invite()
    for opportunity in candidates:
        stack.world.archive(opportunity, REASON)
    stack.run_invite(allow_cancelling=True, asked_at=stack.clock() - timedelta(minutes=61))
    assert (stack.held_back, cancelled(stack)) == ((7, 7), 0)
    stack.run_invite(allow_cancelling=True, asked_at=stack.clock() - timedelta(minutes=59))
    assert cancelled(stack) == 7


def test_a_few_may_leave_at_once(stack: Stack) -> None:
    candidates = [stack.candidate(PYTHON) for _ in range(5)]
    stack.run_invite()
    for opportunity in candidates:
        stack.world.delete(opportunity)
    stack.run_invite()
    assert stack.held_back is None
    assert {item.state for item in stack.world.invitations.values()} == {"Cancelled"}


def archive(stack: Stack, opportunities: Iterable[str]) -> None:
    for opportunity in opportunities:
        stack.world.archive(opportunity, REASON)
        tell(stack, opportunity, "candidateArchiveChange", key=f"{opportunity} archived")


def cancelled(stack: Stack) -> int:
    return [item.state for item in stack.world.invitations.values()].count("Cancelled")


def hour_later(stack: Stack) -> None:
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.events SET at = at - interval '1 hour'"))
        connection.execute(text("UPDATE lever_imocha.work_items SET not_before = now()"))


@pytest.mark.slow
def test_webhooks_cancel_no_more_in_an_hour_than_one_sweep_may(stack: Stack) -> None:
    candidates = [stack.candidate(PYTHON) for _ in range(20)]
    stack.run_invite()
    archive(stack, candidates[:12])
    outcomes = stack.run_invite(sweep=False)
    assert outcomes.count("ignore: archived") == 5 + 7, "that nobody is invited is decided of all"
    assert cancelled(stack) == 5
    held = [item.opportunity_id for item in stack.ledger.queue.listed()]
    assert len(held) == 7
    hour_later(stack)
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 5, "as long as so many wait, a person decides"
    stack.world.archive(held[0], None)
    tell(stack, held[0], "candidateArchiveChange", key="back")
    stack.run_invite(sweep=False)
    stack.run_invite(sweep=False, allow_cancelling=True)
    assert cancelled(stack) == 11
    archive(stack, candidates[12:])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 19, "it is allowed for an hour"


def test_one_more_than_an_hour_may_cancel_goes_on_in_the_next(stack: Stack) -> None:
    candidates = [stack.candidate(PYTHON) for _ in range(8)]
    stack.run_invite()
    archive(stack, candidates[:6])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 5
    hour_later(stack)
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 6
    assert stack.ledger.queue.listed() == []


def ask_to_cancel(stack: Stack, opportunities: Iterable[str]) -> None:
    shown = dict.fromkeys(opportunities, "invited")
    stack.ledger.requests.add(Act.CANCEL, shown, reason="the job is filled", actor="bob", test_id=101)


@pytest.mark.slow
def test_what_a_person_has_cancelled_leaves_the_limit_to_those_who_left(stack: Stack) -> None:
    candidates = [stack.candidate(PYTHON) for _ in range(20)]
    stack.run_invite()
    ask_to_cancel(stack, candidates[:12])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 12
    archive(stack, candidates[12:16])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 16
    archive(stack, candidates[16:])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 17, "five may leave in an hour"


@pytest.mark.slow
def test_a_limit_that_is_used_up_stops_nothing_that_a_person_asks_for(stack: Stack) -> None:
    candidates = [stack.candidate(PYTHON) for _ in range(20)]
    stack.run_invite()
    archive(stack, candidates[:8])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 5
    ask_to_cancel(stack, candidates[8:])
    stack.run_invite(sweep=False)
    assert cancelled(stack) == 17
