"""Reaching the ledger's database: what fails, and whether trying again helps."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from lever_imocha.errors import LedgerError
from lever_imocha.ledger.database import HEAD, alembic_config, check_schema, engine_for, upgrade
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA, metadata
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from dev import postgres


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


def test_the_version_asked_for_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_task_does_not_load_alembic() -> None:
    code = "import sys, lever_imocha.ledger.database; sys.exit('alembic' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_a_migrated_ledger_is_ready(ledger_url: str) -> None:
    check_schema(engine_for(ledger_url))


def test_an_address_that_is_none_of_postgresql_is_refused() -> None:
    for url, message in (("sqlite:///x", "needs PostgreSQL"), ("nonsense", "not a database URL")):
        with pytest.raises(LedgerError, match=message) as caught:
            engine_for(url)
        assert not caught.value.temporary


def test_an_unmigrated_ledger_names_the_command_and_is_not_tried_again(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match=r"run python -m lever_imocha\.ledger upgrade") as caught:
        check_schema(engine_for(postgres_url))
    assert not caught.value.temporary
    with pytest.raises(LedgerError, match="upgrade") as caught:
        Ledger(engine=engine_for(postgres_url)).waiting()
    assert not caught.value.temporary


def test_a_ledger_of_another_version_is_not_tried_again(ledger_url: str) -> None:
    engine = engine_for(ledger_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {SCHEMA}.alembic_version SET version_num = '0001'"))  # noqa: S608
    with pytest.raises(LedgerError, match=f"is at version 0001, this package needs {HEAD}") as caught:
        check_schema(engine)
    assert not caught.value.temporary


def test_a_closed_port_is_tried_again_and_no_password_is_told() -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        Ledger(engine=engine_for("postgresql://u:secret@127.0.0.1:1/x")).waiting()
    assert caught.value.temporary
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_not_tried_again(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        check_schema(engine_for(postgres_url.replace("/postgres?", "/nowhere?", 1)))
    assert not caught.value.temporary


def test_a_connection_lost_between_two_statements_fails_once_and_is_tried_again(
    ledger: Ledger, ledger_url: str, postgres_url: str
) -> None:
    assert ledger.waiting() == []
    postgres.disconnect(postgres_url, str(engine_for(ledger_url).url.database))
    with pytest.raises(LedgerError) as caught:
        ledger.waiting()
    assert caught.value.temporary
    assert ledger.waiting() == []


def test_a_connection_that_is_asked_first_is_replaced_unseen(ledger_url: str, postgres_url: str) -> None:
    engine = engine_for(ledger_url, pre_ping=True)
    check_schema(engine)
    postgres.disconnect(postgres_url, str(engine.url.database))
    check_schema(engine)
    engine.dispose()


def test_a_full_pool_is_tried_again(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(ledger_url)
    monkeypatch.setattr(engine.pool, "_timeout", 0)  # the pool's own setting; nobody waits in a test
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(engine.connect())
        with pytest.raises(LedgerError, match="all in use") as caught:
            engine.connect()
    assert caught.value.temporary


def test_a_statement_that_lasts_too_long_is_ended_and_tried_again(ledger_url: str) -> None:
    engine = engine_for(f"{ledger_url}&options=-c%20statement_timeout%3D50ms")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "10s"
        with pytest.raises(LedgerError, match="QueryCanceled") as caught:
            connection.execute(text("SELECT pg_sleep(60)"))
    assert caught.value.temporary


def test_mistakes_of_our_own_stay_what_they_are(ledger_url: str) -> None:
    with engine_for(ledger_url).connect() as connection:
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELEC 1"))
        connection.rollback()
        with pytest.raises(IntegrityError):
            connection.execute(text(f"INSERT INTO {SCHEMA}.watermarks (name) VALUES ('w')"))  # noqa: S608


def test_an_older_ledger_is_brought_to_this_version_and_loses_the_tables_of_the_old_limiter(postgres_url: str) -> None:
    engine = engine_for(postgres.create_database(postgres_url, "older_ledger"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        connection.execute(text(f"CREATE TABLE {SCHEMA}.lever (name varchar, item_timestamp timestamp)"))
    upgrade(engine)
    check_schema(engine)
    assert "lever" not in inspect(engine).get_table_names(schema=SCHEMA)
    engine.dispose()
