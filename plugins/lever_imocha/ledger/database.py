"""Reaching the ledger's database, and keeping its schema at this version."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from lever_imocha.errors import LedgerError
from lever_imocha.ledger.tables import SCHEMA

UPGRADE = "python -m lever_imocha.ledger upgrade"
LEDGER_VARIABLE = "LEVER_IMOCHA_LEDGER"
_SECONDS_TO_REACH = 5
_NETWORK = {
    "connect_timeout": str(_SECONDS_TO_REACH),  # psycopg's own is 130 s
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@lru_cache(maxsize=8)
def engine_for(url: str) -> Engine:
    """The engine of a database, one per process; any PostgreSQL URL is driven by psycopg 3.

    A server that does not answer is given up within seconds, here and wherever else the engine's URL is used; what the
    URL says itself counts. Connections are opened when needed and kept: under load, opening costs more than asking.

    :raises LedgerError: the URL is not a PostgreSQL URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError("The ledger's address is not a database URL; write postgresql://user@host/name.") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise LedgerError(f"The ledger needs PostgreSQL, not {parsed.get_backend_name()}.")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg", query=_NETWORK | dict(parsed.query)),
        pool_pre_ping=True,
        pool_size=6,
        max_overflow=0,
        pool_timeout=_SECONDS_TO_REACH,
        hide_parameters=True,
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _unreachable(error: SQLAlchemyError) -> LedgerError:
    kind = type(getattr(error, "orig", None) or error).__name__
    return LedgerError(
        f"The ledger's database cannot be used ({kind}): check the connection lever_imocha_ledger or the variable"
        f" {LEDGER_VARIABLE}, and that the server runs."
    )


def check_schema(engine: Engine) -> None:
    """Make sure that the ledger's tables are those of this version.

    :raises LedgerError: the database is not reachable, or not migrated; the message names the command.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
            current = context.get_current_revision()
    except SQLAlchemyError as error:
        raise _unreachable(error) from None
    if current != head:
        have = f"is at version {current}" if current else "has no tables yet"
        raise LedgerError(f"The ledger {have}, this package needs {head}: run {UPGRADE}")


def upgrade(engine: Engine) -> None:
    """Bring the ledger's tables to this version; several processes may call it at once.

    :raises LedgerError: the database is not reachable.
    """
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": SCHEMA})
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{SCHEMA}"'))
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise _unreachable(error) from None
