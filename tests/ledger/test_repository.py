"""Claims, leases and records, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.rules import RuleKey
from lever_imocha.errors import ClaimLostError, LedgerError
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import assessments, opportunities
from lever_imocha.ledger.values import NewDelivery, NewEntry
from lever_imocha.ledger.worker_locks import WorkerLock, lock_worker
from sqlalchemy import Table, text, update

from dev import postgres

ENTERED = datetime(2026, 7, 2, tzinfo=UTC)
A_WHILE = timedelta(minutes=10)

RULE = RuleKey(trigger_stage_id="lead-new", completed_stage_id="done", form_template="t")


def arrival(opportunity_id: str = "op", *, eligibility: str = "tests [1]") -> NewEntry:
    return NewEntry(opportunity_id=opportunity_id, stage_id="lead-new", entered_at=ENTERED, eligibility=eligibility)


def invited(ledger: Ledger, *, invitation_id: int = 7, status: str = "pending", opportunity_id: str = "op") -> int:
    ledger.entries.record([arrival(opportunity_id)], seen_by="sweep")
    (entry,) = ledger.entries.pending(opportunity_id)
    ledger.claim(opportunity_id, worker="inviter")
    assessment_id = ledger.assessments.intend(opportunity_id, 1, entry_id=entry.id, rule_key=RULE, worker="inviter")
    ledger.release(opportunity_id, worker="inviter")
    ledger.invitations.record(
        assessment_id, invitation_id=invitation_id, test_id=1, status=status, entry_id=entry.id, refreshed=False
    )
    return assessment_id


def test_an_arrival_is_recorded_once_and_pending_again_when_its_basis_changes(ledger: Ledger) -> None:
    ledger.entries.record([arrival(), arrival("other")], seen_by="sweep")
    ledger.entries.record([arrival()], seen_by="webhook")
    (entry,) = ledger.entries.pending("op")
    ledger.entries.decide(entry.id, decision=Action.HOLD, reason=Reason.NO_EMAIL)
    ledger.entries.record([arrival()], seen_by="sweep")
    assert ledger.waiting() == ["other"]
    ledger.entries.record([arrival(eligibility="tests [1, 2]")], seen_by="sweep")
    assert set(ledger.waiting()) == {"op", "other"}


@pytest.fixture
def at_work(ledger_url: str) -> Iterator[None]:
    """Workers a, b and c are alive."""
    with ExitStack() as stack:
        for worker in "abc":
            stack.enter_context(lock_worker(engine_for(ledger_url), worker))
        yield


def test_a_claim_lasts_as_long_as_its_worker_lives(ledger_url: str) -> None:
    now = [ENTERED]
    ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: now[0])
    ledger.entries.record([arrival()], seen_by="sweep")
    with lock_worker(engine_for(ledger_url), "a"):
        assert ledger.claim("op", worker="a")
        now[0] += timedelta(days=1)
        assert not ledger.claim("op", worker="b")
        assert ledger.waiting() == []
        ledger.release("op", worker="b", reason="not mine")
        assert not ledger.claim("op", worker="b")
        ledger.release("op", worker="a")
    assert ledger.claim("op", worker="b")


def test_only_the_holder_of_a_claim_may_start_a_step_or_an_invitation(ledger: Ledger) -> None:
    invited(ledger, status="complete")
    assert ledger.claim_write_back("op", worker="a")
    assert ledger.claim_write_back("op", worker="b"), "a is dead: it holds no lock"
    with pytest.raises(ClaimLostError):
        ledger.start_step(7, "op", "form", worker="a")
    assert ledger.step(7, "op", "form") is None
    with pytest.raises(ClaimLostError):
        ledger.check_write_back_claim("op", worker="a")
    ledger.start_step(7, "op", "form", worker="b")
    ledger.check_write_back_claim("op", worker="b")
    (known,) = ledger.assessments.of("op")
    assert ledger.claim("op", worker="b")
    with pytest.raises(ClaimLostError):
        ledger.assessments.intend("op", 1, entry_id=known.entry_id, rule_key=RULE, worker="a")
    assert ledger.assessments.intend("op", 1, entry_id=known.entry_id, rule_key=RULE, worker="b") == known.id


@pytest.mark.parametrize("table", [assessments, opportunities], ids=lambda table: str(table.name))
def test_a_claim_that_is_being_taken_over_is_waited_for(ledger: Ledger, ledger_url: str, table: Table) -> None:
    """What is started then is either seen by the new holder, or not started."""
    invited(ledger, status="complete")
    (known,) = ledger.assessments.of("op")
    assert ledger.claim_write_back("op", worker="a")
    assert ledger.claim("op", worker="a")

    def start() -> None:
        if table is assessments:
            ledger.start_step(7, "op", "form", worker="a")
        else:
            ledger.assessments.intend("op", 1, entry_id=known.entry_id, rule_key=RULE, worker="a")

    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with engine_for(ledger_url).begin() as taking_over:
            taking_over.execute(update(table).values(claimed_by="b"))
            started = pool.submit(start)
            while not started.done() and not taking_over.execute(blocked).scalar_one():
                taking_over.execute(text("SELECT pg_stat_clear_snapshot()"))
        with pytest.raises(ClaimLostError):
            started.result()
    assert ledger.step(7, "op", "form") is None


def test_failed_work_waits_its_time_unless_it_is_ordered(ledger: Ledger) -> None:
    ledger.entries.record([arrival()], seen_by="sweep")
    assert ledger.claim("op", worker="a")
    ledger.release("op", worker="a", reason="VendorDownError", not_before=datetime.now(UTC) + A_WHILE)
    assert ledger.waiting() == []
    assert ledger.tries("op") == 1
    assert ledger.claim("op", worker="a")
    ledger.release("op", worker="a")
    assert ledger.tries("op") == 0


def test_a_delivery_is_kept_once_and_waits_until_it_is_handled(ledger: Ledger) -> None:
    told = NewDelivery(vendor="lever", key="t", event="candidateStageChange", opportunity_id="op")
    assert ledger.deliveries.record(told)
    assert not ledger.deliveries.record(told)
    assert ledger.deliveries.record(NewDelivery(vendor="lever", key="u", event="x", opportunity_id="b", handled=True))
    called = NewDelivery(vendor="imocha", key="t", event="complete", invitation_id=7)
    assert not ledger.deliveries.record(called), "the invitation is not ours"
    invited(ledger, opportunity_id="other")
    ledger.entries.decide(ledger.entries.pending("other")[0].id, decision=Action.INVITE)
    assert ledger.deliveries.record(called)
    assert ledger.waiting(deliveries_only=True) == ["op"]
    (number,) = ledger.deliveries_of("op")
    assert list(ledger.callbacks().values()) == [7]
    ledger.handle_deliveries([number, *ledger.callbacks()])
    assert ledger.waiting() == []
    assert ledger.callbacks() == {}
    ledger.deliveries.forget(older_than=timedelta(days=1))
    assert not ledger.deliveries.record(told)
    ledger.deliveries.forget(older_than=timedelta(seconds=-1))
    assert ledger.deliveries.record(told)


def test_the_claims_of_a_dead_worker_come_free_at_once(ledger: Ledger, ledger_url: str) -> None:
    invited(ledger, status="complete")
    with lock_worker(engine_for(ledger_url), "a"):
        assert ledger.claim("op", worker="a")
        assert ledger.claim_write_back("op", worker="a")
        assert not ledger.claim("op", worker="b")
        assert ledger.claim_write_back("op", worker="b") == []
        assert ledger.waiting() == ledger.due_write_backs() == []
    assert ledger.waiting() == ledger.due_write_backs() == ["op"]
    assert ledger.claim("op", worker="b")
    assert ledger.claim_write_back("op", worker="b")


_alive: list[object] = []


def _claim_all(url: str, worker: str) -> list[str]:
    ledger = Ledger(engine=engine_for(url))
    _alive.append(lock_worker(engine_for(url), worker))
    return [key for key in ledger.waiting() if ledger.claim(key, worker=worker)]


def test_several_processes_claim_each_opportunity_once(ledger: Ledger, ledger_url: str) -> None:
    ledger.entries.record([arrival(f"op{n}") for n in range(50)], seen_by="sweep")
    waiting = ledger.waiting()
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        claimed = [key for part in pool.map(_claim_all, [ledger_url] * 4, "abcd") for key in part]
    assert len(waiting) == 50
    assert sorted(claimed) == sorted(waiting)


@pytest.mark.usefixtures("at_work")
def test_an_ended_attempt_stays_ended_and_is_due(ledger: Ledger) -> None:
    invited(ledger)
    assert ledger.due_write_backs() == []
    assert ledger.invitations.set_status({7: "complete", 99: "complete"}) == [7]
    assert ledger.invitations.set_status({7: "expired"}) == []
    assert ledger.due_write_backs() == ["op"]
    (mine,) = ledger.claim_write_back("op", worker="a")
    assert mine.invitation_id == 7
    assert ledger.claim_write_back("op", worker="b") == []
    ledger.finish_write_back(mine.id)
    assert ledger.due_write_backs() == []


def test_two_opportunities_share_an_invitation_and_both_get_the_result(ledger: Ledger) -> None:
    invited(ledger)
    invited(ledger, opportunity_id="twin")
    ledger.invitations.set_status({7: "complete"})
    assert ledger.due_write_backs() == ["op", "twin"]


def test_a_postponed_write_back_waits(ledger: Ledger) -> None:
    invited(ledger, status="complete")
    (mine,) = ledger.claim_write_back("op", worker="a")
    ledger.release_write_back(mine.id, worker="a", reason="report not final", not_before=datetime.now(UTC) + A_WHILE)
    assert ledger.due_write_backs() == []


def test_steps_events_reference_and_watermarks(ledger: Ledger) -> None:
    invited(ledger, status="complete")
    assert ledger.claim_write_back("op", worker="a")
    assert ledger.step(7, "op", "form") is None
    ledger.start_step(7, "op", "form", worker="a")
    ledger.start_step(7, "op", "form", worker="a")
    ledger.finish_step(7, "op", "form", vendor_id="f1")
    step = ledger.step(7, "op", "form")
    assert step is not None
    assert step.done_at is not None
    assert step.vendor_id == "f1"
    ledger.events.record("invited", opportunity_id="op", invitation_id=7)
    assert ledger.events.kinds("op") == ["form_done", "invited"]
    ledger.cache.put("k", {"a": 1})
    ledger.cache.put("k", {"a": 2})
    assert ledger.cache.get("k") == {"a": 2}
    ledger.watermarks.put("w", ENTERED)
    assert ledger.watermarks.get("w") == ENTERED
    invited(ledger, invitation_id=8, opportunity_id="other")
    assert ledger.invitations.to_check(older_than=A_WHILE, limit=5) == [8]
    ledger.invitations.mark_checked(8)
    assert ledger.invitations.to_check(older_than=A_WHILE, limit=5) == []


def test_a_worker_whose_connection_was_cut_counts_as_alive_again_before_it_claims(
    ledger: Ledger, ledger_url: str, postgres_url: str
) -> None:
    ledger.entries.record([arrival()], seen_by="sweep")
    attendance = WorkerLock(engine_for(ledger_url), "a")
    mine = Ledger(engine=engine_for(ledger_url), lock_worker=attendance.renew)
    postgres.disconnect(postgres_url, str(engine_for(ledger_url).url.database))
    with pytest.raises(LedgerError):
        mine.claim("op", worker="a")
    assert mine.claim("op", worker="a")
    assert not ledger.claim("op", worker="b")
