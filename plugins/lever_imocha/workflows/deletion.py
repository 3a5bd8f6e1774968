"""Tells whether an opportunity is deleted: one answer "not found" is no fact about a person."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cached_property

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Clock
from lever_imocha.domain.decisions import Departure, departed
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import NotFoundError, VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.workflows.account import check_account
from lever_imocha.workflows.clocks import clock_problem

log = logging.getLogger(__name__)

NOT_FOUND = "not found in Lever"
_LOOKED_BACK = timedelta(days=30)
_LONG_ENOUGH = timedelta(hours=24)


class DeletionEvidence:
    """Looks for more than one answer: Lever's list of deleted opportunities, or the same answer for a day.

    A proxy's page, an outage or another account's key answer "not found", too.
    """

    def __init__(self, *, lever: LeverClient, ledger: Ledger, clock: Clock) -> None:
        self._lever, self._ledger, self._clock = lever, ledger, clock

    def is_deleted(self, opportunity_id: str) -> bool:
        """Tell whether an opportunity that Lever does not find is deleted; the first such answer is remembered.

        While our clock is wrong nobody counts as deleted: a day may not have passed.

        :raises SettingsError: the key is another account's, which finds nobody of ours, however long it is asked.
        """
        if problem := self.clock_problem:
            log.warning("opportunity %s is not taken for deleted: %s", opportunity_id, problem)
            return False
        missing_since = self._ledger.opportunities.record_missing(opportunity_id)
        if opportunity_id in self._listed:
            return True
        if self._clock() - missing_since < _LONG_ENOUGH:
            return False
        check_account(self._ledger, [stage.id for stage in self._lever.list_stages()])
        return True

    @property
    def clock_problem(self) -> str | None:
        """What is wrong with our clock, see `clocks.clock_problem`: no time that we measure is a witness then."""
        return clock_problem(self._lever)

    def missing_since(self, opportunity_id: str) -> datetime:
        """Return since when Lever has not found an opportunity without a break; now, if it was found lately."""
        return self._ledger.opportunities.record_missing(opportunity_id)

    def departure_of(self, opportunity_id: str, trigger_stages: Collection[str]) -> Departure | None:
        """Read an opportunity, and return how it has left; None when it has not, or is not known to be deleted."""
        try:
            opportunity = self._lever.get_opportunity(opportunity_id)
        except NotFoundError:
            return Departure.DELETED if self.is_deleted(opportunity_id) else None
        self._ledger.opportunities.record_found(opportunity_id)
        return self.departure(opportunity, trigger_stages)

    def departure(self, opportunity: Opportunity, trigger_stages: Collection[str]) -> Departure | None:
        """Return how an opportunity that was just read has left, or None.

        Who is where the assessment began has not left, also when the settings name that stage no longer: a line that
        was taken out of them by mistake must not cancel invitations.
        """
        found = departed(opportunity, trigger_stages)
        if found is Departure.STAGE_LEFT:
            known = self._ledger.assessments.of(opportunity.id)
            return departed(opportunity, {*trigger_stages, *(one.trigger_stage_id for one in known)})
        return found

    @cached_property
    def _listed(self) -> set[str]:
        """The opportunities deleted in the last days; empty when the key may not list them (lever.md 4.5)."""
        start = self._clock() - _LOOKED_BACK
        try:
            return {item.id for item in self._lever.list_deleted_opportunities(deleted_at_start=start)}
        except VendorRefusedError as error:
            log.info("deleted opportunities cannot be listed: %s", error)
            return set()
