"""Works on one candidate: reads it, decides, invites or leaves alone, and records what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import (
    Action,
    Departure,
    EntryFacts,
    KnownAssessment,
    Outcome,
    Plan,
    Reason,
    Situation,
    attempts_to_look_up,
    combined,
    decide,
    departed,
    frees_stage,
)
from lever_imocha.domain.imocha import read_status
from lever_imocha.domain.metrics import Metrics, NoMetrics
from lever_imocha.domain.tags import near_misses
from lever_imocha.errors import ClaimLostError, LeverImochaError, NotFoundError, Retry, redact
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, NewDelivery, StageEntry
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.cancellation import Cancellation
from lever_imocha.workflows.explain import Explainer
from lever_imocha.workflows.invitation_sender import InvitationSender
from lever_imocha.workflows.resolved_settings import ResolvedSettings, current_resolved, refresh_resolved, tag_scheme
from lever_imocha.workflows.situation import SituationReader, new_entry
from lever_imocha.workflows.stage_sweep import StageSweep

log = logging.getLogger(__name__)

_REFUSED_AGAIN = timedelta(hours=1)
_LONGEST_WAIT = timedelta(minutes=30)


class InviteWorkflow:
    """Collects stage entries, then works on each candidate: read, decide, act, record.

    :param worker: names this process in claims.
    :param callback_secret: signs the addresses iMocha calls back (settings `public_url`).
    :param clock: aware UTC now.
    :param sleep: waits for a number of seconds before a call whose answer was lost is sent again.
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
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lever, self._ledger, self._settings = lever, ledger, settings
        self._worker, self._clock = worker, clock
        self._metrics = metrics or NoMetrics()
        self._situations = SituationReader(
            ledger=ledger, settings=settings, tests=ActiveTests(imocha=imocha, ledger=ledger)
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
        self._cancellation = Cancellation(
            lever=lever, imocha=imocha, ledger=ledger, settings=settings, clock=clock, sleep=sleep
        )
        self._explainer = Explainer(lever=lever, ledger=ledger, settings=settings, sleep=sleep)
        self._known_resolved: ResolvedSettings | None = None

    def collect(self, *, full: bool = False, sweep: bool = True) -> list[str]:
        """Record who came into the trigger stages and return the opportunities to work on, longest waiting first.

        :param full: look at everyone in the stages, not only at those who came since the last sweep.
        :param sweep: False in a run that a webhook started: what Lever sent is enough, the next sweep is soon.
        :raises SettingsError: a name in the settings is unknown to Lever.
        """
        if not sweep:
            return self._ledger.waiting(deliveries_only=True)
        self._known_resolved = refresh_resolved(self._ledger, self._lever, self._settings, templates=False)
        StageSweep(
            lever=self._lever,
            ledger=self._ledger,
            settings=self._settings,
            situations=self._situations,
            clock=self._clock,
        ).run(self._resolved, full=full)
        return self._ledger.waiting()

    def newest(self, since: datetime) -> str | None:
        """Return who was moved last, after a time, as a webhook said: one who comes alone overtakes a burst."""
        return self._ledger.newest_waiting(since=since)

    def act(self, opportunity_id: str, *, only_due: bool = False) -> Outcome | None:
        """Read one opportunity afresh, decide about it and do it.

        :param only_due: leave it alone before the time that a refusal set for the next try.

        :return: what came of it, or None when another worker has it, or has done it.
        :raises LeverImochaError: it could not be done; it stays pending.
        """
        if not self._ledger.claim(opportunity_id, worker=self._worker, only_due=only_due):
            return None
        deliveries = self._ledger.deliveries_of(opportunity_id)
        if not deliveries and not self._ledger.pending_entries(opportunity_id):
            self._ledger.release(opportunity_id, worker=self._worker)
            return None
        try:
            outcome = self._handle(opportunity_id)
        except ClaimLostError as error:
            log.warning("%s", error)
            return None
        except LeverImochaError as error:
            self._put_off(opportunity_id, error)
            raise
        self._ledger.handle_deliveries(deliveries)
        self._ledger.release(opportunity_id, worker=self._worker)
        return outcome

    def _put_off(self, opportunity_id: str, error: LeverImochaError) -> None:
        """Set the next try: after a refusal in an hour; otherwise at the next sweep, and for webhooks 30 s x 2^tries."""
        now, tries = self._clock(), min(self._ledger.tries(opportunity_id), 10)
        refused = error.retry is Retry.LATER
        again = now + (_REFUSED_AGAIN if refused else min(timedelta(seconds=30 * 2**tries), _LONGEST_WAIT))
        self._ledger.postpone_deliveries(self._ledger.deliveries_of(opportunity_id), not_before=again)
        self._ledger.release(
            opportunity_id,
            worker=self._worker,
            reason=type(error).__name__,
            not_before=again if refused else None,
        )

    def _handle(self, opportunity_id: str) -> Outcome:
        try:
            opportunity = self._lever.get_opportunity(opportunity_id, expand=("applications",))
        except NotFoundError:
            return self._deleted(opportunity_id)
        situation = self._situations.read(opportunity, self._resolved)
        outcome = self._decide_entries(situation)
        departure = departed(situation.opportunity, self._resolved.trigger_stages)
        if departure is not None:
            self._sender.recover_invitations(situation.opportunity)
            self._cancellation.leave(opportunity_id, departure, self._resolved.trigger_stages)
        self._ledger.record_departure(opportunity_id, departure)
        self._explain(situation)
        return outcome

    def _deleted(self, opportunity_id: str) -> Outcome:
        outcome = Outcome(Action.IGNORE, Reason.DELETED)
        for entry in self._ledger.pending_entries(opportunity_id):
            self._record(entry, outcome)
        self._cancellation.leave(opportunity_id, Departure.DELETED, self._resolved.trigger_stages)
        return outcome

    def _decide_entries(self, situation: Situation) -> Outcome:
        opportunity_id = situation.opportunity.id
        if situation.rule is not None:
            self._ledger.record_entries([new_entry(situation)], seen_by="read")
        self._warn_of_capitals(situation)
        outcome = Outcome(Action.IGNORE, Reason.ALREADY_HANDLED if situation.rule else Reason.MOVED_ON)
        for entry in self._ledger.pending_entries(opportunity_id):
            of_entry, assessments = self._with_attempts(situation, entry)
            outcome = combined([self._perform(plan, of_entry, assessments) for plan in decide(of_entry)])
            self._record(entry, outcome, of_entry)
        return outcome

    def _with_attempts(self, situation: Situation, entry: StageEntry) -> tuple[Situation, Mapping[int, Assessment]]:
        """Complete the situation by what the ledger, and where the decision rests on it iMocha, say of the attempts."""
        assessments = {known.test_id: known for known in self._ledger.assessments_of(entry.opportunity_id)}
        known = {
            test_id: KnownAssessment(
                status=read_status(item.status) if item.invitation_id is not None else None,
                handled_entry_id=item.handled_entry_id,
                written=item.written_at is not None,
            )
            for test_id, item in assessments.items()
        }
        situation = replace(
            situation,
            entry=EntryFacts(
                id=entry.id,
                stage_id=entry.stage_id,
                entered_at=entry.entered_at,
                decided=entry.decision,
            ),
            known=known,
            recently_restored=self._ledger.recently_restored(),
        )
        asked = {
            test_id: replace(known[test_id], status=self._sender.status_now(assessments[test_id]))
            for test_id in attempts_to_look_up(situation)
        }
        return (replace(situation, known=known | asked) if asked else situation), assessments

    def _perform(self, plan: Plan, situation: Situation, assessments: Mapping[int, Assessment]) -> Outcome:
        known = assessments.get(plan.test_id) if plan.test_id is not None else None
        if plan.action in (Action.INVITE, Action.REFRESH, Action.REATTEMPT):
            return self._sender.send(plan, situation, known, worker=self._worker)
        if plan.reason is not Reason.ALREADY_HANDLED and known is not None and situation.entry is not None:
            self._ledger.mark_handled(known.id, situation.entry.id)
        return Outcome.of(plan)

    def _record(self, entry: StageEntry, outcome: Outcome, situation: Situation | None = None) -> None:
        self._ledger.decide_entry(
            entry.id,
            decision=outcome.action,
            reason=outcome.reason,
            detail=outcome.detail,
            eligibility=situation.eligibility if situation else None,
        )
        if outcome.action is Action.HOLD and outcome.reason is not None:
            self._metrics.count(f"held.{outcome.reason.name.lower()}")
        if situation is not None and frees_stage(situation, outcome):
            self._ledger.reopen_write_back(entry.opportunity_id)

    def _warn_of_capitals(self, situation: Situation) -> None:
        for tag in near_misses(situation.opportunity.tags, tag_scheme(self._settings)):
            log.warning(
                "opportunity %s: the tag %r names no test: its capitals differ", situation.opportunity.id, redact(tag)
            )

    def _explain(self, situation: Situation) -> None:
        """Show the status in Lever; what Lever refuses is enqueued to be shown later."""
        opportunity = situation.opportunity
        try:
            self._explainer.show(opportunity, perform_as=self._resolved.perform_as)
        except LeverImochaError:
            key = f"status {opportunity.id} {self._clock().isoformat()}"
            self._ledger.record_delivery(
                NewDelivery(vendor="lever", key=key, event="status", opportunity_id=opportunity.id)
            )
            raise

    @property
    def _resolved(self) -> ResolvedSettings:
        if self._known_resolved is None:
            self._known_resolved = current_resolved(self._ledger, self._lever, self._settings)
        return self._known_resolved
