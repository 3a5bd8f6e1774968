"""Waits until attempts at iMocha have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lever_imocha.errors import NotFoundError, RequestRejectedError
from lever_imocha.triggers.polling import PollTrigger

if TYPE_CHECKING:
    from lever_imocha.clients.imocha import ImochaClient


class ImochaAttemptTrigger(PollTrigger):
    """Fire with the ids of those invitations whose attempt has ended.

    :param imocha_conn_id: connection of type ``imocha``.
    :param invitation_ids: the invitations to look at.
    :param poll_interval: seconds between two looks.
    :param asked_to_wait: seconds that the vendor asked the task to wait when it looked.
    """

    def __init__(
        self, *, imocha_conn_id: str, invitation_ids: list[int], poll_interval: float, asked_to_wait: float = 0.0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.imocha_conn_id, self.invitation_ids = imocha_conn_id, invitation_ids
        self.poll_interval, self.asked_to_wait = poll_interval, asked_to_wait

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that make this trigger again, without those of every `PollTrigger`."""
        return {"imocha_conn_id": self.imocha_conn_id, "invitation_ids": self.invitation_ids}

    def look(self) -> list[int]:
        """Return the ids of the attempts that have ended, by their reports."""
        from lever_imocha.hooks.imocha import ImochaHook

        imocha = ImochaHook(self.imocha_conn_id).client()
        return [invitation_id for invitation_id in self.invitation_ids if _has_ended(imocha, invitation_id)]


def _has_ended(imocha: ImochaClient, invitation_id: int) -> bool:
    """Return whether there is a report of an ended attempt; before, iMocha may say that there is none (imocha.md 7.3)."""
    try:
        return imocha.get_report(invitation_id).status.is_ended
    except (NotFoundError, RequestRejectedError):
        return False
