"""A write at a vendor is begun, nobody knows whether it was done, and before it is tried again things change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lever_imocha.errors import LeverImochaError
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.write_back import WriteBackWorkflow

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

REASON = "Withdrew"


def begin_first(stack: Stack) -> str:
    return stack.candidate(PYTHON)


def begin_revival(stack: Stack) -> str:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, REASON)
    stack.run_invite()
    stack.world.archive(opportunity, None)
    return opportunity


def begin_retake(stack: Stack) -> str:
    stack.settings = parse_settings(f"{SETTINGS}rules: [{{retake: reattempt}}]")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.world.move(opportunity, "Assessment")
    return opportunity


def begin_at_another_address(stack: Stack) -> str:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    stack.again(opportunity)
    return opportunity


BEGUN = [begin_first, begin_revival, begin_retake, begin_at_another_address]
Begin = Callable[[Stack], str]


def lose(stack: Stack, begin: Begin, *, applied: bool = True) -> str:
    """Bring somebody to where they are invited, and lose every answer to that."""
    opportunity = begin(stack)
    for path in ("/invite", "/reattempt"):
        stack.fault(vendor="imocha", method="POST", path_contains=path, mode="drop", apply=applied, times=1000)
    with pytest.raises(LeverImochaError):
        stack.run_invite(full=True)
    stack.world.faults.clear()
    return opportunity


def settle(stack: Stack) -> None:
    """Let both DAGs run until nothing is left to do."""
    for _ in range(3):
        stack.run_invite(full=True, force=True)
        stack.run_write_back(force=True)
    stack.world.calls.clear()
    stack.run_invite(full=True, force=True)
    stack.run_write_back()
    assert stack.writes() == []


def states(stack: Stack) -> list[str]:
    return [invitation.state for invitation in stack.world.invitations.values()]


def reports(stack: Stack, opportunity: str) -> tuple[int, int]:
    return len(stack.world.forms.get(opportunity, [])), len(stack.world.files.get(opportunity, []))


@pytest.mark.parametrize("applied", [True, False], ids=["sent", "not sent"])
@pytest.mark.parametrize("begin", BEGUN)
def test_who_leaves_while_it_is_unknown_whether_they_are_invited_has_no_open_invitation(
    stack: Stack, begin: Begin, applied: bool
) -> None:
    opportunity = lose(stack, begin, applied=applied)
    stack.world.archive(opportunity, REASON)
    settle(stack)
    assert "Pending" not in states(stack)


@pytest.mark.parametrize("begin", BEGUN)
def test_who_leaves_and_comes_back_meanwhile_has_one_open_invitation(stack: Stack, begin: Begin) -> None:
    opportunity = lose(stack, begin)
    stack.world.archive(opportunity, REASON)
    stack.run_invite(full=True, force=True)
    stack.world.archive(opportunity, None)
    settle(stack)
    assert states(stack).count("Pending") == 1
    stack.finish()
    stack.run_write_back()
    assert reports(stack, opportunity) == ((2, 2) if begin is begin_retake else (1, 1))


@pytest.mark.parametrize("tags", [[], [SQL]], ids=["no test", "another test"])
def test_a_test_that_is_not_asked_for_any_more_may_be_taken_all_the_same(stack: Stack, tags: list[str]) -> None:
    opportunity = lose(stack, begin_first)
    stack.world.opportunities[opportunity]["tags"] = tags
    settle(stack)
    assert len(stack.world.mails) == 1 + len(tags)
    stack.finish()
    stack.run_write_back()
    assert reports(stack, opportunity) == (1 + len(tags), 1 + len(tags))


def test_an_invitation_of_which_the_settings_know_nothing_any_more_is_known(stack: Stack) -> None:
    opportunity = lose(stack, begin_first)
    stack.settings = parse_settings(f"{SETTINGS}rules: [{{trigger_stage: Offer}}]")
    stack.run_invite(full=True, force=True)
    stack.finish()
    stack.settings = parse_settings(SETTINGS)
    stack.run_write_back()
    assert reports(stack, opportunity) == (1, 1)


def test_another_attempt_that_is_over_before_its_answer_came_is_not_given_again(stack: Stack) -> None:
    opportunity = lose(stack, begin_retake)
    mails = len(stack.world.mails)
    stack.finish()
    settle(stack)
    assert states(stack) == ["Complete", "Complete"]
    assert len(stack.world.mails) == mails
    assert reports(stack, opportunity) == (2, 2)


@pytest.mark.parametrize("applied", [True, False], ids=["sent", "not sent"])
@pytest.mark.parametrize("tags", [[PYTHON], []], ids=["asked for", "not asked for"])
def test_an_attempt_that_was_begun_at_the_former_address_is_written_back(
    stack: Stack, tags: list[str], applied: bool
) -> None:
    opportunity = lose(stack, begin_at_another_address, applied=applied)
    former = next(iter(stack.world.invitations.values()))
    former.state = "In Progress"
    stack.world.opportunities[opportunity]["tags"] = tags
    settle(stack)
    assert [state for state in states(stack) if state != "Cancelled"] == ["In Progress"]
    stack.world.finish(former)
    stack.run_write_back()
    assert reports(stack, opportunity) == (1, 1)


@pytest.mark.parametrize("applied", [True, False], ids=["sent", "not sent"])
def test_who_comes_back_is_sent_the_e_mail_where_leaving_cancels_nothing(stack: Stack, applied: bool) -> None:
    stack.settings = parse_settings(f"{SETTINGS}cancel_when: {{archived: false}}")
    opportunity = lose(stack, begin_first, applied=applied)
    before = len(stack.world.mails)
    stack.world.archive(opportunity, REASON)
    stack.run_invite(full=True, force=True)
    assert len(stack.world.mails) == before
    stack.world.archive(opportunity, None)
    settle(stack)
    assert len(stack.world.mails) == before + 1


def test_an_attempt_whose_end_shows_when_another_opportunity_comes_is_written_into_both(stack: Stack) -> None:
    first = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.finish()
    second = stack.candidate(PYTHON, emails=["ann@example.com"])
    assert stack.run_invite() == ["ignore: already taken"]
    stack.run_write_back()
    assert reports(stack, first) == reports(stack, second) == (1, 1)


@pytest.mark.parametrize("applied", [True, False], ids=["moved", "not moved"])
@pytest.mark.parametrize("archived", [True, False])
def test_who_is_moved_or_archived_by_a_person_before_a_lost_move_is_repeated_stays_there(
    stack: Stack, applied: bool, archived: bool
) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.fault(vendor="lever", method="PUT", path_contains="/stage", mode="drop", apply=applied)

    def meanwhile(_seconds: float) -> None:
        stack.world.move(opportunity, "Offer")
        if archived:
            stack.world.archive(opportunity, REASON)

    workflow = WriteBackWorkflow(
        lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings, worker="w", sleep=meanwhile
    )  # fmt: skip
    stack.ledger.invitations.have_reports_read(list(stack.world.invitations))
    workflow.prepare()
    workflow.write_back(opportunity, force=True)
    settle(stack)
    assert stack.stage(opportunity) == "Offer"
    assert reports(stack, opportunity) == (1, 1)
