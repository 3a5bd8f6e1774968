"""Waits for something in Lever, for any DAG. It needs the connection, neither the ledger nor the settings file."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lever_imocha.runtime.parameters import given, read_text, read_time, text_or_none
from lever_imocha.sensors.base import PollSensor

if TYPE_CHECKING:
    from lever_imocha.triggers.lever import LeverStageTrigger


class LeverStageSensor(PollSensor):
    """Wait until somebody is in a stage, and return who is there.

    .. code-block:: python

        arrived = LeverStageSensor(
            task_id="arrived", stage="Offer", since="{{ data_interval_start }}", deferrable=True, timeout=3600
        )

    :param stage: name or id.
    :param posting: name or id; only those who applied to it.
    :param since: only those who entered the stage at or after this time: a time with a time zone, or a template of one.
        None: whoever is in the stage, however long.
    :param lever_conn_id: a connection of type ``lever``.
    :param deferrable: wait in the triggerer, without a worker.
    :return: the opportunities' ids.
    """

    template_fields = ("lever_conn_id", "stage", "posting", "since")

    def __init__(
        self,
        *,
        stage: str,
        posting: str | None = None,
        since: datetime | str | None = None,
        lever_conn_id: str = "lever_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stage, self.posting, self.since, self.lever_conn_id = stage, posting, since, lever_conn_id

    def make_trigger(self) -> LeverStageTrigger:
        """Look the names up, and make the trigger."""
        from lever_imocha.hooks.lever import LeverHook
        from lever_imocha.triggers.lever import LeverStageTrigger
        from lever_imocha.workflows.lever_names import LeverNames

        names, posting = LeverNames(LeverHook(self.lever_conn_id).client()), text_or_none(self.posting)
        return LeverStageTrigger(
            lever_conn_id=self.lever_conn_id,
            stage_id=names.stage_id(read_text(self.stage, name="stage")),
            posting_id=names.posting_id(posting) if posting else None,
            since=read_time(self.since, name="since").isoformat() if given(self.since) else None,
            poll_interval=self.poke_interval,
        )
