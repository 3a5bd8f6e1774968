"""The doctor as a DAG and as a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.ledger.cache import POSTINGS
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.workflows.doctor.checkup import last_kept

from include.sandbox.world import World

RECORDER = "tests.notifications.recorder.Recorder"


@pytest.fixture
def told(settings: Callable[[str], None], tmp_path: Path) -> Callable[[], list[str]]:
    file = tmp_path / "told"
    alerts = {"notifier": RECORDER, "arguments": {"path": str(file), "text": "{{ alert }}"}}
    settings(f"perform_as: people-ops@example.com\nalerts: {json.dumps(alerts)}\n")
    return lambda: file.read_text().splitlines() if file.exists() else []


def state(dags: Any, **conf: Any) -> str:
    return str(dags.dags["lever_imocha_doctor"].test(run_conf=conf).state.value)


def test_only_what_changed_is_told_and_that_it_is_well_again(
    dags: Any, world: World, ledger_url: str, told: Callable[[], list[str]]
) -> None:
    world.switches["rate_limit"] = False
    assert state(dags) == "success"
    (first,) = told()
    assert "tests without tag: warning: 2 active tests have no tag" in first
    world.lacking_permissions.add("Find all tags")
    assert state(dags) == "failed"
    assert state(dags) == "failed"
    (line,) = told()[1:]
    assert line.startswith('doctor: Lever permissions: error: the API key lacks "Find all tags" (List)')
    world.lacking_permissions.clear()
    assert state(dags) == "success"
    (line,) = told()[2:]
    assert line.startswith('well again: Lever permissions: the API key lacks "Find all tags"')
    kept = last_kept(Ledger(engine=engine_for(ledger_url)))
    assert kept is not None
    assert [finding.check for finding in kept.findings][:2] == ["settings file", "ledger"]
    postings = {posting["id"]: posting["text"] for posting in world.postings}
    assert (Ledger(engine=engine_for(ledger_url)).cache.get(POSTINGS) or {})["names"] == postings


@pytest.mark.slow
def test_the_command_prints_the_table_and_says_by_its_exit_code_whether_all_is_well(
    world: World, settings: Callable[[str], None]
) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lever_imocha.doctor"]
        wide = os.environ | {"COLUMNS": "400"}
        return subprocess.run(command, env=wide, capture_output=True, text=True, check=False, timeout=60)

    good = run()
    assert good.returncode == 0, good.stdout + good.stderr
    assert "iMocha accepts the API key" in good.stdout
    world.imocha_key = "another"
    bad = run()
    assert bad.returncode == 1
    assert "error" in bad.stdout
    assert "Traceback" not in bad.stdout + bad.stderr
