"""Reaching the ledger's database: what fails, and whether trying again helps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.rules import RuleKey
from lever_imocha.errors import LedgerError, Retry
from lever_imocha.ledger.database import HEAD, alembic_config, check_schema, engine_for, upgrade
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA, metadata
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from dev import postgres


def test_migrations_make_exactly_the_tables_in_code(own_ledger_url: str) -> None:
    with engine_for(own_ledger_url).connect() as connection:
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


def test_a_migrated_ledger_is_ready(own_ledger_url: str) -> None:
    check_schema(engine_for(own_ledger_url))


def test_an_address_that_is_none_of_postgresql_is_refused() -> None:
    for url, message in (("sqlite:///x", "needs PostgreSQL"), ("nonsense", "not a database URL")):
        with pytest.raises(LedgerError, match=message) as caught:
            engine_for(url)
        assert caught.value.retry is Retry.NEVER


def test_an_unmigrated_ledger_names_the_command_and_is_not_tried_again(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match=r"run python -m lever_imocha\.ledger upgrade") as caught:
        check_schema(engine_for(postgres_url))
    assert caught.value.retry is Retry.NEVER
    with pytest.raises(LedgerError, match="upgrade") as caught:
        Ledger(engine=engine_for(postgres_url)).waiting()
    assert caught.value.retry is Retry.NEVER


def test_a_ledger_of_another_version_is_not_tried_again(own_ledger_url: str) -> None:
    engine = engine_for(own_ledger_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {SCHEMA}.alembic_version SET version_num = '0001'"))  # noqa: S608
    with pytest.raises(LedgerError, match=f"is at version 0001, this package needs {HEAD}") as caught:
        check_schema(engine)
    assert caught.value.retry is Retry.NEVER


def test_a_closed_port_is_tried_again_and_no_password_is_told() -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        Ledger(engine=engine_for("postgresql://u:secret@127.0.0.1:1/x")).waiting()
    assert caught.value.retry is Retry.SOON
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_not_tried_again(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        check_schema(engine_for(postgres_url.replace("/postgres?", "/nowhere?", 1)))
    assert caught.value.retry is Retry.NEVER


def test_a_connection_lost_between_two_statements_fails_once_and_is_tried_again(
    ledger: Ledger, ledger_url: str, postgres_url: str
) -> None:
    assert ledger.waiting() == []
    postgres.disconnect(postgres_url, str(engine_for(ledger_url).url.database))
    with pytest.raises(LedgerError) as caught:
        ledger.waiting()
    assert caught.value.retry is Retry.SOON
    assert ledger.waiting() == []


def test_a_connection_that_is_asked_first_is_replaced_unseen(own_ledger_url: str, postgres_url: str) -> None:
    engine = engine_for(own_ledger_url, pre_ping=True)
    check_schema(engine)
    postgres.disconnect(postgres_url, str(engine.url.database))
    check_schema(engine)
    engine.dispose()


def test_a_full_pool_is_tried_again(own_ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(own_ledger_url)
    monkeypatch.setattr(engine.pool, "_timeout", 0)  # the pool's own setting; nobody waits in a test
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(engine.connect())
        with pytest.raises(LedgerError, match="all in use") as caught:
            engine.connect()
    assert caught.value.retry is Retry.SOON


def test_a_statement_that_lasts_too_long_is_ended_and_tried_again(own_ledger_url: str) -> None:
    engine = engine_for(f"{own_ledger_url}&options=-c%20statement_timeout%3D50ms")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "10s"
        with pytest.raises(LedgerError, match="QueryCanceled") as caught:
            connection.execute(text("SELECT pg_sleep(60)"))
    assert caught.value.retry is Retry.SOON


def test_mistakes_of_our_own_stay_what_they_are(own_ledger_url: str) -> None:
    with engine_for(own_ledger_url).connect() as connection:
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELEC 1"))
        connection.rollback()
        with pytest.raises(IntegrityError):
            connection.execute(text(f"INSERT INTO {SCHEMA}.watermarks (name) VALUES ('w')"))  # noqa: S608


@pytest.fixture
def older_ledger(postgres_url: str) -> Iterator[Engine]:
    """A ledger as version 0.1.0 left it, with an entry on hold and an assessment."""
    engine = engine_for(postgres.create_database(postgres_url, "older_ledger"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.execute(text(f"CREATE TABLE {SCHEMA}.ratelimit___lever (name varchar, item_timestamp timestamp)"))
        for reason in ("unknown test (iMocha: x (old) [1])", "no e-mail address", None):
            connection.execute(
                text(
                    "INSERT INTO lever_imocha.stage_entries (opportunity_id, stage_id, entered_at, first_seen_by,"
                    " first_seen_at, pending_since, eligibility, decision, reason)"
                    " VALUES (coalesce(:reason, 'o'), 's', now(), 'sweep', now(), now(), '', :decision, :reason)"
                ),
                {"reason": reason, "decision": "hold" if reason else "invite"},
            )
        connection.execute(
            text(
                "INSERT INTO lever_imocha.assessments (opportunity_id, test_id, entry_id, rule_key)"
                " SELECT 'o', 101, id, 'lead-new|uuid|A | B' FROM lever_imocha.stage_entries WHERE decision = 'invite'"
            )
        )
    yield engine
    engine.dispose()


def test_an_older_ledger_keeps_what_it_knows(older_ledger: Engine) -> None:
    upgrade(older_ledger)
    check_schema(older_ledger)
    assert "ratelimit___lever" not in inspect(older_ledger).get_table_names(schema=SCHEMA)
    ledger = Ledger(engine=older_ledger)
    held = ledger.entries.last("unknown test (iMocha: x (old) [1])")
    assert held is not None
    assert (held.decision, held.reason, held.detail) == (
        Action.HOLD,
        Reason.UNKNOWN_TEST,
        "iMocha: x (old) [1]",
    )
    held = ledger.entries.last("no e-mail address")
    assert held is not None
    assert (held.reason, held.detail) == (Reason.NO_EMAIL, "")
    (known,) = ledger.assessments.of("o")
    assert known.rule_key == RuleKey(trigger_stage_id="lead-new", completed_stage_id="uuid", form_template="A | B")
