"""Waits until somebody arrives in a stage of Lever."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lever_imocha.triggers.polling import PollTrigger


class LeverStageTrigger(PollTrigger):
    """Fire with the ids of the opportunities that are in a stage.

    :param lever_conn_id: connection of type ``lever``.
    :param stage_id: of the stage.
    :param posting_id: only those who applied to this posting.
    :param since: only those who entered the stage at or after this time, ISO 8601 with a time zone.
    :param poll_interval: seconds between two looks.
    :param asked_to_wait: seconds that the vendor asked the task to wait when it looked.
    """

    def __init__(
        self,
        *,
        lever_conn_id: str,
        stage_id: str,
        posting_id: str | None,
        since: str | None,
        poll_interval: float,
        asked_to_wait: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lever_conn_id, self.stage_id, self.posting_id = lever_conn_id, stage_id, posting_id
        self.since, self.poll_interval, self.asked_to_wait = since, poll_interval, asked_to_wait

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that make this trigger again, without those of every `PollTrigger`."""
        return {
            "lever_conn_id": self.lever_conn_id,
            "stage_id": self.stage_id,
            "posting_id": self.posting_id,
            "since": self.since,
        }

    def look(self) -> list[str]:
        """Return the ids of who is there now, and not archived."""
        from lever_imocha.hooks.lever import LeverHook

        since = datetime.fromisoformat(self.since) if self.since else None
        there = (
            LeverHook(self.lever_conn_id)
            .client()
            .list_opportunities(
                stage_ids=[self.stage_id],
                archived=False,
                advanced_at_start=since,
                posting_ids=[self.posting_id] if self.posting_id else [],
            )
        )
        return [one.id for one in there if one.stage == self.stage_id and (not since or one.entered_stage_at >= since)]
