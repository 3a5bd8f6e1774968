"""``python -m lever_imocha.ledger``, as an operator types it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewEntry, Work

ROOT = Path(__file__).parents[2]


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LEVER_IMOCHA_LEDGER": url, "PYTHONPATH": str(ROOT / "plugins")}
    line = [sys.executable, "-m", "lever_imocha.ledger", *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_one_is_forgotten_with_a_receipt(ledger: Ledger, ledger_url: str) -> None:
    at = datetime(2026, 7, 2, tzinfo=UTC)
    entry = NewEntry(opportunity_id="op-12", stage_id="s", entered_at=at, eligibility="x", name="Ann Example")
    ledger.entries.record([entry], seen_by="sweep")
    receipt = "opportunities: 1\nstage_entries: 1\nwork_items: 1\n"
    assert command(ledger_url, "forget", "op-12", "--dry-run").stdout == receipt
    assert command(ledger_url, "forget", "op-12").stdout == receipt
    assert command(ledger_url, "forget", "op-12").stdout == "Nothing is known of it.\n"


def test_masking_is_listed_and_dropped(ledger: Ledger, ledger_url: str) -> None:
    ledger.queue.enqueue_later("op-12", Work.MASK, not_before=datetime(2030, 7, 2, tzinfo=UTC) + timedelta(hours=3))
    assert "op-12 mask: waits until 2030-07-02 03:00 UTC" in command(ledger_url, "queue").stdout
    refused = command(ledger_url, "forget", "op-12")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "it is not masked at iMocha yet" in refused.stderr
    assert command(ledger_url, "drop", "op-12").stdout == "1 will not be masked; release takes it back.\n"
    assert "op-12 mask: parked" in command(ledger_url, "queue").stdout
    assert command(ledger_url, "release", "op-12").stdout == "1 released.\n"
