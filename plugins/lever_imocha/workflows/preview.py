"""Tells what would be done about everybody in the trigger stages, and does nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import EntryFacts, Situation, decide
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.limits import Limits
from lever_imocha.workflows.resolved_settings import resolve
from lever_imocha.workflows.situation import SituationReader, facts_of, with_entry


class Preview:
    """Decides by the same table as a run, and stops there: nothing is recorded, sent or written.

    iMocha is not asked about attempts: what the ledger knows of them counts.

    :param clock: aware UTC now.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lever, self._ledger, self._settings, self._clock = lever, ledger, settings, clock
        self._limits = Limits(ledger=ledger, settings=settings.limits)
        self._situations = SituationReader(
            ledger=ledger,
            settings=settings,
            tests=ActiveTests(imocha=imocha, ledger=ledger, clock=clock),
            first=lambda name: ledger.watermarks.get(name) or clock(),
        )
        self._mails = 0
        self.problems: tuple[str, ...] = ()
        """What is wrong with the settings, one line each; known after `plans`."""

    def plans(self) -> dict[str, list[str]]:
        """Return each plan in words with the ids of the opportunities that it is about, the most frequent first.

        :raises LeverImochaError: the lists of stages, opportunities or tests cannot be read.
        """
        found = defaultdict[str, list[str]](list)
        resolved = resolve(self._ledger, self._lever, self._settings)
        self.problems = resolved.problems
        before = self._situations.before()
        stages = resolved.trigger_stages
        for opportunity in self._lever.list_opportunities(stage_ids=stages, archived=False, expand=("applications",)):
            situation = self._situations.read(opportunity, resolved, before=before)
            for words in self._decided(situation):
                found[words].append(opportunity.id)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def _decided(self, situation: Situation) -> list[str]:
        opportunity = situation.opportunity
        arrival = EntryFacts(id=0, stage_id=str(opportunity.stage), entered_at=opportunity.entered_stage_at)
        last = self._ledger.entries.last(opportunity.id)
        if last is not None and (last.stage_id, last.entered_at) == (arrival.stage_id, arrival.entered_at):
            if last.decided_at is not None and last.eligibility == situation.eligibility:
                return [f"nothing, as it was decided before: {last.decision}"]
            arrival = facts_of(last)
        elif self._ledger.entries.was_removed(opportunity.id, arrival.entered_at):
            return ["nothing, as it was decided before, and removed since"]
        if situation.obstacle is None and situation.rule is not None and not situation.rule.usable:
            return ["waits until the settings are corrected"]
        situation = with_entry(self._limits.applied(situation), arrival, self._ledger.assessments.of(opportunity.id))
        mails_left = situation.mails_left - self._mails if situation.mails_left is not None else None
        plans = decide(replace(situation, now=self._clock(), mails_left=mails_left))
        self._mails += sum(plan.action.mails for plan in plans)
        return [f"{plan}, test {plan.test_id}" if plan.test_id is not None else str(plan) for plan in plans]
