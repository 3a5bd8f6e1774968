"""Requests become work, are begun in their turn, and can be withdrawn before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from lever_imocha.domain.acts import Act
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import requests
from lever_imocha.ledger.values import CANDIDATE_WORK, WRITE_BACK_WORK, Work
from sqlalchemy import select


def ask(ledger: Ledger, act: Act, *ids: str, test_id: int | None = None) -> int:
    return ledger.requests.add(act, dict.fromkeys(ids, "shown"), reason="because", actor="ann", test_id=test_id)


def ask_for_all(ledger: Ledger, *ids: str) -> int:
    shown = dict.fromkeys(ids, "shown")
    return ledger.requests.add_bulk(Act.LOOK_AGAIN, shown, about="a group", reason="because", actor="ann")


def running(ledger: Ledger) -> list[int]:
    return [bulk.id for bulk in ledger.requests.running()]


def test_a_request_is_work_that_starts_a_run_and_is_open_once(ledger: Ledger) -> None:
    assert ask(ledger, Act.CANCEL, "op", test_id=101) == 1
    assert ask(ledger, Act.CANCEL, "op", test_id=101) == 0
    assert ask(ledger, Act.CANCEL, "op", test_id=102) == 1
    assert ask(ledger, Act.WRITE_AGAIN, "op", test_id=101) == 1
    assert ledger.queue.starting_runs(CANDIDATE_WORK)
    assert ledger.queue.starting_runs(WRITE_BACK_WORK)
    begun = ledger.requests.begin("op", Work.REQUEST)
    assert [(request.act, request.test_id) for request in begun] == [(Act.CANCEL, 101), (Act.CANCEL, 102)]
    assert ledger.requests.begin("op", Work.REQUEST) == begun, "a cut off try begins nothing anew"
    for request in begun:
        ledger.requests.finish(request, outcome="cancelled")
    assert ledger.requests.begin("op", Work.REQUEST) == []
    assert ask(ledger, Act.CANCEL, "op", test_id=101) == 1


def test_what_many_ask_for_at_once_is_open_once(ledger: Ledger) -> None:
    with ThreadPoolExecutor(5) as people:
        added = people.map(lambda _: ask(ledger, Act.CANCEL, "op", test_id=101), range(20))
        assert sorted(added) == [0] * 19 + [1]


def test_what_is_asked_about_one_test_is_told_with_it(ledger: Ledger) -> None:
    ask(ledger, Act.CANCEL, "op", test_id=101)
    (request,) = ledger.requests.begin("op", Work.REQUEST)
    ledger.requests.finish(request, outcome="cancelled")
    told = [(moment.kind, moment.test_id) for moment in ledger.timeline.of("op")]
    assert told == [("done_cancel", 101), ("asked_cancel", 101)]


def test_requests_for_the_same_are_numbered(ledger: Ledger) -> None:
    numbers = []
    for _ in range(2):
        ask(ledger, Act.WRITE_AGAIN, "op", "other", test_id=101)
        ask(ledger, Act.WRITE_AGAIN, "op", test_id=102)
        for request in ledger.requests.begin("op", Work.WRITE_AGAIN):
            numbers.append((request.test_id, ledger.requests.number(request)))
            ledger.requests.finish(request, outcome="written")
    assert numbers == [(101, 1), (102, 1), (101, 2), (102, 2)]


def test_stopping_withdraws_whose_turn_has_not_come(ledger: Ledger) -> None:
    ask(ledger, Act.LOOK_AGAIN, "asked before")
    bulk_id, other = ask_for_all(ledger, "asked before", "a", "b", "c", "d"), ask_for_all(ledger, "e")
    (done,) = ledger.requests.begin("a", Work.REQUEST)
    ledger.requests.finish(done, outcome="read")
    (begun,) = ledger.requests.begin("b", Work.REQUEST)
    assert running(ledger) == [other, bulk_id]
    assert ledger.requests.stop(bulk_id, actor="bob") == 2
    assert ledger.requests.stop(bulk_id, actor="eve") == 0
    bulk = ledger.requests.bulk(bulk_id)
    assert bulk is not None
    assert (bulk.asked, bulk.done, bulk.withdrawn, bulk.is_open, bulk.stopped_by) == (4, 3, 2, True, "bob")
    assert bulk.outcomes == {"withdrawn: stopped by bob": 2, "read": 1}
    told = ledger.evidence.of("c")
    assert told is not None
    assert [(one["kind"], one["source"], one["actor"], one["detail"]) for one in told["events"]] == [
        ("asked_look_again", "console", "ann", "because"),
        ("done_look_again", "console", "bob", "withdrawn: stopped by bob"),
    ]
    assert [chain["unbroken"] for chain in told["chains"]] == [True]
    ledger.requests.finish(begun, outcome="read")
    assert running(ledger) == [other]
    assert ledger.requests.begin("c", Work.REQUEST) == []
    assert (
        len(ledger.requests.begin("asked before", Work.REQUEST)) == len(ledger.requests.begin("e", Work.REQUEST)) == 1
    )
    assert ledger.requests.bulk(bulk_id + 99) is None


def test_a_request_about_many_goes_when_it_is_old_and_done(ledger: Ledger) -> None:
    done, still_open = ask_for_all(ledger, "a", "b"), ask_for_all(ledger, "c", "d")
    ask(ledger, Act.CANCEL, "a", test_id=101)
    for one in ("a", "b", "c"):
        for request in ledger.requests.begin(one, Work.REQUEST):
            ledger.requests.finish(request, outcome="read")
    now = datetime.now(UTC)
    assert ledger.erasure.remove_bulk_requests(before=now - timedelta(hours=1), limit=50) == 0
    assert ledger.erasure.remove_bulk_requests(before=now + timedelta(hours=1), limit=50) == 1
    assert (ledger.requests.bulk(done), running(ledger)) == (None, [still_open])
    with ledger.transaction() as connection:
        left = connection.execute(select(requests.c.opportunity_id, requests.c.bulk_id).order_by(requests.c.id)).all()
    assert [tuple(row) for row in left] == [("c", still_open), ("d", still_open), ("a", None)]


def test_who_is_forgotten_keeps_no_request_about_many_open(ledger: Ledger) -> None:
    bulk_id = ask_for_all(ledger, "somebody", "somebody else")
    ledger.erasure.forget("somebody", even_if_open=True)
    (left,) = ledger.requests.begin("somebody else", Work.REQUEST)
    ledger.requests.finish(left, outcome="read")
    bulk = ledger.requests.bulk(bulk_id)
    assert bulk is not None
    assert (bulk.asked, bulk.done, bulk.is_open) == (1, 1, False)
    assert ledger.erasure.forget("somebody else", even_if_open=True)["bulk_requests"] == 1
    assert ledger.requests.bulk(bulk_id) is None
