"""Works on one candidate: reads it, decides, invites or leaves alone, and records what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Clock, Sleep, utc_now
from lever_imocha.domain.decisions import (
    Action,
    Departure,
    Outcome,
    OverLimit,
    Plan,
    Reason,
    Situation,
    attempts_to_look_up,
    combined,
    decide,
    frees_stage,
    waits_by_itself,
)
from lever_imocha.domain.metrics import Metrics, NoMetrics
from lever_imocha.domain.pauses import LONGEST, pause_after_failure
from lever_imocha.domain.tags import doubtful_tags
from lever_imocha.errors import LeverImochaError, NotFoundError, Scope, as_ours
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import CANDIDATE_WORK, Assessment, Request, StageEntry, Work, WorkItem
from lever_imocha.redaction import redact
from lever_imocha.settings import Settings
from lever_imocha.workflows.cancellation import Cancellation
from lever_imocha.workflows.clocks import first_time
from lever_imocha.workflows.deletion import NOT_FOUND, DeletionEvidence
from lever_imocha.workflows.effects import EffectMaker
from lever_imocha.workflows.explain import INVITE_REFUSED, Explainer, concerns_recruiters, expanded, told_why
from lever_imocha.workflows.invitation_sender import InvitationSender
from lever_imocha.workflows.limits import CancelLimit, Limits
from lever_imocha.workflows.masking import Masking
from lever_imocha.workflows.requests import RequestedActs, Turn
from lever_imocha.workflows.resolved_settings import (
    ResolvedSettings,
    current_resolved,
    keep_problems,
    problems_of_last_sweep,
    refresh_resolved,
    tag_scheme,
)
from lever_imocha.workflows.situation import SituationReader, entry_facts, with_entry
from lever_imocha.workflows.stage_sweep import StageSweep
from lever_imocha.workflows.vendor_lists import ListRead
from lever_imocha.workflows.work import NotYet, Result, WorkRunner, past_failures, raise_first

log = logging.getLogger(__name__)

_SETTINGS, _SETTINGS_PAUSE = "settings", timedelta(hours=1)
"""Why work waits that the settings stop as they are, and how long if nobody corrects them."""

Step = Callable[..., Result]


class InviteWorkflow:
    """Collects stage entries, then works on each candidate: read, decide, act, record.

    :param worker: names this process in claims.
    :param callback_secret: signs the addresses iMocha calls back (settings `public_url`).
    :param sleep: before a call whose answer was lost is sent again.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        worker: str,
        callback_secret: str | None = None,
        metrics: Metrics | None = None,
        clock: Clock = utc_now,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._lever, self._ledger, self._settings = lever, ledger, settings
        self._worker, self._clock = worker, clock
        self._metrics = metrics or NoMetrics()
        self._situations = SituationReader(
            imocha=imocha, ledger=ledger, settings=settings, clock=clock, first=first_time(ledger, lever)
        )
        self._sender = InvitationSender(
            imocha=imocha,
            ledger=ledger,
            settings=settings,
            clock=clock,
            callback_secret=callback_secret,
            metrics=self._metrics,
            sleep=sleep,
        )
        self._deletion = DeletionEvidence(lever=lever, ledger=ledger, clock=clock)
        self._masking = Masking(
            imocha=imocha,
            ledger=ledger,
            settings=settings,
            deletion=self._deletion,
            tests=self._situations.tests,
            clock=clock,
            sleep=sleep,
        )
        self._cancel_limit = CancelLimit(ledger=ledger, settings=settings.limits, clock=clock)
        self._cancellation = Cancellation(
            imocha=imocha,
            ledger=ledger,
            settings=settings,
            deletion=self._deletion,
            masking=self._masking,
            tests=self._situations.tests,
            limit=self._cancel_limit,
            sleep=sleep,
        )
        effects = EffectMaker(lever=lever, ledger=ledger, sleep=sleep)
        self._explainer = Explainer(lever=lever, ledger=ledger, settings=settings, effects=effects)
        self._limits = Limits(ledger=ledger, settings=settings.limits)
        self._runner = WorkRunner(queue=ledger.queue, vendors=(lever, imocha), clock=clock)
        self._known_resolved: ResolvedSettings | None = None
        self.invited: list[str] = []
        """The opportunities whose candidates were invited, or invited again, by this workflow."""
        self._requested = RequestedActs(
            imocha=imocha,
            ledger=ledger,
            settings=settings,
            situations=self._situations,
            sender=self._sender,
            cancellation=self._cancellation,
            limits=self._limits,
            invited=self.invited,
        )
        self.held_back: tuple[int, int] | None = None
        """Set when the last sweep found that too many seem to have left: how many, of how many open invitations."""
        self.lists: list[ListRead] = []
        """What came of reading Lever's lists in the last sweep."""

    def collect(
        self,
        *,
        full: bool = False,
        sweep: bool = True,
        waiting: bool = False,
        allow_cancelling: bool = False,
        over_limit: OverLimit = OverLimit.WAIT,
        asked_at: datetime | None = None,
    ) -> list[str]:
        """Record who came into the trigger stages and return the opportunities to work on, longest waiting first.

        :param full: look at everyone in the stages, not only at those who came since the last sweep.
        :param sweep: False in a run that a webhook started: what Lever sent is enough, the next sweep is soon.
        :param waiting: return also those whose next try is set for later: a person has asked for it.
        :param allow_cancelling: a person has said that it is no mistake that so many have left.
        :param over_limit: what a person wants done about those whom a limit holds.
        :param asked_at: when the person said the last two; None for now.
        :raises SettingsError: no rule of the settings can be used; see also `problems`.
        :raises LeverImochaError: the sweep failed, and nobody is due who could be worked on meanwhile.
        """
        allow_cancelling = allow_cancelling and self._cancel_limit.allow(asked_at or self._clock())
        failure = self._sweep(full=full, allow_cancelling=allow_cancelling) if sweep else None
        if failure is not None and failure.scope is Scope.ACCOUNT:
            raise failure
        self._limits.settle(over_limit, asked_at=asked_at)
        due = self._ledger.queue.due(CANDIDATE_WORK, waiting=waiting)
        if failure is not None:
            if not due:
                raise failure
            log.error("the stages could not be swept, whoever is known to wait is worked on all the same: %s", failure)
        return due

    def _sweep(self, *, full: bool, allow_cancelling: bool) -> LeverImochaError | None:
        """Sweep the trigger stages; return why that failed."""
        failure: LeverImochaError | None = None
        self._known_resolved = refresh_resolved(
            self._ledger, self._lever, self._settings, now=self._clock(), templates=False
        )
        before, now = problems_of_last_sweep(self._ledger), self._resolved.problems
        if before and before != now:
            # Who waited for the settings is tried again, and who came unseen is looked for.
            self._ledger.queue.release_waiting_for(_SETTINGS)
            full = True
        stage_sweep = StageSweep(
            lever=self._lever,
            ledger=self._ledger,
            settings=self._settings,
            situations=self._situations,
            clock=self._clock,
            allow_cancelling=allow_cancelling,
        )
        try:
            stage_sweep.run(self._resolved, full=full)
        except Exception as error:
            failure = as_ours(error)
        self.held_back, self.lists = stage_sweep.held_back, stage_sweep.lists
        if before != now and failure is None:
            keep_problems(self._ledger, now)
        return failure

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the settings and stops some of the work, but not all of it."""
        return self._resolved.problems

    def newest(self, since: datetime) -> str | None:
        """Return who was moved last, after a time, as a webhook said: one who comes alone overtakes a burst."""
        return self._ledger.queue.newest(CANDIDATE_WORK, since=since)

    def act(self, opportunity_id: str, *, force: bool = False) -> Result:
        """Read one opportunity afresh and do all that is due about it: invite, cancel, show its status in Lever.

        :param force: a person has asked for it: do also what waits for its next try, or is parked.
        :return: what came of it, or None when nothing is due, or another worker has it.
        :raises LeverImochaError: something could not be done, and had not failed like this before; it stays queued.
        """
        items = self._ledger.queue.claim(opportunity_id, CANDIDATE_WORK, worker=self._worker, force=force)
        asked = self._ledger.requests.begin(opportunity_id, Work.REQUEST) if Work.REQUEST in items else []
        if Work.REQUEST in items and not asked:  # withdrawn
            self._ledger.queue.finish(items.pop(Work.REQUEST))
        if not items:
            return None
        try:
            situation = self._read(opportunity_id, items.values())
        except Exception as error:
            return self._runner.stop_all(items.values(), error)
        steps: dict[Work, Step] = {
            Work.REQUEST: partial(self._carry_out, asked),
            Work.INVITE: self._invite,
            Work.CANCEL: self._cancel,
            Work.STATUS: self._show,
            Work.MASK: self._mask,
        }
        return self._runner.do_all(items, steps, situation, items)

    def _read(self, opportunity_id: str, items: Collection[WorkItem]) -> Situation | None:
        """Return what was read; None when the opportunity is deleted.

        :raises NotYet: Lever does not find it, which alone is no proof.
        """
        before = self._situations.before()
        try:
            opportunity = self._lever.get_opportunity(opportunity_id, expand=expanded(self._settings))
        except NotFoundError:
            if self._deletion.is_deleted(opportunity_id):
                return None
            tries = max(item.tries for item in items)
            raise NotYet(NOT_FOUND, pause=pause_after_failure(tries, refused=False)) from None
        situation = self._situations.read(opportunity, self._resolved, before=before)
        if situation.rule is None or all(item.kind is not Work.INVITE for item in items):
            self._ledger.opportunities.record_found(opportunity_id)  # otherwise recording the stage entry does it
        return replace(situation, now=self._clock())

    def _departure(self, situation: Situation | None) -> Departure | None:
        if situation is None:
            return Departure.DELETED
        return self._deletion.departure(situation.opportunity, self._resolved.trigger_stages)

    def _carry_out(
        self, asked: Sequence[Request], item: WorkItem, situation: Situation | None, items: dict[Work, WorkItem]
    ) -> str | None:
        """Do what a person has asked for; then claim what follows from it."""
        turn = Turn(
            item=item,
            situation=situation,
            departure=self._departure(situation),
            rule_of=self._resolved.rule_of,
        )
        outcome = self._requested.carry_out(asked, turn)
        items |= self._ledger.queue.claim(item.opportunity_id, CANDIDATE_WORK, worker=self._worker)
        self._have_shown(item, items)
        return outcome

    def _invite(self, item: WorkItem, situation: Situation | None, items: dict[Work, WorkItem]) -> Outcome:
        """Decide about the stage entries; then claim what follows from it."""
        invited_before = len(self.invited)
        try:
            outcome = self._ignore_entries(item) if situation is None else self._decide_entries(item, situation)
        except (LeverImochaError, NotYet) as error:
            invited_to_another_test = len(self.invited) > invited_before
            if invited_to_another_test or concerns_recruiters(error):
                self._have_shown(item, items)
            raise
        if not outcome.action.sends:
            items |= self._record_departure(item, self._departure(situation))
        self._have_shown(item, items)
        return outcome

    def _have_shown(self, item: WorkItem, items: dict[Work, WorkItem]) -> None:
        """Claim the work of showing in Lever what came of it, where recruiters are to see it."""
        if Work.STATUS not in items and self._settings.explain.is_on:
            items |= self._ledger.queue.enqueue_claimed(item.opportunity_id, Work.STATUS, worker=self._worker)

    def _record_departure(self, item: WorkItem, departure: Departure | None) -> dict[Work, WorkItem]:
        """Remember how the opportunity left, or that it is back; return the work of cancelling, if there is any."""
        known = self._ledger.assessments.of(item.opportunity_id)
        changed = any(assessment.left_as is not departure for assessment in known)
        with self._ledger.transaction():
            if changed:
                self._ledger.assessments.record_departure(item.opportunity_id, departure)
            if departure is None or not (known or departure is Departure.DELETED):
                return {}
            return self._ledger.queue.enqueue_claimed(
                item.opportunity_id, Work.CANCEL, worker=self._worker, news=changed
            )

    def _cancel(self, item: WorkItem, situation: Situation | None, items: dict[Work, WorkItem]) -> Outcome | None:
        departure = self._departure(situation)
        if departure is None:
            self._ledger.assessments.record_departure(item.opportunity_id, None)
            return None
        if situation is not None:
            assessments = self._ledger.assessments.of(item.opportunity_id)
            self._sender.recover_invitations(situation.opportunity, assessments)
        self._cancellation.leave(item, departure, self._resolved.trigger_stages)
        self._have_shown(item, items)
        return Outcome(Action.IGNORE, departure.reason)

    def _mask(self, item: WorkItem, situation: Situation | None, _items: dict[Work, WorkItem]) -> str:
        departure = self._departure(situation)
        return self._masking.mask(item, departure, self._resolved.trigger_stages, found=situation is not None)

    def _show(self, item: WorkItem, situation: Situation | None, _items: dict[Work, WorkItem]) -> str | None:
        if situation is None:
            return None
        if self._resolved.user_id is None:
            raise NotYet(_SETTINGS, pause=_SETTINGS_PAUSE)
        self._explainer.show(situation.opportunity, item, perform_as=self._resolved.perform_as)
        return "status shown"

    def _ignore_entries(self, item: WorkItem) -> Outcome:
        outcome = Outcome(Action.IGNORE, Reason.DELETED)
        for entry in self._ledger.entries.pending(item.opportunity_id, or_held=True):
            self._record(entry, outcome)
        return outcome

    def _decide_entries(self, item: WorkItem, situation: Situation) -> Outcome:
        self._warn_of_doubtful_tags(situation)
        outcome = Outcome(Action.IGNORE, Reason.ALREADY_HANDLED if situation.rule else Reason.MOVED_ON)
        waits: Reason | None = None
        for entry in self._pending(item, situation):
            of_entry, assessments = self._with_attempts(situation, entry)
            plans = decide(of_entry)
            sent = {plan.test_id for plan in plans if plan.action.sends}
            # What was begun and is not asked for any more may have been done: it is known from now on.
            given_up = [known for known in assessments.values() if known.mails_tried and known.test_id not in sent]
            if not of_entry.is_superseded and self._sender.recover_invitations(situation.opportunity, given_up):
                of_entry, assessments = self._with_attempts(situation, entry)
                plans = decide(of_entry)
            outcomes = self._perform_all(plans, of_entry, assessments, item)
            if (reason := waits_by_itself(outcomes)) is not None:
                self._ledger.entries.hold_for_now(entry.id, reason)
                if entry.reason is not reason:
                    self._metrics.count(f"held.{reason.name.lower()}")
                waits = reason
                continue
            outcome = combined(outcomes)
            self._record(entry, outcome, of_entry)
        if waits is not None:
            pause = situation.remaining_delay if waits is Reason.DELAY else LONGEST
            raise NotYet(waits, pause=pause, failed=False)
        return outcome

    def _pending(self, item: WorkItem, situation: Situation) -> list[StageEntry]:
        """Return the stage entries to decide about, the one that was just read included."""
        if situation.rule is None:
            return self._ledger.entries.pending(item.opportunity_id, or_held=True)  # nothing holds who has left
        pending = self._ledger.entries.record_read(self._situations.new_entry(situation, self._resolved))
        if pending and situation.obstacle is None and not situation.rule.usable:
            raise NotYet(_SETTINGS, pause=_SETTINGS_PAUSE)
        return pending

    def _with_attempts(self, situation: Situation, entry: StageEntry) -> tuple[Situation, Mapping[int, Assessment]]:
        """Complete the situation by what the ledger, and where the decision rests on it iMocha, say of the attempts."""
        found = self._ledger.assessments.of(entry.opportunity_id)
        if any(known.left_as is Departure.DELETED for known in found):  # it is not: its reports are to be written first
            self._ledger.assessments.record_departure(entry.opportunity_id, self._departure(situation))
            found = self._ledger.assessments.of(entry.opportunity_id)
        assessments = {known.test_id: known for known in found}
        situation = with_entry(self._limits.applied(situation), entry_facts(entry), assessments.values())
        situation = replace(situation, recently_restored=self._recently_restored)
        asked = {
            test_id: replace(situation.known[test_id], status=self._sender.status_now(assessments[test_id]))
            for test_id in attempts_to_look_up(situation)
        }
        return (replace(situation, known={**situation.known, **asked}) if asked else situation), assessments

    def _perform_all(
        self, plans: Iterable[Plan], situation: Situation, assessments: Mapping[int, Assessment], item: WorkItem
    ) -> list[Outcome]:
        """Carry out the plan for each test; one that fails stands in the way of no other test."""
        outcomes = list[Outcome]()

        def perform(plan: Plan) -> None:
            outcomes.append(self._perform(plan, situation, assessments, item))

        try:
            raise_first(past_failures(plans, perform))
        finally:
            if any(outcome.action.mails for outcome in outcomes):
                self.invited.append(item.opportunity_id)
        return outcomes

    def _perform(
        self, plan: Plan, situation: Situation, assessments: Mapping[int, Assessment], item: WorkItem
    ) -> Outcome:
        known = assessments.get(plan.test_id) if plan.test_id is not None else None
        if plan.action.sends:
            try:
                return self._sender.send(plan, situation, known, item)
            except LeverImochaError as error:
                self._record_refusal(plan, item, error)
                raise
        handled = plan.action is Action.IGNORE and plan.reason is not Reason.ALREADY_HANDLED
        if handled and known is not None and situation.entry is not None:
            self._ledger.assessments.mark_handled(known.id, situation.entry.id)
        return Outcome.of(plan)

    def _record_refusal(self, plan: Plan, item: WorkItem, error: LeverImochaError) -> None:
        """Remember that iMocha does not accept an invitation, once however often it is tried."""
        if concerns_recruiters(error) and item.error != type(error).__name__:
            self._ledger.events.record(
                INVITE_REFUSED, opportunity_id=item.opportunity_id, test_id=plan.test_id, detail=told_why(error)
            )

    def _record(self, entry: StageEntry, outcome: Outcome, situation: Situation | None = None) -> None:
        self._ledger.entries.decide(
            entry.id,
            decision=outcome.action,
            reason=outcome.reason,
            detail=outcome.detail,
            eligibility=situation.eligibility if situation else None,
            facts=self._situations.facts(situation, self._resolved) if situation and situation.rule else None,
            pending_since=entry.pending_since,
        )
        if outcome.action is Action.HOLD and outcome.reason is not None:
            self._metrics.count(f"held.{outcome.reason.name.lower()}")
        if situation is not None and frees_stage(situation, outcome):
            self._ledger.assessments.write_again(entry.opportunity_id)

    def _warn_of_doubtful_tags(self, situation: Situation) -> None:
        scheme = tag_scheme(self._settings)
        for tag in doubtful_tags(situation.opportunity.tags, scheme):
            log.warning(
                "opportunity %s: the tag %r names no test; write it as %r",
                situation.opportunity.id,
                redact(tag),
                scheme.form,
            )

    @cached_property
    def _recently_restored(self) -> bool:
        return self._ledger.restore.is_recent()

    @property
    def _resolved(self) -> ResolvedSettings:
        if self._known_resolved is None:
            self._known_resolved = current_resolved(self._ledger, self._lever, self._settings, now=self._clock())
        return self._known_resolved
