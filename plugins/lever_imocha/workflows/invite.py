"""Stage entries: collected from Lever, decided, and acted on at iMocha."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, islice

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import (
    Action,
    Decision,
    Departure,
    Reason,
    ResolvedRule,
    WantedTest,
    decide,
    departed,
    eligibility,
    near_misses,
    screen,
    select_rule,
    wanted_tests,
)
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.metrics import Metrics, NoMetrics
from lever_imocha.errors import LeverImochaError, NotFoundError, NotPermittedError, RequestRejectedError, redact
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery, NewEntry, StageEntry
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.cancellation import Cancellation
from lever_imocha.workflows.explain import Explainer
from lever_imocha.workflows.invitation_sender import InvitationSender
from lever_imocha.workflows.resolved_settings import ResolvedSettings, current_resolved, refresh_resolved, tag_scheme
from lever_imocha.workflows.temporary_tags import lasting_tags

log = logging.getLogger(__name__)

_REFUSED_AGAIN = timedelta(hours=1)
_LONGEST_WAIT = timedelta(minutes=30)
_STOOD_IN_THE_WAY = {Action.HOLD.value, Action.INVITE.value, Action.REFRESH.value, Action.REATTEMPT.value}
"""Decisions about an arrival that kept its opportunity in the stage: when tags change, it may move on at last."""
_SWEEP, _FULL_SWEEP = "lever.sweep", "lever.full_sweep"


def _pages(items: Iterable[NewEntry], size: int = 100) -> Iterator[list[NewEntry]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


class InviteWorkflow:
    """Collect stage entries, then act on each: invite, refresh, reattempt, hold or leave alone.

    :param worker: names this process in claims.
    :param callback_secret: makes the addresses iMocha calls back (settings `public_url`).
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
        callback_secret: str | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lever, self._imocha, self._ledger, self._settings = lever, imocha, ledger, settings
        self._worker, self._clock = worker, clock
        self._scheme, self._metrics = tag_scheme(settings), metrics or NoMetrics()
        self._sender = InvitationSender(
            imocha=imocha,
            ledger=ledger,
            settings=settings,
            clock=clock,
            callback_secret=callback_secret,
            metrics=self._metrics,
        )
        self._cancellation = Cancellation(
            imocha=imocha, ledger=ledger, settings=settings, clock=clock, departure_of=self._departure_of
        )
        self._explainer = Explainer(lever=lever, ledger=ledger, settings=settings)
        self._known_resolved: ResolvedSettings | None = None
        self._tests = ActiveTests(imocha=imocha, ledger=ledger)

    def collect(self, *, full: bool = False, sweep: bool = True) -> list[str]:
        """Record who came into the trigger stages and return the opportunities to act on, longest waiting first.

        :param full: look at everyone in the stages, not only at those who came since the last sweep.
        :param sweep: False when a delivery rang: what Lever told us is enough, the next sweep is soon.
        :raises SettingsError: a name in the settings is unknown to Lever.
        """
        if not sweep:
            return self._ledger.waiting(deliveries_only=True)
        self._known_resolved = refresh_resolved(self._ledger, self._lever, self._settings, templates=False)
        self._sweep(full=full)
        return self._ledger.waiting()

    def _sweep(self, *, full: bool) -> None:
        """Look at the trigger stages; who left them with an invitation open is noted like a delivery that says so."""
        now, poll = self._clock(), self._settings.poll
        last, last_full = self._ledger.watermark(_SWEEP), self._ledger.watermark(_FULL_SWEEP)
        since = None if full or last is None or last_full is None or now - last_full >= poll.full_sweep else last
        seen: set[str] = set()
        for page in _pages(self._entry(item, fresh=True) for item in self._found(since, seen)):
            self._ledger.record_entries(page, seen_by="sweep")
        pending = dict.fromkeys(opportunity_id for opportunity_id, _ in self._ledger.open_invitations())
        left = self._left_since(since - poll.overlap, pending) if since else [key for key in pending if key not in seen]
        forget = self._to_forget((since or last_full) - poll.overlap, full=not since) if last_full else []
        for opportunity_id in dict.fromkeys([*left, *forget]):
            self._ledger.record_delivery(
                NewDelivery(
                    vendor="lever",
                    key=f"sweep {opportunity_id} {now.isoformat()}",
                    event="left",
                    opportunity_id=opportunity_id,
                )
            )
        self._ledger.set_watermark(_SWEEP, now)
        if not since:
            self._ledger.set_watermark(_FULL_SWEEP, now)
            self._ledger.forget_deliveries(older_than=2 * self._settings.webhooks.max_age)

    def _found(self, since: datetime | None, seen: set[str]) -> Iterator[Opportunity]:
        """Who is in a trigger stage: all, or who came, or was given a tag or an address, since a time; each once.

        Lever's two times have gaps, each of its own (lever.md 4.2); full sweeps fill them.
        """
        stages = self._stages
        read = partial(self._lever.list_opportunities, stage_ids=stages, archived=False, expand=("applications",))
        start = since - self._settings.poll.overlap if since else None
        listings = (read(advanced_at_start=start), read(updated_at_start=start)) if start else (read(),)
        for item in chain.from_iterable(listings):
            if item.stage in stages and item.id not in seen:
                seen.add(item.id)
                yield item

    def _left_since(self, start: datetime, pending: Collection[str]) -> list[str]:
        """Opportunities with an open invitation that left lately, each way the settings care about."""
        cancel = self._settings.cancel_when
        listings: list[Iterable[Opportunity]] = []
        if pending and cancel.archived:
            listings.append(self._lever.list_opportunities(archived=True, archived_at_start=start))
        if pending and cancel.stage_left:
            moved = self._lever.list_opportunities(archived=False, advanced_at_start=start)
            listings.append(item for item in moved if item.stage not in self._stages)
        return [item.id for listing in listings for item in listing if item.id in pending]

    def _to_forget(self, start: datetime, *, full: bool) -> list[str]:
        """Opportunities deleted or anonymised since, of whom the ledger keeps a name."""
        gone = [item.id for item in self._deleted_since(start)]
        if full:  # only archived opportunities can be anonymised (lever.md 12)
            archived = self._lever.list_opportunities(archived=True, updated_at_start=start)
            gone += [item.id for item in archived if item.is_anonymized]
        return sorted(self._ledger.with_stored_name(gone))

    def _deleted_since(self, start: datetime) -> Iterator[Opportunity]:
        try:
            yield from self._lever.list_deleted_opportunities(deleted_at_start=start)
        except (NotPermittedError, NotFoundError) as error:
            log.info("deleted opportunities are noticed by full sweeps only: %s", error)

    def act(self, opportunity_id: str) -> str | None:
        """Read one opportunity afresh, decide about it and do it.

        :return: what was decided, or None when another worker has it, or has done it.
        :raises LeverImochaError: it could not be done; it stays pending.
        """
        if not self._ledger.claim(opportunity_id, worker=self._worker, lease=self._settings.poll.lease):
            return None
        told = self._ledger.deliveries_of(opportunity_id)
        if not told and not self._ledger.pending_entries(opportunity_id):
            self._ledger.release(opportunity_id, worker=self._worker)
            return None
        try:
            outcome = self._handle(opportunity_id)
        except LeverImochaError as error:
            self._put_off(opportunity_id, error)
            raise
        self._ledger.handle_deliveries(told)
        self._ledger.release(opportunity_id, worker=self._worker)
        return outcome

    def _put_off(self, opportunity_id: str, error: LeverImochaError) -> None:
        """What a vendor refused waits an hour; anything else is tried by the next sweep, or soon after it was told."""
        now, tries = self._clock(), min(self._ledger.tries(opportunity_id), 10)
        refused = isinstance(error, RequestRejectedError)
        again = now + (_REFUSED_AGAIN if refused else min(timedelta(seconds=30 * 2**tries), _LONGEST_WAIT))
        self._ledger.postpone_deliveries(self._ledger.deliveries_of(opportunity_id), not_before=again)
        self._ledger.release(
            opportunity_id,
            worker=self._worker,
            reason=type(error).__name__,
            not_before=again if refused else None,
        )

    def _handle(self, opportunity_id: str) -> str:
        try:
            opportunity = self._lever.get_opportunity(opportunity_id, expand=("applications",))
        except NotFoundError:
            return self._gone(opportunity_id)
        return self._decide_all(opportunity.model_copy(update={"tags": lasting_tags(opportunity, self._ledger)}))

    def _gone(self, opportunity_id: str) -> str:
        gone = Decision(Action.IGNORE, Reason.GONE)
        for entry in self._ledger.pending_entries(opportunity_id):
            self._ledger.decide_entry(entry.id, decision=gone.action.value, reason=_reason(gone))
        self._cancellation.leave(opportunity_id, Departure.DELETED)
        return str(gone)

    def _decide_all(self, opportunity: Opportunity) -> str:
        rule = select_rule(opportunity, self._resolved.rules)
        if rule is not None:
            self._ledger.record_entries([self._entry(opportunity)], seen_by="read")
        decision = Decision(Action.IGNORE, Reason.ALREADY_HANDLED if rule else Reason.MOVED_ON)
        for entry in self._ledger.pending_entries(opportunity.id):
            decision, seen = self._decide(entry, opportunity, rule)
            self._ledger.decide_entry(
                entry.id, decision=decision.action.value, reason=_reason(decision), eligibility=seen
            )
            if decision.action is Action.HOLD and decision.reason is not None:
                self._metrics.count(f"held.{decision.reason.name.lower()}")
            if entry.decision in _STOOD_IN_THE_WAY and decision.action is Action.IGNORE and rule is not None:
                self._ledger.reopen_write_back(opportunity.id)
        departure = departed(opportunity, self._stages)
        if departure is not None:
            self._sender.adopt(opportunity)
            self._cancellation.leave(opportunity.id, departure)
        self._explain(opportunity)
        return str(decision)

    def _explain(self, opportunity: Opportunity) -> None:
        """What Lever would not take is tried again, as if Lever had told us of the opportunity."""
        try:
            self._explainer.show(opportunity, perform_as=self._resolved.perform_as)
        except LeverImochaError:
            key = f"status {opportunity.id} {self._clock().isoformat()}"
            self._ledger.record_delivery(
                NewDelivery(vendor="lever", key=key, event="status", opportunity_id=opportunity.id)
            )
            raise

    def _departure_of(self, opportunity_id: str) -> Departure | None:
        try:
            return departed(self._lever.get_opportunity(opportunity_id), self._stages)
        except NotFoundError:
            return Departure.DELETED

    def _decide(self, entry: StageEntry, opportunity: Opportunity, rule: ResolvedRule | None) -> tuple[Decision, str]:
        for tag in near_misses(opportunity.tags, self._scheme):
            log.warning("opportunity %s: the tag %r asks for no test: its capitals differ", opportunity.id, redact(tag))
        wanted = wanted_tests(opportunity.tags, self._scheme)
        active = self._tests.among(wanted)
        seen = eligibility(opportunity, rule=rule, wanted=wanted, active=active)
        decision = screen(opportunity, rule=rule, wanted=wanted, active=active)
        if decision is not None or rule is None:
            return decision or Decision(Action.IGNORE, Reason.MOVED_ON), seen
        if opportunity.stage != entry.stage_id or opportunity.entered_stage_at != entry.entered_at:
            return Decision(Action.IGNORE, Reason.SUPERSEDED), seen
        decisions = [self._assess(opportunity, entry, rule, test, active) for test in wanted]
        return _combined(decisions), seen

    def _assess(
        self, opportunity: Opportunity, entry: StageEntry, rule: ResolvedRule, test: WantedTest, active: set[int]
    ) -> Decision:
        if test.test_id is None or test.test_id not in active:
            return Decision(Action.HOLD, Reason.UNKNOWN_TEST, redact(test.tag))
        known = self._ledger.assessment(opportunity.id, test.test_id)
        if known is not None and known.handled_entry_id == entry.id:
            return Decision(Action.IGNORE, Reason.ALREADY_HANDLED)
        status = self._sender.status_now(known) if known is not None else None
        decision = decide(status, retake=rule.retake)
        if decision.action is Action.REATTEMPT and known is not None and known.written_at is None:
            decision = Decision(Action.IGNORE, Reason.ALREADY_TAKEN, "its report is being written back")
        if decision.action is Action.IGNORE:
            if known is not None:
                self._ledger.mark_handled(known.id, entry.id)
            return decision
        return self._sender.send(
            decision.action,
            opportunity=opportunity,
            entry=entry,
            rule=rule,
            test_id=test.test_id,
            ask_first=status is AttemptStatus.UNKNOWN or (status is None and self._ledger.recently_restored()),
        )

    @property
    def _stages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule.trigger_stage_id for rule in self._resolved.rules))

    @property
    def _resolved(self) -> ResolvedSettings:
        if self._known_resolved is None:
            self._known_resolved = current_resolved(self._ledger, self._lever, self._settings)
        return self._known_resolved

    def _entry(self, opportunity: Opportunity, *, fresh: bool = False) -> NewEntry:
        wanted = wanted_tests(opportunity.tags, self._scheme)
        rule = select_rule(opportunity, self._resolved.rules)
        return NewEntry(
            opportunity_id=opportunity.id,
            stage_id=str(opportunity.stage),
            entered_at=opportunity.entered_stage_at,
            name=opportunity.display_name,
            eligibility=eligibility(
                opportunity, rule=rule, wanted=wanted, active=self._tests.among(wanted, fresh=fresh)
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
