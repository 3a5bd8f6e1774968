"""What is learned from lists of tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.domain.imocha import ImochaTest
from lever_imocha.domain.known_tests import KnownTests, are_others, learn

NOW = datetime(2026, 7, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def listed(*active: int, inactive: tuple[int, ...] = ()) -> list[ImochaTest]:
    return [
        ImochaTest.model_validate({"testId": key, "testName": "T", "status": "Active" if key in active else "Archived"})
        for key in (*active, *inactive)
    ]


def test_a_listed_test_is_what_the_list_says() -> None:
    known = learn(KnownTests(frozenset({1, 2})), listed(1, 3, inactive=(2,)), NOW)
    assert known.active == {1, 3}


def test_a_test_that_is_not_listed_stays_active_for_an_hour() -> None:
    known = learn(KnownTests(frozenset({1, 2})), listed(1), NOW)
    assert known.active == {1, 2}
    known = learn(known, listed(1), NOW + 59 * MINUTE)
    assert known.active == {1, 2}
    known = learn(known, listed(1), NOW + 60 * MINUTE)
    assert known == KnownTests(frozenset({1}), {})


def test_a_test_that_is_listed_again_was_never_away() -> None:
    known = learn(learn(KnownTests(frozenset({1, 2})), listed(1), NOW), listed(1, 2), NOW + 30 * MINUTE)
    assert known == KnownTests(frozenset({1, 2}), {})
    assert learn(known, listed(1), NOW + 90 * MINUTE).active == {1, 2}


def test_lists_that_are_not_complete_say_after_a_day_what_they_lack() -> None:
    known = learn(KnownTests(frozenset({1, 2})), listed(1), NOW, complete=False)
    known = learn(known, listed(1), NOW + 1439 * MINUTE, complete=False)
    assert known.active == {1, 2}
    assert not known.are_all(NOW + 1439 * MINUTE)
    known = learn(known, listed(1), NOW + 1440 * MINUTE, complete=False)
    assert known.active == {1}
    assert known.are_all(NOW + 1440 * MINUTE)
    assert learn(known, listed(1), NOW + 1441 * MINUTE).incomplete_since is None


def test_one_complete_list_begins_the_day_anew() -> None:
    known = learn(KnownTests(frozenset({1, 2})), listed(1, 2), NOW, complete=False)
    known = learn(known, listed(1, 2), NOW + 1000 * MINUTE)
    assert known.are_all(NOW + 1000 * MINUTE)
    known = learn(known, listed(1, 2), NOW + 1500 * MINUTE, complete=False)
    assert not known.are_all(NOW + 1500 * MINUTE)


@pytest.mark.parametrize(
    ("known", "now", "others"),
    [((), (1,), False), ((1, 2, 3), (3, 4), False), ((1, 2, 3), (4,), True), ((1, 2), (4,), False)],
)
def test_none_of_the_known_tests_is_another_account(known: tuple[int, ...], now: tuple[int, ...], others: bool) -> None:
    assert are_others(KnownTests(frozenset(known)), listed(*now)) is others
