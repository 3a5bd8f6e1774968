"""Shows the recruiter in Lever how an assessment stands: a status tag, and one note for each problem."""

from __future__ import annotations

from collections.abc import Sequence

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import Action, Outcome, Reason
from lever_imocha.domain.explanations import can_be_mended, hold_note, status_tag
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.tags import STATUS_TAGS
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Effect, StageEntry, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.effects import EffectMaker


class Explainer:
    """Shows one opportunity's status and problems in Lever."""

    def __init__(self, *, lever: LeverClient, ledger: Ledger, settings: Settings, effects: EffectMaker) -> None:
        self._lever, self._ledger, self._settings, self._effects = lever, ledger, settings, effects

    def tag(self, opportunity_id: str) -> list[str]:
        """Return the status tag an opportunity should carry, as a list of none or one; none when the settings want none."""
        if not self._settings.explain.status_tags:
            return []
        statuses = [known.status for known in self._ledger.assessments.of(opportunity_id)]
        tag = status_tag(statuses, on_hold=self._hold(opportunity_id) is not None)
        return [tag.value] if tag else []

    def has_to_show(self, outcome: Outcome) -> bool:
        """Tell whether the recruiter is to see in Lever what came of a stage entry."""
        explain = self._settings.explain
        return explain.status_tags or (
            explain.notes and outcome.action is Action.HOLD and can_be_mended(outcome.reason)
        )

    def show(self, opportunity: Opportunity, item: WorkItem, *, perform_as: str) -> None:
        """Make Lever say how an opportunity stands; who is archived or anonymised is left as they are.

        :param opportunity: as just read.
        :param item: the work item under which this is done.
        """
        if opportunity.archived is not None or opportunity.is_anonymized:
            return
        hold = self._hold(opportunity.id) if self._settings.explain.notes else None
        if hold is not None and hold.reason is not None and can_be_mended(hold.reason):
            why = f"{hold.reason} ({hold.detail})" if hold.detail else str(hold.reason)
            self.note(item, f"stage entry {hold.id}: {why}", hold_note(why, hold.reason), perform_as=perform_as)
        if self._settings.explain.status_tags:
            self._show_tag(opportunity, perform_as)

    def _hold(self, opportunity_id: str) -> StageEntry | None:
        last = self._ledger.entries.last(opportunity_id)
        on_hold = last is not None and last.decision is Action.HOLD and last.reason is not Reason.BEFORE_ACTIVATION
        return last if on_hold else None

    def _show_tag(self, opportunity: Opportunity, perform_as: str) -> None:
        wanted = self.tag(opportunity.id)
        if missing := [tag for tag in wanted if tag not in opportunity.tags]:
            self._lever.add_tags(opportunity.id, missing, perform_as=perform_as)
        self.clear(opportunity.id, opportunity.tags, keep=wanted, perform_as=perform_as)

    def clear(self, opportunity_id: str, tags: Sequence[str], *, keep: Sequence[str], perform_as: str) -> None:
        """Take off the status tags an opportunity carries, all but one."""
        if outdated := [tag for tag in tags if tag in STATUS_TAGS and tag not in keep]:
            self._lever.remove_tags(opportunity_id, outdated, perform_as=perform_as)

    def note(self, item: WorkItem, problem: str, text: str, *, perform_as: str) -> None:
        """Leave one note about a problem, however often it is met.

        :param item: the work item under which this is done.
        :param problem: names it among the opportunity's problems; part of the note, by which it is found again.
        """
        if not self._settings.explain.notes:
            return
        opportunity_id, mark = item.opportunity_id, f"[{problem}]"

        def find() -> str | None:
            return next((note.id for note in self._lever.list_notes(opportunity_id) if mark in note.value), None)

        def make() -> str:
            return self._lever.create_note(opportunity_id, f"{text} {mark}", perform_as=perform_as).id

        self._effects.once(Effect(opportunity_id=opportunity_id, subject=problem, step="note"), item, make, find)
