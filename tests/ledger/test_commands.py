"""``python -m lever_imocha.ledger``, as an operator types it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lever_imocha.ledger.__main__ import main
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewEntry, Work

ROOT = Path(__file__).parents[2]
NOTHING_KNOWN = "Nothing is known of this id: it was never seen in a trigger stage, or is forgotten.\n"


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; return its exit code, its output and what it says on standard error."""
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ledger", *arguments])
        return main(), *capsys.readouterr()

    return run


def test_a_process_prints_and_says_by_its_exit_code_whether_it_is_done(ledger: Ledger, ledger_url: str) -> None:
    environment = os.environ | {"LEVER_IMOCHA_LEDGER": ledger_url, "PYTHONPATH": str(ROOT / "plugins")}
    for arguments, said in ((("release",), (0, "0 released.\n", "")), (("evidence", "nobody"), (1, "", NOTHING_KNOWN))):
        line = [sys.executable, "-m", "lever_imocha.ledger", *arguments]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == said


def test_one_is_forgotten_with_a_receipt(ledger: Ledger, command: Command) -> None:
    at = datetime(2026, 7, 2, tzinfo=UTC)
    entry = NewEntry(opportunity_id="op-12", stage_id="s", entered_at=at, eligibility="x", name="Ann Example")
    ledger.entries.record([entry], seen_by="sweep")
    receipt = "opportunities: 1\nstage_entries: 1\nwork_items: 1\n"
    assert command("forget", "op-12", "--dry-run") == (0, receipt, "")
    assert command("forget", "op-12") == (0, receipt, "")
    assert command("forget", "op-12") == (0, "Nothing is known of it.\n", "")


def test_masking_is_listed_and_dropped(ledger: Ledger, command: Command) -> None:
    ledger.queue.enqueue_later("op-12", Work.MASK, not_before=datetime(2030, 7, 2, tzinfo=UTC) + timedelta(hours=3))
    assert "op-12 mask: waits until 2030-07-02 03:00 UTC" in command("queue")[1]
    code, printed, error = command("forget", "op-12")
    assert (code, printed) == (1, "")
    assert "it is not masked at iMocha yet" in error
    assert command("drop", "op-12")[1] == "1 will not be masked; release takes it back.\n"
    assert "op-12 mask: parked" in command("queue")[1]
    assert command("release", "op-12")[1] == "1 released.\n"
