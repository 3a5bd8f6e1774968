"""Who sits in a trigger stage is not mailed because a rule of that stage is changed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.preview import Preview
from sqlalchemy import text

from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack

LEFT_ALONE = f"hold: {Reason.BEFORE_ACTIVATION}"
OURS: dict[str, Any] = {"applications": [{"id": "a", "posting": "posting-python"}]}
OTHERS: dict[str, Any] = {"applications": [{"id": "a", "posting": "posting-other"}]}
ONLY_OURS, BOTH = "rules: [{postings: [Python Engineer]}]", "rules: [{postings: [Python Engineer, Gardener]}]"

OFFER = "{trigger_stage: Offer, completed_stage: New lead}"


def use(stack: Stack, text: str, existing: str = "leave") -> None:
    stack.settings = parse_settings(f"perform_as: people-ops@example.com\nactivation: {{existing: {existing}}}\n{text}")


def rename(stack: Stack) -> None:
    stack.world.postings[1]["text"] = "Python Engineer"


def webhook(stack: Stack, opportunity_id: str) -> None:
    stack.ledger.deliveries.record(
        NewDelivery(vendor="lever", key=opportunity_id, event="candidateArchiveChange", opportunity_id=opportunity_id)
    )


def planned(stack: Stack) -> list[str]:
    preview = Preview(lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings)
    return [
        str(one.plan)
        for one in preview.expected()
        if one.plan is not None and one.plan.reason is not Reason.ALREADY_HANDLED
    ]


@pytest.fixture
def stack(stack: Stack) -> Stack:
    stack.world.postings[0]["id"] = "posting-python"
    stack.world.postings.append(stack.world.postings[0] | {"id": "posting-other", "text": "Gardener"})
    return stack


WIDENED: dict[str, tuple[str, str | Callable[[Stack], None], tuple[str, ...], dict[str, Any]]] = {
    "a posting is added": (ONLY_OURS, BOTH, (PYTHON,), OTHERS),
    "the postings are taken away": (ONLY_OURS, "rules: [{}]", (PYTHON,), OTHERS),
    "a posting gets the title of a rule": (ONLY_OURS, rename, (PYTHON,), OTHERS),
    "a rule is added for the others": (ONLY_OURS, "rules: [{postings: [Python Engineer]}, {}]", (PYTHON,), OTHERS),
    "a rule comes to ask for what another has long asked for": (
        "rules: [{postings: [Python Engineer], tests: [101]}, {}]",
        "rules: [{postings: [Python Engineer], tests: [101]}, {tests: [101]}]",
        (),
        OTHERS,
    ),
    "a test is added": ("rules: [{}]", "rules: [{tests: [101]}]", (), OURS),
    "an origin is no longer skipped": (
        "rules: [{skip_origins: [sourced, applied]}]",
        "rules: [{skip_origins: [applied]}]",
        (PYTHON,),
        OURS | {"origin": "sourced"},
    ),
    "a tag of a rule is added": ("rules: [{tags: [A]}]", "rules: [{tags: [A, B]}]", (PYTHON, "B"), OURS),
    "the tags of a rule are taken away": ("rules: [{tags: [A]}]", "rules: [{}]", (PYTHON, "B"), OURS),
    "a tag comes to name a test": ("", "tags: {map: {Gardening: 101}}", ("Gardening",), OURS),
    "the prefix changes": ("", "tags: {prefix: 'Test:'}", ("Test: Python [101]",), OURS),
}


EXISTING = {"leave": (LEFT_ALONE, 0), "adopt": ("adopt", 0), "invite": ("invite", 1)}


@pytest.mark.parametrize(
    ("case", "existing"),
    [
        pytest.param(case, existing, marks=() if existing == "leave" or case == "a test is added" else pytest.mark.slow)
        for case, existing in product(WIDENED, EXISTING)
    ],
)
def test_a_widened_rule_mails_nobody_who_is_in_the_stage(stack: Stack, case: str, existing: str) -> None:
    done, mails = EXISTING[existing]
    before, after, tags, given = WIDENED[case]
    use(stack, before, existing)
    stack.run_invite()
    there = stack.candidate(*tags, **given)
    (first,) = stack.run_invite()
    assert str(first).startswith("ignore: ")
    if callable(after):
        after(stack)
    else:
        use(stack, after, existing)
    plan = planned(stack)
    assert plan in ([done], []), "nothing is planned but what is done"
    outcomes = stack.run_invite()
    assert outcomes == [done], "the change has everybody looked at, also those left alone"
    assert len(stack.world.mails) == mails
    webhook(stack, there)
    assert stack.run_invite(full=True) in ([None], ["ignore: already handled"])
    stack.candidate(*tags, **given)
    assert stack.run_invite() == ["invite"], "who comes after the change"
    assert stack.run_invite(full=True) == []
    stack.again(there)
    assert str(*stack.run_invite()) in ("invite", "refresh"), "who comes again"


def give(stack: Stack, opportunity_id: str, **given: Any) -> None:
    stack.world.opportunities[opportunity_id].update(given, updatedAt=stack.world.now_ms())


HELD: dict[str, tuple[str, str, tuple[str, ...], dict[str, Any], dict[str, Any]]] = {
    "a tag is missing": (ONLY_OURS, BOTH, (), OURS, {"tags": [PYTHON]}),
    "a tag is missing, and the rule comes to concern the candidate": (ONLY_OURS, BOTH, (), OTHERS, {"tags": [PYTHON]}),
    "a tag is missing that comes to name a test": ("", "tags: {map: {A: 101}}", (), OURS, {"tags": ["A"]}),
    "an address is missing": (ONLY_OURS, BOTH, (PYTHON,), OURS | {"emails": []}, {"emails": ["ann@example.com"]}),
    "the posting is another one": (ONLY_OURS, BOTH, (PYTHON,), {"applications": []}, OTHERS),
    "the test is unknown by a mistake in the tags": (
        "tags: {map: {A: 999}}", "tags: {map: {A: 101}}", ("A",), OURS, {},
    ),
    "the test is unknown by a mistake in a rule": ("rules: [{tests: [999]}]", "rules: [{tests: [101]}]", (), OURS, {}),
    "the test is not active and replaced": ("rules: [{tests: [103]}]", "rules: [{tests: [101]}]", (), OURS, {}),
    "the tag is written wrong": ("", BOTH, ("iMocha: Python",), OURS, {"tags": [PYTHON]}),
    "the link is named wrong": ("rules: [{link: Defalt}]", "rules: [{link: Default}]", (PYTHON,), OURS, {}),
    "the posting is named wrong": (
        f"rules: [{{postings: [Pythn]}}, {OFFER}]", f"rules: [{{postings: [Python Engineer]}}, {OFFER}]", (PYTHON,), OURS, {},
    ),
    "the completed stage is named wrong": (
        f"rules: [{{postings: [Python Engineer], completed_stage: X}}, {OFFER}]",
        f"rules: [{{postings: [Python Engineer, Gardener]}}, {OFFER}]",
        (PYTHON,), OURS, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HELD)
def test_whose_hold_is_solved_is_invited_also_after_the_rule_was_widened(stack: Stack, case: str) -> None:
    before, after, tags, given, solution = HELD[case]
    use(stack, before)
    stack.run_invite()
    held = stack.candidate(*tags, **given)
    stack.run_invite()
    use(stack, after)
    outcomes = stack.run_invite()
    assert len(stack.world.mails) == (not solution), outcomes
    if solution:
        give(stack, held, **solution)
        assert stack.run_invite() == ["invite"]
    entry = stack.ledger.entries.last(held)
    assert entry is not None
    assert entry.decision is Action.INVITE
    assert stack.run_invite(full=True) == []
    assert len(stack.world.mails) == 1


@pytest.mark.parametrize(
    ("before", "after", "tags"),
    [
        ("", "rules: [{tests: [101]}]", ["iMocha alumni"]),
        ("rules: [{tests: [103]}]", "rules: [{tests: [103, 101]}]", []),
    ],
)
def test_who_is_held_for_something_else_is_not_mailed_for_what_a_rule_comes_to_ask(
    stack: Stack, before: str, after: str, tags: list[str]
) -> None:
    use(stack, before)
    stack.run_invite()
    stack.candidate(*tags)
    (held,) = stack.run_invite()
    assert str(held).startswith(f"hold: {Reason.UNKNOWN_TEST}")
    use(stack, after)
    assert stack.run_invite() in ([], [LEFT_ALONE])
    assert stack.world.mails == []


@pytest.mark.parametrize(("existing", "done", "mails"), [("adopt", "adopt", 0), ("invite", "invite", 1)])
def test_who_was_left_alone_is_taken_up_when_the_settings_say_so(
    stack: Stack, existing: str, done: str, mails: int
) -> None:
    use(stack, ONLY_OURS)
    stack.run_invite()
    stack.candidate(PYTHON, **OTHERS)
    stack.run_invite()
    use(stack, BOTH)
    assert stack.run_invite() == [LEFT_ALONE]
    use(stack, BOTH, existing)
    assert planned(stack) == [done]
    assert stack.run_invite(full=True) == [done]
    assert len(stack.world.mails) == mails
    use(stack, BOTH)
    assert stack.run_invite(full=True) in ([], ["ignore: already handled"])


@pytest.mark.parametrize("existing", ["adopt", "invite"])
def test_who_was_taken_up_moves_on_when_all_tests_are_done(stack: Stack, existing: str) -> None:
    use(stack, ONLY_OURS)
    stack.run_invite()
    there = stack.candidate(PYTHON, SQL, **OTHERS)
    stack.run_invite()
    use(stack, BOTH, existing)
    assert stack.run_invite() == [existing]
    use(stack, BOTH)
    stack.run_invite()
    first, second = stack.world.invitations.values()
    stack.world.finish(first)
    assert stack.run_write_back() == ["written back; stays in its stage: test 102 is pending"]
    stack.world.finish(second)
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(there) == "Assessment Complete"


@pytest.mark.parametrize("existing", ["leave", "adopt"])
def test_who_was_invited_in_an_earlier_stay_is_left_alone(stack: Stack, existing: str) -> None:
    use(stack, ONLY_OURS, existing)
    stack.run_invite()
    there = stack.candidate(PYTHON, **OURS)
    assert stack.run_invite() == ["invite"]
    give(stack, there, **OTHERS)
    stack.again(there)
    assert stack.run_invite() == ["ignore: moved on"]
    assert stack.run_invite() == []
    use(stack, BOTH, existing)
    assert stack.run_invite() == [LEFT_ALONE]
    assert len(stack.world.mails) == 1


def test_a_rule_that_is_put_back_mails_nobody_who_came_in_between(stack: Stack) -> None:
    use(stack, f"rules: [{{}}, {OFFER}]")
    stack.run_invite()
    use(stack, f"rules: [{OFFER}]")
    stack.run_invite()
    stack.candidate(PYTHON)
    stack.run_invite()
    use(stack, f"rules: [{{}}, {OFFER}]")
    assert stack.run_invite() == [LEFT_ALONE]


def test_a_ledger_of_before_compares_with_what_its_last_run_used(stack: Stack) -> None:
    """The scheme of the tags was not kept."""
    use(stack, ONLY_OURS)
    stack.run_invite()
    last = stack.ledger.settings_versions.newest()
    assert last is not None
    with stack.ledger.transaction() as connection:
        connection.execute(
            text("UPDATE lever_imocha.settings_versions SET asks = asks - 'scheme', since = '1970-01-01'")
        )
    others, tagged, held = (
        stack.candidate(PYTHON, **OTHERS),
        stack.candidate("A", **OURS),
        stack.candidate("iMocha: X", **OURS),
    )
    stack.run_invite()
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.stage_entries SET settings_version = NULL"))
    use(stack, BOTH)
    assert stack.run_invite() == [LEFT_ALONE]
    use(stack, f"{BOTH}\ntags: {{map: {{A: 101, 'iMocha: X': 101}}}}")
    assert sorted(map(str, stack.run_invite())) == [LEFT_ALONE, "invite"]
    assert not stack.ledger.assessments.of(others)
    assert not stack.ledger.assessments.of(tagged)
    assert stack.ledger.assessments.of(held)


def test_a_mistake_that_is_taken_back_leaves_nobody_out(stack: Stack) -> None:
    use(stack, BOTH)
    stack.run_invite()
    held = stack.candidate(PYTHON, emails=[], **OTHERS)
    assert stack.run_invite() == ["hold: no e-mail address"]
    use(stack, ONLY_OURS)
    assert stack.run_invite() == ["ignore: moved on"]
    assert stack.run_invite(full=True) == []
    missed = stack.candidate(PYTHON, **OTHERS)
    assert stack.run_invite() == ["ignore: moved on"]
    use(stack, BOTH)
    assert sorted(map(str, stack.run_invite())) == ["hold: no e-mail address", LEFT_ALONE]
    give(stack, held, emails=["ann@example.com"])
    assert stack.run_invite() == ["invite"]
    assert stack.ledger.assessments.of(missed) == []


def test_whom_a_limit_holds_is_invited_to_what_was_asked_when_they_came(stack: Stack) -> None:
    limits = "limits: {per_hour: 1}\n"
    use(stack, limits + "rules: [{tests: [101]}]")
    stack.run_invite()
    for _ in range(2):
        stack.candidate(**OURS)
    assert sorted(map(str, stack.run_invite())) == ["invite", f"waits: {Reason.LIMIT}"]
    use(stack, limits.replace("1", "9") + "rules: [{tests: [101, 102]}]")
    assert stack.run_invite() == ["invite"]
    assert [one.test_id for one in stack.world.invitations.values()] == [101, 101]
    assert stack.run_invite(full=True) == []


def test_who_is_invited_already_is_not_asked_for_what_a_rule_comes_to_ask(stack: Stack) -> None:
    """Another rule of the stage has long asked for it."""
    before = "{postings: [Gardener], tests: [101]}"
    use(stack, f"rules: [{before}, {{tests: [102]}}]")
    stack.run_invite()
    there = stack.candidate(**OURS)
    assert stack.run_invite() == ["invite"]
    use(stack, f"rules: [{before}, {{tests: [101, 102]}}]")
    assert planned(stack) == []
    assert stack.run_invite() == []
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"], "nor does it wait for that test"
    assert stack.stage(there) == "Assessment Complete"


def test_a_tag_that_is_added_to_who_is_left_alone_invites_to_what_was_asked_before(stack: Stack) -> None:
    use(stack, "")
    stack.run_invite()
    there = stack.candidate("A")
    stack.run_invite()
    use(stack, "tags: {map: {A: 101}}")
    assert stack.run_invite() == [LEFT_ALONE]
    give(stack, there, tags=["A", SQL])
    assert stack.run_invite() == ["invite"]
    assert [one.test_id for one in stack.world.invitations.values()] == [102]
