"""PostgreSQL tells at once when a delivery waits; triggers listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psycopg
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async
from psycopg import sql

from lever_imocha.errors import LedgerError
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.ledger.deliveries import bell
from lever_imocha.ledger.repository import Ledger


class Bell:
    """Listens for deliveries of one vendor from the moment it is entered.

    It never fails: at worst it is silent, and the caller's poll remains.
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
        """Return when the bell rings, or when the time is over."""
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
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(bell(self._vendor))))
        return connection


class DeliveryTrigger(BaseEventTrigger):
    """Raises an asset event while a vendor's deliveries wait. Only a doorbell: the ledger is the queue.

    :param vendor: ``lever`` or ``imocha``.
    :param poll_interval: seconds between two looks at the ledger, should a ring be missed.
    :param repeat_interval: seconds after which it rings again while work is left; Airflow loses asset events that come
        in a burst.
    """

    def __init__(self, *, vendor: str, poll_interval: float = 10, repeat_interval: float = 2) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vendor, self.poll_interval, self.repeat_interval = vendor, poll_interval, repeat_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and keyword arguments."""
        return (
            "lever_imocha.triggers.bell.DeliveryTrigger",
            {
                "vendor": self.vendor,
                "poll_interval": self.poll_interval,
                "repeat_interval": self.repeat_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ring for as long as Airflow lets it."""
        async with Bell(self.vendor) as bell:
            while True:
                if await sync_to_async(self._waits, thread_sensitive=False)():
                    yield TriggerEvent({"vendor": self.vendor})
                    await asyncio.sleep(self.repeat_interval)
                else:
                    await bell.wait(self.poll_interval)

    def _waits(self) -> bool:
        try:
            ledger = Ledger(engine=ledger_engine())
            return bool(ledger.waiting(1, deliveries_only=True) if self.vendor == "lever" else ledger.callbacks(1))
        except Exception as error:
            self.log.warning("the ledger cannot be read (%s); looking again soon", type(error).__name__)
            return False
