"""What is kept about people goes when it is old and over, or at once for one; nothing of others goes with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from lever_imocha.domain.acts import Act
from lever_imocha.domain.arrivals import ArrivalFacts
from lever_imocha.domain.decisions import Action
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import RuleKey
from lever_imocha.errors import StillOpenError
from lever_imocha.ledger.alerts import AlertLog, Incident
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import metadata
from lever_imocha.ledger.values import Effect, NewDelivery, NewEntry, Work
from lever_imocha.ledger.worker_locks import lock_worker
from lever_imocha.workflows.temporary_tags import mark_off, remember, temporary_tags
from sqlalchemy import Connection, create_engine, event, func, select, text

from tests.ledger.conftest import NOW, Clock
from tests.support import end_session, event_kinds

DAY = timedelta(days=1)
YEAR = 365 * DAY
RULE = RuleKey(trigger_stage_id="trigger", completed_stage_id="done", form_template="t")
BIG = 1000


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Ledger:
    return Ledger(engine=engine_for(ledger_url), clock=clock)


def arrival(opportunity_id: str, *, at: datetime = NOW, eligibility: str = "tests [1]") -> NewEntry:
    return NewEntry(
        opportunity_id=opportunity_id, stage_id="trigger", entered_at=at, eligibility=eligibility, name="Ann Example",
        facts=ArrivalFacts(posting_ids=(f"posting of {opportunity_id}",), origin="referred"),
    )  # fmt: skip


def invite(ledger: Ledger, opportunity_id: str, number: int, *, at: datetime = NOW) -> int:
    """A candidate with an open invitation and no work to do."""
    ledger.entries.record([arrival(opportunity_id, at=at)], seen_by="sweep")
    (entry,) = ledger.entries.pending(opportunity_id)
    item = ledger.queue.claim(opportunity_id, [Work.INVITE], worker="w")[Work.INVITE]
    assessment = ledger.assessments.intend(1, item, entry_id=entry.id, rule_key=RULE)
    ledger.mails.take(opportunity_id, None, 1, per_hour=None)
    ledger.invitations.record(
        assessment, invitation_id=number, test_id=1, status=AttemptStatus.PENDING, entry_id=entry.id
    )
    ledger.events.record("invited", opportunity_id=opportunity_id, invitation_id=number, test_id=1)
    ledger.entries.decide(entry.id, decision=Action.INVITE)
    ledger.queue.finish(item)
    return assessment


def write(ledger: Ledger, opportunity_id: str, number: int) -> None:
    """Their attempt has ended, was called back, and its report is in Lever."""
    ledger.deliveries.record(NewDelivery(vendor="imocha", key=f"c{number}", event="complete", invitation_id=number))
    ledger.deliveries.record(
        NewDelivery(vendor="lever", key=f"d{number}", event="x", opportunity_id=opportunity_id, handled=True)
    )
    ledger.invitations.set_status({number: AttemptStatus.COMPLETE})
    item = ledger.queue.claim(opportunity_id, [Work.WRITE_BACK], worker="w")[Work.WRITE_BACK]
    effect = Effect.of_invitation(opportunity_id, number, "form")
    ledger.effects.start(effect, item)
    ledger.effects.finish(effect, vendor_id="form-1")
    ledger.assessments.mark_written([known.id for known in ledger.assessments.of(opportunity_id)])
    ledger.queue.finish(item)


def rows(ledger: Ledger) -> dict[str, int]:
    with ledger.transaction() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def mentions(ledger: Ledger, word: str) -> list[str]:
    """The tables with a row that carries a word, in whatever column."""
    with ledger.transaction() as connection:
        return [
            table.name
            for table in metadata.sorted_tables
            if word in str([tuple(row) for row in connection.execute(select(table))])
        ]


def test_forgetting_one_leaves_nothing_of_them_and_everything_of_others(ledger: Ledger, ledger_url: str) -> None:
    for number, key in enumerate(("ann-1", "ben-2"), start=70001):
        invite(ledger, key, number)
        write(ledger, key, number)
    AlertLog(engine=engine_for(ledger_url)).claim(
        [
            Incident(key=f"limits {number}", source="s", about=f"parked invite {key} x")
            for number, key in enumerate(("ann-1", "ben-2"))
        ]
    )
    ledger.cache.put("tags", {"opportunity_id": "ann-1"})
    assert mentions(ledger, "posting of ann-1") == ["events", "stage_entries"]
    everything = rows(ledger)
    seen = ledger.restore.last_event()
    expected = {
        "alerts": 1, "assessment_invitations": 1, "assessments": 1, "deliveries": 2, "effects": 1, "event_chains": 2, "events": 4,
        "invitations": 1, "mails": 1, "opportunities": 1, "reference": 1, "stage_entries": 1,
    }  # fmt: skip
    before = rows(ledger)
    assert ledger.erasure.forget("ann-1", dry_run=True) == expected
    assert rows(ledger) == before
    assert ledger.erasure.forget("ann-1") == expected
    assert mentions(ledger, "ann-1") == []
    assert mentions(ledger, "70001") == []
    left = rows(ledger)
    assert {name: everything[name] - left[name] for name in expected if name not in ("events", "reference")} == {
        name: count for name, count in expected.items() if name not in ("events", "reference")
    }
    assert len(ledger.assessments.of("ben-2")) == 1
    assert ledger.restore.is_same_history(seen), "a ledger that forgets somebody is not a restored backup"
    assert ledger.erasure.forget("ann-1") == {}
    everybody = rows(ledger)
    assert [ledger.erasure.forget(wrong) for wrong in ("nobody", "", "n", "%%%%%%")] == [{}] * 4
    assert rows(ledger) == everybody


def test_who_was_forgotten_is_not_recorded_for_the_same_arrival(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "ann-1", 70001)
    write(ledger, "ann-1", 70001)
    ledger.erasure.forget("ann-1")
    clock.now += DAY
    ledger.entries.record([arrival("ann-1", eligibility="tests [1, 2]")], seen_by="sweep")
    assert ledger.entries.record_read(arrival("ann-1")) == []
    assert mentions(ledger, "ann-1") == []
    assert ledger.queue.listed() == []
    again = arrival("ann-1", at=clock.now)
    assert len(ledger.entries.record_read(again)) == 1, "a new arrival is news"


@pytest.mark.parametrize(
    ("open_it", "why"),
    [
        (lambda ledger: invite(ledger, "ann-1", 1), "its invitation at iMocha is open"),
        (lambda ledger: ended(ledger), "its report is not in Lever yet"),
        (lambda ledger: to_mask(ledger), "it is not masked at iMocha yet"),
        (lambda ledger: ask(ledger), "what somebody asked for on the console is not done yet"),
    ],
)
def test_who_is_open_is_forgotten_only_when_somebody_insists(
    ledger: Ledger, open_it: Callable[[Ledger], object], why: str
) -> None:
    open_it(ledger)
    with pytest.raises(StillOpenError, match=why):
        ledger.erasure.forget("ann-1")
    assert ledger.erasure.forget("ann-1", even_if_open=True) != {}
    assert mentions(ledger, "ann-1") == []


def ended(ledger: Ledger) -> None:
    invite(ledger, "ann-1", 1)
    ledger.invitations.set_status({1: AttemptStatus.COMPLETE})


def to_mask(ledger: Ledger) -> None:
    invite(ledger, "ann-1", 1)
    ledger.invitations.set_status({1: AttemptStatus.CANCELLED})
    ledger.queue.enqueue_later("ann-1", Work.MASK, not_before=NOW + DAY)


def ask(ledger: Ledger) -> None:
    ledger.requests.add(Act.LOOK_AGAIN, {"ann-1": "as it was"}, reason="r", actor="a")


@pytest.mark.parametrize("are_off", [False, True])
def test_nobody_is_forgotten_who_carries_the_tags_of_a_tag_sync(ledger: Ledger, are_off: bool) -> None:
    ledger.entries.record([arrival("ann-1")], seen_by="sweep")
    remember(ledger, "ann-1", ["iMocha: A [1]"])
    found = temporary_tags(ledger)
    assert found is not None
    if are_off:
        mark_off(ledger, found)
        assert ledger.erasure.forget("ann-1", even_if_open=True)["reference"] == 1
        return
    with pytest.raises(StillOpenError, match="a tag sync has put tags on it; run lever_imocha_sync_tags to its end"):
        ledger.erasure.forget("ann-1", even_if_open=True)
    assert temporary_tags(ledger) == found
    ledger.erasure.forget("ben-2", even_if_open=True)


def test_nobody_is_forgotten_while_a_worker_is_at_it(ledger: Ledger, ledger_url: str) -> None:
    engine = engine_for(ledger_url)
    lock = lock_worker(engine, "living")
    ledger.entries.record([arrival("ann-1")], seen_by="sweep")
    ledger.queue.claim("ann-1", [Work.INVITE], worker="living")
    with pytest.raises(StillOpenError, match="a worker is at it"):
        ledger.erasure.forget("ann-1", even_if_open=True)
    end_session(lock, engine)
    assert ledger.erasure.forget("ann-1") == {"opportunities": 1, "stage_entries": 1, "work_items": 1}


def test_an_invitation_that_another_opportunity_shares_stays_with_it(ledger: Ledger) -> None:
    for key in ("ann-1", "ann-2"):
        invite(ledger, key, 70001)
    ledger.invitations.set_status({70001: AttemptStatus.CANCELLED})
    assert "invitations" not in ledger.erasure.forget("ann-1")
    assert ledger.invitations.status(70001) is AttemptStatus.CANCELLED
    assert ledger.erasure.forget("ann-2")["invitations"] == 1


def test_people_go_when_all_is_over_and_they_were_not_seen_for_long(ledger: Ledger, clock: Clock) -> None:
    for number, key in enumerate(("over", "open", "unwritten", "parked", "undecided", "lately", "asked"), start=1):
        if key == "undecided":
            ledger.entries.record([arrival(key)], seen_by="sweep")
        else:
            invite(ledger, key, number)
        if key in ("over", "parked", "lately", "asked"):
            write(ledger, key, number)
    ledger.invitations.set_status({3: AttemptStatus.COMPLETE})
    ledger.requests.add(Act.LOOK_AGAIN, {"asked": "as it was"}, reason="r", actor="a")
    ledger.queue.enqueue(["parked"], Work.STATUS)
    item = ledger.queue.claim("parked", [Work.STATUS], worker="w")[Work.STATUS]
    ledger.queue.put_off(item, error="NotPermittedError", not_before=None)
    assert ledger.erasure.remove_people(before=NOW, limit=BIG) == 0
    clock.now += YEAR
    ledger.entries.record([arrival("lately")], seen_by="sweep")
    assert ledger.erasure.remove_people(before=NOW + 30 * DAY, limit=BIG) == 1
    assert mentions(ledger, "'over'") == []
    assert rows(ledger)["invitations"] == 5
    assert ledger.opportunities.stored_of(["open", "unwritten", "parked", "lately"]) == {
        "open",
        "unwritten",
        "parked",
        "lately",
    }


def test_who_was_removed_is_not_recorded_for_the_same_arrival_and_others_are(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "ann-1", 1, at=NOW - DAY)
    write(ledger, "ann-1", 1)
    ledger.entries.record([arrival("known", at=NOW - 2 * DAY)], seen_by="sweep")
    clock.now += YEAR
    assert ledger.erasure.remove_people(before=NOW + 30 * DAY, limit=BIG) == 1
    ledger.entries.record([arrival("ann-1", at=NOW - DAY)], seen_by="sweep")
    assert mentions(ledger, "ann-1") == []
    ledger.entries.record([arrival("known", at=NOW - 2 * DAY, eligibility="tests [2]")], seen_by="sweep")
    assert len(ledger.entries.pending("known")) == 1
    ledger.entries.record([arrival("ann-1", at=clock.now)], seen_by="sweep")
    assert len(ledger.entries.pending("ann-1")) == 1


def test_a_hash_is_not_kept_for_longer_than_it_is_needed(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "ann-1", 1)
    write(ledger, "ann-1", 1)
    ledger.erasure.forget("ann-1")
    clock.now += DAY
    invite(ledger, "ben-2", 2, at=NOW + DAY)
    write(ledger, "ben-2", 2)
    clock.now += YEAR
    assert rows(ledger)["forgotten"] == 1
    assert ledger.erasure.remove_people(before=NOW + 30 * DAY, limit=BIG) == 1
    assert rows(ledger)["forgotten"] == 0
    ledger.entries.record([arrival("ann-1")], seen_by="sweep")
    assert ledger.entries.pending("ann-1") == []


def test_names_go_first_and_stay_while_something_is_open(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "done", 1)
    write(ledger, "done", 1)
    invite(ledger, "open", 2)
    clock.now += YEAR
    assert ledger.erasure.erase_names(before=NOW, limit=BIG) == 0
    assert ledger.erasure.erase_names(before=NOW + DAY, limit=BIG) == 1
    assert mentions(ledger, "Ann Example") == ["opportunities"]
    assert ledger.opportunities.stored_of(["done"]) == {"done"}, "a deletion in Lever is still noticed"
    ledger.entries.record([arrival("done")], seen_by="sweep")
    assert ledger.erasure.erase_names(before=NOW + DAY, limit=BIG) == 0, "seen again in the stage"


def test_the_timeline_goes_in_batches_but_for_its_end_and_what_is_open(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "open", 1)
    for _ in range(5):
        ledger.events.record("x", opportunity_id="done")
    clock.now += YEAR
    seen = ledger.restore.last_event()
    assert [ledger.erasure.remove_events(before=NOW + DAY, limit=3) for _ in range(3)] == [3, 1, 0]
    assert event_kinds(ledger, "done") == ["x"]
    assert event_kinds(ledger, "open") == ["invited", "decided"]
    assert ledger.restore.is_same_history(seen)


def test_counts_of_refused_deliveries_go_with_the_deliveries_of_their_time(ledger: Ledger, clock: Clock) -> None:
    ledger.deliveries.count_refused("lever", "bad signature", 5)
    clock.now += DAY
    ledger.deliveries.count_refused("lever", "bad signature", 2)
    ledger.erasure.remove_deliveries(before=NOW + DAY, limit=BIG)
    assert [row.count for row in ledger.traffic.seen(since=NOW).refused] == [2]


def test_an_alert_that_was_sent_long_ago_may_be_sent_again(ledger: Ledger, ledger_url: str, clock: Clock) -> None:
    log = AlertLog(engine=engine_for(ledger_url), clock=clock)
    assert log.claim([Incident(key="a", source="s", about="a")]) == {"a"}
    assert ledger.erasure.remove_alerts(before=NOW, limit=BIG) == 0
    assert ledger.erasure.remove_alerts(before=NOW + DAY, limit=BIG) == 1
    assert log.claim([Incident(key="a", source="s", about="a")]) == {"a"}


def blocked(ledger: Ledger, by: int) -> bool:
    """Tell whether a session waits for another one."""
    query = text("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE :by = ANY(pg_blocking_pids(pid)))")
    with ledger.transaction() as connection:
        return bool(connection.execute(query, {"by": by}).scalar())


def wait_until_blocked(ledger: Ledger, by: int, other: Future[Any]) -> None:
    """Wait until a session is waited for, or the other is done without waiting."""
    while not other.done() and not blocked(ledger, by):
        pass


def old_and_over(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "ann-1", 1, at=NOW - DAY)
    write(ledger, "ann-1", 1)
    clock.now += YEAR


def pid_of(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


@pytest.mark.parametrize("how", ["removed", "forgotten"])
def test_a_sweep_that_sees_somebody_who_is_being_removed_does_not_record_them_anew(
    ledger: Ledger, ledger_url: str, clock: Clock, how: str
) -> None:
    old_and_over(ledger, clock)
    engine = create_engine(engine_for(ledger_url).url)
    sweep = Ledger(engine=engine, clock=clock)
    seen = arrival("ann-1", at=NOW - DAY, eligibility="tests [1, 2]")
    with ThreadPoolExecutor() as threads:
        with ledger.transaction() as connection:
            if how == "removed":
                assert ledger.erasure.remove_people(before=NOW + 30 * DAY, limit=BIG) == 1
            else:
                assert ledger.erasure.forget("ann-1")
            recorded = threads.submit(sweep.entries.record, [seen], seen_by="sweep")
            wait_until_blocked(Ledger(engine=engine), pid_of(connection), recorded)
        recorded.result(timeout=10)
    assert ledger.queue.listed() == []
    assert mentions(ledger, "ann-1") == []


def test_who_is_seen_at_this_moment_is_kept_and_neither_fails(ledger: Ledger, ledger_url: str, clock: Clock) -> None:
    old_and_over(ledger, clock)
    engine = create_engine(engine_for(ledger_url).url)
    other = Ledger(engine=create_engine(engine.url), clock=clock)
    removed: list[Future[int]] = []
    with ThreadPoolExecutor() as threads:

        def remove_meanwhile(_connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
            if "INSERT INTO lever_imocha.opportunities" in statement and not removed:
                removed.append(threads.submit(other.erasure.remove_people, before=NOW + 30 * DAY, limit=BIG))
                wait_until_blocked(ledger, cursor.connection.info.backend_pid, removed[0])

        event.listen(engine, "before_cursor_execute", remove_meanwhile)
        Ledger(engine=engine, clock=clock).entries.record([arrival("ann-1", at=NOW - DAY)], seen_by="sweep")
        assert removed[0].result(timeout=10) == 0
    assert len(ledger.assessments.of("ann-1")) == 1
