"""Reaching the ledger's database, and keeping its schema at this version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, create_engine, event, make_url, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lever_imocha.errors import LedgerError, LedgerVersionError
from lever_imocha.ledger.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0027"
UPGRADE = "python -m lever_imocha.ledger upgrade"
LEDGER_VARIABLE = "LEVER_IMOCHA_LEDGER"
_SECONDS_TO_REACH = 5
KEEPALIVES = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
"""Seconds until the other side is asked whether it is still there, and between the times, and how often."""
_NETWORK = {
    "connect_timeout": str(_SECONDS_TO_REACH),  # psycopg's own is 130 s
    **KEEPALIVES,
    "tcp_user_timeout": "30000",
}
# The server ends what lasts longer than any statement of ours should, whatever became of the process that sent it.
_SESSION = {
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",  # in which times are read, and told
}
_REFUSED = re.compile("authentication failed|does not exist|no pg_hba.conf entry")
_NOT_MIGRATED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName)


class _Pool(QueuePool):
    """A pool whose lack of a free connection is an error of the ledger like any other."""

    def connect(self) -> PoolProxiedConnection:
        """Hand out a connection."""
        try:
            return super().connect()
        except PoolTimeoutError:
            message = (
                f"The ledger's connections were all in use for {_SECONDS_TO_REACH} s. It is tried again by itself."
            )
            raise LedgerError(message, temporary=True) from None


def engine_for(url: str, *, pre_ping: bool = False) -> Engine:
    """Return the engine of a database, one per process; any PostgreSQL URL is driven by psycopg 3.

    A server that does not answer is given up within seconds, here and wherever else the engine's URL is used; what the
    URL says itself counts. Connections are opened when needed and kept: under load, opening costs more than asking.
    What goes wrong with the database is a `LedgerError`, whatever the statement.

    :param pre_ping: ask each connection whether it still works before it is used, for one more round trip. Without
        it, the first statement after a restart of the database fails, and the next one works.
    :raises LedgerError: the URL is not a PostgreSQL URL.
    """
    return _engine_for(url, pre_ping)


@lru_cache(maxsize=8)
def _engine_for(url: str, pre_ping: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError("The ledger's address is not a database URL; write postgresql://user@host/name.") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise LedgerError(f"The ledger needs PostgreSQL, not {parsed.get_backend_name()}.")
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg", query=_NETWORK | dict(parsed.query)),
        connect_args={"options": _options(parsed)},
        poolclass=_Pool,
        pool_pre_ping=pre_ping,
        pool_size=6,
        max_overflow=0,
        pool_timeout=_SECONDS_TO_REACH,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _ledger_error)
    return engine


def _options(url: URL) -> str:
    own = url.query.get("options", ())
    ours = [f"-c {name}={value}" for name, value in _SESSION.items()]
    return " ".join([*ours, *((own,) if isinstance(own, str) else own)])  # of two values the later one counts


def _ledger_error(context: ExceptionContext) -> LedgerError | None:
    """Say what it means for the ledger that a connection or a statement failed; None for mistakes of our own."""
    error = context.original_exception
    if context.is_pre_ping:
        return None  # the pool opens another connection
    if isinstance(error, _NOT_MIGRATED):
        return LedgerVersionError(
            f"The ledger has no tables yet, or those of another version: run {UPGRADE}, and restart what began before it"
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return LedgerError(
            "The ledger's database takes no writes at the moment: it is a standby, or set to read-only. Name the database"
            " that takes writes in the connection lever_imocha_ledger.",
            temporary=True,
        )
    if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
        return LedgerError(
            "The ledger's database took too long: is its server overloaded, or does an upgrade or a backup lock its tables?"
            " It is tried again by itself; a page of the console is opened again.",
            temporary=True,
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return LedgerError(
            "The role of the connection lever_imocha_ledger may not use, or not make, the ledger's tables: name the role that"
            " owns the database there, or make this one the owner of the database and of the schema lever_imocha."
        )
    if not (context.is_disconnect or isinstance(error, psycopg.OperationalError)):
        return None
    return unusable(error, connecting=context.connection is None)


def unusable(error: BaseException, *, connecting: bool) -> LedgerError:
    """Say that the database cannot be used; that it refuses a connection does not end by itself."""
    refused = connecting and _REFUSED.search(str(error)) is not None
    return LedgerError(
        f"The ledger's database cannot be used ({type(error).__name__}): check the connection lever_imocha_ledger or"
        f" the variable {LEDGER_VARIABLE}, and that the server runs.",
        temporary=not refused,
    )


def check_schema(engine: Engine) -> None:
    """Make sure that the ledger's tables are those of this version.

    :raises LedgerError: the database is not reachable, or not migrated; the message names the command.
    """
    with engine.connect() as connection:
        current = connection.scalar(text(f'SELECT version_num FROM "{SCHEMA}".alembic_version'))  # noqa: S608
    if current and current > HEAD:
        raise LedgerError(
            f"The ledger is at version {current}, newer than this package, which knows {HEAD}: install the version that"
            " has upgraded it here, too, and restart this process"
        )
    if current != HEAD:
        have = f"is at version {current}" if current else "has no tables yet"
        raise LedgerVersionError(f"The ledger {have}, this package needs {HEAD}: run {UPGRADE}")


@dataclass(frozen=True)
class Connections:
    """How many connections the database server allows, and how many are in use."""

    allowed: int
    used: int


def connections(engine: Engine) -> Connections:
    """Ask the database server for its connections, those of all its databases."""
    with engine.connect() as connection:
        allowed = connection.scalar(text("SELECT current_setting('max_connections')::int"))
        used = connection.scalar(text("SELECT sum(numbackends)::int FROM pg_stat_database"))
    return Connections(allowed or 0, used or 0)


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    # Imported here and below: a task never migrates, and Alembic takes 0.2 s to load.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(engine: Engine) -> None:
    """Bring the ledger's tables to this version; several processes may call it at once.

    :raises LedgerError: the database is not reachable.
    """
    from alembic import command

    with engine.begin() as connection:
        # A migration copies whole tables, and waits for another process that migrates.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": SCHEMA})
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{SCHEMA}"'))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
