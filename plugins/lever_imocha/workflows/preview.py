"""Tells what would be done about everybody in the trigger stages, and does nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.domain.decisions import EntryFacts, Plan, Situation, decide
from lever_imocha.domain.lever import Opportunity
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.limits import Limits
from lever_imocha.workflows.resolved_settings import resolve
from lever_imocha.workflows.situation import SituationReader, entry_facts, with_entry


@dataclass(frozen=True)
class Expected:
    """What would be done about one opportunity, or about one of its tests.

    :param plan: None when nothing is decided now.
    :param why_not: then why not.
    """

    opportunity_id: str
    plan: Plan | None
    why_not: str = ""

    def __str__(self) -> str:
        if self.plan is None:
            return self.why_not
        return f"{self.plan}, test {self.plan.test_id}" if self.plan.test_id is not None else str(self.plan)


class Preview:
    """Decides by the same table as a run, and stops there: nothing is recorded, sent or written.

    iMocha is not asked about attempts: what the ledger knows of them counts.

    :param hourly: False counts who only waits for their turn (`limits.per_hour`) as invited.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        hourly: bool = True,
        clock: Clock = utc_now,
    ) -> None:
        self._lever, self._ledger, self._settings, self._clock = lever, ledger, settings, clock
        self._hourly = hourly
        self._limits = Limits(ledger=ledger, settings=settings.limits)
        self._situations = SituationReader(imocha=imocha, ledger=ledger, settings=settings, clock=clock)
        self._mails = 0
        self.problems: tuple[str, ...] = ()
        """What is wrong with the settings, one line each; known after `expected`."""

    def plans(self) -> dict[str, list[str]]:
        """Return each plan in words with the ids of the opportunities that it is about, the most frequent first.

        :raises LeverImochaError: the lists of stages, opportunities or tests cannot be read.
        """
        found = defaultdict[str, list[str]](list)
        for one in self.expected():
            found[str(one)].append(one.opportunity_id)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def expected(self) -> list[Expected]:
        """Return what would be done about everybody in the trigger stages.

        :raises LeverImochaError: the lists of stages, opportunities or tests cannot be read.
        """
        resolved = resolve(self._ledger, self._lever, self._settings, remember=False)
        self.problems = resolved.problems
        before, stages = self._situations.before(), resolved.trigger_stages
        if not stages:  # without any, Lever would list everybody
            return []
        listed = self._lever.list_opportunities(stage_ids=stages, archived=False, expand=("applications",))
        return [
            one
            for opportunity in listed
            for one in self._decided(self._situations.read(opportunity, resolved, before=before))
        ]

    def _decided(self, situation: Situation) -> Iterator[Expected]:
        opportunity = situation.opportunity
        arrival, decided = self._arrival(opportunity, situation.eligibility)
        if decided:
            yield Expected(opportunity.id, None, f"nothing, as it was decided before{decided}")
            return
        if situation.obstacle is None and situation.rule is not None and not situation.rule.usable:
            yield Expected(opportunity.id, None, "waits until the settings are corrected")
            return
        situation = with_entry(self._limits.applied(situation), arrival, self._ledger.assessments.of(opportunity.id))
        left = situation.mails_left - self._mails if self._hourly and situation.mails_left is not None else None
        for plan in decide(replace(situation, now=self._clock(), mails_left=left)):
            self._mails += plan.action.mails
            yield Expected(opportunity.id, plan)

    def _arrival(self, opportunity: Opportunity, eligibility: str) -> tuple[EntryFacts, str]:
        """Return the arrival to decide about, and if it was decided before on the same grounds, what."""
        arrival = EntryFacts(id=0, stage_id=str(opportunity.stage), entered_at=opportunity.entered_stage_at)
        last = self._ledger.entries.last(opportunity.id)
        if last is None or (last.stage_id, last.entered_at) != (arrival.stage_id, arrival.entered_at):
            removed = self._ledger.entries.was_removed(opportunity.id, arrival.entered_at)
            return arrival, ", and removed since" if removed else ""
        same = last.decided_at is not None and last.eligibility == eligibility
        return entry_facts(last), f": {last.decision}" if same else ""
