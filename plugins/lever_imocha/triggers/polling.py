"""A trigger that looks at a vendor every now and then, for a sensor that waits without a worker."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from lever_imocha.errors import LeverImochaError, Retry
from lever_imocha.triggers.ended_attempts import SETTLING


class PollTrigger(BaseTrigger):
    """Base: fires when `look` finds something. A task that waits has just looked by itself.

    :param poll_interval: seconds between two looks.
    :param asked_to_wait: seconds that the vendor asked the task to wait when it looked.
    """

    poll_interval: float
    asked_to_wait: float = 0.0

    @abstractmethod
    def look(self) -> list[Any]:
        """Return the ids found so far; called in a thread of its own, since it waits for answers."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that make this trigger again, without those of every `PollTrigger`."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", self.parameters | {
            "poll_interval": self.poll_interval,
            "asked_to_wait": self.asked_to_wait,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once: ``{"found": [ids]}``, or ``{"error": message}`` for what a person has to correct.

        What passes by itself, such as an outage of the vendor, is logged and waited out.
        """
        await asyncio.sleep(max(min(SETTLING, self.poll_interval), self.asked_to_wait))
        while True:
            try:
                found = await sync_to_async(self.look, thread_sensitive=False)()
            except LeverImochaError as error:
                self.log.warning("%s", error)
                if error.retry is not Retry.SOON:
                    # What the event says is kept in Airflow's database and goes into an alert.
                    yield TriggerEvent({"error": error.public_message})
                    return
                await asyncio.sleep(error.retry_after or 0)
            else:
                if found:
                    yield TriggerEvent({"found": found})
                    return
            await asyncio.sleep(self.poll_interval)
