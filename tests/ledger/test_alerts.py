"""What waits too long, and what was told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lever_imocha.domain.decisions import Reason
from lever_imocha.ledger.alerts import AlertLog, Incident, OverHour
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Work, WorkItem

from tests.ledger.conftest import NOW, Clock

WAIT = timedelta(minutes=15)


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Ledger:
    return Ledger(engine=engine_for(ledger_url), clock=clock)


@pytest.fixture
def register(ledger_url: str, clock: Clock) -> AlertLog:
    return AlertLog(engine=engine_for(ledger_url), clock=clock)


def overdue(register: AlertLog) -> list[str]:
    return [key for item in register.overdue(entries=WAIT, reports=2 * WAIT) for key in item.keys]


def incident(key: str, source: str = "s", error: str | None = None) -> Incident:
    return Incident(key=key, source=source, about=f"about {key}", error=error)


def work(ledger: Ledger, kind: Work) -> WorkItem:
    return ledger.queue.claim("op", [kind], worker="w", force=True)[kind]


def test_work_waits_from_when_it_was_queued_until_it_is_done(ledger: Ledger, register: AlertLog, clock: Clock) -> None:
    ledger.queue.enqueue(["op"], Work.INVITE)
    clock.now += WAIT
    assert overdue(register) == []
    clock.now += timedelta(seconds=1)
    first = overdue(register)
    assert len(first) == 1
    ledger.queue.put_off(work(ledger, Work.INVITE), error="VendorDownError", not_before=clock.now + WAIT)
    assert overdue(register) == first, "it is the same wait"
    ledger.queue.finish(work(ledger, Work.INVITE))
    assert overdue(register) == []
    ledger.queue.enqueue(["op"], Work.INVITE)
    assert overdue(register) == []
    clock.now += 2 * WAIT
    again = overdue(register)
    assert len(again) == 1
    assert again != first


def test_a_report_has_its_own_time_and_what_is_optional_has_none(
    ledger: Ledger, register: AlertLog, clock: Clock
) -> None:
    for kind in (Work.WRITE_BACK, Work.STATUS, Work.CANCEL):
        ledger.queue.enqueue(["op"], kind)
    clock.now += 2 * WAIT
    assert overdue(register) == []
    clock.now += timedelta(seconds=1)
    (item,) = register.overdue(entries=WAIT, reports=2 * WAIT)
    assert (item.opportunity_id, item.kind, item.queued_at) == ("op", Work.WRITE_BACK, NOW)


def test_what_is_parked_is_told_at_once_whatever_it_is(ledger: Ledger, register: AlertLog) -> None:
    ledger.queue.enqueue(["op"], Work.STATUS)
    ledger.queue.put_off(work(ledger, Work.STATUS), error="NotPermittedError", not_before=None)
    (item,) = register.overdue(entries=WAIT, reports=WAIT)
    assert (item.kind, item.error, item.parked_at) == (Work.STATUS, "NotPermittedError", NOW)


def test_a_parked_item_is_the_same_wait_and_news(ledger: Ledger, register: AlertLog, clock: Clock) -> None:
    ledger.queue.enqueue(["op"], Work.INVITE)
    clock.now += 2 * WAIT
    (waits,) = overdue(register)
    ledger.queue.put_off(work(ledger, Work.INVITE), error="VendorDownError", not_before=None)
    still, parked = overdue(register)
    assert still == waits
    assert parked != waits


def test_an_incident_is_told_once_or_once_in_a_while(register: AlertLog, clock: Clock) -> None:
    a, b, c = map(incident, "abc")
    assert register.claim([a, b, a]) == {"a", "b"}
    register.mark_told(["a", "b"])
    assert register.claim([a, c]) == {"c"}
    assert register.claim([]) == set()
    assert register.claim([a], repeat=WAIT) == set()
    clock.now += WAIT + timedelta(seconds=1)
    assert register.claim([a]) == set()
    assert register.claim([a], repeat=WAIT) == {"a"}


def test_what_could_not_be_sent_may_be_claimed_again(register: AlertLog, clock: Clock) -> None:
    a, b = map(incident, "ab")
    register.claim([a, b])
    register.give_up(["a"])
    assert register.claim([a, b]) == {"a"}
    register.mark_told(["a"])
    clock.now += timedelta(minutes=11)
    assert register.claim([a, b]) == {"b"}, "its sender died"


def test_an_end_is_told_to_those_who_know_of_the_incident(register: AlertLog) -> None:
    known, untold, lasts, elsewhere = incident("a"), incident("b"), incident("c"), incident("d", source="other")
    register.claim([known, untold, lasts, elsewhere])
    register.mark_told(["a", "c", "d"])
    assert register.end(["s"], still=["c"]) == [known]
    assert register.end(["s"], still=["c"]) == []
    register.put_back([known])
    assert register.end(["s", "other"]) == [known, lasts, elsewhere]
    assert register.claim([known]) == {"a"}, "it has come back"


def test_an_incident_lasts_while_work_waits_with_its_error(ledger: Ledger, register: AlertLog, clock: Clock) -> None:
    refused = incident("a", error="RequestRejectedError")
    register.claim([refused])
    register.mark_told(["a"])
    ledger.queue.enqueue(["op"], Work.INVITE)
    ledger.queue.put_off(work(ledger, Work.INVITE), error="RequestRejectedError", not_before=clock.now + WAIT)
    assert register.end(["s"]) == []
    ledger.queue.finish(work(ledger, Work.INVITE))
    assert register.end(["s"]) == [refused]


def test_whom_the_limit_of_the_hour_holds_is_counted_and_late_only_after_its_turn(
    ledger: Ledger, register: AlertLog, clock: Clock
) -> None:
    ledger.queue.enqueue(["op", "other"], Work.INVITE)
    turn = clock.now + timedelta(hours=5)
    ledger.queue.put_off(work(ledger, Work.INVITE), error=Reason.LIMIT, not_before=turn, failed=False)
    assert register.over_limit() == OverHour(held=1, undecided=1)
    ledger.queue.finish(ledger.queue.claim("other", [Work.INVITE], worker="w")[Work.INVITE])
    clock.now = turn + WAIT
    assert overdue(register) == []
    clock.now += timedelta(seconds=1)
    assert len(overdue(register)) == 1
    ledger.queue.put_off(work(ledger, Work.INVITE), error="VendorDownError", not_before=turn)
    assert register.over_limit() == OverHour(held=0, undecided=0)
