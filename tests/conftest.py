"""One PostgreSQL server, ledger and sandbox for all tests of a process; each test finds the last two empty."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from lever_imocha.errors import LedgerError
from lever_imocha.ledger.database import engine_for, upgrade
from lever_imocha.ledger.repository import Ledger
from sqlalchemy import QueuePool

from include.sandbox.app import create_app
from include.sandbox.server import serve
from include.sandbox.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").free > 4 * 2**30 else None
"""Where databases are, if there is room: on a disk a commit of Airflow's takes 20 ms, and a copy of a ledger 200 ms."""
HOME = tempfile.mkdtemp(prefix="airflow", dir=MEMORY)
(Path(HOME) / "dags").mkdir()
os.environ.update(  # Airflow reads these when it is imported
    AIRFLOW_HOME=HOME,
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=f"{HOME}/dags",  # empty: each `dag.test()` reads and stores all DAGs that are there
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL="0",  # what is parsed is stored, however often
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
    AIRFLOW__API_AUTH__JWT_SECRET="of-the-tests-" * 5,  # `dag.test()` of 3.2 needs one
)

from dev import postgres
from tests.support import allow_turns_at_once, empty_ledger


def pytest_unconfigure() -> None:
    """Also in the process that only hands the tests out."""
    shutil.rmtree(HOME, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The server's address. A process beside this one removes the server when this one has ended, or was killed."""
    directory = Path(tempfile.mkdtemp(prefix="pg", dir=MEMORY))
    command = [sys.executable, "-m", "dev.postgres", "guard", str(directory)]
    guard = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
    url = postgres.start(directory)
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # no test outlives a crash of the machine
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    guard.communicate()


@pytest.fixture(scope="session")
def ledger_template(postgres_url: str) -> str:
    engine = engine_for(postgres.create_database(postgres_url, "template_ledger"))
    upgrade(engine)
    engine.dispose()
    return "template_ledger"


@pytest.fixture(scope="session")
def _shared_ledger(postgres_url: str, ledger_template: str) -> str:
    url = postgres.create_database(postgres_url, "ledger", template=ledger_template)
    allow_turns_at_once(engine_for(url))
    return url


@pytest.fixture
def ledger_url(_shared_ledger: str) -> str:
    """An empty ledger. A connection that the test before has left in order is used again."""
    engine = engine_for(_shared_ledger)
    assert isinstance(engine.pool, QueuePool)
    if engine.pool.checkedin() > 1 or engine.pool.checkedout():
        engine.dispose()
    try:
        empty_ledger(engine)
    except LedgerError:  # that test has ended the connection
        empty_ledger(engine)
    return _shared_ledger


@pytest.fixture
def own_ledger_url(postgres_url: str, ledger_template: str) -> str:
    """A database of its own, for a test that copies or drops it."""
    return postgres.create_database(postgres_url, f"ledger{next(_numbers)}", template=ledger_template)


@pytest.fixture(scope="session")
def _shared_sandbox() -> Iterator[tuple[World, str]]:
    world = World()
    with serve(create_app(world)) as url:
        yield world, url


@pytest.fixture
def sandbox_world(_shared_sandbox: tuple[World, str]) -> Iterator[World]:
    """What the sandbox knows: nothing yet."""
    world, _ = _shared_sandbox
    world.reset()
    yield world
    world.outbox.close()


@pytest.fixture
def sandbox_url(_shared_sandbox: tuple[World, str], sandbox_world: World) -> str:
    """The sandbox's address."""
    return _shared_sandbox[1]


@pytest.fixture
def world(sandbox_world: World, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """The sandbox behind both connections; there is neither a ledger nor a settings file."""
    from lever_imocha.hooks.limits import process_limiter  # loads Airflow, which reads the variables above

    for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
        connection = {"conn_type": vendor, "host": f"{sandbox_url}/{path}", "password": f"{vendor}-key"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER", raising=False)
    monkeypatch.setenv("LEVER_IMOCHA_SETTINGS", "/nowhere/lever_imocha.yaml")
    process_limiter.cache_clear()  # as in a new process; else each test waits for the turns of the one before
    return sandbox_world


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Playwright's own Chromium (``playwright install chromium``), else the system's."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # Airflow's pages need long where other tests run beside this one
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        path = str(own) if own.exists() else shutil.which("chromium") or shutil.which("google-chrome")
        if path is None:
            pytest.skip("there is no Chromium: .venv/bin/playwright install chromium, or apt install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    return Ledger(engine=engine_for(ledger_url))
