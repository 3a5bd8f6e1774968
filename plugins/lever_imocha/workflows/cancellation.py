"""Cancels the open invitations of candidates who left, where the settings say so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import Departure, departed, may_cancel, may_mask
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.errors import NotFoundError, RequestRejectedError, VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.deletion import DeletionEvidence
from lever_imocha.workflows.idempotency import send_until_answered
from lever_imocha.workflows.listed_attempts import list_attempts

log = logging.getLogger(__name__)


class Cancellation:
    """What is done at iMocha and in the ledger when an opportunity is archived, deleted or moved out of its stage."""

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        deletion: DeletionEvidence,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._sleep, self._deletion = sleep, deletion
        self._lever, self._imocha, self._ledger, self._settings, self._clock = lever, imocha, ledger, settings, clock
        self._cancel_when = {kind for kind in Departure if getattr(settings.cancel_when, kind.value)}

    def leave(self, opportunity_id: str, departure: Departure, trigger_stages: Collection[str]) -> None:
        """Cancel the opportunity's open invitations; forget a deleted or anonymised candidate here and at iMocha.

        An invitation that another opportunity of the same person shares is left open until that has left, too.

        :param trigger_stages: ids; an opportunity in one of them has not left.
        :raises ApiError: a vendor could not be reached; nothing is forgotten yet.
        """
        if departure in self._cancel_when:
            for invitation_id in self._ledger.assessments.open_invitations(opportunity_id):
                if may_cancel(
                    self._departures_of_others(invitation_id, opportunity_id, trigger_stages), self._cancel_when
                ):
                    self._cancel(opportunity_id, invitation_id, departure)
        if departure is Departure.DELETED:
            if self._settings.mask_deleted:
                self._mask(opportunity_id, trigger_stages)
            self._ledger.names.erase(opportunity_id)

    def _departures_of_others(
        self, invitation_id: int, opportunity_id: str, trigger_stages: Collection[str]
    ) -> list[Departure | None]:
        others = [key for key in self._ledger.assessments.sharing(invitation_id) if key != opportunity_id]
        return [self._departure_of(key, trigger_stages) for key in others]

    def _departure_of(self, opportunity_id: str, trigger_stages: Collection[str]) -> Departure | None:
        try:
            opportunity = self._lever.get_opportunity(opportunity_id)
        except NotFoundError:
            return Departure.DELETED if self._deletion.is_deleted(opportunity_id) else None
        self._deletion.record_found(opportunity_id)
        return departed(opportunity, trigger_stages)

    def _mask(self, opportunity_id: str, trigger_stages: Collection[str]) -> None:
        """Have iMocha mask what it holds of the opportunity's attempts; it asks for the e-mail address, kept nowhere."""
        done = self._ledger.events.masked_invitations(opportunity_id)
        for known in self._ledger.assessments.of(opportunity_id):
            number = known.invitation_id
            if number is None or number in done:
                continue
            if not may_mask(self._departures_of_others(number, opportunity_id, trigger_stages)):
                continue
            email = self._email(number)
            if email is None:
                log.warning("invitation %s: iMocha does not say whose it is; mask it in iMocha by hand", number)
            else:
                self._ask_to_mask(email, number)
            kind = "masked" if email else "mask_by_hand"
            self._ledger.events.record(kind, opportunity_id=opportunity_id, invitation_id=number)

    def _email(self, invitation_id: int) -> str | None:
        """From the report, or, where there is none, from the invitations that lately ended some other way."""
        try:
            if email := self._imocha.get_report(invitation_id).candidate_email:
                return email
        except VendorRefusedError:
            log.debug("invitation %s has no report", invitation_id)
        now = self._clock()
        start = now - self._settings.poll.attempts_window
        for state in ("cancelled", "expired", "completed"):
            for attempt in list_attempts(self._imocha, state, start=start, now=now):
                if attempt.test_invitation_id == invitation_id and attempt.email:
                    return attempt.email
        return None

    def _ask_to_mask(self, email: str, invitation_id: int) -> None:
        ask = partial(self._imocha.create_gdpr_request, email, invitation_id=invitation_id)
        try:
            send_until_answered(ask, sleep=self._sleep)
        except RequestRejectedError:
            log.info("invitation %s: iMocha has no records of the candidate any more", invitation_id)

    def _cancel(self, opportunity_id: str, invitation_id: int, departure: Departure) -> None:
        try:
            # Cancelling twice is refused the second time, which counts as done.
            send_until_answered(partial(self._imocha.cancel, invitation_id), sleep=self._sleep)
        except VendorRefusedError:
            # Only a pending invitation can be cancelled (imocha.md 5.5): the candidate has just started, or it is
            # cancelled or expired already. The sweep of attempts finds out which.
            log.info("invitation %s of opportunity %s is no longer pending", invitation_id, opportunity_id)
            self._ledger.invitations.recheck(invitation_id)
            self._ledger.assessments.reopen(invitation_id, left=opportunity_id)
            return
        self._ledger.invitations.set_status({invitation_id: AttemptStatus.CANCELLED})
        self._ledger.assessments.reopen(invitation_id, left=opportunity_id)
        self._ledger.events.record(
            "cancelled", opportunity_id=opportunity_id, invitation_id=invitation_id, detail=departure.value
        )
