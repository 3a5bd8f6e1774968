"""The parts of the ledger, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from lever_imocha.domain.decisions import Action, OverLimit, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import ResolvedRule, RuleKey
from lever_imocha.domain.settings_versions import Asks
from lever_imocha.domain.tags import TagScheme
from lever_imocha.errors import ClaimLostError, LedgerError, Retry
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import work_items
from lever_imocha.ledger.values import CANDIDATE_WORK, Effect, NewDelivery, NewEntry, Work, WorkItem
from lever_imocha.ledger.worker_locks import WorkerLock, is_running, lock_worker
from sqlalchemy import literal, select, text, update

from dev import postgres
from tests.support import end_session, event_kinds

ENTERED = datetime(2026, 7, 2, tzinfo=UTC)
A_WHILE = timedelta(minutes=10)

RULE = RuleKey(trigger_stage_id="lead-new", completed_stage_id="done", form_template="t")
FORM = Effect.of_invitation("op", 7, "form")


def arrival(opportunity_id: str = "op", *, eligibility: str = "tests [1]") -> NewEntry:
    return NewEntry(opportunity_id=opportunity_id, stage_id="lead-new", entered_at=ENTERED, eligibility=eligibility)


def due(ledger: Ledger, *kinds: Work) -> list[str]:
    return ledger.queue.due(kinds or CANDIDATE_WORK)


def claim(ledger: Ledger, kind: Work = Work.INVITE, *, worker: str = "a", force: bool = False) -> WorkItem | None:
    return ledger.queue.claim("op", [kind], worker=worker, force=force).get(kind)


def claimed(ledger: Ledger, kind: Work = Work.INVITE, *, worker: str = "a") -> WorkItem:
    item = claim(ledger, kind, worker=worker, force=True)
    assert item is not None
    return item


def invited(
    ledger: Ledger,
    *,
    invitation_id: int = 7,
    status: AttemptStatus = AttemptStatus.PENDING,
    opportunity_id: str = "op",
) -> int:
    ledger.entries.record([arrival(opportunity_id)], seen_by="sweep")
    (entry,) = ledger.entries.pending(opportunity_id)
    item = ledger.queue.claim(opportunity_id, [Work.INVITE], worker="inviter")[Work.INVITE]
    assessment_id = ledger.assessments.intend(1, item, entry_id=entry.id, rule_key=RULE)
    ledger.invitations.record(assessment_id, invitation_id=invitation_id, test_id=1, status=status, entry_id=entry.id)
    ledger.entries.decide(entry.id, decision=Action.INVITE)
    ledger.queue.finish(item)
    return assessment_id


def test_an_arrival_is_recorded_once_and_pending_again_when_its_basis_changes(ledger: Ledger) -> None:
    ledger.entries.record([arrival(), arrival("other")], seen_by="sweep")
    ledger.entries.record([arrival()], seen_by="webhook")
    (entry,) = ledger.entries.pending("op")
    ledger.entries.decide(entry.id, decision=Action.HOLD, reason=Reason.NO_EMAIL)
    ledger.queue.finish(claimed(ledger))
    ledger.entries.record([arrival()], seen_by="sweep")
    assert due(ledger) == ["other"]
    ledger.entries.record([arrival(eligibility="tests [1, 2]")], seen_by="sweep")
    assert due(ledger) == ["other", "op"], "longest waiting first"
    (again,) = ledger.entries.pending("op")
    assert (again.decision, again.reason) == (Action.HOLD, Reason.NO_EMAIL)


@pytest.mark.parametrize("asked", ["release", "send again", "another address"])
def test_what_comes_while_a_worker_decides_is_decided_about_after(ledger: Ledger, asked: str) -> None:
    invited(ledger)
    ledger.entries.record([arrival(eligibility="no e-mail address")], seen_by="sweep")
    (entry,) = ledger.entries.pending("op")
    ledger.entries.decide(entry.id, decision=Action.HOLD, reason=Reason.PER_CANDIDATE)
    ledger.entries.record([arrival()], seen_by="sweep")
    item = claimed(ledger)
    (read,) = ledger.entries.pending("op")
    if asked == "release":
        assert ledger.entries.settle_held(OverLimit.RELEASE, [Reason.PER_CANDIDATE]) == 1
    elif asked == "send again":
        assert ledger.assessments.send_again("op")
    else:
        ledger.assessments.reopen(7, left="other")
    ledger.entries.decide(read.id, decision=Action.HOLD, reason=Reason.PER_CANDIDATE, pending_since=read.pending_since)
    ledger.queue.finish(item)
    assert due(ledger) == ["op"]
    (again,) = ledger.entries.pending("op")
    assert again.over_limit is (OverLimit.RELEASE if asked == "release" else None)
    ledger.entries.decide(again.id, decision=Action.INVITE, pending_since=again.pending_since)
    assert ledger.entries.pending("op") == []


@pytest.fixture
def alive(ledger_url: str) -> Iterator[None]:
    """Workers a and b are alive."""
    with ExitStack() as stack:
        for worker in "ab":
            stack.enter_context(lock_worker(engine_for(ledger_url), worker))
        yield


@contextmanager
def living(ledger_url: str, worker: str) -> Iterator[None]:
    """A worker that is alive inside, and dead after."""
    engine = engine_for(ledger_url)
    lock = lock_worker(engine, worker)
    yield
    end_session(lock, engine)


def test_a_claim_lasts_as_long_as_its_worker_lives(ledger_url: str) -> None:
    now = [ENTERED]
    ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: now[0])
    ledger.entries.record([arrival()], seen_by="sweep")
    with living(ledger_url, "a"):
        assert claim(ledger)
        now[0] += timedelta(days=1)
        assert not claim(ledger, worker="b", force=True)
        assert due(ledger) == []
    assert due(ledger) == ["op"]
    assert claim(ledger, worker="b")


def test_what_a_worker_lost_it_can_neither_start_nor_finish(ledger: Ledger) -> None:
    invited(ledger, status=AttemptStatus.COMPLETE)
    (known,) = ledger.assessments.of("op")
    lost, held = claimed(ledger, Work.WRITE_BACK), claimed(ledger, Work.WRITE_BACK, worker="b")
    with pytest.raises(ClaimLostError):
        ledger.effects.start(FORM, lost)
    assert ledger.effects.state(FORM) is None
    with pytest.raises(ClaimLostError):
        ledger.queue.check_claim(lost)
    with pytest.raises(ClaimLostError):
        ledger.assessments.intend(1, lost, entry_id=known.entry_id, rule_key=RULE)
    for give_back in (
        lambda: ledger.queue.finish(lost),
        lambda: ledger.queue.release(lost),
        lambda: ledger.queue.put_off(lost, error="x", not_before=None),
    ):
        give_back()
        ledger.queue.check_claim(held)
    ledger.effects.start(FORM, held)
    assert ledger.assessments.intend(1, held, entry_id=known.entry_id, rule_key=RULE) == known.id


@pytest.mark.parametrize("start", ["effect", "invitation"])
def test_a_claim_that_is_being_taken_over_is_waited_for(ledger: Ledger, ledger_url: str, start: str) -> None:
    """What is started then is either seen by the new holder, or not started."""
    invited(ledger, status=AttemptStatus.COMPLETE)
    (known,) = ledger.assessments.of("op")
    item = claimed(ledger, Work.WRITE_BACK)

    def begin() -> None:
        if start == "effect":
            ledger.effects.start(FORM, item)
        else:
            ledger.assessments.intend(1, item, entry_id=known.entry_id, rule_key=RULE)

    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with engine_for(ledger_url).begin() as taking_over:
            taking_over.execute(update(work_items).values(claimed_by="b"))
            started = pool.submit(begin)
            while not started.done() and not taking_over.execute(blocked).scalar_one():
                taking_over.execute(text("SELECT pg_stat_clear_snapshot()"))
        with pytest.raises(ClaimLostError):
            started.result()
    assert ledger.effects.state(FORM) is None


def test_two_sweeps_that_see_the_same_in_another_order_lock_in_one_order(ledger: Ledger, ledger_url: str) -> None:
    """Else each could wait for the other."""
    ledger.entries.record([arrival("a"), arrival("b")], seen_by="sweep")
    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    lock = "SELECT FROM lever_imocha.stage_entries WHERE opportunity_id = :key FOR UPDATE NOWAIT"
    with ThreadPoolExecutor(1) as pool:
        with engine_for(ledger_url).begin() as other:
            other.execute(text(lock), {"key": "a"})
            recorded = pool.submit(ledger.entries.record, [arrival("b"), arrival("a")], seen_by="sweep")
            while not recorded.done() and not other.execute(blocked).scalar_one():
                other.execute(text("SELECT pg_stat_clear_snapshot()"))
            other.execute(text(lock), {"key": "b"})
        recorded.result()


@pytest.mark.usefixtures("alive")
def test_what_failed_waits_its_time_unless_a_person_asks_for_it(ledger: Ledger) -> None:
    ledger.entries.record([arrival()], seen_by="sweep")
    later = datetime.now(UTC) + A_WHILE
    ledger.queue.put_off(claimed(ledger), error="VendorDownError", not_before=later)
    assert due(ledger) == []
    assert ledger.queue.due(CANDIDATE_WORK, waiting=True) == ["op"]
    assert not claim(ledger)
    item = claimed(ledger)
    assert (item.tries, item.error) == (1, "VendorDownError")
    ledger.queue.release(item)
    assert due(ledger) == [], "what was given back as it was still waits its time"
    ledger.queue.finish(claimed(ledger))
    assert ledger.queue.due(CANDIDATE_WORK, waiting=True) == []


@pytest.mark.usefixtures("alive")
def test_what_is_parked_waits_for_a_person_or_for_news(ledger: Ledger) -> None:
    ledger.entries.record([arrival()], seen_by="sweep")
    for _ in range(3):
        ledger.queue.put_off(claimed(ledger), error="RequestRejectedError", not_before=None)
    assert ledger.queue.due(CANDIDATE_WORK, waiting=True) == []
    assert not claim(ledger)
    ledger.queue.enqueue(["op"], Work.INVITE, news=False)
    assert not claim(ledger), "that it is still so is no news"
    ledger.queue.enqueue(["op"], Work.INVITE)
    item = claim(ledger)
    assert item is not None
    assert item.tries == 0


@pytest.mark.usefixtures("alive")
def test_news_that_comes_while_a_worker_is_at_it_is_not_lost(ledger: Ledger) -> None:
    for end in ("finish", "put off", "release"):
        ledger.queue.enqueue(["op"], Work.STATUS)
        item = claimed(ledger, Work.STATUS)
        ledger.queue.enqueue(["op"], Work.STATUS, starts_run=True)
        assert due(ledger) == []
        if end == "finish":
            ledger.queue.finish(item)
        elif end == "put off":
            ledger.queue.put_off(item, error="VendorDownError", not_before=None)
        else:
            ledger.queue.release(item)
        assert due(ledger, Work.STATUS) == ["op"], end
        assert ledger.queue.starting_runs([Work.STATUS])
        ledger.queue.finish(claimed(ledger, Work.STATUS))
        assert due(ledger, Work.STATUS) == []


@pytest.mark.usefixtures("alive")
def test_each_kind_of_work_about_an_opportunity_has_a_claim_of_its_own(ledger: Ledger) -> None:
    for kind in Work:
        ledger.queue.enqueue(["op", "op"], kind)
    assert set(ledger.queue.claim("op", CANDIDATE_WORK, worker="a")) == set(CANDIDATE_WORK)
    assert ledger.queue.claim("op", CANDIDATE_WORK, worker="b") == {}
    assert claim(ledger, Work.WRITE_BACK, worker="b")
    assert ledger.queue.enqueue_claimed("op", Work.STATUS, worker="b") == {}, "a does it again"
    assert ledger.queue.enqueue_claimed("other", Work.STATUS, worker="b")


def test_the_newest_work_is_what_a_webhook_brought_last(ledger: Ledger) -> None:
    ledger.queue.enqueue(["swept"], Work.INVITE)
    began = datetime.now(UTC)
    assert ledger.queue.newest(CANDIDATE_WORK, since=began) is None
    for key in "xyz":
        ledger.queue.enqueue([key], Work.INVITE, starts_run=True)
    ledger.queue.enqueue(["swept too"], Work.INVITE)
    assert ledger.queue.newest(CANDIDATE_WORK, since=began) == "z"
    assert ledger.queue.newest([Work.WRITE_BACK], since=began) is None
    assert ledger.queue.newest(CANDIDATE_WORK, since=datetime.now(UTC)) is None


def test_a_delivery_is_kept_once_and_makes_its_work_due(ledger: Ledger) -> None:
    told = NewDelivery(vendor="lever", key="t", event="candidateStageChange", opportunity_id="op")
    assert ledger.deliveries.record(told)
    assert not ledger.deliveries.record(told)
    assert ledger.deliveries.record(NewDelivery(vendor="lever", key="u", event="x", opportunity_id="b", handled=True))
    called = NewDelivery(vendor="imocha", key="t", event="complete", invitation_id=7)
    assert not ledger.deliveries.record(called), "the invitation is not ours"
    invited(ledger, opportunity_id="other")
    assert ledger.deliveries.record(called)
    assert due(ledger) == ["op"]
    assert due(ledger, Work.WRITE_BACK) == ["other"]
    assert ledger.queue.starting_runs([Work.WRITE_BACK])
    (known,) = ledger.assessments.to_write("other")
    ledger.invitations.mark_answered(7, known.called_back_at)
    assert ledger.assessments.to_write("other") == []
    ledger.queue.finish(claimed(ledger))
    now = datetime.now(UTC)
    assert ledger.erasure.remove_deliveries(before=now - timedelta(days=1), limit=100) == 0
    assert not ledger.deliveries.record(told)
    assert due(ledger) == []
    assert ledger.erasure.remove_deliveries(before=now + timedelta(seconds=1), limit=2) == 2
    assert ledger.erasure.remove_deliveries(before=now + timedelta(seconds=1), limit=2) == 1
    assert ledger.deliveries.record(told)


def test_a_callback_that_comes_while_another_is_followed_counts(ledger: Ledger) -> None:
    invited(ledger)
    ledger.deliveries.record(NewDelivery(vendor="imocha", key="1", event="complete", invitation_id=7))
    (known,) = ledger.assessments.to_write("op")
    ledger.deliveries.record(NewDelivery(vendor="imocha", key="2", event="complete", invitation_id=7))
    ledger.invitations.mark_answered(7, known.called_back_at)
    assert [known.id for known in ledger.assessments.to_write("op")] == [known.id]


def test_the_claims_of_a_dead_worker_come_free_at_once(ledger: Ledger, ledger_url: str) -> None:
    ledger.queue.enqueue(["op"], Work.INVITE)
    ledger.queue.enqueue(["op"], Work.WRITE_BACK)
    with living(ledger_url, "a"):
        assert len(ledger.queue.claim("op", list(Work), worker="a")) == 2
        assert ledger.queue.claim("op", list(Work), worker="b") == {}
        assert due(ledger, *Work) == []
    assert due(ledger, *Work) == ["op"]
    assert len(ledger.queue.claim("op", list(Work), worker="b")) == 2


_alive: list[object] = []


def _claim_all(url: str, worker: str) -> list[str]:
    ledger = Ledger(engine=engine_for(url))
    _alive.append(lock_worker(engine_for(url), worker))
    return [key for key in due(ledger) if ledger.queue.claim(key, CANDIDATE_WORK, worker=worker)]


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_claim_each_opportunity_once(ledger: Ledger, ledger_url: str, processes: int) -> None:
    ledger.entries.record([arrival(f"op{n}") for n in range(50)], seen_by="sweep")
    waiting = due(ledger)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        taken = [key for part in pool.map(_claim_all, [ledger_url] * processes, "abcd") for key in part]
    assert len(waiting) == 50
    assert sorted(taken) == sorted(waiting)


def test_an_ended_attempt_stays_ended_and_is_due(ledger: Ledger) -> None:
    assessment_id = invited(ledger)
    assert due(ledger, Work.WRITE_BACK) == []
    assert ledger.invitations.set_status({7: AttemptStatus.COMPLETE, 99: AttemptStatus.COMPLETE}) == [7]
    assert ledger.invitations.set_status({7: AttemptStatus.EXPIRED}) == []
    assert due(ledger, Work.WRITE_BACK) == ["op"]
    (mine,) = ledger.assessments.to_write("op")
    assert (mine.id, mine.invitation_id, mine.status) == (assessment_id, 7, AttemptStatus.COMPLETE)
    ledger.assessments.mark_written([mine.id])
    assert ledger.assessments.to_write("op") == []
    assert event_kinds(ledger, "op") == ["decided"]


def test_two_opportunities_share_an_invitation_and_both_get_the_result(ledger: Ledger) -> None:
    invited(ledger)
    invited(ledger, opportunity_id="twin")
    ledger.invitations.set_status({7: AttemptStatus.COMPLETE})
    assert due(ledger, Work.WRITE_BACK) == ["op", "twin"]
    invited(ledger, opportunity_id="late")
    assert due(ledger, Work.WRITE_BACK) == ["op", "twin", "late"], "who comes to share an ended one gets it, too"


def test_the_report_that_a_worker_writes_is_not_enqueued_again(ledger: Ledger) -> None:
    invited(ledger)
    invited(ledger, opportunity_id="twin")
    ledger.deliveries.record(NewDelivery(vendor="imocha", key="1", event="complete", invitation_id=7))
    item = claimed(ledger, Work.WRITE_BACK)
    ledger.invitations.set_status({7: AttemptStatus.COMPLETE}, written_by=item)
    ledger.queue.finish(item)
    assert due(ledger, Work.WRITE_BACK) == ["twin"]


def test_what_belongs_together_is_recorded_together(ledger: Ledger) -> None:
    def record_and_fail() -> None:
        with ledger.transaction():
            ledger.entries.record([arrival()], seen_by="sweep")
            with ledger.transaction():
                ledger.events.record("invited", opportunity_id="op")
            raise LookupError

    with pytest.raises(LookupError):
        record_and_fail()
    assert event_kinds(ledger, "op") == []
    assert ledger.entries.pending("op") == []
    assert due(ledger) == []


def test_effects_events_cache_and_watermarks(ledger: Ledger) -> None:
    invited(ledger, status=AttemptStatus.COMPLETE)
    item = claimed(ledger, Work.WRITE_BACK)
    assert ledger.effects.state(FORM) is None
    ledger.effects.start(FORM, item)
    ledger.effects.start(FORM, item)
    assert ledger.effects.created_ids("op", "form") == set()
    ledger.effects.finish(FORM, vendor_id="f1")
    state = ledger.effects.state(FORM)
    assert state is not None
    assert state.done_at is not None
    assert state.vendor_id == "f1"
    assert ledger.effects.created_ids("op", "form") == {"f1"}
    ledger.events.record("invited", opportunity_id="op", invitation_id=7)
    assert event_kinds(ledger, "op") == ["decided", "form_done", "invited"]
    ledger.cache.put("k", {"a": 1})
    ledger.cache.put("k", {"a": 2})
    assert ledger.cache.get("k") == {"a": 2}
    ledger.watermarks.put("w", ENTERED)
    assert ledger.watermarks.get("w") == ENTERED
    invited(ledger, invitation_id=8, opportunity_id="other")
    assert ledger.invitations.to_check(older_than=A_WHILE, limit=5) == [8]
    ledger.invitations.mark_checked(8)
    assert ledger.invitations.to_check(older_than=A_WHILE, limit=5) == []


def test_what_a_clock_that_was_ahead_has_kept_is_not_young(ledger_url: str) -> None:
    now = [ENTERED + timedelta(days=1)]
    ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: now[0])
    ledger.cache.put("k", {"a": 1})
    now[0] -= timedelta(minutes=1)  # two machines' clocks differ by a little
    assert ledger.cache.get("k", younger_than=A_WHILE) == {"a": 1}
    now[0] = ENTERED
    assert ledger.cache.get("k", younger_than=A_WHILE) is None


def test_a_worker_whose_connection_was_cut_counts_as_alive_again_before_it_claims(
    ledger: Ledger, ledger_url: str, postgres_url: str
) -> None:
    ledger.entries.record([arrival()], seen_by="sweep")
    lock = WorkerLock(engine_for(ledger_url), "a")
    lock.renew()
    mine = Ledger(engine=engine_for(ledger_url), lock_worker=lock.renew)
    postgres.disconnect(postgres_url, str(engine_for(ledger_url).url.database))
    with pytest.raises(LedgerError):
        claim(mine)
    assert claim(mine)
    assert not claim(ledger, worker="b")


def test_a_worker_that_cannot_reach_the_database_is_tried_again() -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        WorkerLock(engine_for("postgresql://u:secret@127.0.0.1:1/x"), "a").renew()
    assert caught.value.retry is Retry.SOON


def test_a_worker_that_claims_nothing_takes_no_connection_for_its_lock(ledger_url: str) -> None:
    engine = engine_for(ledger_url)
    held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'")
    lock = WorkerLock(engine, "a")
    with engine.connect() as connection:
        before = connection.scalar(held)
        lock.renew()
        lock.renew()
        assert connection.scalar(held) == before + 1


def test_a_worker_s_lock_keeps_to_the_options_of_the_ledger_s_address(ledger_url: str) -> None:
    engine = engine_for(f"{ledger_url}&options=-c%20enable_seqscan%3Doff")
    with lock_worker(engine, "a") as lock:
        assert lock.execute("SHOW enable_seqscan").fetchone() == ("off",)


def test_postgresql_asks_whether_the_machine_of_a_worker_is_still_there(ledger_url: str) -> None:
    asked = "SELECT name FROM pg_settings WHERE name LIKE 'tcp_keepalives%' AND source = 'session'"
    with lock_worker(engine_for(ledger_url), "a") as lock:
        assert len(lock.execute(asked).fetchall()) == 3


def test_a_worker_that_has_not_been_heard_of_for_long_counts_as_dead(ledger_url: str) -> None:
    engine, worker = engine_for(ledger_url), literal("a")
    with lock_worker(engine, "a"), engine.connect() as connection:
        assert connection.scalar(select(is_running(worker)))
        assert not connection.scalar(select(is_running(worker, longest_silence=timedelta(0))))


def test_of_many_versions_of_the_settings_the_first_and_the_last_are_kept(ledger: Ledger) -> None:
    assert ledger.settings_versions.newest() is None
    rule = ResolvedRule(trigger_stage_id="s", completed_stage_id="c", form_template="f")
    added = [
        ledger.settings_versions.add(
            Asks.of([replace(rule, tests=(number,))], TagScheme(prefix="iMocha:", mapping={"A": 1})),
            since=ENTERED + timedelta(days=number),
        )
        for number in range(1, 103)
    ]
    assert ledger.settings_versions.all() == [added[0], *added[2:]]
    assert ledger.settings_versions.newest() == added[-1]


def test_that_settings_ask_nothing_new_is_kept_and_nobody_is_decided_anew(ledger: Ledger) -> None:
    ledger.entries.record([arrival()], seen_by="sweep")
    (entry,) = ledger.entries.pending("op")
    ledger.entries.decide(entry.id, decision=Action.IGNORE, reason=Reason.NO_TAG)
    ledger.queue.finish(ledger.queue.claim("op", [Work.INVITE], worker="w")[Work.INVITE])
    for version, kept in ((7, 7), (None, 7), (8, 8)):
        ledger.entries.record([replace(arrival(), settings_version=version)], seen_by="sweep")
        last = ledger.entries.last("op")
        assert last is not None
        assert (last.settings_version, last.decision, last.decided_at is None) == (kept, Action.IGNORE, False)
    assert ledger.queue.due([Work.INVITE]) == []
