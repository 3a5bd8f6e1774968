"""Starts a DAG run when a vendor's delivery, or what a person asked for on the console, waits in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async


class DeliveryTrigger(BaseEventTrigger):
    """Raise an asset event while a vendor's deliveries wait. The event only starts a run: the ledger is the queue.

    Its payload has the `opportunity_ids` about which work waits; of more than a hundred, some.

    :param vendor: ``lever`` or ``imocha``.
    :param poll_interval: seconds between two reads of the ledger, in case a notification is missed.
    :param repeat_interval: seconds after which the event is raised again while work is left; Airflow loses asset
        events that come in a burst.
    """

    def __init__(self, *, vendor: str, poll_interval: float = 10, repeat_interval: float = 2) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vendor, self.poll_interval, self.repeat_interval = vendor, poll_interval, repeat_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments."""
        return (
            "lever_imocha.triggers.deliveries.DeliveryTrigger",
            {
                "vendor": self.vendor,
                "poll_interval": self.poll_interval,
                "repeat_interval": self.repeat_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Raise events until Airflow stops the trigger."""
        from lever_imocha.triggers.listener import NotificationListener  # not needed to parse a DAG

        async with NotificationListener(self.vendor) as listener:
            while True:
                if ids := await sync_to_async(self._waiting, thread_sensitive=False)():
                    yield TriggerEvent({"vendor": self.vendor, "opportunity_ids": ids})
                    await asyncio.sleep(self.repeat_interval)
                else:
                    await listener.wait(self.poll_interval)

    def _waiting(self) -> list[str]:
        from lever_imocha.hooks.ledger import ledger_engine
        from lever_imocha.ledger.repository import Ledger
        from lever_imocha.ledger.values import WORK_OF_VENDOR

        try:
            return Ledger(engine=ledger_engine()).queue.starting_runs(WORK_OF_VENDOR[self.vendor])
        except Exception as error:
            self.log.warning("the ledger cannot be read (%s); trying again soon", type(error).__name__)
            return []
