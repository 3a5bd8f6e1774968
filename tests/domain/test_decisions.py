"""The decision table, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Literal

import pytest
from lever_imocha.domain.decisions import (
    Action,
    Departure,
    EntryFacts,
    KnownAssessment,
    Outcome,
    OverLimit,
    Plan,
    Reason,
    Situation,
    attempts_to_look_up,
    awaited_test,
    combined,
    decide,
    departed,
    frees_stage,
    may_cancel,
    may_mask,
    may_move_on,
)
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.domain.tags import TagScheme, WantedTest, wanted_tests

ENTERED = datetime(2026, 7, 2, 12, tzinfo=UTC)
SCHEME = TagScheme(prefix="iMocha:", mapping={})
A, B = "iMocha: a [1]", "iMocha: b [2]"
ENTRY = EntryFacts(id=7, stage_id="lead-new", entered_at=ENTERED)


def opportunity(**given: Any) -> Opportunity:
    entered = {"toStageId": "lead-new", "updatedAt": int(ENTERED.timestamp() * 1000)}
    usual = {"id": "o", "stage": "lead-new", "emails": ["a@example.com"], "stageChanges": [entered]}
    return Opportunity.model_validate(usual | given)


def rule(retake: Literal["never", "reattempt"] = "never") -> ResolvedRule:
    return ResolvedRule(trigger_stage_id="lead-new", completed_stage_id="done", form_template="t", retake=retake)


def situation(*tags: str, active: tuple[int, ...] = (1, 2), **given: Any) -> Situation:
    usual: dict[str, Any] = {"opportunity": opportunity(), "rule": rule(), "entry": ENTRY}
    return Situation(wanted=wanted_tests(tags or (A,), SCHEME), active=active, **(usual | given))


def known(status: AttemptStatus | None, **given: Any) -> dict[int, KnownAssessment]:
    return {1: KnownAssessment(status=status, **given)}


ARCHIVED = {"archived": {"reason": "r", "archivedAt": 1782972986091}}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SOURCED = opportunity(origin="sourced")
SKIPPING, DELAYED = replace(rule(), skip_origins=("sourced",)), replace(rule(), delay=MINUTE)
LINKED = replace(rule(), link="Proctored")
BEFORE: dict[str, Any] = {"activated_at": ENTERED + SECOND}
RELEASED, DROPPED = (replace(ENTRY, over_limit=said) for said in (OverLimit.RELEASE, OverLimit.DROP))
LEFT_ALONE = "hold: was in the stage before the settings asked for a test"
ROWS: list[tuple[Situation, str]] = [
    (situation("Engineering", opportunity=opportunity(**ARCHIVED)), "ignore: no assessment tag"),
    (situation(opportunity=opportunity(**ARCHIVED), rule=None), "ignore: archived"),
    (situation(rule=None, active=()), "ignore: moved on"),
    (situation(active=(), opportunity=opportunity(emails=[])), f"hold: unknown test ({A})"),
    (situation("iMocha: no number"), f"hold: unknown test (iMocha: no number: write it as {SCHEME.form})"),
    (situation(opportunity=opportunity(emails=[" "])), "hold: no e-mail address"),
    (situation(opportunity=opportunity(emails=[], isAnonymized=True)), "hold: may not be contacted"),
    (
        situation(opportunity=opportunity(dataProtection={"contact": {"allowed": False}})),
        "hold: may not be contacted",
    ),
    (
        situation(entry=replace(ENTRY, entered_at=ENTERED - timedelta(days=1))),
        "ignore: entered the stage again since",
    ),
    (situation(entry=replace(ENTRY, stage_id="other")), "ignore: entered the stage again since"),
    (situation(), "invite"),
    (situation(rule=LINKED), "hold: no such test link (Proctored of test 1)"),
    (situation(rule=LINKED, known=known(AttemptStatus.EXPIRED)), "hold: no such test link (Proctored of test 1)"),
    (situation(rule=LINKED, links={1: 5}), "invite"),
    (situation(rule=LINKED, known=known(AttemptStatus.IN_PROGRESS)), "ignore: attempt in progress"),
    (situation(rule=LINKED, existing="adopt", **BEFORE), "adopt"),
    (situation(known=known(None)), "invite"),
    (situation(known=known(AttemptStatus.PENDING)), "refresh"),
    (situation(known=known(AttemptStatus.UNKNOWN)), "refresh"),
    (situation(known=known(AttemptStatus.CANCELLED)), "refresh"),
    (situation(known=known(AttemptStatus.EXPIRED)), "refresh"),
    (situation(known=known(AttemptStatus.IN_PROGRESS)), "ignore: attempt in progress"),
    (situation(known=known(AttemptStatus.COMPLETE, written=True)), "ignore: already taken"),
    (situation(known=known(AttemptStatus.TEST_LEFT, written=True)), "ignore: already taken"),
    (situation(known=known(AttemptStatus.TERMINATED, written=True)), "ignore: already taken"),
    (situation(known=known(AttemptStatus.COMPLETE, written=True), rule=rule("reattempt")), "reattempt"),
    (
        situation(known=known(AttemptStatus.COMPLETE), rule=rule("reattempt")),
        "ignore: already taken (its report is being written back)",
    ),
    (situation(known=known(AttemptStatus.PENDING, handled_entry_id=7)), "ignore: already handled"),
    (situation(known=known(AttemptStatus.PENDING, handled_entry_id=6)), "refresh"),
    (situation(**BEFORE), LEFT_ALONE),
    (situation(**BEFORE, known=known(None)), LEFT_ALONE),
    (situation(**BEFORE, active=()), LEFT_ALONE),
    (situation(**BEFORE, opportunity=opportunity(emails=[])), LEFT_ALONE),
    (situation("Engineering", **BEFORE), "ignore: no assessment tag"),
    (situation(**BEFORE, rule=None), "ignore: moved on"),
    (situation(**BEFORE, known=known(AttemptStatus.PENDING)), LEFT_ALONE),
    (situation(**BEFORE, existing="adopt", known=known(AttemptStatus.PENDING)), LEFT_ALONE),
    (situation(**BEFORE, existing="invite", known=known(AttemptStatus.PENDING)), "refresh"),
    (situation(**BEFORE, known=known(AttemptStatus.IN_PROGRESS)), "ignore: attempt in progress"),
    (situation(rule=replace(rule(), skip_origins=("sourced",)), opportunity=SOURCED, **BEFORE), LEFT_ALONE),
    (situation(**BEFORE, existing="adopt"), "adopt"),
    (situation(**BEFORE, existing="adopt", opportunity=opportunity(emails=[])), "hold: no e-mail address"),
    (situation(**BEFORE, existing="adopt", mails_left=0, mails_to_candidate_left=0), "adopt"),
    (situation(**BEFORE, existing="invite"), "invite"),
    (situation(activated_at=ENTERED), "invite"),
    (situation(mails_left=1, mails_to_candidate_left=1), "invite"),
    (situation(mails_left=0, mails_to_candidate_left=1), "hold: limit of e-mails an hour"),
    (situation(mails_left=-3), "hold: limit of e-mails an hour"),
    (situation(mails_left=0, known=known(AttemptStatus.PENDING)), "hold: limit of e-mails an hour"),
    (
        situation(mails_left=0, known=known(AttemptStatus.COMPLETE, written=True), rule=rule("reattempt")),
        "hold: limit of e-mails an hour",
    ),
    (situation(mails_left=0, known=known(AttemptStatus.IN_PROGRESS)), "ignore: attempt in progress"),
    (situation(mails_left=0, mails_to_candidate_left=0), "hold: limit of e-mails to one candidate"),
    (situation(mails_left=0, mails_to_candidate_left=0, entry=RELEASED), "invite"),
    (situation(mails_left=9, mails_to_candidate_left=9, entry=DROPPED), "ignore: dropped by a person"),
    (situation(opportunity=SOURCED, rule=SKIPPING), "ignore: its rule skips this origin (sourced)"),
    (situation(opportunity=opportunity(origin=["odd"]), rule=SKIPPING), "invite"),
    (situation(rule=DELAYED, now=ENTERED + MINUTE - SECOND), "hold: its rule waits a while after the move"),
    (situation(rule=DELAYED, now=ENTERED + MINUTE), "invite"),
    (situation(rule=rule(), now=ENTERED - MINUTE), "invite"),
    (situation(rule=DELAYED, now=ENTERED, entry=DROPPED), "ignore: dropped by a person"),
    (situation(rule=DELAYED, now=ENTERED, known=known(AttemptStatus.IN_PROGRESS)), "ignore: attempt in progress"),
]


@pytest.mark.parametrize(("given", "plan"), ROWS, ids=[f"{number}: {plan}" for number, (_, plan) in enumerate(ROWS)])
def test_each_row_of_the_table_gives_its_plan(given: Situation, plan: str) -> None:
    assert [str(found) for found in decide(given)] == [plan]


@pytest.mark.parametrize(
    ("status", "written", "retake", "handled"),
    product([None, *AttemptStatus], [False, True], ["never", "reattempt"], [None, 6, 7]),
)
def test_nobody_is_mailed_in_the_middle_of_a_test_or_twice_for_one_entry(
    status: AttemptStatus | None, written: bool, retake: Literal["never", "reattempt"], handled: int | None
) -> None:
    facts = known(status, written=written, handled_entry_id=handled)
    (plan,) = decide(situation(known=facts, rule=rule(retake)))
    mails = plan.action in (Action.INVITE, Action.REFRESH, Action.REATTEMPT)
    running_or_done = status is AttemptStatus.IN_PROGRESS or (status is not None and status.is_ended)
    assert mails == (handled != 7 and (not running_or_done or plan.action is Action.REATTEMPT))
    assert (plan.action is Action.REATTEMPT) <= (retake == "reattempt" and written and running_or_done)


def test_each_test_has_a_plan_of_its_own() -> None:
    plans = decide(situation(A, B, "iMocha: c [3]", known=known(AttemptStatus.IN_PROGRESS)))
    assert [(plan.test_id, str(plan)) for plan in plans] == [
        (1, "ignore: attempt in progress"),
        (2, "invite"),
        (None, "hold: unknown test (iMocha: c [3])"),
    ]


def test_each_e_mail_of_one_entry_counts() -> None:
    held, known_a = "hold: limit of e-mails an hour", known(AttemptStatus.IN_PROGRESS)
    assert [str(plan) for plan in decide(situation(A, B, mails_left=1))] == ["invite", held]
    assert [str(plan) for plan in decide(situation(A, B, mails_left=1, known=known_a))][1:] == ["invite"]
    held = "hold: limit of e-mails to one candidate"
    assert [str(plan) for plan in decide(situation(A, B, mails_to_candidate_left=1))] == ["invite", held]


def test_a_test_that_was_known_before_goes_on_and_another_is_left_alone() -> None:
    plans = decide(situation(A, B, **BEFORE, known=known(AttemptStatus.COMPLETE)))
    assert [str(plan) for plan in plans] == ["ignore: already taken", LEFT_ALONE]


def test_what_may_be_running_unknown_to_us_is_checked_first() -> None:
    checked = [
        situation(recently_restored=True),
        situation(known=known(AttemptStatus.UNKNOWN)),
    ]
    assert all(plan.check_first for given in checked for plan in decide(given))
    assert not any(
        plan.check_first
        for given in (situation(), situation(known=known(AttemptStatus.PENDING), recently_restored=True))
        for plan in decide(given)
    )


def test_imocha_is_asked_only_where_the_decision_rests_on_it() -> None:
    assert attempts_to_look_up(situation(A, B, known=known(AttemptStatus.PENDING))) == (1,)
    for given in (
        situation(),
        situation(known=known(None)),
        situation(known=known(AttemptStatus.COMPLETE)),
        situation(known=known(AttemptStatus.PENDING, handled_entry_id=7)),
        situation(known=known(AttemptStatus.PENDING), opportunity=opportunity(emails=[])),
        situation(known=known(AttemptStatus.PENDING), active=(2,)),
        situation(known=known(AttemptStatus.PENDING), entry=replace(ENTRY, stage_id="other")),
    ):
        assert attempts_to_look_up(given) == ()


def test_eligibility_changes_with_what_the_decision_rests_on() -> None:
    tags = {(): ("Engineering",), (1,): (A,), (1, 2): (A, B)}
    seen = {situation(*given, active=active).eligibility for given in tags.values() for active in ((1,), (1, 2))}
    assert seen == {"ignore: no assessment tag", "tests [1]", f"tests [1] unknown ['{B}']", "tests [1, 2]"}


def test_eligibility_changes_with_what_the_settings_want_for_who_was_there_before() -> None:
    ways: tuple[Literal["leave", "adopt", "invite"], ...] = ("leave", "adopt", "invite")
    assert [situation(**BEFORE, existing=way).eligibility for way in ways] == [
        "tests [1] before activation: leave",
        "tests [1] before activation: adopt",
        "tests [1]",
    ]
    nobody = opportunity(emails=[])
    assert len({situation(**BEFORE, existing=way, opportunity=nobody).eligibility for way in ways}) == 3


def test_an_entry_with_several_tests_says_first_what_needs_a_person() -> None:
    outcomes = [Outcome(Action.IGNORE, Reason.RUNNING), Outcome(Action.INVITE), Outcome(Action.HOLD, Reason.NO_EMAIL)]
    assert combined(outcomes).action is Action.HOLD
    assert combined(outcomes[:2]).action is Action.INVITE
    assert str(Outcome.of(Plan(Action.HOLD, Reason.UNKNOWN_TEST, A))) == f"hold: unknown test ({A})"


@pytest.mark.parametrize(
    ("before", "now", "matches", "frees"),
    [
        (Action.HOLD, Action.IGNORE, True, True),
        (Action.INVITE, Action.IGNORE, True, True),
        (Action.HOLD, Action.IGNORE, False, False),
        (Action.IGNORE, Action.IGNORE, True, False),
        (None, Action.IGNORE, True, False),
        (Action.HOLD, Action.INVITE, True, False),
    ],
)
def test_what_kept_the_stage_and_does_so_no_longer(
    before: Action | None, now: Action, matches: bool, frees: bool
) -> None:
    given = situation(entry=replace(ENTRY, decided=before), rule=rule() if matches else None)
    assert frees_stage(given, Outcome(now)) is frees


def test_how_an_opportunity_has_left() -> None:
    assert departed(opportunity(), ["lead-new"]) is None
    assert departed(opportunity(), ["other"]) is Departure.STAGE_LEFT
    assert departed(opportunity(**ARCHIVED), ["lead-new"]) is Departure.ARCHIVED
    assert departed(opportunity(**ARCHIVED, isAnonymized=True), ["lead-new"]) is Departure.DELETED


def test_a_shared_invitation_is_left_until_everybody_has_left() -> None:
    when = {Departure.ARCHIVED, Departure.DELETED}
    assert may_cancel([], when)
    assert may_cancel([Departure.ARCHIVED, Departure.DELETED], when)
    assert not may_cancel([Departure.ARCHIVED, None], when)
    assert not may_cancel([Departure.STAGE_LEFT], when)
    assert may_mask([Departure.DELETED])
    assert not may_mask([Departure.DELETED, Departure.ARCHIVED])


def test_who_was_moved_or_archived_meanwhile_is_not_moved_on() -> None:
    assert may_move_on(opportunity(), rule())
    assert not may_move_on(opportunity(stage="offer"), rule())
    assert not may_move_on(opportunity(**ARCHIVED), rule())


def test_the_stage_waits_for_every_test_the_tags_name() -> None:
    wanted = wanted_tests([A, B], SCHEME)
    assert awaited_test(wanted, {1}) == WantedTest(B, 2)
    assert awaited_test(wanted, {1, 2, 3}) is None
    awaited = awaited_test(wanted_tests(["iMocha: no number"], SCHEME), {1})
    assert awaited == WantedTest("iMocha: no number", None, SCHEME.form)
