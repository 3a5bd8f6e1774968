"""The limits of e-mails: in an hour to all, in a week to one candidate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.domain.decisions import OverLimit, Reason
from lever_imocha.errors import OutcomeUnknownError, RequestRejectedError
from lever_imocha.ledger.alerts import AlertLog
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import parse_settings

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

WAITS = f"waits: {Reason.LIMIT}"
HOUR = timedelta(hours=1)
EXPLAINED = SETTINGS + "explain: {status_tags: true, notes: true}"


@pytest.fixture
def limited(stack: Stack) -> Stack:
    """Three e-mails an hour, five to one candidate in a week."""
    stack.settings = parse_settings(SETTINGS + "limits: {per_hour: 3, per_candidate: 5}")
    return stack


@pytest.fixture
def later(limited: Stack, ledger_url: str) -> Callable[[timedelta], None]:
    """Moves the clock of ledger and workflow on."""
    shift = timedelta(0)
    limited.clock = lambda: datetime.now(UTC) + shift
    limited.ledger = Ledger(engine=engine_for(ledger_url), clock=limited.clock)

    def move(by: timedelta) -> None:
        nonlocal shift
        shift += by

    return move


def held(stack: Stack) -> dict[Reason, int]:
    return stack.ledger.entries.held([Reason.LIMIT, Reason.PER_CANDIDATE])


def test_what_is_above_the_limit_waits_and_goes_on_by_itself_at_that_rate(
    limited: Stack, later: Callable[[timedelta], None]
) -> None:
    candidates = [limited.candidate(PYTHON) for _ in range(8)]
    assert limited.run_invite() == ["invite"] * 3 + [WAITS] * 5
    assert len(limited.world.mails) == 3
    assert held(limited) == {Reason.LIMIT: 5}
    assert limited.run_invite(full=True) == [], "they wait for their turn, and are no news"
    later(HOUR)
    assert limited.run_invite() == ["invite"] * 3
    assert limited.run_invite() == []
    assert held(limited) == {Reason.LIMIT: 2}
    later(HOUR)
    assert limited.run_invite() == ["invite"] * 2
    assert held(limited) == {}
    assert {mail["to"] for mail in limited.world.mails} == {
        limited.world.opportunities[one]["emails"][0] for one in candidates
    }
    assert len(limited.world.mails) == 8


def test_waiting_counts_as_no_failure(limited: Stack, later: Callable[[timedelta], None]) -> None:
    for _ in range(4):
        limited.candidate(PYTHON)
    limited.run_invite()
    for _ in range(3):
        assert limited.run_invite(force=True) == [WAITS]
    (item,) = limited.ledger.queue.listed()
    assert (item.tries, item.parked_at) == (0, None)
    later(HOUR)
    assert limited.run_invite() == ["invite"]


def test_refreshes_and_reattempts_count(limited: Stack) -> None:
    limited.settings = parse_settings(SETTINGS + "limits: {per_hour: 2}\nrules: [{retake: reattempt}]")
    first, second = limited.candidate(PYTHON), limited.candidate(PYTHON)
    assert limited.run_invite() == ["invite", "invite"]
    limited.again(first)
    assert limited.run_invite() == [WAITS]
    limited.finish()
    limited.run_write_back()
    limited.world.move(second, "Assessment")
    assert limited.run_invite() == [WAITS]
    assert len(limited.world.mails) == 2


def test_who_has_left_meanwhile_takes_no_e_mail(limited: Stack, later: Callable[[timedelta], None]) -> None:
    for _ in range(5):
        limited.candidate(PYTHON)
    limited.run_invite()
    leaves, _stays = limited.due(waiting=True)
    limited.world.move(leaves, "Recruiter screen")
    later(HOUR)
    assert sorted(map(str, limited.run_invite())) == [f"ignore: {Reason.MOVED_ON}", "invite"]
    assert len(limited.world.mails) == 4


def test_who_has_left_meanwhile_takes_nobodys_turn(limited: Stack, later: Callable[[timedelta], None]) -> None:
    for _ in range(12):
        limited.candidate(PYTHON)
    limited.run_invite()
    for moved_back in limited.due(waiting=True)[:7]:
        limited.world.move(moved_back, "Recruiter screen")
    later(HOUR)
    for _ in range(4):
        limited.run_invite()
    assert len(limited.world.mails) == 5, "the two who stay are invited in this hour"


def test_a_limit_that_was_raised_counts_at_once(limited: Stack) -> None:
    for _ in range(5):
        limited.candidate(PYTHON)
    limited.run_invite()
    limited.settings = parse_settings(SETTINGS + "limits: {per_hour: 4}")
    assert limited.run_invite() == ["invite"]


@pytest.mark.parametrize(
    ("said", "done", "mails"),
    [
        (OverLimit.RELEASE, ["invite"] * 4, 7),
        (OverLimit.DROP, [f"ignore: {Reason.DROPPED}"] * 4, 3),
    ],
)
def test_a_person_releases_or_drops_all_who_are_held(
    limited: Stack, later: Callable[[timedelta], None], said: OverLimit, done: list[str], mails: int
) -> None:
    for _ in range(7):
        limited.candidate(PYTHON)
    limited.run_invite()
    assert limited.run_invite(over_limit=said) == done
    assert len(limited.world.mails) == mails
    later(10 * HOUR)
    assert limited.run_invite(full=True) == []
    assert len(limited.world.mails) == mails
    assert held(limited) == {}


@pytest.mark.parametrize("said", [OverLimit.RELEASE, OverLimit.DROP])
def test_a_run_that_is_cleared_later_means_who_was_held_when_it_was_made(
    limited: Stack, later: Callable[[timedelta], None], said: OverLimit
) -> None:
    for _ in range(5):
        limited.candidate(PYTHON)
    limited.run_invite()
    asked_at = limited.clock()
    limited.candidate(PYTHON)
    later(timedelta(minutes=1))
    limited.run_invite(full=True)
    assert held(limited) == {Reason.LIMIT: 3}
    limited.run_invite(over_limit=said, asked_at=asked_at)
    assert held(limited) == {Reason.LIMIT: 1}
    mails = len(limited.world.mails)
    limited.run_invite(over_limit=said, asked_at=asked_at)
    assert held(limited) == {Reason.LIMIT: 1}
    assert len(limited.world.mails) == mails == (5 if said is OverLimit.RELEASE else 3)


def test_who_was_dropped_is_invited_when_moved_again(limited: Stack, later: Callable[[timedelta], None]) -> None:
    for _ in range(4):
        limited.candidate(PYTHON)
    limited.run_invite()
    (dropped,) = limited.due(waiting=True)
    limited.run_invite(over_limit=OverLimit.DROP)
    later(HOUR)
    limited.world.opportunities[dropped]["tags"] = [PYTHON, SQL]
    assert limited.run_invite(full=True) == [f"ignore: {Reason.DROPPED}"], "for good, as long as it stays"
    limited.again(dropped)
    assert set(limited.run_invite(full=True)) == {"invite"}


def test_who_is_moved_back_is_held_no_more_after_the_next_full_sweep(limited: Stack) -> None:
    people = [limited.candidate(PYTHON) for _ in range(8)]
    limited.settings = limited.settings.model_copy(update={"explain": parse_settings(EXPLAINED).explain})
    limited.run_invite()
    assert held(limited) == {Reason.LIMIT: 5}
    for one in people:
        limited.world.move(one, "Recruiter screen")
    assert limited.run_invite(full=True) == ["ignore: moved on"] * 8
    assert (held(limited), limited.ledger.queue.listed()) == ({}, [])
    assert (len(limited.world.mails), sum(map(len, limited.world.notes.values()))) == (3, 3)


def test_of_several_tests_each_e_mail_counts_and_none_is_sent_twice(
    limited: Stack, later: Callable[[timedelta], None]
) -> None:
    limited.candidate(PYTHON)
    limited.candidate(PYTHON)
    limited.candidate(PYTHON, SQL)
    assert limited.run_invite() == ["invite", "invite", WAITS]
    assert len(limited.world.mails) == 3
    later(HOUR)
    assert limited.run_invite() == ["invite"]
    assert len(limited.world.mails) == 4
    assert len(limited.world.invitations) == 4


def test_above_the_limit_of_one_candidate_a_person_decides(limited: Stack, later: Callable[[timedelta], None]) -> None:
    opportunity = limited.candidate(PYTHON)
    assert limited.run_invite() == ["invite"]
    for _ in range(4):
        later(HOUR)
        limited.again(opportunity)
        assert limited.run_invite() == ["refresh"]
    later(HOUR)
    limited.again(opportunity)
    assert limited.run_invite() == [f"hold: {Reason.PER_CANDIDATE}"]
    later(10 * HOUR)
    assert limited.run_invite(full=True) == []
    assert len(limited.world.mails) == 5
    assert limited.run_invite(over_limit=OverLimit.RELEASE) == ["refresh"]
    assert len(limited.world.mails) == 6
    limited.again(opportunity)
    assert limited.run_invite(full=True) == [f"hold: {Reason.PER_CANDIDATE}"], "released once is not released for good"
    later(timedelta(days=8))
    limited.again(opportunity)
    assert limited.run_invite(full=True) == ["refresh"]


def test_the_limit_of_one_candidate_counts_all_the_persons_opportunities(limited: Stack) -> None:
    """They share an invitation, and each of them has it mailed again."""
    both = [limited.candidate(PYTHON, emails=["ann@example.com"], contact="ann") for _ in range(2)]
    limited.settings = parse_settings(SETTINGS + "limits: {per_candidate: 3}")
    assert set(map(str, limited.run_invite())) == {"invite"}
    assert (len(limited.world.invitations), len(limited.world.mails)) == (1, 2)
    for opportunity in both:
        limited.again(opportunity)
    assert sorted(map(str, limited.run_invite(full=True))) == [f"hold: {Reason.PER_CANDIDATE}", "refresh"]
    limited.candidate(SQL, emails=["ann@example.com"], contact="ann")
    limited.candidate(PYTHON, emails=["ben@example.com"])
    assert sorted(map(str, limited.run_invite())) == [f"hold: {Reason.PER_CANDIDATE}", "invite"]
    assert len([mail for mail in limited.world.mails if mail["to"] == "ann@example.com"]) == 3


def test_an_invitation_that_imocha_refuses_uses_up_nothing(limited: Stack, later: Callable[[timedelta], None]) -> None:
    opportunity = limited.candidate(PYTHON)
    limited.fault(vendor="imocha", method="POST", path_contains="/invite", status=400, times=8)
    with pytest.raises(RequestRejectedError):
        limited.run_invite()
    for _ in range(7):
        assert limited.run_invite(force=True) == ["failed again: RequestRejectedError"]
    assert limited.ledger.mails.counts(opportunity, None).to_candidate == 0
    assert limited.run_invite(force=True) == ["invite"]
    assert limited.ledger.mails.counts(opportunity, None).to_candidate == 1


def test_a_lost_answer_takes_one_e_mail_however_often_it_is_tried(limited: Stack) -> None:
    opportunity = limited.candidate(PYTHON)
    limited.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=True, times=7)
    with pytest.raises(OutcomeUnknownError):
        limited.run_invite()
    assert limited.run_invite(force=True) == ["failed again: OutcomeUnknownError"]
    assert limited.run_invite(force=True) == ["invite"]
    assert limited.ledger.mails.counts(opportunity, None).to_candidate == 1


def test_no_note_is_left_for_who_only_waits_for_the_hour(limited: Stack) -> None:
    limited.settings = parse_settings(SETTINGS + "limits: {per_hour: 1}\nexplain: {notes: true, status_tags: true}")
    candidates = [limited.candidate(PYTHON) for _ in range(3)]
    limited.run_invite()
    limited.run_invite()
    assert sorted(len(limited.world.notes.get(one, ())) for one in candidates) == [0, 0, 1]


def test_the_log_says_which_limit_and_how_many(limited: Stack, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        limited.candidate(PYTHON)
    limited.run_invite()
    limited.run_invite()
    assert "2 on hold by the setting limits.per_hour (3): limit of e-mails an hour" in caplog.text


def test_whose_turn_has_come_and_nobody_works_on_is_overdue(
    limited: Stack, later: Callable[[timedelta], None], ledger_url: str
) -> None:
    for _ in range(5):
        limited.candidate(PYTHON)
    limited.run_invite()
    later(HOUR)
    alerts = AlertLog(engine=engine_for(ledger_url), clock=limited.clock)
    first, second = limited.invite_workflow().collect()
    assert alerts.overdue(entries=HOUR / 4, reports=HOUR) == []
    later(HOUR / 3)
    assert {item.opportunity_id for item in alerts.overdue(entries=HOUR / 4, reports=HOUR)} == {first, second}
