"""Stage entries: collected from Lever, decided, and acted on at iMocha."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.attempts import AttemptStatus
from lever_imocha.domain.decisions import (
    Action,
    Decision,
    Reason,
    ResolvedRule,
    WantedTest,
    decide,
    eligibility,
    screen,
    select_rule,
    wanted_tests,
)
from lever_imocha.domain.opportunities import Opportunity
from lever_imocha.errors import LeverImochaError, NotFoundError, RequestRejectedError
from lever_imocha.ledger.repository import Ledger, NewEntry, StageEntry
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.invitations import Inviter
from lever_imocha.workflows.reference import Reference, refresh_reference, stored_reference, tag_scheme

log = logging.getLogger(__name__)

_REFUSED_AGAIN = timedelta(hours=1)
_SWEEP, _FULL_SWEEP = "lever.sweep", "lever.full_sweep"


def _pages(items: Iterable[NewEntry], size: int = 100) -> Iterator[list[NewEntry]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


class InviteWorkflow:
    """Collect stage entries, then act on each: invite, refresh, reattempt, hold or leave alone.

    :param worker: names this process in claims.
    :param clock: aware UTC now.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        worker: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lever, self._imocha, self._ledger, self._settings = lever, imocha, ledger, settings
        self._worker, self._clock = worker, clock
        self._scheme = tag_scheme(settings)
        self._inviter = Inviter(imocha=imocha, ledger=ledger, settings=settings, clock=clock)
        self._known_reference: Reference | None = None
        self._tests = ActiveTests(imocha=imocha, ledger=ledger)

    def collect(self, *, full: bool = False) -> list[StageEntry]:
        """Sweep Lever's trigger stages, record what is new, and return what is pending, oldest first.

        :param full: look at everyone in the stages, not only at those who came since the last sweep.
        :raises SettingsError: a name in the settings is unknown to Lever.
        """
        reference = self._known_reference = refresh_reference(
            self._ledger, self._lever, self._settings, templates=False
        )
        now, poll = self._clock(), self._settings.poll
        last, last_full = self._ledger.watermark(_SWEEP), self._ledger.watermark(_FULL_SWEEP)
        full = full or last is None or last_full is None or now - last_full >= poll.full_sweep
        stages = tuple(dict.fromkeys(rule.trigger_stage_id for rule in reference.rules))
        found = self._lever.list_opportunities(
            stage_ids=stages,
            archived=False,
            advanced_at_start=None if full or last is None else last - poll.overlap,
            expand=("applications",),
        )
        for page in _pages(self._entry(opportunity) for opportunity in found if opportunity.stage in stages):
            self._ledger.record_entries(page, seen_by="sweep")
        self._ledger.set_watermark(_SWEEP, now)
        if full:
            self._ledger.set_watermark(_FULL_SWEEP, now)
        return self._ledger.pending_entries()

    def act(self, entry_id: int) -> str | None:
        """Decide about one stage entry and do it.

        :return: what was decided, or None when another worker has it or it is decided.
        :raises LeverImochaError: it could not be done; the entry stays pending.
        """
        entry = self._ledger.claim_entry(entry_id, worker=self._worker, lease=self._settings.poll.lease)
        if entry is None:
            return None
        try:
            decision, seen = self._handle(entry)
        except LeverImochaError as error:
            later = self._clock() + _REFUSED_AGAIN if isinstance(error, RequestRejectedError) else None
            self._ledger.release_entry(entry.id, reason=type(error).__name__, not_before=later)
            raise
        self._ledger.decide_entry(entry.id, decision=decision.action.value, reason=_reason(decision), eligibility=seen)
        return str(decision)

    def _handle(self, entry: StageEntry) -> tuple[Decision, str]:
        try:
            opportunity = self._lever.get_opportunity(entry.opportunity_id, expand=("applications",))
        except NotFoundError:
            return Decision(Action.IGNORE, Reason.GONE), Reason.GONE.value
        rule = select_rule(opportunity, self._reference.rules)
        wanted = wanted_tests(opportunity.tags, self._scheme)
        active = self._tests.among(wanted)
        seen = eligibility(opportunity, rule=rule, wanted=wanted, active=active)
        decision = screen(opportunity, rule=rule, wanted=wanted, active=active)
        if decision is not None or rule is None:
            return decision or Decision(Action.IGNORE, Reason.MOVED_ON), seen
        if opportunity.stage != entry.stage_id or opportunity.entered_stage_at != entry.entered_at:
            self._ledger.record_entries([self._entry(opportunity)], seen_by="read")
            return Decision(Action.IGNORE, Reason.SUPERSEDED), seen
        decisions = [self._assess(opportunity, entry, rule, test, active) for test in wanted]
        return _combined(decisions), seen

    def _assess(
        self, opportunity: Opportunity, entry: StageEntry, rule: ResolvedRule, test: WantedTest, active: set[int]
    ) -> Decision:
        if test.test_id is None or test.test_id not in active:
            return Decision(Action.HOLD, Reason.UNKNOWN_TEST, test.tag)
        known = self._ledger.assessment(opportunity.id, test.test_id)
        if known is not None and known.handled_entry_id == entry.id:
            return Decision(Action.IGNORE, Reason.ALREADY_HANDLED)
        status = self._inviter.status_now(known) if known is not None else None
        decision = decide(status, retake=rule.retake)
        if decision.action is Action.REATTEMPT and known is not None and known.written_at is None:
            decision = Decision(Action.IGNORE, Reason.ALREADY_TAKEN, "its report is being written back")
        if decision.action is Action.IGNORE:
            if known is not None:
                self._ledger.mark_handled(known.id, entry.id)
            return decision
        return self._inviter.send(
            decision.action,
            opportunity=opportunity,
            entry=entry,
            rule=rule,
            test_id=test.test_id,
            ask_first=status is AttemptStatus.UNKNOWN,
        )

    @property
    def _reference(self) -> Reference:
        if self._known_reference is None:
            self._known_reference = stored_reference(self._ledger, templates=False)
        return self._known_reference

    def _entry(self, opportunity: Opportunity) -> NewEntry:
        wanted = wanted_tests(opportunity.tags, self._scheme)
        rule = select_rule(opportunity, self._reference.rules)
        return NewEntry(
            opportunity_id=opportunity.id,
            stage_id=str(opportunity.stage),
            entered_at=opportunity.entered_stage_at,
            name=opportunity.name,
            eligibility=eligibility(
                opportunity, rule=rule, wanted=wanted, active=self._tests.among(wanted, fresh=True)
            ),
        )


def _combined(decisions: list[Decision]) -> Decision:
    """One word for a stage entry with several tests: what needs a person first, then what was done."""
    order = (Action.HOLD, Action.INVITE, Action.REATTEMPT, Action.REFRESH, Action.IGNORE)
    return min(decisions, key=lambda decision: order.index(decision.action))


def _reason(decision: Decision) -> str | None:
    return (
        (f"{decision.reason} ({decision.detail})" if decision.detail else str(decision.reason))
        if decision.reason
        else None
    )
