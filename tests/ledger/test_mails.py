"""E-mails are counted over all workers, and none is counted twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from lever_imocha.domain.decisions import Reason
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import mails
from lever_imocha.ledger.values import MailCounts
from sqlalchemy import func, select

from tests.ledger.conftest import NOW, Clock

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Ledger:
    return Ledger(engine=engine_for(ledger_url), clock=clock)


def send(
    ledger: Ledger, opportunity_id: str, contact_id: str | None = None, *, test_id: int = 1, per_hour: int | None = None
) -> bool:
    taken = ledger.mails.take(opportunity_id, contact_id, test_id, per_hour=per_hour) is None
    if taken:
        ledger.mails.mark_sent(opportunity_id, test_id)
    return taken


def test_many_workers_at_once_send_no_more_than_the_limit(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: ledger.mails.take(f"op{number}", None, 1, per_hour=7), range(40)))
    assert taken.count(None) == 7
    assert ledger.mails.counts("nobody", None).last_hour == 7


def test_many_workers_at_once_send_no_more_to_one_person_than_the_limit(ledger: Ledger) -> None:
    """Each about another opportunity of the person, and each has decided before the others had sent."""
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: ledger.mails.take(f"op{number}", "ann", 1, per_candidate=2), range(20)))
    assert (taken.count(None), taken.count(Reason.PER_CANDIDATE)) == (2, 18)
    assert ledger.mails.take("other", "ben", 1, per_hour=2, per_candidate=2) is Reason.LIMIT
    assert ledger.mails.take("other", "ben", 1, per_hour=3, per_candidate=2) is None


def test_any_sixty_minutes_count(ledger: Ledger, clock: Clock) -> None:
    assert send(ledger, "a", per_hour=2)
    clock.now += 50 * MINUTE
    assert send(ledger, "b", per_hour=2)
    clock.now += 9 * MINUTE
    assert not send(ledger, "c", per_hour=2)
    clock.now += MINUTE
    assert send(ledger, "c", per_hour=2)
    assert not send(ledger, "d", per_hour=2)
    assert send(ledger, "d", per_hour=None)


def test_a_week_counts_for_one_candidate_and_nothing_is_kept_for_longer(
    ledger: Ledger, clock: Clock, ledger_url: str
) -> None:
    for _ in range(3):
        send(ledger, "a")
        clock.now += timedelta(days=2)
    assert ledger.mails.counts("a", None) == MailCounts(last_hour=0, to_candidate=3)
    assert ledger.mails.counts("b", None) == MailCounts(last_hour=0, to_candidate=0)
    clock.now = NOW + timedelta(days=7)
    assert ledger.mails.counts("a", None).to_candidate == 2
    clock.now += timedelta(days=7)
    ledger.mails.forget()
    with engine_for(ledger_url).connect() as connection:
        assert connection.scalar(select(func.count()).select_from(mails)) == 0


def test_what_was_sent_to_another_opportunity_of_the_person_counts(ledger: Ledger) -> None:
    send(ledger, "a", "ann")
    send(ledger, "b", "ann", test_id=2)
    send(ledger, "c", "ben")
    send(ledger, "d")
    assert ledger.mails.counts("a", "ann").to_candidate == 2
    assert ledger.mails.counts("new", "ann").to_candidate == 2
    assert ledger.mails.counts("new", None).to_candidate == 0
    assert ledger.mails.take("a", "ann", 3, per_hour=None) is None
    assert ledger.mails.counts("b", "ann").to_candidate == 3, "one that is under way counts for the others"


def test_a_repetition_takes_the_place_of_what_was_not_answered(ledger: Ledger) -> None:
    for _ in range(3):
        assert ledger.mails.take("a", None, 1, per_hour=1) is None
    assert ledger.mails.take("b", None, 1, per_hour=1) is Reason.LIMIT
    assert ledger.mails.counts("b", None).last_hour == 1
    ledger.mails.mark_sent("a", 1)
    assert ledger.mails.take("a", None, 1, per_hour=1) is Reason.LIMIT
    assert ledger.mails.counts("a", None).to_candidate == 1


def test_what_was_not_sent_is_given_back(ledger: Ledger) -> None:
    assert ledger.mails.take("a", None, 1, per_hour=1) is None
    ledger.mails.give_back("a", 1)
    assert ledger.mails.take("b", None, 1, per_hour=1) is None


def test_what_was_sent_an_hour_ago_is_counted_no_more(ledger: Ledger, clock: Clock) -> None:
    for number in range(3):
        send(ledger, f"op{number}")
        clock.now += MINUTE
    assert ledger.mails.sent_last_hour() == 3
    clock.now = NOW + HOUR
    assert ledger.mails.sent_last_hour() == 2


def test_the_time_of_the_activation_stays(ledger: Ledger, clock: Clock) -> None:
    assert ledger.watermarks.first("activated") == NOW
    clock.now += HOUR
    assert ledger.watermarks.first("activated") == NOW
