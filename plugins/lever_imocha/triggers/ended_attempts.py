"""Waits until an attempt has ended and is to be written back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from lever_imocha.errors import LeverImochaError, Retry

SETTLING = 3.0
"""Seconds before it first fires. A task that resumes before the scheduler has seen it defer is taken for lost, and
retried a minute later (Airflow 3.3.2: "Executor reported that the task instance finished with state success, but the
task instance's state attribute is running")."""


class EndedAttemptsTrigger(BaseTrigger):
    """Poll iMocha for the whole account, and fire when the ledger has something to write back.

    :param lever_conn_id: connection of type ``lever``.
    :param imocha_conn_id: connection of type ``imocha``.
    :param poll_interval: seconds between two looks.
    :param wait: seconds after which it fires with nothing, so that a run does not last for ever.
    """

    def __init__(self, *, lever_conn_id: str, imocha_conn_id: str, poll_interval: float, wait: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lever_conn_id, self.imocha_conn_id = lever_conn_id, imocha_conn_id
        self.poll_interval, self.wait = poll_interval, wait

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments."""
        return (
            "lever_imocha.triggers.ended_attempts.EndedAttemptsTrigger",
            {
                "lever_conn_id": self.lever_conn_id,
                "imocha_conn_id": self.imocha_conn_id,
                "poll_interval": self.poll_interval,
                "wait": self.wait,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once: ``{"due": [opportunity ids]}``, or ``{"error": message}`` for what a person has to correct."""
        from lever_imocha.triggers.listener import NotificationListener  # not needed to parse a DAG

        loop = asyncio.get_running_loop()
        ends = loop.time() + self.wait
        sweep_at = loop.time() + self.poll_interval
        due: list[str] = []
        async with NotificationListener("imocha") as listener:
            await asyncio.sleep(min(SETTLING, self.poll_interval))
            while True:
                sweep = loop.time() >= sweep_at
                if sweep:
                    sweep_at = loop.time() + self.poll_interval
                try:
                    due = await sync_to_async(self._look, thread_sensitive=False)(sweep=sweep)
                except LeverImochaError as error:
                    self.log.warning("%s", error)
                    if error.retry is Retry.NEVER:
                        # What the event says is kept in Airflow's database and goes into an alert.
                        yield TriggerEvent({"error": error.public_message})
                        return
                if due or loop.time() >= ends:
                    break
                await listener.wait(max(0.05, min(sweep_at, ends) - loop.time()))
        yield TriggerEvent({"due": due})

    def _look(self, *, sweep: bool) -> list[str]:
        from lever_imocha.notifications.alerts import alert_lists
        from lever_imocha.runtime.services import Services

        services = Services.open(lever_conn_id=self.lever_conn_id, imocha_conn_id=self.imocha_conn_id)
        watch = services.attempt_sweep()
        if not sweep:
            return watch.due()
        try:
            # Two runs may wait at once: one sweep serves both.
            return watch.poll(rested=timedelta(seconds=self.poll_interval / 2))
        finally:
            alert_lists(services.settings.alerts, watch.lists)
