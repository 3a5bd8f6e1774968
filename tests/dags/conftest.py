"""Whole DAGs, run by Airflow in this process against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.ledger.database import engine_for

from include.sandbox.world import World
from tests.airflow_versions import read_dags, synced
from tests.support import TURNS_AT_ONCE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests in one worker: the first `dag.test()` of a process takes seconds more than the others."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("airflow"))


@pytest.fixture(scope="session")
def dags() -> Any:
    return synced(read_dags())


@pytest.fixture
def world(ledger_url: str, sandbox_world: World, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The sandbox behind both connections, and a ledger that lets nobody wait for the rate limit, which neither has."""
    for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
        connection = {"conn_type": vendor, "host": f"{sandbox_url}/{path}", "password": f"{vendor}-key"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
    url = f"{ledger_url}&{TURNS_AT_ONCE}"
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", url)
    sandbox_world.switches["rate_limit"] = False
    yield sandbox_world
    engine_for(url).dispose()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(text: str) -> None:
        (tmp_path / "settings.yaml").write_text(text)
        monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", str(tmp_path / "settings.yaml"))

    write("perform_as: people-ops@example.com\nactivation: {existing: invite}\npoll: {attempts: 0.1, wait: 1}\n")
    return write
