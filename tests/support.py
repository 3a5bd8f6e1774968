"""What several packages of tests share."""

from __future__ import annotations

from typing import Any

import psycopg
from lever_imocha.ledger.tables import metadata
from sqlalchemy import Engine, delete, false, func, select, text
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

PYTHON, SQL = "iMocha: Python Developer [101]", "iMocha: SQL Basics [102]"
"""Tags of the two tests that a new sandbox has."""


def at_once(_seconds: float) -> None:
    """Wait for no time: what a workflow or a client is given in place of `time.sleep`."""


def empty_ledger(engine: Engine) -> None:
    """Delete every row, and count from 1 again; open connections stay, since no table's files are new as by TRUNCATE.

    Sessions that hold locks are ended: they would be of an earlier test.
    """
    with engine.begin() as connection:
        connection.execute(_END_SESSIONS_WITH_LOCKS)
        connection.execute(_DELETE_ALL)


_END_SESSIONS_WITH_LOCKS = text("""
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
    AND pid IN (SELECT pid FROM pg_locks WHERE pid <> pg_backend_pid())
""")
_NUMBERED = [(table, column) for table in metadata.sorted_tables for column in table.columns if column.identity]
_DELETE_ALL = select(
    *(func.setval(f"{table.fullname}_{column.name}_seq", 1, false()) for table, column in _NUMBERED)
).add_cte(*(delete(table).cte(table.name) for table in metadata.sorted_tables))


def end_session(connection: psycopg.Connection[Any], engine: Engine) -> None:
    """End a connection, and wait until PostgreSQL has dropped its locks; after a mere `close` it does so a little later."""
    if connection.closed:
        return
    with engine.connect() as other:
        assert other.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": connection.info.backend_pid})
    connection.close()


class AppServer:
    """What a server serves while the application behind it changes from test to test: ending a server takes 0.2 s."""

    def __init__(self) -> None:
        self.app: ASGIApp = Starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the application of the moment."""
        await self.app(scope, receive, send)
