"""Reads one candidate into a `Situation`, on which the decision rests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.arrivals import ArrivalFacts
from lever_imocha.domain.clock import Clock
from lever_imocha.domain.decisions import EntryFacts, KnownAssessment, OverLimit, Situation
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule, select_rule
from lever_imocha.errors import UnexpectedAnswerError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, NewEntry, StageEntry
from lever_imocha.ledger.watermarks import ACTIVATED, trigger_stage
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.asked_tests import AskedTests
from lever_imocha.workflows.clocks import CLOCKS_DIFFER
from lever_imocha.workflows.named_links import NamedLinks
from lever_imocha.workflows.resolved_settings import ResolvedSettings, tag_scheme
from lever_imocha.workflows.temporary_tags import TemporaryTags, lasting_tags, temporary_tags


class SituationReader:
    """Reads what can be known of an opportunity without asking iMocha about its attempts.

    iMocha's lists of tests, and of the links of those whose rule names one, are read at most once a run.

    :param first: returns the time kept under a name, as `first_time` does; None for who only looks: nothing is kept.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Clock,
        first: Callable[[str], datetime] | None = None,
    ) -> None:
        self._ledger = ledger
        self.tests = ActiveTests(imocha=imocha, ledger=ledger, clock=clock)
        self._links = NamedLinks(imocha=imocha, ledger=ledger)
        self._first = first or (lambda name: ledger.watermarks.get(name) or ledger.watermarks.beginning())
        self._asked = AskedTests(ledger=ledger, settings=settings)
        self._stages: dict[str, datetime] = {}
        self._existing, self._scheme = settings.activation.existing, tag_scheme(settings)

    @cached_property
    def activated_at(self) -> datetime:
        """When this ledger's first sweep began; now, if there was none: what comes before it is read like it."""
        return self._first(ACTIVATED)

    def activate(self, stage_ids: Iterable[str]) -> None:
        """Remember that the integration runs from now on, and for these trigger stages, if it does not yet."""
        for stage_id in stage_ids:
            self._begun(stage_id)
        _ = self.activated_at  # also without any

    def _begun(self, stage_id: str) -> datetime:
        """Return since when who enters a stage is invited: the activation, or when the settings named the stage later."""
        if stage_id not in self._stages:
            self._stages[stage_id] = max(self.activated_at, self._first(trigger_stage(stage_id)))
        return self._stages[stage_id]

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
        :param fresh_tests: do not trust the lists of tests and links that an earlier run left.
        :raises UnexpectedAnswerError: Lever does not say what a rule of the stage rests on.
        """
        opportunity = opportunity.model_copy(update={"tags": lasting_tags(opportunity, self._ledger, before=before)})
        in_stage = [rule for rule in resolved.rules if rule.trigger_stage_id == opportunity.stage]
        if problem := _unknown(opportunity, in_stage):
            raise UnexpectedAnswerError(vendor="Lever", call="get_opportunity", status=200, detail=problem)
        rule = select_rule(opportunity, in_stage)
        asked = self._asked.of(opportunity, resolved, rule)
        wanted = asked.tests or asked.later
        active = self.tests.among(wanted, fresh=fresh_tests)
        return Situation(
            opportunity=opportunity,
            rule=rule,
            wanted=wanted,
            active=active,
            links=self._links.of(rule, active, fresh=fresh_tests),
            activated_at=asked.existing_since or self._activated_at(opportunity, rule),
            existing=self._existing,
            settings_version=None if asked.later else resolved.asks_version,
        )

    def links_of(self, rule: ResolvedRule, test_id: int) -> dict[int, int]:
        """Return the id of the link that a rule names, by its test; nothing where it names none, or the test has none."""
        return self._links.of(rule, [test_id], fresh=False)

    def facts(self, situation: Situation, resolved: ResolvedSettings) -> ArrivalFacts:
        """Return what the settings were applied to, for the ledger."""
        return ArrivalFacts.of(situation, resolved.rules, self._scheme)

    def new_entry(self, situation: Situation, resolved: ResolvedSettings) -> NewEntry:
        """Return the opportunity's arrival in its stage, for the ledger."""
        opportunity = situation.opportunity
        return NewEntry(
            opportunity_id=opportunity.id,
            stage_id=str(opportunity.stage),
            entered_at=opportunity.entered_stage_at,
            name=opportunity.display_name,
            eligibility=situation.eligibility,
            facts=self.facts(situation, resolved),
            settings_version=situation.settings_version,
        )

    def _activated_at(self, opportunity: Opportunity, rule: ResolvedRule | None) -> datetime | None:
        """Return when the integration began for the stage; None when a webhook before the first sweep told of the move."""
        begun = self._begun(rule.trigger_stage_id) if rule else self.activated_at
        entered = opportunity.entered_stage_at
        if begun > self.activated_at or entered >= begun:
            return begun
        told = self._ledger.deliveries.has_stage_change(opportunity.id, since=entered - CLOCKS_DIFFER)
        return None if told else begun


def _unknown(opportunity: Opportunity, rules: Sequence[ResolvedRule]) -> str | None:
    """Say what has to be known of who is in the stage of these rules, and is not.

    With another time somebody would seem to come again, and another rule may ask for another test.
    """
    if rules and not opportunity.stage_changes:
        return "no stage changes, so that it is not known since when the opportunity is in its stage"
    if any(rule.posting_ids for rule in rules) and not opportunity.postings_are_known:
        return "an application is named by its id only; run the doctor, which says what the key lacks"
    return None


def with_entry(situation: Situation, entry: EntryFacts, assessments: Iterable[Assessment]) -> Situation:
    """Complete a situation by the stage entry to decide about and what the ledger knows of the tests."""
    known = {
        item.test_id: KnownAssessment(
            status=item.status, handled_entry_id=item.handled_entry_id, written=item.written_at is not None
        )
        for item in assessments
    }
    return replace(situation, entry=entry, known=known)


def entry_facts(entry: StageEntry) -> EntryFacts:
    """Return of a recorded stage entry what a decision rests on."""
    return EntryFacts(
        id=entry.id,
        stage_id=entry.stage_id,
        entered_at=entry.entered_at,
        decided=entry.decision,
        over_limit=entry.over_limit or OverLimit.WAIT,
    )
