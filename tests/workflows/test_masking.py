"""Who is deleted or anonymised in Lever is masked at iMocha: a day later, every attempt, once, and only then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.errors import OutcomeUnknownError
from lever_imocha.ledger.values import Work
from lever_imocha.ledger.work_queue import DROPPED
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.masking import CANNOT_MASK, OTHER_ADDRESS, WRONG_CLOCK
from sqlalchemy import text

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack, use_clock

RETAKE = "rules: [{retake: reattempt}]\n"


@pytest.fixture
def masking(stack: Stack) -> Stack:
    stack.settings = parse_settings(SETTINGS + RETAKE + "mask_deleted: true")
    return stack


def delete(stack: Stack, opportunity_id: str) -> None:
    stack.world.delete(opportunity_id)


def anonymise(stack: Stack, opportunity_id: str) -> None:
    stack.world.archive(opportunity_id, "Withdrew")
    stack.world.anonymise(opportunity_id)


def a_day_passes(stack: Stack) -> None:
    with stack.ledger.transaction() as connection:
        for statement in (
            "UPDATE lever_imocha.work_items SET not_before = now() WHERE kind = 'mask' AND not_before IS NOT NULL",
            "UPDATE lever_imocha.opportunities SET missing_since = missing_since - interval '1 day'",
        ):
            connection.execute(text(statement))


def asked(stack: Stack) -> list[str]:
    return [call["path"] for call in stack.world.calls if "gdpr" in call["path"]]


def take_twice(stack: Stack, *tags: str) -> str:
    """A candidate who has taken each test and was given another attempt."""
    opportunity = stack.candidate(*tags)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.again(opportunity)
    assert stack.run_invite() == ["reattempt"]
    return opportunity


@pytest.mark.parametrize("leave", [delete, anonymise])
def test_every_attempt_is_masked_once_and_not_before_a_day(masking: Stack, leave: Callable[[Stack, str], None]) -> None:
    opportunity = take_twice(masking, PYTHON, SQL)
    assert len(masking.world.invitations) == 4
    leave(masking, opportunity)
    masking.run_invite(full=True)
    masking.run_invite(full=True, force=True)
    assert asked(masking) == []
    assert masking.ledger.opportunities.stored_of([opportunity]) == set()
    (waiting,) = masking.ledger.queue.listed()
    assert str(waiting).startswith(f"{opportunity} mask: waits until ")
    a_day_passes(masking)
    assert masking.run_invite() == ["masked 4 at iMocha"]
    assert masking.world.invitations == {}
    masking.run_invite(full=True)
    assert len(asked(masking)) == 4
    assert masking.ledger.queue.listed() == []


@pytest.mark.parametrize("known", [True, False])
def test_an_invitation_that_expired_long_ago_is_masked(masking: Stack, known: bool) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    invitation = masking.invitation()
    invitation.state = "Expired"
    invitation.changed_at = masking.clock() - timedelta(days=20)
    masking.world.switches["report_not_ready"] = 404
    if known:
        masking.ledger.invitations.set_status({invitation.id: AttemptStatus.EXPIRED})
    with masking.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.invitations SET invited_at = now() - interval '30 days'"))
        connection.execute(text("UPDATE lever_imocha.events SET at = now() - interval '20 days'"))
    masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    assert masking.run_invite() == ["masked 1 at iMocha"]
    assert masking.world.invitations == {}


def test_a_person_can_stop_it_and_change_their_mind(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.world.delete(opportunity)
    masking.run_invite()
    queue = masking.ledger.queue
    assert queue.release_waiting([opportunity]) == 0, "nobody shortens the day"
    assert queue.drop_masking([opportunity, "another"]) == 1
    a_day_passes(masking)
    assert queue.release_waiting() == 0, "all that is parked does not mean what a person has stopped"
    assert masking.run_invite(full=True, force=True) == []
    assert asked(masking) == []
    assert [item.error for item in queue.listed()] == [DROPPED]
    assert queue.release_waiting([opportunity]) == 1
    assert masking.run_invite() == ["masked 1 at iMocha"]


def found_again(stack: Stack) -> str:
    """A candidate who was invited, whom Lever said once to be deleted, and who is there all the same."""
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    record = stack.world.opportunities[opportunity]
    stack.world.delete(opportunity)
    stack.run_invite()
    stack.world.opportunities[opportunity] = record
    stack.world.deleted.clear()
    return opportunity


def test_who_is_found_again_within_the_day_is_not_masked(masking: Stack) -> None:
    """Lever may list and not find by mistake: a record put back, or another account's answers."""
    found_again(masking)
    a_day_passes(masking)
    assert masking.run_invite() == ["refresh"], "its invitation was cancelled"
    assert asked(masking) == []
    assert masking.ledger.queue.listed() == []


