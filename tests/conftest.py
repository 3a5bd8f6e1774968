"""A PostgreSQL server for the whole run, and a fresh, migrated ledger for every test that asks for one."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lever_imocha.ledger.database import engine_for, upgrade
from lever_imocha.ledger.repository import Ledger

ROOT = Path(__file__).parents[1]
HOME = tempfile.mkdtemp(prefix="airflow")
os.environ.update(  # Airflow reads these when it is imported
    AIRFLOW_HOME=HOME,
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
)

from dev import postgres


@pytest.fixture(scope="session", autouse=True)
def _airflow_home() -> Iterator[None]:
    yield
    shutil.rmtree(HOME, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="pg")) / "d"
    yield postgres.start(directory)
    postgres.stop(directory, mode="immediate")
    shutil.rmtree(directory.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def ledger_template(postgres_url: str) -> str:
    engine = engine_for(postgres.create_database(postgres_url, "template_ledger"))
    upgrade(engine)
    engine.dispose()
    return "template_ledger"


@pytest.fixture
def ledger_url(postgres_url: str, ledger_template: str) -> str:
    return postgres.create_database(postgres_url, f"ledger{next(_numbers)}", template=ledger_template)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    engine = engine_for(ledger_url)
    yield Ledger(engine=engine)
    engine.dispose()
