"""Both connections lead to the sandbox; there is neither a ledger nor a settings file."""

from __future__ import annotations

import json

import pytest
from lever_imocha.hooks.limits import process_limiter

from include.sandbox.world import World


@pytest.fixture
def world(sandbox_world: World, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> World:
    for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
        connection = {"conn_type": vendor, "host": f"{sandbox_url}/{path}", "password": f"{vendor}-key"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER", raising=False)
    monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", "/nowhere/lever_imocha.yaml")
    process_limiter.cache_clear()  # as in a new process; else each test waits for the turns of the one before
    return sandbox_world
