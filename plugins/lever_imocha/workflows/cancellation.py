"""Cancels the open invitations of candidates who left, where the settings say so."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.clock import Sleep
from lever_imocha.domain.decisions import Departure, may_cancel
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.errors import NotFoundError, NotPermittedError, VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.deletion import DeletionEvidence
from lever_imocha.workflows.idempotency import send_until_answered
from lever_imocha.workflows.limits import CancelLimit
from lever_imocha.workflows.masking import Masking
from lever_imocha.workflows.work import past_failures, raise_first

log = logging.getLogger(__name__)


def cancelled_when(settings: Settings) -> set[Departure]:
    """Return the departures for which the settings cancel open invitations."""
    return {kind for kind in Departure if getattr(settings.cancel_when, kind.value)}


class Cancellation:
    """What is done at iMocha and in the ledger when an opportunity is archived, deleted or moved out of its stage."""

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        deletion: DeletionEvidence,
        masking: Masking,
        tests: ActiveTests,
        limit: CancelLimit,
        sleep: Sleep,
    ) -> None:
        self._limit, self._tests = limit, tests
        self._sleep, self._deletion, self._masking = sleep, deletion, masking
        self._imocha, self._ledger = imocha, ledger
        self._cancel_when = cancelled_when(settings)

    def leave(self, item: WorkItem, departure: Departure, trigger_stages: Collection[str]) -> None:
        """Cancel the opportunity's open invitations; forget the name of a deleted or anonymised candidate, and plan masking.

        An invitation that another opportunity of the same person shares is left open until that has left, too.

        :param trigger_stages: ids; an opportunity in one of them has not left.
        :param item: the work item under which this is done.
        :raises NotYet: too many have left at once; nothing is cancelled or forgotten yet.
        :raises ApiError: a vendor could not be reached; nothing is forgotten yet.
        """
        opportunity_id = item.opportunity_id
        if departure in self._cancel_when and (
            invitations := self._ledger.assessments.open_invitations(opportunity_id)
        ):
            self._limit.check(item)
            cancel = partial(self._cancel_unless_shared, opportunity_id, departure, trigger_stages)
            raise_first(past_failures(invitations, cancel))
        if departure is Departure.DELETED:
            with self._ledger.transaction():
                self._ledger.assessments.record_departure(opportunity_id, departure)
                self._masking.plan(opportunity_id)
                self._ledger.opportunities.erase_name(opportunity_id)

    def _cancel_unless_shared(
        self, opportunity_id: str, departure: Departure, trigger_stages: Collection[str], invitation_id: int
    ) -> None:
        others = [key for key in self._ledger.assessments.sharing(invitation_id) if key != opportunity_id]
        if may_cancel([self._deletion.departure_of(key, trigger_stages) for key in others], self._cancel_when):
            self._tests.check_account()  # which `withdraw` does too late: nothing is reopened with another account's key
            # Before: whoever comes back is invited again, also when this process ends or the answer is lost.
            self._ledger.assessments.reopen(invitation_id, left=opportunity_id)
            self.withdraw(opportunity_id, invitation_id, why=departure.value)
            # After: who came to share the invitation meanwhile is decided about anew.
            self._ledger.assessments.reopen(invitation_id, left=opportunity_id)

    def withdraw(self, opportunity_id: str, invitation_id: int, *, why: str) -> bool:
        """Cancel an open invitation at iMocha.

        :param why: for the timeline.
        :return: False when it is no longer pending, so that there was nothing to cancel.
        :raises SettingsError: the key is another account's, where the number may be somebody else's.
        """
        self._tests.check_account()
        try:
            # Cancelling twice is refused the second time, which counts as done.
            send_until_answered(partial(self._imocha.cancel, invitation_id), sleep=self._sleep)
        except VendorRefusedError as error:
            # Only a pending invitation can be cancelled (imocha.md 5.5): the candidate has just started, or it is
            # cancelled or expired already. The sweep of attempts finds out which.
            self._ledger.invitations.recheck(invitation_id)
            if isinstance(error, NotFoundError | NotPermittedError):
                raise  # says nothing of the invitation, as with another account's key: it may be pending still
            log.info("invitation %s of opportunity %s is no longer pending", invitation_id, opportunity_id)
            return False
        self._ledger.invitations.set_status({invitation_id: AttemptStatus.CANCELLED})
        self._ledger.events.record("cancelled", opportunity_id=opportunity_id, invitation_id=invitation_id, detail=why)
        return True
