"""Reads one candidate into a `Situation`, on which the decision rests."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property

from lever_imocha.domain.decisions import Situation
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import select_rule
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewEntry
from lever_imocha.ledger.watermarks import ACTIVATED
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.asked_tests import AskedTests
from lever_imocha.workflows.resolved_settings import ResolvedSettings
from lever_imocha.workflows.temporary_tags import TemporaryTags, lasting_tags, temporary_tags

_CLOCKS_DIFFER = timedelta(minutes=5)


class SituationReader:
    """Reads what can be known of an opportunity without asking iMocha about its attempts.

    :param tests: iMocha's active tests, read at most once a run.
    """

    def __init__(self, *, ledger: Ledger, settings: Settings, tests: ActiveTests) -> None:
        self._ledger, self._tests = ledger, tests
        self._asked = AskedTests(ledger=ledger, settings=settings)
        self._existing = settings.activation.existing

    @cached_property
    def activated_at(self) -> datetime:
        """When this ledger's first sweep began; now, if there was none: what comes before it is read like it."""
        return self._ledger.watermarks.first(ACTIVATED)

    def activate(self) -> None:
        """Remember that the integration runs from now on, if it does not run yet."""
        _ = self.activated_at

    def before(self) -> TemporaryTags | None:
        """Return what has to be known from before an opportunity is read from Lever."""
        return temporary_tags(self._ledger)

    def read(
        self,
        opportunity: Opportunity,
        resolved: ResolvedSettings,
        *,
        before: TemporaryTags | None,
        fresh_tests: bool = False,
    ) -> Situation:
        """Return the situation without a stage entry.

        :param opportunity: as just read from Lever, with ``expand=applications``.
        :param before: what `before` returned before it was read.
        :param fresh_tests: do not trust the list of tests that an earlier run left.
        """
        opportunity = opportunity.model_copy(update={"tags": lasting_tags(opportunity, self._ledger, before=before)})
        rule = select_rule(opportunity, resolved.rules)
        wanted = self._asked.of(opportunity, rule)
        return Situation(
            opportunity=opportunity,
            rule=rule,
            wanted=wanted,
            active=self._tests.among(wanted, fresh=fresh_tests),
            activated_at=None if self._was_announced(opportunity) else self.activated_at,
            existing=self._existing,
        )

    def _was_announced(self, opportunity: Opportunity) -> bool:
        """Tell whether a webhook told of the stage change before the first sweep: then the integration ran already."""
        entered = opportunity.entered_stage_at
        return entered < self.activated_at and self._ledger.deliveries.has_stage_change(
            opportunity.id, since=entered - _CLOCKS_DIFFER
        )


def new_entry(situation: Situation) -> NewEntry:
    """Return the opportunity's arrival in its stage, for the ledger."""
    opportunity = situation.opportunity
    return NewEntry(
        opportunity_id=opportunity.id,
        stage_id=str(opportunity.stage),
        entered_at=opportunity.entered_stage_at,
        name=opportunity.display_name,
        eligibility=situation.eligibility,
    )
