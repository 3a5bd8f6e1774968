"""Whole DAGs, run by Airflow in this process against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.app import create_app
from include.sandbox.server import serve
from include.sandbox.world import World


@pytest.fixture(scope="session")
def dags() -> Any:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    return bag


@pytest.fixture
def world(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World()
    with serve(create_app(world)) as url:
        for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
            connection = {"conn_type": vendor, "host": f"{url}/{path}", "password": f"{vendor}-key"}
            monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
        yield world


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(text: str) -> None:
        (tmp_path / "settings.yaml").write_text(text)
        monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", str(tmp_path / "settings.yaml"))

    write("perform_as: people-ops@example.com\npoll: {attempts: 0.1, wait: 1}\n")
    return write