def test_who_was_found_in_between_is_not_masked_for_a_later_answer(masking: Stack) -> None:
    opportunity = found_again(masking)
    masking.run_invite(full=True)
    masking.fault(vendor="lever", method="GET", path_contains=f"opportunities/{opportunity}", status=404, times=20)
    a_day_passes(masking)
    assert masking.run_invite(sweep=False) == ["waits: not found in Lever"]
    assert asked(masking) == []


def test_who_was_found_in_between_and_then_deleted_waits_another_day(masking: Stack) -> None:
    opportunity = found_again(masking)
    masking.run_invite(full=True)
    masking.finish()
    masking.world.delete(opportunity)
    a_day_passes(masking)
    assert masking.run_invite(sweep=False) == ["waits: found in Lever since"]
    assert asked(masking) == []
    a_day_passes(masking)
    assert masking.run_invite(sweep=False) == ["masked 1 at iMocha"]


def test_nobody_is_masked_whose_other_opportunity_is_still_there(masking: Stack) -> None:
    leaves, stays = (masking.candidate(PYTHON, emails=["ann@example.com"]) for _ in range(2))
    masking.run_invite()
    masking.world.delete(leaves)
    masking.run_invite()
    a_day_passes(masking)
    assert masking.run_invite() == ["masked 0 at iMocha"]
    masking.world.delete(stays)
    masking.run_invite()
    a_day_passes(masking)
    assert "masked 1 at iMocha" in masking.run_invite()
    assert len(asked(masking)) == 1


def test_two_opportunities_that_share_an_attempt_have_it_masked_once(masking: Stack) -> None:
    both = [masking.candidate(PYTHON, emails=["ann@example.com"]) for _ in range(2)]
    masking.run_invite()
    for opportunity in both:
        masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    assert sorted(map(str, masking.run_invite())) == ["masked 0 at iMocha", "masked 1 at iMocha"]
    assert len(asked(masking)) == 1


def test_what_cannot_be_masked_is_parked(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON, SQL)
    masking.run_invite()
    masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    masking.fault(vendor="imocha", method="POST", path_contains="/gdpr", status=403, times=1)
    assert masking.run_invite() == [f"waits: {CANNOT_MASK}"]
    (item,) = masking.ledger.queue.listed()
    assert item.parked_at is not None
    assert len(masking.world.invitations) == 1, "the other one is masked all the same"
    assert masking.ledger.queue.release_waiting([opportunity]) == 1
    assert masking.run_invite() == ["masked 1 at iMocha"]


def test_whose_address_imocha_does_not_tell_is_parked(masking: Stack) -> None:
    masking.settings = parse_settings(SETTINGS + "mask_deleted: true\ncancel_when: {deleted: false}")
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.world.switches["report_not_ready"] = 404
    masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    assert masking.run_invite() == [f"waits: {CANNOT_MASK}"]
    assert asked(masking) == []


def test_another_accounts_person_of_the_same_number_is_not_masked(masking: Stack) -> None:
    opportunity = take_twice(masking, PYTHON)
    first, second = masking.world.invitations.values()
    masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    first.email, first.test_id, second.email = "carl@example.com", 102, "carl@example.com"
    masking.world.switches["open_report_names_email"] = True
    assert masking.run_invite() == [f"waits: {OTHER_ADDRESS}"]
    assert len(masking.world.invitations) == 2
    first.email = second.email = "ann0@example.com"
    first.test_id = 101
    assert masking.ledger.queue.release_waiting([opportunity]) == 1
    assert masking.run_invite() == ["masked 2 at iMocha"]


