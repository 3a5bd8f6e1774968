"""Waits for something at iMocha, for any DAG. It needs the connection, neither the ledger nor the settings file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lever_imocha.runtime.parameters import read, read_list
from lever_imocha.sensors.base import PollSensor

if TYPE_CHECKING:
    from lever_imocha.triggers.imocha import ImochaAttemptTrigger


class ImochaAttemptSensor(PollSensor):
    """Wait until at least one of the given attempts has ended, and return those that have.

    Ended is: the candidate has taken the test, so that there is a report. An invitation that was cancelled or has
    expired never ends; `timeout` bounds the wait.

    .. code-block:: python

        ended = ImochaAttemptSensor(task_id="ended", invitation_ids=[invite.output], deferrable=True, timeout=86400)

    :param invitation_ids: the invitations; each is one request to iMocha every `poke_interval`.
    :param imocha_conn_id: a connection of type ``imocha``.
    :param deferrable: wait in the triggerer, without a worker.
    :return: the ids of the invitations whose attempt has ended.
    """

    template_fields = ("imocha_conn_id", "invitation_ids")

    def __init__(
        self, *, invitation_ids: Sequence[int | str] | str, imocha_conn_id: str = "imocha_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.invitation_ids, self.imocha_conn_id = invitation_ids, imocha_conn_id

    def make_trigger(self) -> ImochaAttemptTrigger:
        """Read the ids, and make the trigger."""
        from lever_imocha.triggers.imocha import ImochaAttemptTrigger

        ids = read_list(self.invitation_ids, name="invitation_ids")
        return ImochaAttemptTrigger(
            imocha_conn_id=self.imocha_conn_id,
            invitation_ids=[read(int, item, name="invitation_ids") for item in ids],
            poll_interval=self.poke_interval,
        )
