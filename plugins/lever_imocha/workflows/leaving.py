"""Candidates who leave while an invitation is open: it is withdrawn, where the settings say so."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.decisions import Departure
from lever_imocha.errors import NotFoundError, NotPermittedError, OutcomeUnknownError, RequestRejectedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings

log = logging.getLogger(__name__)


class Leaver:
    """What is done at iMocha and in the ledger when an opportunity is archived, deleted or moved out of its stage.

    :param has_left: another opportunity has left as well, in a way the settings care about.
    """

    def __init__(
        self, *, imocha: ImochaClient, ledger: Ledger, settings: Settings, has_left: Callable[[str], bool]
    ) -> None:
        self._imocha, self._ledger, self._settings, self._has_left = imocha, ledger, settings, has_left

    def leave(self, opportunity_id: str, departure: Departure) -> None:
        """Cancel the opportunity's open invitations, and forget the name of a deleted or anonymised candidate.

        An invitation that another opportunity of the same person shares is left open until that has left, too.

        :raises ApiError: iMocha could not be reached; nothing is forgotten yet.
        """
        if getattr(self._settings.cancel_when, departure.value):
            for _, invitation_id in self._ledger.open_invitations(opportunity_id):
                others = [key for key in self._ledger.sharing(invitation_id) if key != opportunity_id]
                if all(self._has_left(key) for key in others):
                    self._cancel(opportunity_id, invitation_id, departure)
        if departure is Departure.DELETED:
            self._ledger.erase_name(opportunity_id)

    def _cancel(self, opportunity_id: str, invitation_id: int, departure: Departure) -> None:
        try:
            self._send(invitation_id)
        except (RequestRejectedError, NotFoundError, NotPermittedError):
            # Only a pending invitation can be cancelled (imocha.md 5.5): the candidate has just started, or it is
            # cancelled or expired already. The sweep of attempts tells which.
            log.info("invitation %s of opportunity %s is no longer pending", invitation_id, opportunity_id)
            self._ledger.recheck(invitation_id)
            self._ledger.reopen(invitation_id, left=opportunity_id)
            return
        self._ledger.set_status({invitation_id: "cancelled"})
        self._ledger.reopen(invitation_id, left=opportunity_id)
        self._ledger.record_event(
            "cancelled", opportunity_id=opportunity_id, invitation_id=invitation_id, detail=departure.value
        )

    @retry(
        retry=retry_if_exception_type(OutcomeUnknownError),
        stop=stop_after_attempt(3),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    def _send(self, invitation_id: int) -> None:
        """Cancelling twice is refused the second time, which the caller takes for done."""
        self._imocha.cancel(invitation_id)
