"""What the settings asked of whom, and under which somebody came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.domain.settings_versions import Askers, Asks, SettingsVersion, added, version_at
from lever_imocha.domain.tags import TagScheme

START = datetime(2026, 7, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEME = TagScheme(prefix="iMocha:", mapping={"A": 9})


def rule(**given: Any) -> ResolvedRule:
    return ResolvedRule(**{"trigger_stage_id": "s", "completed_stage_id": "c", "form_template": "f"} | given)


def asks(*rules: ResolvedRule) -> Asks:
    return Asks.of(rules, SCHEME)


def opportunity(*tags: str, posting: str = "p", **given: Any) -> Opportunity:
    usual = {"id": "o", "stage": "s", "tags": tags, "applications": [{"posting": posting}]}
    return Opportunity.model_validate(usual | given)


@pytest.mark.parametrize(
    ("rules", "candidate", "tests"),
    [
        ((rule(),), opportunity(), set()),
        ((rule(),), opportunity("A", "iMocha: b [2]"), {9, 2}),
        ((rule(tests=(1,)),), opportunity("A"), {9, 1}),
        ((rule(),), opportunity("iMocha: b"), {"iMocha: b"}),
        ((rule(posting_ids=("p",)),), opportunity("A"), {9}),
        ((rule(posting_ids=("p",)),), opportunity("A", posting="q"), set()),
        ((rule(posting_ids=("p",)), rule(tests=(1,))), opportunity(posting="q"), {1}),
        ((rule(skip_origins=("sourced",)),), opportunity("A", origin="sourced"), set()),
        ((rule(tags=("B",)),), opportunity("A"), set()),
        ((rule(tags=("B",)),), opportunity("A", "B"), {9}),
        ((rule(),), opportunity("A", stage="other"), set()),
    ],
)
def test_what_is_asked_of_whom(rules: tuple[ResolvedRule, ...], candidate: Opportunity, tests: set[object]) -> None:
    assert set(asks(*rules).tests(candidate, SCHEME)) == tests


def test_tags_name_tests_as_they_did_then() -> None:
    now = TagScheme(prefix="iMocha:", mapping={})
    assert asks(rule(tests=(1,))).tests(opportunity("A"), now) == {9: "A", 1: None}
    assert Asks(rules=(rule(),)).tests(opportunity("A"), now) == {}


@pytest.mark.parametrize(
    ("now", "before", "corrected", "new"),
    [
        ({1: "A"}, [{}], False, {1: "A"}),
        ({1: "A"}, [{1: "A"}], False, {}),
        ({1: "A"}, [{1: None}, {}], False, {}),
        ({1: "A", 2: None}, [{}, {1: "A"}], False, {2: None}),
        ({1: None}, [{2: None}], False, {1: None}),
        ({1: None}, [{2: None}], True, {}),
        ({1: "A"}, [{"A": "A"}], True, {}),
        ({1: None}, [{"A": "A"}], True, {1: None}),
        ({1: None, 2: None}, [{2: None}], True, {1: None}),
    ],
)
def test_what_is_asked_only_since_a_change_of_the_settings(
    now: Askers, before: list[Askers], corrected: bool, new: Askers
) -> None:
    assert added(now, before, corrected=corrected) == new


@pytest.mark.parametrize(
    "other",
    [rule(completed_stage_id="d"), rule(form_template="g"), rule(delay=DAY), rule(usable=False), rule(link="x")],
)
def test_how_is_invited_makes_no_other_version(other: ResolvedRule) -> None:
    assert asks(other) == asks(rule())
    assert asks(rule(posting_ids=("p", "q"))) == asks(rule(posting_ids=("q", "p")))


@pytest.mark.parametrize(
    "other", [rule(posting_ids=("p",)), rule(tags=("A",)), rule(tests=(1,)), rule(skip_origins=("sourced",))]
)
def test_what_says_who_takes_what_makes_another_version_and_is_read_as_it_was_kept(other: ResolvedRule) -> None:
    assert asks(other) != asks(rule())
    kept = asks(other).model_dump(mode="json", exclude_defaults=True)
    assert Asks.model_validate(kept) == asks(other)


def test_under_which_settings_somebody_came() -> None:
    wrong, corrected = rule(posting_ids=("",)), rule(posting_ids=("p",))
    given = [rule(), wrong, corrected, rule(tests=(1,))]
    versions = [SettingsVersion(id=day, since=START + day * DAY, asks=asks(one)) for day, one in enumerate(given)]

    def came(after: timedelta, stage_id: str = "s", of: list[SettingsVersion] = versions) -> int:
        return version_at(of, stage_id, START + after).id

    assert came(-DAY) == came(timedelta(0)) == came(DAY / 2) == 0
    assert came(DAY) == came(DAY * 1.5) == 2, "when the mistake was corrected"
    assert came(DAY, stage_id="other") == 1, "whom the mistake did not concern"
    assert came(DAY, of=versions[:2]) == 1, "not corrected yet"
    assert came(DAY * 2.5) == 2
    assert came(DAY * 9) == 3
