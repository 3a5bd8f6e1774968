"""How PostgreSQL finds what the ledger's methods ask for."""

from __future__ import annotations

import pytest
from lever_imocha.ledger.database import engine_for

from benchmarks.ledger_million import Result, measure, methods
from benchmarks.ledger_rows import Rows, fill
from dev import postgres

NO_WHOLE_TABLE = "".join(f"-c%20enable_{way}%3Doff%20" for way in ("seqscan", "mergejoin", "hashjoin"))
"""On a small ledger PostgreSQL would read whole tables where it looks rows up on a large one."""


@pytest.fixture
def results(own_ledger_url: str, postgres_url: str) -> list[Result]:
    """All cases, each played once on a small ledger."""
    engine = engine_for(f"{own_ledger_url}&options={NO_WHOLE_TABLE}")
    rows = Rows(2000)
    superuser = engine_for(postgres.superuser_url(postgres_url, str(engine.url.database)))
    fill(superuser, rows)
    superuser.dispose()
    try:
        return measure(engine, rows, rounds=0)
    finally:
        engine.dispose()


def test_every_method_has_an_index_for_the_tables_that_grow(results: list[Result]) -> None:
    assert {result.case.name for result in results} == methods(), "benchmarks.ledger_million has a case for each"
    assert {result.case.name: result.reads_all for result in results if result.reads_all} == {}
    read = {scan.split()[-1] for result in results for scan in result.plan}
    assert read >= {"stage_entries", "opportunities", "assessments", "invitations", "effects", "deliveries", "events"}
