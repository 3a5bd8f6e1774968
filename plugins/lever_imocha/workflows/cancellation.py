"""Candidates who leave while an invitation is open: it is withdrawn, where the settings say so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.decisions import Departure
from lever_imocha.errors import NotFoundError, NotPermittedError, RequestRejectedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.idempotency import repeat_when_answer_lost

log = logging.getLogger(__name__)


class Cancellation:
    """What is done at iMocha and in the ledger when an opportunity is archived, deleted or moved out of its stage.

    :param departure_of: reads how another opportunity has left; None when it has not.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Callable[[], datetime],
        departure_of: Callable[[str], Departure | None],
    ) -> None:
        self._imocha, self._ledger, self._settings = imocha, ledger, settings
        self._clock, self._departure_of = clock, departure_of

    def leave(self, opportunity_id: str, departure: Departure) -> None:
        """Cancel the opportunity's open invitations; forget a deleted or anonymised candidate here and at iMocha.

        An invitation that another opportunity of the same person shares is left open until that has left, too.

        :raises ApiError: iMocha could not be reached; nothing is forgotten yet.
        """
        if self._matters(departure):
            for _, invitation_id in self._ledger.open_invitations(opportunity_id):
                if all(self._matters(self._departure_of(key)) for key in self._others(invitation_id, opportunity_id)):
                    self._cancel(opportunity_id, invitation_id, departure)
        if departure is Departure.DELETED:
            if self._settings.mask_deleted:
                self._mask(opportunity_id)
            self._ledger.erase_name(opportunity_id)

    def _matters(self, departure: Departure | None) -> bool:
        return departure is not None and bool(getattr(self._settings.cancel_when, departure.value))

    def _others(self, invitation_id: int, opportunity_id: str) -> list[str]:
        return [key for key in self._ledger.opportunities_of_invitation(invitation_id) if key != opportunity_id]

    def _mask(self, opportunity_id: str) -> None:
        """Have iMocha mask what it holds of the opportunity's attempts; it asks for the e-mail address, kept nowhere."""
        done = self._ledger.masked_invitations(opportunity_id)
        for known in self._ledger.assessments_of(opportunity_id):
            number = known.invitation_id
            if number is None or number in done:
                continue
            if any(self._departure_of(key) is not Departure.DELETED for key in self._others(number, opportunity_id)):
                continue
            email = self._email(number)
            if email is None:
                log.warning("invitation %s: iMocha does not say whose it is; mask it in iMocha by hand", number)
            else:
                self._ask_to_mask(email, number)
            kind = "masked" if email else "mask_by_hand"
            self._ledger.record_event(kind, opportunity_id=opportunity_id, invitation_id=number)

    def _email(self, invitation_id: int) -> str | None:
        """From the report, or, where there is none, from the invitations that lately ended some other way."""
        try:
            if email := self._imocha.get_report(invitation_id).candidate_email:
                return email
        except (NotFoundError, RequestRejectedError, NotPermittedError):
            log.debug("invitation %s has no report", invitation_id)
        end = self._clock() + timedelta(minutes=5)
        for state in ("cancelled", "expired", "completed"):
            attempts = self._imocha.list_attempts(
                state=state, start_at=end - self._settings.poll.attempts_window, end_at=end
            )
            for attempt in attempts:
                if attempt.test_invitation_id == invitation_id and attempt.email:
                    return attempt.email
        return None

    @repeat_when_answer_lost
    def _ask_to_mask(self, email: str, invitation_id: int) -> None:
        try:
            self._imocha.create_gdpr_request(email, invitation_id=invitation_id)
        except RequestRejectedError:
            log.info("invitation %s: iMocha has no records of the candidate any more", invitation_id)

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

    @repeat_when_answer_lost
    def _send(self, invitation_id: int) -> None:
        """Cancelling twice is refused the second time, which the caller takes for done."""
        self._imocha.cancel(invitation_id)
