"""Claims, leases and records, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from lever_imocha.errors import LedgerError
from lever_imocha.ledger.database import check_schema, engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA, metadata
from lever_imocha.ledger.values import NewDelivery, NewEntry
from lever_imocha.ledger.worker_locks import WorkerLock, lock_worker

from dev import postgres

ENTERED = datetime(2026, 7, 2, tzinfo=UTC)
LEASE = timedelta(minutes=10)


def arrival(opportunity_id: str = "op", *, eligibility: str = "tests [1]") -> NewEntry:
    return NewEntry(opportunity_id=opportunity_id, stage_id="lead-new", entered_at=ENTERED, eligibility=eligibility)


def invited(ledger: Ledger, *, invitation_id: int = 7, status: str = "pending", opportunity_id: str = "op") -> int:
    ledger.record_entries([arrival(opportunity_id)], seen_by="sweep")
    (entry,) = ledger.pending_entries(opportunity_id)
    assessment_id = ledger.intend(opportunity_id, 1, entry_id=entry.id, rule_key="k")
    ledger.record_invitation(
        assessment_id, invitation_id=invitation_id, test_id=1, status=status, entry_id=entry.id, refreshed=False
    )
    return assessment_id


def test_an_arrival_is_recorded_once_and_pending_again_when_its_basis_changes(ledger: Ledger) -> None:
    ledger.record_entries([arrival(), arrival("other")], seen_by="sweep")
    ledger.record_entries([arrival()], seen_by="webhook")
    (entry,) = ledger.pending_entries("op")
    ledger.decide_entry(entry.id, decision="hold", reason="no e-mail address")
    ledger.record_entries([arrival()], seen_by="sweep")
    assert ledger.waiting() == ["other"]
    ledger.record_entries([arrival(eligibility="tests [1, 2]")], seen_by="sweep")
    assert set(ledger.waiting()) == {"op", "other"}


@pytest.fixture
def at_work(ledger_url: str) -> Iterator[None]:
    """Workers a, b and c are alive."""
    with ExitStack() as stack:
        for worker in "abc":
            stack.enter_context(lock_worker(engine_for(ledger_url), worker))
        yield


@pytest.mark.usefixtures("at_work")
def test_a_claim_is_exclusive_until_its_lease_is_over(ledger_url: str) -> None:
    now = [ENTERED]
    ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: now[0])
    ledger.record_entries([arrival()], seen_by="sweep")
    assert ledger.claim("op", worker="a", lease=LEASE)
    assert not ledger.claim("op", worker="b", lease=LEASE)
    assert ledger.waiting() == []
    now[0] += LEASE + timedelta(seconds=1)
    assert ledger.waiting() == ["op"]
    assert ledger.claim("op", worker="b", lease=LEASE)
    ledger.release("op", worker="a", reason="late")
    assert not ledger.claim("op", worker="c", lease=LEASE)
    ledger.release("op", worker="b")
    assert ledger.claim("op", worker="c", lease=LEASE)


def test_failed_work_waits_its_time_unless_it_is_ordered(ledger: Ledger) -> None:
    ledger.record_entries([arrival()], seen_by="sweep")
    assert ledger.claim("op", worker="a", lease=LEASE)
    ledger.release("op", worker="a", reason="VendorDownError", not_before=datetime.now(UTC) + LEASE)
    assert ledger.waiting() == []
    assert ledger.tries("op") == 1
    assert ledger.claim("op", worker="a", lease=LEASE)
    ledger.release("op", worker="a")
    assert ledger.tries("op") == 0


def test_a_delivery_is_kept_once_and_waits_until_it_is_handled(ledger: Ledger) -> None:
    told = NewDelivery(vendor="lever", key="t", event="candidateStageChange", opportunity_id="op")
    assert ledger.record_delivery(told)
    assert not ledger.record_delivery(told)
    assert ledger.record_delivery(NewDelivery(vendor="lever", key="u", event="x", opportunity_id="b", handled=True))
    called = NewDelivery(vendor="imocha", key="t", event="complete", invitation_id=7)
    assert not ledger.record_delivery(called), "the invitation is not ours"
    invited(ledger, opportunity_id="other")
    ledger.decide_entry(ledger.pending_entries("other")[0].id, decision="invite")
    assert ledger.record_delivery(called)
    assert ledger.waiting(deliveries_only=True) == ["op"]
    (number,) = ledger.deliveries_of("op")
    assert list(ledger.callbacks().values()) == [7]
    ledger.handle_deliveries([number, *ledger.callbacks()])
    assert ledger.waiting() == []
    assert ledger.callbacks() == {}
    ledger.forget_deliveries(older_than=timedelta(days=1))
    assert not ledger.record_delivery(told)
    ledger.forget_deliveries(older_than=timedelta(seconds=-1))
    assert ledger.record_delivery(told)


def test_the_claims_of_a_dead_worker_come_free_at_once(ledger: Ledger, ledger_url: str) -> None:
    invited(ledger, status="complete")
    with lock_worker(engine_for(ledger_url), "a"):
        assert ledger.claim("op", worker="a", lease=LEASE)
        assert ledger.claim_write_back("op", worker="a", lease=LEASE)
        assert not ledger.claim("op", worker="b", lease=LEASE)
        assert ledger.claim_write_back("op", worker="b", lease=LEASE) == []
        assert ledger.waiting() == ledger.due_write_backs() == []
    assert ledger.waiting() == ledger.due_write_backs() == ["op"]
    assert ledger.claim("op", worker="b", lease=LEASE)
    assert ledger.claim_write_back("op", worker="b", lease=LEASE)


_alive: list[object] = []


def _claim_all(url: str, worker: str) -> list[str]:
    ledger = Ledger(engine=engine_for(url))
    _alive.append(lock_worker(engine_for(url), worker))
    return [key for key in ledger.waiting() if ledger.claim(key, worker=worker, lease=LEASE)]


def test_several_processes_claim_each_opportunity_once(ledger: Ledger, ledger_url: str) -> None:
    ledger.record_entries([arrival(f"op{n}") for n in range(50)], seen_by="sweep")
    waiting = ledger.waiting()
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        claimed = [key for part in pool.map(_claim_all, [ledger_url] * 4, "abcd") for key in part]
    assert len(waiting) == 50
    assert sorted(claimed) == sorted(waiting)


def _acquire(url: str, count: int) -> list[float]:
    limiter = SharedLimiter(engine=engine_for(url), name="lever", rate=8)
    times = []
    for _ in range(count):
        limiter.acquire()
        times.append(datetime.now(UTC).timestamp())
    return times


def test_several_processes_stay_below_the_limit_together(ledger_url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        times = sorted(t for part in pool.map(_acquire, [ledger_url] * 3, [8] * 3) for t in part)
    # The moment a process notes is a little after the one the bucket counted, so a window may catch one or two more.
    assert all(later - earlier > 0.8 for earlier, later in zip(times, times[10:], strict=False))


@pytest.mark.usefixtures("at_work")
def test_an_ended_attempt_stays_ended_and_is_due(ledger: Ledger) -> None:
    invited(ledger)
    assert ledger.due_write_backs() == []
    assert ledger.set_status({7: "complete", 99: "complete"}) == [7]
    assert ledger.set_status({7: "expired"}) == []
    assert ledger.due_write_backs() == ["op"]
    (mine,) = ledger.claim_write_back("op", worker="a", lease=LEASE)
    assert mine.invitation_id == 7
    assert ledger.claim_write_back("op", worker="b", lease=LEASE) == []
    ledger.finish_write_back(mine.id)
    assert ledger.due_write_backs() == []


def test_two_opportunities_share_an_invitation_and_both_get_the_result(ledger: Ledger) -> None:
    invited(ledger)
    invited(ledger, opportunity_id="twin")
    ledger.set_status({7: "complete"})
    assert ledger.due_write_backs() == ["op", "twin"]


def test_a_postponed_write_back_waits(ledger: Ledger) -> None:
    invited(ledger, status="complete")
    (mine,) = ledger.claim_write_back("op", worker="a", lease=LEASE)
    ledger.release_write_back(mine.id, reason="report not final", not_before=datetime.now(UTC) + LEASE)
    assert ledger.due_write_backs() == []


def test_steps_events_reference_and_watermarks(ledger: Ledger) -> None:
    invited(ledger)
    assert ledger.step(7, "op", "form") is None
    ledger.start_step(7, "op", "form")
    ledger.start_step(7, "op", "form")
    ledger.finish_step(7, "op", "form", vendor_id="f1")
    step = ledger.step(7, "op", "form")
    assert step is not None
    assert step.done_at is not None
    assert step.vendor_id == "f1"
    ledger.record_event("invited", opportunity_id="op", invitation_id=7)
    assert ledger.event_kinds("op") == ["form_done", "invited"]
    ledger.put_cached("k", {"a": 1})
    ledger.put_cached("k", {"a": 2})
    assert ledger.get_cached("k") == {"a": 2}
    ledger.set_watermark("w", ENTERED)
    assert ledger.watermark("w") == ENTERED
    assert ledger.invitations_to_check(older_than=LEASE, limit=5) == [7]
    ledger.mark_checked(7)
    assert ledger.invitations_to_check(older_than=LEASE, limit=5) == []


def test_migrations_make_exactly_the_tables_in_code(own_ledger_url: str) -> None:
    with engine_for(own_ledger_url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_an_unmigrated_or_unreachable_ledger_says_what_to_do(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match=r"run python -m lever_imocha\.ledger upgrade"):
        check_schema(engine_for(postgres_url))
    with pytest.raises(LedgerError, match="check the connection") as caught:
        check_schema(engine_for("postgresql://u:secret@127.0.0.1:1/x"))
    assert "secret" not in str(caught.value)
    with pytest.raises(LedgerError, match="needs PostgreSQL"):
        engine_for("sqlite:///x")
    with pytest.raises(LedgerError, match="not a database URL"):
        engine_for("nonsense")


def test_a_worker_whose_connection_was_cut_counts_as_alive_again_before_it_claims(
    ledger: Ledger, ledger_url: str, postgres_url: str
) -> None:
    ledger.record_entries([arrival()], seen_by="sweep")
    attendance = WorkerLock(engine_for(ledger_url), "a")
    mine = Ledger(engine=engine_for(ledger_url), lock_worker=attendance.renew)
    postgres.disconnect(postgres_url, str(engine_for(ledger_url).url.database))
    assert mine.claim("op", worker="a", lease=LEASE)
    assert not ledger.claim("op", worker="b", lease=LEASE)
