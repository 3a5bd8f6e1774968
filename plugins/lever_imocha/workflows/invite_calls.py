"""Asks iMocha for an invitation: one, and two e-mails at most, however many answers are lost.

iMocha keys an invitation by e-mail within a test's link: inviting again is an upsert (imocha.md 5.3). So a repeat after a
lost answer makes no second invitation, at worst a second e-mail.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.acts import same_address
from lever_imocha.domain.clock import Clock, Sleep
from lever_imocha.domain.imocha import UTC_ZONE, AttemptStatus, Invitation, InviteSettings
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.signatures import callback_url
from lever_imocha.errors import LeverImochaError, OutcomeUnknownError, UnexpectedAnswerError, VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.workflows.idempotency import send_until_answered


@dataclass(frozen=True)
class Invite:
    """What iMocha is sent.

    :param assessment_id: by which its callbacks are known.
    :param link_id: the test link that it goes through; None for the Default link.
    """

    opportunity: Opportunity
    test_id: int
    assessment_id: int
    link_id: int | None
    settings: InviteSettings


class InviteCalls:
    """Invites, and asks for further attempts.

    :param callback_secret: makes the addresses iMocha calls back; without it, or a public URL, there are none.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        public_url: str | None,
        callback_secret: str | None,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._imocha, self._ledger, self._clock, self._sleep = imocha, ledger, clock, sleep
        self._public_url, self._callback_secret = public_url, callback_secret

    def without_mail(self, invite: Invite) -> Invitation:
        """Invite without an e-mail, and again while the answer is lost: a repeat changes nothing more (imocha.md 5.3)."""
        return send_until_answered(partial(self._invite, invite, False), sleep=self._sleep)

    def adopt(self, invite: Invite) -> Invitation:
        """Invite without an e-mail where there may be an attempt that the ledger does not know."""
        return self._as_reported(self.without_mail(invite))

    def mail(self, invite: Invite, *, after: int | None, tried: int, check_first: bool) -> Invitation:
        """Invite with an e-mail.

        :param after: the finished attempt after which another one is asked for; None for a first one.
        :param tried: e-mails asked for before whose answers were lost.
        :param check_first: see `Plan.check_first`.
        :raises ReattemptNotAllowedError: another attempt runs.
        """
        send = partial(self._invite, invite)
        if after is not None and self._is_addressed(after, invite.opportunity):
            send = partial(self._reattempt, after, invite)
        return self._mail(send, invite.assessment_id, tried=tried, check_first=check_first)

    def _is_addressed(self, invitation_id: int, opportunity: Opportunity) -> bool:
        """Tell whether an attempt is under the candidate's present address: iMocha mails a reattempt to the attempt's own."""
        try:
            email = self._imocha.get_report(invitation_id).candidate_email
        except VendorRefusedError:
            return True
        return not email or same_address(email, str(opportunity.email))

    def _mail(
        self, send: Callable[[bool], Invitation], assessment_id: int, *, tried: int, check_first: bool
    ) -> Invitation:
        """Ask for the e-mail, and when the answer is lost, learn without one what became of it before asking again.

        :param send: sends the invite, with an e-mail or without.
        """
        if tried == 0 and not check_first:
            tried = 1
            with suppress(OutcomeUnknownError):
                return self._send_mail(send, assessment_id)
        unmailed = send_until_answered(partial(send, False), sleep=self._sleep)
        if check_first:
            unmailed = self._as_reported(unmailed)
        if tried > 1 or unmailed.status is AttemptStatus.IN_PROGRESS or unmailed.status.is_ended:
            return unmailed
        try:
            return self._send_mail(send, assessment_id)
        except OutcomeUnknownError:
            return unmailed if tried else self._mail(send, assessment_id, tried=1, check_first=check_first)

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

    def _reattempt(self, invitation_id: int, invite: Invite, send_email: bool) -> Invitation:
        now, settings = self._clock(), invite.settings
        return self._imocha.reattempt(
            invitation_id,
            start_at=settings.start_at or now,
            end_at=settings.end_at or now + timedelta(days=7),
            time_zone_id=settings.time_zone_id or UTC_ZONE,
            send_email=send_email,
            callback_url=self._callback(invite.assessment_id),
        )

    def _invite(self, invite: Invite, send_email: bool) -> Invitation:
        client, opportunity = self._imocha, invite.opportunity
        send = (
            partial(client.invite, invite.test_id)
            if invite.link_id is None
            else partial(client.invite_by_link, invite.test_id, invite.link_id)
        )
        return send(
            email=str(opportunity.email),
            name=opportunity.name or "Candidate",
            send_email=send_email,
            callback_url=self._callback(invite.assessment_id),
            settings=invite.settings,
        )

    def _as_reported(self, invitation: Invitation) -> Invitation:
        """Read the report of a finished attempt: what an invite says of it is not documented (imocha.md 5.3)."""
        try:
            status = self._imocha.get_report(invitation.id).status
        except VendorRefusedError:
            return invitation
        return invitation if status is AttemptStatus.UNKNOWN else invitation.model_copy(update={"status": status})

    def _callback(self, assessment_id: int) -> str | None:
        if not self._public_url or not self._callback_secret:
            return None
        return callback_url(self._public_url, assessment_id, self._callback_secret)
