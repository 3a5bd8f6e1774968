"""The shared limiter's turns, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from lever_imocha.errors import LedgerError, Retry
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.overview.traffic import Rate
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import limits
from sqlalchemy import event, select

from dev import postgres

NOON = datetime(2026, 7, 2, 12, tzinfo=UTC)


@dataclass
class Turns:
    """Takes turns at moments of the test's choice, and notes how long each one waits."""

    url: str
    now: datetime = NOON
    waits: list[float] = field(default_factory=list)

    def limiter(self, rate: float = 4, name: str = "imocha") -> SharedLimiter:
        return SharedLimiter(
            engine=engine_for(self.url), name=name, rate=rate, sleep=self.waits.append, clock=lambda: self.now
        )

    def take(self, limiter: SharedLimiter, count: int = 1) -> list[float]:
        self.waits.clear()
        for _ in range(count):
            limiter.acquire()
        return [round(wait, 6) for wait in self.waits]


@pytest.fixture
def turns(ledger_url: str) -> Turns:
    return Turns(ledger_url)


def test_turns_are_given_one_gap_apart_in_the_order_of_asking(turns: Turns) -> None:
    one, other = turns.limiter(), turns.limiter()
    assert turns.take(one, 2) + turns.take(other, 2) + turns.take(one) == [0, 0.25, 0.5, 0.75, 1]


def test_time_in_which_nobody_asked_is_not_made_up_for(turns: Turns) -> None:
    limiter = turns.limiter()
    turns.take(limiter, 5)
    turns.now += timedelta(hours=1)
    assert turns.take(limiter, 2) == [0, 0.25]


def test_each_process_keeps_the_gap_of_its_own_rate(turns: Turns) -> None:
    quick, slow = turns.limiter(rate=10), turns.limiter(rate=1)
    assert turns.take(quick, 2) + turns.take(slow) + turns.take(quick) == [0, 0.1, 1.1, 1.2]


def test_two_apis_do_not_wait_for_each_other(turns: Turns) -> None:
    assert turns.take(turns.limiter(name="lever")) + turns.take(turns.limiter(name="imocha")) == [0, 0]


def test_a_long_queue_is_kept_in_order(turns: Turns) -> None:
    turns.take(turns.limiter(rate=0.01))
    assert turns.take(turns.limiter(rate=0.01), 2) == [100, 200]


def test_too_many_requests_double_the_gap_which_shrinks_again_by_one_a_minute(turns: Turns) -> None:
    limiter = turns.limiter(rate=1)
    turns.take(limiter)
    limiter.slow_down()
    assert turns.take(limiter) == [2]
    turns.now += timedelta(seconds=2)
    limiter.slow_down()
    turns.now += timedelta(seconds=60)
    assert turns.take(limiter, 2)[1] == pytest.approx(2 * (2 - 2 / 60) - 1)
    turns.now += timedelta(minutes=10)
    assert turns.take(limiter, 2) == [0, 1]


def test_several_refusals_within_a_second_count_once(turns: Turns) -> None:
    one, other = turns.limiter(rate=1), turns.limiter(rate=1)
    turns.take(one)
    one.slow_down()
    turns.now += timedelta(seconds=0.9)
    other.slow_down()
    turns.now += timedelta(seconds=10)
    assert turns.take(one, 2)[1] == pytest.approx(2 - 10.9 / 60)


def rate(turns: Turns) -> Rate:
    (rate,) = Ledger(engine=engine_for(turns.url)).traffic.seen(since=datetime.now(UTC)).rates
    return rate


def test_the_last_answer_is_told_with_the_next_turn_and_never_an_older_one(turns: Turns) -> None:
    turns.now = datetime.now(UTC)
    one, other = turns.limiter(), turns.limiter()
    one.note_answer("invite", 200)
    turns.take(other)
    assert rate(turns).answered_at is None
    turns.now += timedelta(seconds=1)
    other.note_answer("list_tests", 503)
    turns.take(other)
    turns.take(one)  # what it was told comes before
    found = rate(turns)
    assert (found.answered_call, found.answer_status) == ("list_tests", 503)
    assert found.answered_at is not None
    assert abs(found.answered_at - turns.now) < timedelta(seconds=1)


