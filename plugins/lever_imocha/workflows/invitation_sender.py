"""Invite, refresh and reattempt at iMocha, recorded so that a crash anywhere leaves one invitation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.acts import address_check, same_address
from lever_imocha.domain.decisions import Action, EntryFacts, Outcome, OverLimit, Plan, Reason, Situation
from lever_imocha.domain.imocha import (
    UTC_ZONE,
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
from lever_imocha.domain.signatures import callback_url
from lever_imocha.errors import (
    ApiError,
    LeverImochaError,
    OutcomeUnknownError,
    ReattemptNotAllowedError,
    UnexpectedAnswerError,
    VendorRefusedError,
)
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.attempt_statuses import record_statuses
from lever_imocha.workflows.idempotency import send_until_answered
from lever_imocha.workflows.listed_attempts import list_attempts, said_of

log = logging.getLogger(__name__)

_NOTHING = Said(status=AttemptStatus.UNKNOWN)


class InvitationSender:
    """What is done at iMocha for one assessment.

    iMocha keys an invitation by e-mail within a test's link: inviting again is an upsert (imocha.md 5.3). So a
    repeat after a lost answer makes no second invitation, at worst a second e-mail.

    :param callback_secret: makes the addresses iMocha calls back; without it, or a public URL, there are none.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Callable[[], datetime],
        callback_secret: str | None,
        metrics: Metrics,
        sleep: Callable[[float], None],
    ) -> None:
        self._metrics, self._sleep = metrics, sleep
        self._callback_secret = callback_secret
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

    def _swept(self, invitation_id: int) -> Said:
        now = self._clock()
        start = now - self._settings.poll.attempts_window
        attempts = list_attempts(self._imocha, "completed", start=start, now=now)
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
        opportunity, entry, rule, test_id = situation.opportunity, situation.entry, situation.rule, plan.test_id
        if entry is None or rule is None or test_id is None:
            raise ValueError(f"no invitation can be sent for {plan}")
        link_id = self._link_of(plan, situation, known)
        intend = partial(
            self._ledger.assessments.intend, test_id, item, entry_id=entry.id, rule_key=rule.key, link_id=link_id
        )
        with self._ledger.transaction():
            if (limit := self._over_limit(plan, opportunity, entry)) is not None:
                return Outcome(Action.HOLD, limit)
            assessment_id = intend()
        if known is not None and known.intended_at is not None:
            self._event("invite_repeated", opportunity, test_id, known.invitation_id, "an earlier answer was lost")
        if len(opportunity.emails) > 1:
            log.info(
                "opportunity %s has %s e-mail addresses: the first counts", opportunity.id, len(opportunity.emails)
            )
        before = known.invitation_id if known is not None else None
        try:
            with self._imocha.guarded(intend):
                sent = self._link_settings(plan.action, rule, test_id, link_id)
                invitation = self._call(plan, opportunity, test_id, known, assessment_id, sent, link_id)
        except VendorRefusedError as error:
            self._ledger.mails.give_back(opportunity.id, test_id)
            if not isinstance(error, ReattemptNotAllowedError):
                raise
            return self._running_elsewhere(opportunity, test_id, assessment_id, entry.id)
        if before is not None and before != invitation.id and plan.action is Action.REFRESH:
            self._replace(opportunity, test_id, before, invitation.id)
        outcome = self._record(plan.action, situation, entry.id, test_id, assessment_id, invitation, sent)
        self._seal_link(outcome, opportunity, test_id, invitation)
        return outcome

    def _record(
        self,
        action: Action,
        situation: Situation,
        entry_id: int,
        test_id: int,
        assessment_id: int,
        invitation: Invitation,
        sent: InviteSettings,
    ) -> Outcome:
        """Record the invitation that iMocha answered with, and what came of it."""
        status = invitation.status
        with self._ledger.transaction():
            recorded = self._ledger.invitations.record(
                assessment_id,
                invitation_id=invitation.id,
                test_id=test_id,
                status=AttemptStatus.PENDING if status is AttemptStatus.UNKNOWN else status,
                entry_id=entry_id,
                refreshed=action is Action.REFRESH,
                expires_at=sent.end_at,
                address_check=address_check(str(situation.opportunity.email)),
            )
            outcome = self._outcome(action, situation, test_id, invitation, recorded, sent)
            count = self._ledger.mails.mark_sent if outcome.action.mails else self._ledger.mails.give_back
            count(situation.opportunity.id, test_id)
        return outcome

    def _seal_link(self, outcome: Outcome, opportunity: Opportunity, test_id: int, invitation: Invitation) -> None:
        """Keep the test link of an invitation sent again for who has asked for it, so that only their browser opens it."""
        if outcome.action is not Action.REFRESH:
            return
        for request_id, public_key in self._ledger.sealed_links.waiting(opportunity.id, test_id).items():
            sealed = None
            if invitation.test_url:
                with suppress(ValueError):
                    sealed = seal(invitation.test_url.get_secret_value(), public_key)
            if sealed is None:
                why = "it is longer than the key takes" if invitation.test_url else "iMocha's answer has none"
                self._event("link_not_shown", opportunity, test_id, invitation.id, why)
            self._ledger.sealed_links.put(request_id, test_id, sealed)

    def extend(self, opportunity: Opportunity, rule: ResolvedRule, known: Assessment) -> bool:
        """Give an open invitation the window that a new one would have, without an e-mail.

        :param rule: says how long, where its link does not.
        :return: False when the address in Lever is another one by now: then nothing is changed.
        """
        settings = self._link_settings(Action.REFRESH, rule, known.test_id, known.link_id)
        invitation = self._invite_quietly(opportunity, known.test_id, known.id, settings, known.link_id)
        if invitation.id != known.invitation_id:
            if self._ledger.invitations.status(invitation.id) is None:  # nobody was told of it
                self._imocha.cancel(invitation.id)
            return False
        with self._ledger.transaction():
            self._ledger.invitations.set_window(invitation.id, expires_at=settings.end_at)
            self._event("extended", opportunity, known.test_id, invitation.id)
        return True

    def _running_elsewhere(self, opportunity: Opportunity, test_id: int, assessment_id: int, entry_id: int) -> Outcome:
        """Refused because of the state of an attempt that another opportunity of the person began (imocha.md 5.4)."""
        self._ledger.assessments.mark_handled(assessment_id, entry_id)
        self._event("already_running", opportunity, test_id, None)
        return Outcome(Action.IGNORE, Reason.RUNNING)

    def _over_limit(self, plan: Plan, opportunity: Opportunity, entry: EntryFacts) -> Reason | None:
        """Take one of the e-mails that the limits allow; several workers may have decided to send the last one."""
        if not plan.action.mails or plan.test_id is None:
            return None
        limits, released = self._settings.limits, entry.over_limit is OverLimit.RELEASE
        return self._ledger.mails.take(
            opportunity.id,
            opportunity.contact,
            plan.test_id,
            per_hour=None if released else limits.per_hour,
            per_candidate=None if released else limits.per_candidate,
        )

    def recover_invitations(self, opportunity: Opportunity) -> None:
        """Learn of invitations whose answer was lost, without an e-mail: to cancel them, or to write their reports."""
        for known in self._ledger.assessments.of(opportunity.id):
            if known.intended_at is None or known.invitation_id is not None or opportunity.email is None:
                continue
            try:
                self._recover(opportunity, known)
            except VendorRefusedError as error:  # so there is none now, and nothing else waits for it
                log.warning("opportunity %s, test %s: no invitation is found: %s", opportunity.id, known.test_id, error)

    def _recover(self, opportunity: Opportunity, known: Assessment) -> None:
        invitation = self._invite_quietly(opportunity, known.test_id, known.id, InviteSettings(), known.link_id)
        self._ledger.invitations.record(
            known.id,
            invitation_id=invitation.id,
            test_id=known.test_id,
            status=invitation.status,
            entry_id=known.entry_id,
            refreshed=False,
            address_check=address_check(str(opportunity.email)),
        )
        self._event("recovered", opportunity, known.test_id, invitation.id)

    def _outcome(
        self,
        action: Action,
        situation: Situation,
        test_id: int,
        invitation: Invitation,
        recorded: AttemptStatus,
        sent: InviteSettings,
    ) -> Outcome:
        opportunity = situation.opportunity
        if recorded.is_ended or invitation.status.is_ended:
            self._event("already_taken", opportunity, test_id, invitation.id)
            return Outcome(Action.IGNORE, Reason.ALREADY_TAKEN)
        if invitation.status is AttemptStatus.IN_PROGRESS:
            self._event("already_running", opportunity, test_id, invitation.id)
            return Outcome(Action.IGNORE, Reason.RUNNING)
        if action is Action.ADOPT:
            self._event("adopted", opportunity, test_id, invitation.id)
            self._metrics.count("adopted")
            return Outcome(action)
        past = {Action.INVITE: "invited", Action.REFRESH: "refreshed", Action.REATTEMPT: "reattempt_given"}
        facts = {"settings_sent": sent.facts}
        detail = f"asked by {situation.asker(test_id) or 'a person'}"
        self._event(past[action], opportunity, test_id, invitation.id, detail, facts)
        self._metrics.count(past[action])
        self._metrics.timing("move_to_invitation", (self._clock() - opportunity.entered_stage_at).total_seconds())
        return Outcome(action)

    def _call(
        self,
        plan: Plan,
        opportunity: Opportunity,
        test_id: int,
        known: Assessment | None,
        assessment_id: int,
        settings: InviteSettings,
        link_id: int | None,
    ) -> Invitation:
        callback = self._callback(assessment_id)
        before = known.invitation_id if known is not None else None
        if plan.action is Action.REATTEMPT and before is not None and self._is_addressed(before, opportunity):
            send = partial(self._reattempt, before, callback, settings)
        else:
            send = partial(self._invite, opportunity, test_id, callback, settings, link_id)
        if plan.action is Action.ADOPT:
            return self._as_reported(send_until_answered(partial(send, False), sleep=self._sleep))
        try:
            return self._mail(send, plan, assessment_id, tried=known.mails_tried if known is not None else 0)
        except ReattemptNotAllowedError:
            if known is None or known.intended_at is None:
                raise
            # An answer was lost before: what runs may be ours. A repeated invite names it, and changes nothing (imocha.md 5.3).
            running = self._invite_quietly(opportunity, test_id, assessment_id, settings, link_id)
            if running.id == before:
                raise
            return running

    def _is_addressed(self, invitation_id: int, opportunity: Opportunity) -> bool:
        """Tell whether an attempt is under the candidate's present address: iMocha mails a reattempt to the attempt's own."""
        try:
            email = self._imocha.get_report(invitation_id).candidate_email
        except VendorRefusedError:
            return True
        return not email or same_address(email, str(opportunity.email))

    def _mail(self, send: Callable[[bool], Invitation], plan: Plan, assessment_id: int, *, tried: int) -> Invitation:
        """Ask for the e-mail, and when the answer is lost, learn without one what became of it before asking again.

        So the candidate gets two e-mails at most, however many answers are lost.

        :param send: sends the invite, with an e-mail or without.
        :param tried: e-mails asked for before whose answers were lost.
        """
        if tried == 0 and not plan.check_first:
            tried = 1
            with suppress(OutcomeUnknownError):
                return self._send_mail(send, assessment_id)
        quiet = send_until_answered(partial(send, False), sleep=self._sleep)
        if plan.check_first:
            quiet = self._as_reported(quiet)
        if tried > 1 or quiet.status is AttemptStatus.IN_PROGRESS or quiet.status.is_ended:
            return quiet
        try:
            return self._send_mail(send, assessment_id)
        except OutcomeUnknownError:
            return quiet if tried else self._mail(send, plan, assessment_id, tried=1)

    def _send_mail(self, send: Callable[[bool], Invitation], assessment_id: int) -> Invitation:
        """Ask for the e-mail, counted before: what stops this process while it waits for the answer must not hide it."""
        self._ledger.assessments.count_mail(assessment_id)
        try:
            return send(True)
        except (OutcomeUnknownError, UnexpectedAnswerError):
            raise  # it may have been sent
        except LeverImochaError:  # refused, or not sent at all: that was no e-mail
            self._ledger.assessments.count_mail(assessment_id, -1)
            raise

    def _reattempt(
        self, invitation_id: int, callback: str | None, settings: InviteSettings, send_email: bool
    ) -> Invitation:
        now = self._clock()
        return self._imocha.reattempt(
            invitation_id,
            start_at=settings.start_at or now,
            end_at=settings.end_at or now + timedelta(days=7),
            time_zone_id=settings.time_zone_id or UTC_ZONE,
            send_email=send_email,
            callback_url=callback,
        )

    def _invite(
        self,
        opportunity: Opportunity,
        test_id: int,
        callback: str | None,
        settings: InviteSettings,
        link_id: int | None,
        send_email: bool,
    ) -> Invitation:
        client = self._imocha
        send = partial(client.invite, test_id) if link_id is None else partial(client.invite_by_link, test_id, link_id)
        email, name = str(opportunity.email), opportunity.name or "Candidate"
        return send(email=email, name=name, send_email=send_email, callback_url=callback, settings=settings)

    def _invite_quietly(
        self, opportunity: Opportunity, test_id: int, assessment_id: int, settings: InviteSettings, link_id: int | None
    ) -> Invitation:
        """Invite without an e-mail, and again while the answer is lost: a repeat changes nothing more (imocha.md 5.3)."""
        callback = self._callback(assessment_id)
        invite = partial(self._invite, opportunity, test_id, callback, settings, link_id, send_email=False)
        return send_until_answered(invite, sleep=self._sleep)

    def _as_reported(self, invitation: Invitation) -> Invitation:
        """Read the report of a finished attempt: what an invite says of it is not documented (imocha.md 5.3)."""
        try:
            status = self._imocha.get_report(invitation.id).status
        except VendorRefusedError:
            return invitation
        return invitation if status is AttemptStatus.UNKNOWN else invitation.model_copy(update={"status": status})

    def _callback(self, assessment_id: int) -> str | None:
        public_url = self._settings.public_url
        if not public_url or not self._callback_secret:
            return None
        return callback_url(public_url, assessment_id, self._callback_secret)

    def _link_of(self, plan: Plan, situation: Situation, known: Assessment | None) -> int | None:
        """Return through which link an invite goes; None for the Default link, where other integrations invite, too.

        iMocha keys an invitation by its link, too (imocha.md 5.3). So what may have been sent before is repeated through
        the link that it went through, if that is still there: another one would make a second invitation.
        """
        if plan.test_id is None:
            return None
        now = None if plan.action is Action.ADOPT else situation.links.get(plan.test_id)
        may_have_been_sent = known is not None and (known.intended_at is not None or plan.check_first)
        before = known.link_id if known is not None and may_have_been_sent else now
        if before in (now, None):
            return before
        there = named_links(self._imocha.list_test_links(plan.test_id)).values()
        return before if before in {link.id for link in there} else now

    def _link_settings(self, action: Action, rule: ResolvedRule, test_id: int, link_id: int | None) -> InviteSettings:
        """Return what an invite is to send; a new one takes its link's settings by itself, a repeated one is told them."""
        if action is Action.INVITE and rule.validity_days is None:
            return InviteSettings(time_zone_id=rule.time_zone_id)
        links = [] if action is Action.INVITE else self._imocha.list_test_links(test_id)
        named = next((link for link in links if link.id == link_id), None)
        link = default_link(links) if link_id is None else named
        return settings_of(link, now=self._clock(), validity_days=rule.validity_days, time_zone_id=rule.time_zone_id)

    def _replace(self, opportunity: Opportunity, test_id: int, old: int, new: int) -> None:
        """Withdraw the old invitation, unless shared: a refresh was answered with another one (the address changed).

        Before the new one is recorded: after a crash in between, the old one is still known, and withdrawn then. What
        stands in the way of that must not keep the new one, whose e-mail was sent, out of the ledger.
        """
        self._event("invitation_replaced", opportunity, test_id, new, f"was {old}")
        log.warning("opportunity %s: invitation %s replaces %s", opportunity.id, new, old)
        if self._ledger.assessments.sharing(old) != [opportunity.id]:
            return
        try:
            send_until_answered(partial(self._imocha.cancel, old), sleep=self._sleep)
        except VendorRefusedError:
            self._ledger.invitations.recheck(old)
            log.info("invitation %s could not be withdrawn: it is no longer pending", old)
        except ApiError as error:
            self._event("not_withdrawn", opportunity, test_id, old, type(error).__name__)
            log.warning("invitation %s stays open, as it could not be withdrawn: %s", old, error)
        else:
            self._ledger.invitations.set_status({old: AttemptStatus.CANCELLED})

    def _event(
        self,
        kind: str,
        opportunity: Opportunity,
        test_id: int,
        invitation_id: int | None,
        detail: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._ledger.events.record(
            kind,
            opportunity_id=opportunity.id,
            test_id=test_id,
            invitation_id=invitation_id,
            detail=detail,
            facts=facts,
        )