def test_a_lost_answer_masks_once(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.fault(vendor="imocha", method="POST", path_contains="/gdpr", status=500, apply=True)
    masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    assert masking.run_invite() == ["masked 1 at iMocha"]
    assert masking.ledger.invitations.to_mask(opportunity) == []


def test_an_invitation_that_the_ledger_never_learned_of_is_not_forgotten(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=True, times=4)
    with pytest.raises(Exception, match="gave no answer"):
        masking.run_invite()
    masking.world.delete(opportunity)
    masking.run_invite(force=True)
    a_day_passes(masking)
    assert masking.run_invite() == [f"waits: {CANNOT_MASK}"]


def test_another_attempt_whose_number_nobody_knows_is_not_told_to_be_masked(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.finish()
    masking.run_write_back()
    masking.again(opportunity)
    masking.fault(vendor="imocha", path_contains="/reattempt", mode="drop", apply=True, times=1000)
    with pytest.raises(OutcomeUnknownError):
        masking.run_invite()
    masking.world.faults.clear()
    masking.world.delete(opportunity)
    masking.run_invite(force=True)
    a_day_passes(masking)
    assert masking.run_invite() == [f"waits: {CANNOT_MASK}"]


def test_switching_mask_deleted_off_stops_a_masking_that_waits(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.world.delete(opportunity)
    masking.run_invite()
    masking.settings = parse_settings(SETTINGS)
    a_day_passes(masking)
    assert masking.run_invite() == ["not masked, as mask_deleted is off"]
    assert asked(masking) == []


def test_an_invitation_that_was_sent_by_a_clock_that_was_ahead_is_masked(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.world.switches["report_not_ready"] = 404
    masking.invitation().state, masking.invitation().changed_at = "Expired", masking.clock() - timedelta(days=20)
    with masking.ledger.transaction() as connection:
        for statement in (
            "UPDATE lever_imocha.invitations SET invited_at = now() + interval '1 year'",
            "UPDATE lever_imocha.events SET at = now() + interval '1 year'",
        ):
            connection.execute(text(statement))
    masking.world.delete(opportunity)
    masking.run_invite()
    a_day_passes(masking)
    assert masking.run_invite() == ["masked 1 at iMocha"]


def test_who_was_deleted_while_a_clock_was_put_right_is_masked(masking: Stack) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    masking.world.delete(opportunity)
    masking.world.deleted[-1]["deletedAt"] -= 5 * 3600 * 1000
    masking.finish()  # so that nothing else looks at who has no open invitation
    masking.ledger.watermarks.put("lever.deleted", masking.clock() + timedelta(days=365))
    masking.run_invite()
    assert [item.kind for item in masking.ledger.queue.listed()] == [Work.MASK]


def waits_at_most_a_day(stack: Stack) -> bool:
    query = "SELECT not_before <= now() + interval '1 day' FROM lever_imocha.work_items WHERE kind = 'mask'"
    with stack.ledger.transaction() as connection:
        return bool(connection.execute(text(query)).scalar_one())


def masks_after_a_day(stack: Stack) -> None:
    assert asked(stack) == []
    assert waits_at_most_a_day(stack)
    a_day_passes(stack)
    assert stack.run_invite() == ["masked 1 at iMocha"]


@pytest.mark.parametrize("days", [-1, 365])
def test_a_wrong_clock_plans_no_masking(masking: Stack, days: int, sandbox_url: str, ledger_url: str) -> None:
    opportunity = masking.candidate(PYTHON)
    masking.run_invite()
    anonymise(masking, opportunity)
    use_clock(masking, timedelta(days=days), sandbox_url, ledger_url)
    masking.run_invite(full=True)
    assert [(item.kind, item.error) for item in masking.ledger.queue.listed()] == [(Work.CANCEL, WRONG_CLOCK)]
    use_clock(masking, timedelta(0), sandbox_url, ledger_url)
    for _ in range(2):
        masking.run_invite(full=True)
    masks_after_a_day(masking)


@pytest.mark.slow
@pytest.mark.parametrize("leave", [delete, anonymise])
@pytest.mark.parametrize("days", [-365, -1, 1, 365])
def test_a_wrong_clock_neither_ends_nor_lengthens_the_day_before_masking(
    masking: Stack, leave: Callable[[Stack, str], None], days: int, sandbox_url: str, ledger_url: str
) -> None:
    opportunity = masking.candidate(PYTHON)
    use_clock(masking, timedelta(0), sandbox_url, ledger_url)
    masking.run_invite()
    leave(masking, opportunity)
    masking.run_invite(full=True)
    for ahead in (days, 0):
        use_clock(masking, timedelta(days=ahead), sandbox_url, ledger_url)
        for _ in range(2):
            masking.run_invite(full=True)
    masks_after_a_day(masking)