def test_refusals_are_counted_by_day(turns: Turns) -> None:
    turns.now = datetime.now(UTC) - timedelta(days=1)
    limiter = turns.limiter()
    turns.take(limiter)
    for _ in range(3):  # at once: each counts, and the gap grows once
        limiter.slow_down()
    assert (rate(turns).refused_today, rate(turns).refused_yesterday) == (0, 3)
    turns.now += timedelta(days=1)
    limiter.slow_down()
    assert (rate(turns).refused_today, rate(turns).refused_yesterday) == (1, 3)
    turns.now += timedelta(days=2)
    limiter.slow_down()
    with engine_for(turns.url).connect() as connection:
        kept = connection.execute(select(limits.c.refused, limits.c.refused_before)).one()
    assert tuple(kept) == (1, 0)


def test_the_gap_grows_to_sixteen_times_at_most(turns: Turns) -> None:
    limiter = turns.limiter(rate=1)
    turns.take(limiter)
    for _ in range(10):
        turns.now += timedelta(seconds=2)
        limiter.slow_down()
    turns.now += timedelta(seconds=30)
    assert turns.take(limiter, 2)[1] == pytest.approx(15.5)


def test_a_clock_that_was_ahead_makes_nobody_wait_for_the_time_it_told(turns: Turns) -> None:
    limiter = turns.limiter(rate=1)
    turns.now += timedelta(days=1)
    turns.take(limiter, 3)
    limiter.slow_down()
    turns.now -= timedelta(days=1)
    assert turns.take(limiter, 2) == [0, 1]
    limiter.slow_down()
    assert turns.take(limiter) == [3]


def test_who_never_took_a_turn_can_be_told_to_slow_down(turns: Turns) -> None:
    turns.limiter().slow_down()
    assert turns.take(turns.limiter(), 2) == [0, 0.25]


def test_a_turn_is_one_statement(turns: Turns) -> None:
    limiter = turns.limiter()
    turns.take(limiter)
    engine, statements = engine_for(turns.url), list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    turns.take(limiter)
    assert len(statements) == 1


def test_a_process_that_dies_while_it_waits_loses_its_own_turn_only(turns: Turns) -> None:
    def die(_: float) -> None:
        raise SystemExit

    turns.take(turns.limiter())
    dying = SharedLimiter(engine=engine_for(turns.url), name="imocha", rate=4, sleep=die, clock=lambda: turns.now)
    with pytest.raises(SystemExit):
        dying.acquire()
    assert turns.take(turns.limiter(), 2) == [0.5, 0.75]


def test_who_waits_holds_no_connection(ledger_url: str) -> None:
    engine = engine_for(ledger_url)
    held: list[int] = []
    sleep: Callable[[float], None] = lambda _: held.append(engine.pool.checkedout())  # type: ignore[attr-defined]  # noqa: E731
    SharedLimiter(engine=engine, name="lever", rate=8, sleep=sleep).acquire()
    assert held == [0]


def test_a_lost_connection_is_an_error_of_the_ledger(turns: Turns, postgres_url: str) -> None:
    limiter = turns.limiter()
    turns.take(limiter)
    postgres.disconnect(postgres_url, str(engine_for(turns.url).url.database))
    with pytest.raises(LedgerError) as caught:
        limiter.acquire()
    assert caught.value.retry is Retry.SOON
    assert turns.take(limiter) == [0.25]


def _reserve(url: str, count: int) -> list[float]:
    turns = Turns(url)
    return turns.take(turns.limiter(), count)


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_no_two_processes_get_the_same_turn(ledger_url: str, processes: int) -> None:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waits = sorted(wait for part in pool.map(_reserve, [ledger_url] * processes, [20] * processes) for wait in part)
    assert waits == [turn * 0.25 for turn in range(20 * processes)]
