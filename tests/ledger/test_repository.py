"""Claims, leases and records, on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from lever_imocha.errors import LedgerError
from lever_imocha.ledger.database import check_schema, engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger, NewEntry
from lever_imocha.ledger.tables import SCHEMA, metadata

ENTERED = datetime(2026, 7, 2, tzinfo=UTC)
LEASE = timedelta(minutes=10)


def arrival(opportunity_id: str = "op", *, eligibility: str = "tests [1]") -> NewEntry:
    return NewEntry(opportunity_id=opportunity_id, stage_id="lead-new", entered_at=ENTERED, eligibility=eligibility)


def invited(ledger: Ledger, *, invitation_id: int = 7, status: str = "pending", opportunity_id: str = "op") -> int:
    ledger.record_entries([arrival(opportunity_id)], seen_by="sweep")
    (entry,) = [e for e in ledger.pending_entries() if e.opportunity_id == opportunity_id]
    assessment_id = ledger.intend(opportunity_id, 1, entry_id=entry.id, rule_key="k")
    ledger.record_invitation(
        assessment_id, invitation_id=invitation_id, test_id=1, status=status, entry_id=entry.id, refreshed=False
    )
    return assessment_id


def test_an_arrival_is_recorded_once_and_pending_again_when_its_basis_changes(ledger: Ledger) -> None:
    ledger.record_entries([arrival(), arrival("other")], seen_by="sweep")
    ledger.record_entries([arrival()], seen_by="webhook")
    entry, _ = ledger.pending_entries()
    ledger.decide_entry(entry.id, decision="hold", reason="no e-mail address")
    ledger.record_entries([arrival()], seen_by="sweep")
    assert [e.opportunity_id for e in ledger.pending_entries()] == ["other"]
    ledger.record_entries([arrival(eligibility="tests [1, 2]")], seen_by="sweep")
    assert {e.opportunity_id for e in ledger.pending_entries()} == {"op", "other"}


def test_a_claim_is_exclusive_until_its_lease_is_over(ledger_url: str) -> None:
    now = [ENTERED]
    ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: now[0])
    ledger.record_entries([arrival()], seen_by="sweep")
    (entry,) = ledger.pending_entries()
    assert ledger.claim_entry(entry.id, worker="a", lease=LEASE)
    assert ledger.claim_entry(entry.id, worker="b", lease=LEASE) is None
    now[0] += LEASE + timedelta(seconds=1)
    assert ledger.claim_entry(entry.id, worker="b", lease=LEASE)


def _claim_all(url: str, worker: str) -> list[int]:
    ledger = Ledger(engine=engine_for(url))
    return [e.id for e in ledger.pending_entries() if ledger.claim_entry(e.id, worker=worker, lease=LEASE)]


def test_several_processes_claim_each_arrival_once(ledger: Ledger, ledger_url: str) -> None:
    ledger.record_entries([arrival(f"op{n}") for n in range(50)], seen_by="sweep")
    ids = [entry.id for entry in ledger.pending_entries()]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        claimed = [n for part in pool.map(_claim_all, [ledger_url] * 4, "abcd") for n in part]
    assert sorted(claimed) == sorted(ids)


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
    assert ledger.event_kinds("op") == ["invited"]
    ledger.put_reference("k", {"a": 1})
    ledger.put_reference("k", {"a": 2})
    assert ledger.get_reference("k") == {"a": 2}
    ledger.set_watermark("w", ENTERED)
    assert ledger.watermark("w") == ENTERED
    assert ledger.invitations_to_check(older_than=LEASE, limit=5) == [7]
    ledger.mark_checked(7)
    assert ledger.invitations_to_check(older_than=LEASE, limit=5) == []


def test_migrations_make_exactly_the_tables_in_code(ledger_url: str) -> None:
    with engine_for(ledger_url).connect() as connection:
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
