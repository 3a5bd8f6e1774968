"""Keeps e-mails, and cancelling, within the settings' limits, and says whom they hold."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from lever_imocha.domain.clock import Clock
from lever_imocha.domain.decisions import CANCEL_SHARE, Departure, OverLimit, Reason, Situation, may_cancel_many
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import WorkItem
from lever_imocha.ledger.watermarks import CANCELLING_ALLOWED
from lever_imocha.settings import LimitSettings
from lever_imocha.workflows.work import NotYet

log = logging.getLogger(__name__)

_HOUR = timedelta(hours=1)


class Limits:
    """The limits of e-mails, in an hour to all and in a week to one candidate.

    Whom the limit of the hour holds waits until `settle` finds room, longest waiting first; who has left meanwhile
    takes nobody's room for longer than until the next `settle`.
    """

    def __init__(self, *, ledger: Ledger, settings: LimitSettings) -> None:
        self._ledger, self._settings = ledger, settings

    def applied(self, situation: Situation) -> Situation:
        """Complete a situation by how many e-mails may still be sent."""
        sent = self._ledger.mails.counts(situation.opportunity.id, situation.opportunity.contact)
        return replace(
            situation,
            mails_left=self._settings.per_hour - sent.last_hour,
            mails_to_candidate_left=self._settings.per_candidate - sent.to_candidate,
        )

    def settle(self, over_limit: OverLimit, *, asked_at: datetime | None = None) -> None:
        """Let go on whom the limit of the hour has room for, or whom a person wants to; log how many a limit holds.

        :param asked_at: when the person said so; None for now.
        """
        if over_limit is not OverLimit.WAIT:
            reasons = [Reason.LIMIT, Reason.PER_CANDIDATE]
            count = self._ledger.entries.settle_held(over_limit, reasons, asked_at=asked_at)
            log.info("over_limit is %s: %s on hold are decided again now", over_limit, count)
        room = self._settings.per_hour - self._ledger.mails.sent_last_hour()
        self._ledger.queue.release_waiting_for(Reason.LIMIT, most=max(room, 0))
        held = self._ledger.entries.held([Reason.LIMIT, Reason.PER_CANDIDATE, Reason.BEFORE_ACTIVATION])
        settings = {
            Reason.LIMIT: f"limits.per_hour ({self._settings.per_hour})",
            Reason.PER_CANDIDATE: f"limits.per_candidate ({self._settings.per_candidate})",
            Reason.BEFORE_ACTIVATION: "activation.existing",
        }
        for reason, count in held.items():
            log.warning("%s on hold by the setting %s: %s", count, settings[reason], reason)
        activation = self._ledger.entries.of_activation() if held.get(Reason.LIMIT) else None
        if activation is not None:
            log.info("of those in the stage before the activation, %s", activation)


class CancelLimit:
    """The limit of cancelling who has left in any hour: somebody may archive everybody by mistake.

    What a person asks for on the console, with a reason, is neither limited nor counted.

    Who is above it waits, and goes on when no more wait than an hour may cancel, or when a person allows it. Workers that
    look at the same moment may each let one more through.
    """

    def __init__(self, *, ledger: Ledger, settings: LimitSettings, clock: Clock) -> None:
        self._ledger, self._share, self._clock = ledger, settings.cancel_share, clock

    def allow(self, asked_at: datetime) -> bool:
        """Lift the limit for an hour: a person has said that it is no mistake that so many have left.

        :param asked_at: when the person said so.
        :return: whether that was within the last hour; otherwise nothing is lifted.
        """
        if asked_at < self._clock() - _HOUR:
            log.warning("allow_cancelling was given more than an hour ago and counts no more: start a run with it anew")
            return False
        self._ledger.watermarks.put(CANCELLING_ALLOWED, asked_at)
        self._ledger.queue.release_waiting_for(CANCEL_SHARE)
        return True

    def check(self, item: WorkItem) -> None:
        """Let one opportunity's invitations be cancelled.

        :raises NotYet: that would be too many.
        """
        since = self._clock() - _HOUR
        allowed = self._ledger.watermarks.get(CANCELLING_ALLOWED)
        if allowed is not None and since < allowed < since + 2 * _HOUR:  # not by a clock that was a day ahead
            return
        cancelled = self._ledger.events.count("cancelled", since=since, details=list(Departure))
        waiting = self._ledger.queue.count_waiting_for(CANCEL_SHARE) + (item.error != CANCEL_SHARE)
        if not may_cancel_many(cancelled + waiting, cancelled + self._ledger.assessments.count_open(), self._share):
            raise NotYet(CANCEL_SHARE, pause=_HOUR, failed=False)
