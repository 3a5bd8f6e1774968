"""Invite, refresh and reattempt at iMocha, recorded so that a crash anywhere leaves one invitation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.acts import address_check
from lever_imocha.domain.clock import Clock, Sleep
from lever_imocha.domain.decisions import Action, EntryFacts, Outcome, OverLimit, Plan, Reason, Situation
from lever_imocha.domain.imocha import (
    AttemptStatus,
    Invitation,
    InviteSettings,
    Said,
    default_link,
    named_links,
    settings_of,
)
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.metrics import Metrics
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.domain.sealing import seal
from lever_imocha.errors import (
    ApiError,
    ReattemptNotAllowedError,
    VendorRefusedError,
)
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.attempt_statuses import record_statuses
from lever_imocha.workflows.idempotency import send_until_answered
from lever_imocha.workflows.invite_calls import Invite, InviteCalls
from lever_imocha.workflows.listed_attempts import list_attempts, said_of

log = logging.getLogger(__name__)

_NOTHING = Said(status=AttemptStatus.UNKNOWN)


@dataclass(frozen=True)
class _Sending:
    """A plan about one test that is being carried out.

    :param known: what the ledger knew of the test when it was decided.
    :param link_id: the test link that it goes through; None for the Default link.
    """

    plan: Plan
    situation: Situation
    entry: EntryFacts
    rule: ResolvedRule
    test_id: int
    known: Assessment | None
    link_id: int | None

    @property
    def action(self) -> Action:
        return self.plan.action

    @property
    def opportunity(self) -> Opportunity:
        return self.situation.opportunity

    @property
    def before(self) -> int | None:
        """The invitation that the ledger knew."""
        return self.known.invitation_id if self.known is not None else None

    @property
    def is_repeated(self) -> bool:
        """Whether the answer to an earlier try was lost."""
        return self.known is not None and self.known.intended_at is not None


class InvitationSender:
    """What is done at iMocha for one assessment.

    :param callback_secret: makes the addresses iMocha calls back; without it, or a public URL, there are none.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Clock,
        callback_secret: str | None,
        metrics: Metrics,
        sleep: Sleep,
    ) -> None:
        self._metrics, self._sleep = metrics, sleep
        self._calls = InviteCalls(
            imocha=imocha,
            ledger=ledger,
            public_url=settings.public_url,
            callback_secret=callback_secret,
            clock=clock,
            sleep=sleep,
        )
        self._imocha, self._ledger, self._settings, self._clock = imocha, ledger, settings, clock

    def status_now(self, known: Assessment) -> AttemptStatus | None:
        """Return the attempt's status as iMocha says now; None when nothing was ever sent, UNKNOWN when it does not say.

        A lost callback must not re-mail someone in the middle of the test. iMocha has no call for the status: the
        report tells it, or, where that only says "not ready", the sweep of completed attempts.
        """
        if known.invitation_id is None:
            return None
        recorded = known.status
        if recorded is not None and recorded.is_ended:
            return recorded
        try:
            said = self._imocha.get_report(known.invitation_id).said
        except VendorRefusedError:
            said = _NOTHING
        if said.status is AttemptStatus.UNKNOWN:
            said = self._swept(known.invitation_id)
        if said.status is AttemptStatus.UNKNOWN and recorded is AttemptStatus.IN_PROGRESS:
            return recorded
        if said.status is not AttemptStatus.UNKNOWN and record_statuses(self._ledger, {known.invitation_id: said}):
            return recorded  # what was said is of another person's attempt
        return said.status

    def is_cancelled(self, known: Assessment) -> bool:
        """Tell whether an invitation that iMocha does not cancel is cancelled already."""
        status, invitation_id = self.status_now(known), int(known.invitation_id or 0)
        if status is AttemptStatus.UNKNOWN:
            with suppress(VendorRefusedError):  # the newest page documents one state only (imocha.md 6.4)
                said = self._swept(invitation_id, "cancelled")
                if said.status is AttemptStatus.CANCELLED:
                    record_statuses(self._ledger, {invitation_id: said}, listed=True)
            status = self._ledger.invitations.status(invitation_id)
        return status is AttemptStatus.CANCELLED

    def _swept(self, invitation_id: int, state: str = "completed") -> Said:
        now = self._clock()
        start = now - self._settings.poll.attempts_window
        attempts = list_attempts(self._imocha, state, start=start, now=now)
        return said_of(attempts).get(invitation_id, _NOTHING)

    def send(self, plan: Plan, situation: Situation, known: Assessment | None, item: WorkItem) -> Outcome:
        """Invite, refresh, reattempt or adopt, and record the invitation before anything else can need it.

        :param plan: with one of these actions, about one test.
        :param situation: with the stage entry it was decided for.
        :param known: what the ledger knew of the test when it was decided.
        :param item: the work item under which this is done.
        :raises ClaimLostError: another worker has taken it over; nothing was sent.
        :raises ApiError: iMocha refused or could not be reached; the intention stays recorded.
        """
        sending = self._sending(plan, situation, known)
        intend = partial(
            self._ledger.assessments.intend,
            sending.test_id,
            item,
            entry_id=sending.entry.id,
            rule_key=sending.rule.key,
            link_id=sending.link_id,
        )
        with self._ledger.transaction():
            if (limit := self._over_limit(sending)) is not None:
                return Outcome(Action.HOLD, limit)
            assessment_id = intend()
        if sending.is_repeated:
            self._event("invite_repeated", sending, sending.before, "an earlier answer was lost")
        try:
            with self._imocha.guarded(intend):
                settings = self._link_settings(sending.action, sending.rule, sending.test_id, sending.link_id)
                invite = Invite(sending.opportunity, sending.test_id, assessment_id, sending.link_id, settings)
                invitation = self._call(sending, invite)
        except VendorRefusedError as error:
            self._ledger.mails.give_back(sending.opportunity.id, sending.test_id)
            if not isinstance(error, ReattemptNotAllowedError):
                raise
            # Because of an attempt that another opportunity of the person began (imocha.md 5.4).
            self._ledger.assessments.mark_handled(assessment_id, sending.entry.id)
            self._event("already_running", sending, None)
            return Outcome(Action.IGNORE, Reason.RUNNING)
        if known is not None and sending.action is Action.REFRESH and sending.before not in (None, invitation.id):
            self._replace(sending.opportunity.id, known, invitation.id)
        outcome = self._record(sending, invite, invitation)
        if outcome.action is Action.REFRESH:
            self._seal_link(sending, invitation)
        return outcome

    def extend(self, opportunity: Opportunity, rule: ResolvedRule, known: Assessment) -> bool:
        """Give an open invitation the window that a new one would have, without an e-mail.

        :param rule: says how long, where its link does not.
        :return: False when the address in Lever is another one by now: then nothing is changed.
        """
        settings = self._link_settings(Action.REFRESH, rule, known.test_id, known.link_id)
        invitation = self._calls.without_mail(Invite(opportunity, known.test_id, known.id, known.link_id, settings))
        if invitation.id != known.invitation_id:
            if self._ledger.invitations.status(invitation.id) is None:  # nobody was told of it
                self._imocha.cancel(invitation.id)
            return False
        with self._ledger.transaction():
            self._ledger.invitations.set_window(invitation.id, expires_at=settings.end_at)
            self._ledger.events.record(
                "extended", opportunity_id=opportunity.id, test_id=known.test_id, invitation_id=invitation.id
            )
        return True

    def recover_invitations(self, opportunity: Opportunity, assessments: Iterable[Assessment]) -> bool:
        """Learn of invitations whose answer was lost, without an e-mail: to cancel them, or to write their reports.

        No arrival counts as handled by them, since nobody knows whether the e-mail was sent: who comes back is sent one.

        :return: whether there was anything to be learned.
        """
        if opportunity.email is None:
            return False
        begun = (known for known in assessments if known.intended_at is not None)
        lost = [known for known in begun if known.mails_tried or known.invitation_id is None]
        for known in lost:
            try:
                self._recover(opportunity, known)
            except VendorRefusedError as error:  # so there is none now, and nothing else waits for it
                log.warning("opportunity %s, test %s: no invitation is found: %s", opportunity.id, known.test_id, error)
        return bool(lost)

    def _recover(self, opportunity: Opportunity, known: Assessment) -> None:
        invitation = self._calls.adopt(Invite(opportunity, known.test_id, known.id, known.link_id, InviteSettings()))
        if known.status is not None and not known.status.is_ended and invitation.id != known.invitation_id:
            if (status := self.status_now(known)) is AttemptStatus.IN_PROGRESS or (status and status.is_ended):
                self._keep_begun(known, invitation.id)
                return
            self._replace(opportunity.id, known, invitation.id)
        self._ledger.invitations.record(
            known.id,
            invitation_id=invitation.id,
            test_id=known.test_id,
            status=invitation.status,
            entry_id=None,
            address_check=address_check(str(opportunity.email)),
        )
        self._ledger.events.record(
            "recovered", opportunity_id=opportunity.id, test_id=known.test_id, invitation_id=invitation.id
        )

    def _keep_begun(self, known: Assessment, new: int) -> None:
        """Withdraw an invitation at another address: the candidate has begun with the former one."""
        if self._ledger.invitations.status(new) is None:  # otherwise another opportunity has it
            with suppress(VendorRefusedError):
                send_until_answered(partial(self._imocha.cancel, new), sleep=self._sleep)
        self._ledger.assessments.mark_handled(known.id, known.entry_id)

    def _sending(self, plan: Plan, situation: Situation, known: Assessment | None) -> _Sending:
        opportunity, entry, rule, test_id = situation.opportunity, situation.entry, situation.rule, plan.test_id
        if entry is None or rule is None or test_id is None:
            raise ValueError(f"no invitation can be sent for {plan}")
        if len(opportunity.emails) > 1:
            log.info(
                "opportunity %s has %s e-mail addresses: the first counts", opportunity.id, len(opportunity.emails)
            )
        link_id = self._link_of(plan, test_id, situation, known)
        return _Sending(plan, situation, entry, rule, test_id, known, link_id)

    def _link_of(self, plan: Plan, test_id: int, situation: Situation, known: Assessment | None) -> int | None:
        """Return through which link an invite goes; None for the Default link, where other integrations invite, too.

        iMocha keys an invitation by its link, too (imocha.md 5.3). So what may have been sent before is repeated through
        the link that it went through, if that is still there: another one would make a second invitation.
        """
        now = None if plan.action is Action.ADOPT else situation.links.get(test_id)
        may_have_been_sent = known is not None and (known.intended_at is not None or plan.check_first)
        before = known.link_id if known is not None and may_have_been_sent else now
        if before in (now, None):
            return before
        there = {link.id for link in named_links(self._imocha.list_test_links(test_id)).values()}
        return now if there and before not in there else before  # an empty list is no fact

    def _over_limit(self, sending: _Sending) -> Reason | None:
        """Take one of the e-mails that the limits allow; several workers may have decided to send the last one."""
        if not sending.action.mails:
            return None
        limits, released = self._settings.limits, sending.entry.over_limit is OverLimit.RELEASE
        return self._ledger.mails.take(
            sending.opportunity.id,
            sending.opportunity.contact,
            sending.test_id,
            per_hour=None if released else limits.per_hour,
            per_candidate=None if released else limits.per_candidate,
        )

    def _link_settings(self, action: Action, rule: ResolvedRule, test_id: int, link_id: int | None) -> InviteSettings:
        """Return what an invite is to send; a new one takes its link's settings by itself, a repeated one is told them."""
        if action is Action.INVITE and rule.validity_days is None:
            return InviteSettings(time_zone_id=rule.time_zone_id)
        links = [] if action is Action.INVITE else self._imocha.list_test_links(test_id)
        named = next((link for link in links if link.id == link_id), None)
        link = default_link(links) if link_id is None else named
        return settings_of(link, now=self._clock(), validity_days=rule.validity_days, time_zone_id=rule.time_zone_id)

    def _call(self, sending: _Sending, invite: Invite) -> Invitation:
        if sending.action is Action.ADOPT:
            return self._calls.adopt(invite)
        before, known = sending.before, sending.known
        if sending.action is Action.REATTEMPT and sending.is_repeated:
            # The attempt that was given may be over by now: a repeated invite names it, and changes nothing (imocha.md 5.3).
            with suppress(VendorRefusedError):
                newest = self._calls.adopt(invite)
                if newest.id != before and (newest.status.is_ended or newest.status is AttemptStatus.IN_PROGRESS):
                    return newest
        try:
            return self._calls.mail(
                invite,
                after=before if sending.action is Action.REATTEMPT else None,
                tried=known.mails_tried if known is not None else 0,
                check_first=sending.plan.check_first,
            )
        except ReattemptNotAllowedError:
            if not sending.is_repeated:
                raise
            # An answer was lost before: what runs may be ours. A repeated invite names it, and changes nothing (imocha.md 5.3).
            running = self._calls.without_mail(invite)
            if running.id == before:
                raise
            return running

    def _replace(self, opportunity_id: str, known: Assessment, new: int) -> None:
        """Withdraw the old invitation, unless shared: a refresh was answered with another one (the address changed).

        Before the new one is recorded: after a crash in between, the old one is still known, and withdrawn then. What
        stands in the way of that must not keep the new one, whose e-mail was sent, out of the ledger.
        """
        old, event = int(known.invitation_id or 0), partial(self._ledger.events.record, opportunity_id=opportunity_id)
        event("invitation_replaced", test_id=known.test_id, invitation_id=new, detail=f"was {old}")
        log.warning("opportunity %s: invitation %s replaces %s", opportunity_id, new, old)
        if self._ledger.assessments.sharing(old) != [opportunity_id]:
            return
        try:
            send_until_answered(partial(self._imocha.cancel, old), sleep=self._sleep)
        except VendorRefusedError:
            self._ledger.invitations.recheck(old)
            log.info("invitation %s could not be withdrawn: it is no longer pending", old)
        except ApiError as error:
            event("not_withdrawn", test_id=known.test_id, invitation_id=old, detail=type(error).__name__)
            log.warning("invitation %s stays open, as it could not be withdrawn: %s", old, error)
        else:
            self._ledger.invitations.set_status({old: AttemptStatus.CANCELLED})

    def _record(self, sending: _Sending, invite: Invite, invitation: Invitation) -> Outcome:
        """Record the invitation that iMocha answered with, and what came of it."""
        status, opportunity = invitation.status, sending.opportunity
        with self._ledger.transaction():
            recorded = self._ledger.invitations.record(
                invite.assessment_id,
                invitation_id=invitation.id,
                test_id=sending.test_id,
                status=AttemptStatus.PENDING if status is AttemptStatus.UNKNOWN else status,
                entry_id=sending.entry.id,
                expires_at=invite.settings.end_at,
                address_check=address_check(str(opportunity.email)),
            )
            if recorded.is_ended or status.is_ended:
                outcome = Outcome(Action.IGNORE, Reason.ALREADY_TAKEN)
                self._event("already_taken", sending, invitation.id)
            elif status is AttemptStatus.IN_PROGRESS:
                outcome = Outcome(Action.IGNORE, Reason.RUNNING)
                self._event("already_running", sending, invitation.id)
            else:
                outcome = Outcome(sending.action)
                self._record_sent(sending, invite, invitation)
            count = self._ledger.mails.mark_sent if outcome.action.mails else self._ledger.mails.give_back
            count(opportunity.id, sending.test_id)
        return outcome

    def _record_sent(self, sending: _Sending, invite: Invite, invitation: Invitation) -> None:
        if sending.action is Action.ADOPT:
            self._event("adopted", sending, invitation.id)
            self._metrics.count("adopted")
            return
        past = {Action.INVITE: "invited", Action.REFRESH: "refreshed", Action.REATTEMPT: "reattempt_given"}
        kind, opportunity = past[sending.action], sending.opportunity
        detail = f"asked by {sending.situation.asker(sending.test_id) or 'a person'}"
        self._event(kind, sending, invitation.id, detail, {"settings_sent": invite.settings.facts})
        self._metrics.count(kind)
        self._metrics.timing("move_to_invitation", (self._clock() - opportunity.entered_stage_at).total_seconds())

    def _seal_link(self, sending: _Sending, invitation: Invitation) -> None:
        """Keep the test link of an invitation sent again for who has asked for it, so that only their browser opens it."""
        waiting = self._ledger.sealed_links.waiting(sending.opportunity.id, sending.test_id)
        for request_id, public_key in waiting.items():
            sealed = None
            if invitation.test_url:
                with suppress(ValueError):
                    sealed = seal(invitation.test_url.get_secret_value(), public_key)
            if sealed is None:
                why = "it is longer than the key takes" if invitation.test_url else "iMocha's answer has none"
                self._event("link_not_shown", sending, invitation.id, why)
            self._ledger.sealed_links.put(request_id, sending.test_id, sealed)

    def _event(
        self,
        kind: str,
        sending: _Sending,
        invitation_id: int | None,
        detail: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._ledger.events.record(
            kind,
            opportunity_id=sending.opportunity.id,
            test_id=sending.test_id,
            invitation_id=invitation_id,
            detail=detail,
            facts=facts,
        )
