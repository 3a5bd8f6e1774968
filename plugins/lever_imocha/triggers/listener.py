"""Waits for PostgreSQL's NOTIFY of a new delivery."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psycopg
from asgiref.sync import sync_to_async
from psycopg import sql

from lever_imocha.errors import LedgerError
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.ledger.values import WORK_OF_VENDOR
from lever_imocha.ledger.work_queue import channel


class NotificationListener:
    """Listen for deliveries of one vendor from the moment it is entered.

    It never fails: without a connection it returns when the time is over, and the caller polls.
    """

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def __aenter__(self) -> Self:
        with suppress(psycopg.Error, LedgerError):
            self._connection = await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def wait(self, seconds: float) -> None:
        """Return when a notification comes, or when the time is over."""
        try:
            connection = self._connection = self._connection or await self._listen()
            async for _ in connection.notifies(timeout=seconds, stop_after=1):
                pass
        except (psycopg.Error, LedgerError):
            self._connection = None
            await asyncio.sleep(seconds)

    async def _listen(self) -> psycopg.AsyncConnection[Any]:
        engine = await sync_to_async(ledger_engine, thread_sensitive=False)()
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel(WORK_OF_VENDOR[self._vendor][0]))))
        return connection
