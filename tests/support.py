"""What several packages of tests share."""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA, limits, metadata
from sqlalchemy import Engine, delete, false, func, select, text
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

PYTHON, SQL = "iMocha: Python Developer [101]", "iMocha: SQL Basics [102]"
"""Tags of the two tests that a new sandbox has."""


def at_once(_seconds: float) -> None:
    """Wait for no time: what a workflow or a client is given in place of `time.sleep`."""


def event_kinds(ledger: Ledger, opportunity_id: str) -> list[str]:
    """Return what the timeline has of an opportunity's own events, as words."""
    return [one.kind for one in reversed(ledger.timeline.of(opportunity_id)) if one.chain == opportunity_id]


class Unlimited:
    """No rate limit: what a client is given in place of a limiter."""

    def acquire(self) -> None:
        """Wait for no turn."""

    def slow_down(self) -> None:
        """Stay as quick."""

    def note_answer(self, call: str, status: int) -> None:
        """Nobody looks."""


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


TURNS_AT_ONCE = "options=-c%20tests.turns_at_once%3Don"
"""To be added to the ledger's URL: for sessions of that URL the shared rate limit gives every turn at once."""


def allow_turns_at_once(engine: Engine) -> None:
    """Prepare a ledger for `TURNS_AT_ONCE`: whole DAGs are not tested to see how long they wait for turns."""
    with engine.begin() as connection:
        for statement in _TURNS_AT_ONCE:
            connection.execute(text(statement))


_TURNS_AT_ONCE = (
    f"""
    CREATE FUNCTION {SCHEMA}.turn_at_once() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.turn_at := clock_timestamp() - interval '1 hour'; RETURN NEW; END $$
    """,
    f"""
    CREATE TRIGGER turn_at_once BEFORE INSERT OR UPDATE ON {limits} FOR EACH ROW
    WHEN (current_setting('tests.turns_at_once', true) = 'on') EXECUTE FUNCTION {SCHEMA}.turn_at_once()
    """,
)


def end_session(connection: psycopg.Connection[Any], engine: Engine) -> None:
    """End a connection, and wait until PostgreSQL has dropped its locks; after a mere `close` it does so a little later."""
    if connection.closed:
        return
    with engine.connect() as other:
        assert other.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": connection.info.backend_pid})
    connection.close()


class Handler(BaseHTTPRequestHandler):
    """Answers one request, without a line on the console."""

    def read_body(self) -> bytes:
        """Return what was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def handled_by(handler: type[Handler]) -> Iterator[str]:
    """Serve on a free port in a thread; give the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class AppServer:
    """What a server serves while the application behind it changes from test to test: ending a server takes 0.2 s."""

    def __init__(self) -> None:
        self.app: ASGIApp = Starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the application of the moment."""
        await self.app(scope, receive, send)


def in_base64(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    """Return the public key that belongs to a private one, as browsers export it."""
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


class KeyPair:
    """A browser's key pair; opens what was sealed for it."""

    def __init__(self, bits: int) -> None:
        self._private = rsa.generate_private_key(65537, bits)
        self.public = in_base64(self._private)

    def open(self, sealed: str) -> str:
        """Return the link; raise ValueError when it was sealed for another one."""
        padding = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)
        return self._private.decrypt(b64decode(sealed), padding).decode()
