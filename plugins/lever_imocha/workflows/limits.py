"""Keeps the e-mails to candidates within the settings' limits, and says whom they hold."""

from __future__ import annotations

import logging
from dataclasses import replace

from lever_imocha.domain.decisions import OverLimit, Reason, Situation
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import LimitSettings

log = logging.getLogger(__name__)


class Limits:
    """The limits of e-mails, in an hour to all and in a week to one candidate.

    Whom the limit of the hour holds waits until `settle` finds room, longest waiting first; who has left meanwhile
    takes nobody's room for longer than until the next `settle`.
    """

    def __init__(self, *, ledger: Ledger, settings: LimitSettings) -> None:
        self._ledger, self._settings = ledger, settings

    def applied(self, situation: Situation) -> Situation:
        """Complete a situation by how many e-mails may still be sent."""
        sent = self._ledger.mails.counts(situation.opportunity.id)
        return replace(
            situation,
            mails_left=self._settings.per_hour - sent.last_hour,
            mails_to_candidate_left=self._settings.per_candidate - sent.to_candidate,
        )

    def settle(self, over_limit: OverLimit) -> None:
        """Let go on whom the limit of the hour has room for, or whom a person wants to; log how many a limit holds."""
        if over_limit is not OverLimit.WAIT:
            count = self._ledger.entries.settle_held(over_limit, [Reason.LIMIT, Reason.PER_CANDIDATE])
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
