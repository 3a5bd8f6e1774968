"""Has iMocha mask who was deleted or anonymised in Lever: a day later, every attempt, each once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.clock import Clock, Sleep
from lever_imocha.domain.decisions import Departure, may_mask
from lever_imocha.domain.imocha import Said
from lever_imocha.domain.pauses import pause_after_failure
from lever_imocha.errors import VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Work, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.attempt_statuses import of_others
from lever_imocha.workflows.deletion import DeletionEvidence
from lever_imocha.workflows.idempotency import send_until_answered
from lever_imocha.workflows.listed_attempts import list_attempts
from lever_imocha.workflows.work import NotYet

log = logging.getLogger(__name__)

DELAY = timedelta(days=1)
CANNOT_MASK = "iMocha masks not all"
WRONG_CLOCK, _WRONG_CLOCK_PAUSE = "our clock is wrong", timedelta(hours=1)
OTHER_ADDRESS = "another address at iMocha"
_MOST_WINDOWS = 60


class Masking:
    """Plans masking when somebody is deleted, and does it when nobody has stopped it for a day.

    :param sleep: before a call whose answer was lost is sent again.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        deletion: DeletionEvidence,
        tests: ActiveTests,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._imocha, self._ledger, self._settings = imocha, ledger, settings
        self._deletion, self._clock, self._sleep = deletion, clock, sleep
        self._tests = tests

    def plan(self, opportunity_id: str) -> None:
        """Enqueue the masking of a deleted opportunity's attempts, where the settings want it and there is something.

        :raises NotYet: our clock is wrong, so that it cannot tell when the day is over.
        """
        if self._settings.mask_deleted and (
            self._ledger.invitations.to_mask(opportunity_id) or self._has_unknown(opportunity_id)
        ):
            self._check_clock()
            self._ledger.queue.enqueue_later(opportunity_id, Work.MASK, not_before=self._clock() + DELAY)

    def mask(self, item: WorkItem, departure: Departure | None, trigger_stages: Collection[str], *, found: bool) -> str:
        """Mask the attempts that belong to deleted opportunities only.

        :param departure: how the opportunity has left, as just read.
        :param found: Lever has the opportunity; it may be anonymised.
        :raises NotYet: our clock is wrong; Lever has found it within the day; iMocha names somebody else; or, parked, not all
            could be masked.
        :raises SettingsError: the key is another account's, where the numbers may be other people's.
        """
        opportunity_id = item.opportunity_id
        if departure is not Departure.DELETED:
            self._ledger.assessments.record_departure(opportunity_id, departure)
            return "found again in Lever, not masked"
        if not self._settings.mask_deleted:
            return "not masked, as mask_deleted is off"
        self._check_clock()
        if not found:
            self._wait_until_missing_for_a_day(opportunity_id)
        self._tests.check_account()
        numbers = [
            number
            for number in self._ledger.invitations.to_mask(opportunity_id)
            if self._belongs_to_deleted(number, opportunity_id, trigger_stages)
        ]
        # All addresses first: iMocha may mask more than it was asked for (imocha.md 8), also where it tells addresses.
        said = {number: self._said(opportunity_id, number) for number in numbers}
        self._check_whose(item, said)
        emails = {number: one.email if one else None for number, one in said.items()}
        masked = [number for number in numbers if self._ask(item, number, emails)]
        if len(masked) < len(numbers) or self._has_unknown(opportunity_id):
            raise NotYet(CANNOT_MASK, pause=None)
        return f"masked {len(masked)} at iMocha"

    def _check_clock(self) -> None:
        if self._deletion.clock_problem:
            raise NotYet(WRONG_CLOCK, pause=_WRONG_CLOCK_PAUSE, failed=False)

    def _wait_until_missing_for_a_day(self, opportunity_id: str) -> None:
        since, now = self._deletion.missing_since(opportunity_id), self._clock()
        if now - since < DELAY:
            raise NotYet("found in Lever since", pause=since + DELAY - now, failed=False)

    def _check_whose(self, item: WorkItem, said: Mapping[int, Said | None]) -> None:
        if others := of_others(self._ledger, {number: one for number, one in said.items() if one}):
            log.warning(
                "opportunity %s: nothing is masked, as invitations %s seem to be somebody else's. Is the key in the connection"
                " imocha_default the account's?",
                item.opportunity_id,
                sorted(others),
            )
            raise NotYet(OTHER_ADDRESS, pause=pause_after_failure(item.tries, refused=False))

    def _has_unknown(self, opportunity_id: str) -> bool:
        """Tell whether an invitation may have been sent of which the ledger does not know the number."""
        known = self._ledger.assessments.of(opportunity_id)
        lost = [item for item in known if item.invitation_id is None or item.intended_at is not None]
        return any(item.mails_tried for item in lost)

    def _belongs_to_deleted(self, number: int, opportunity_id: str, trigger_stages: Collection[str]) -> bool:
        others = [key for key in self._ledger.invitations.belongs_to(number) if key != opportunity_id]
        return may_mask([self._deletion.departure_of(key, trigger_stages) for key in others])

    def _ask(self, item: WorkItem, number: int, emails: dict[int, str | None]) -> bool:
        """Have one invitation masked, under its own address, or else those of the person's other invitations."""
        own = emails[number]
        for email in (own,) if own else dict.fromkeys(filter(None, emails.values())):
            ask = partial(self._imocha.create_gdpr_request, email, invitation_id=number)
            try:
                has_records = send_until_answered(ask, sleep=self._sleep)
            except VendorRefusedError as error:
                log.warning("invitation %s: iMocha refuses to mask it: %s", number, error)
                return False
            # Without records of its own address it is masked already: an earlier answer was lost.
            if has_records or own:
                self._ledger.invitations.mark_masked(item.opportunity_id, number)
                return True
        log.warning("invitation %s: iMocha does not say whose it is; mask it in iMocha by hand", number)
        return False

    def _said(self, opportunity_id: str, number: int) -> Said | None:
        """Return what iMocha says of an invitation, in its report or else its lists, with an address, which is kept nowhere."""
        try:
            if (said := self._imocha.get_report(number).said).email:
                return said
        except VendorRefusedError:
            log.debug("invitation %s has no report", number)
        for start, end in islice(self._windows(opportunity_id, number), _MOST_WINDOWS):
            for state in ("expired", "cancelled", "completed"):
                if (listed := self._listed(number, state, start, end)) is not None:
                    return listed
        return None

    def _windows(self, opportunity_id: str, number: int) -> Iterator[tuple[datetime, datetime]]:
        """Return the windows of an invitation's life, the last first: which time iMocha filters on is not documented.

        A time that is still to come was recorded by a clock that was ahead: it says nothing, and there is no first window.
        """
        width, now = self._settings.poll.attempts_window, self._clock()
        first, last = self._ledger.invitations.lifetime(opportunity_id, number)
        end = min(last, now) + width
        while end > first or first > now:
            yield end - width, end
            end -= width

    def _listed(self, number: int, state: str, start: datetime, end: datetime) -> Said | None:
        try:
            listed = list_attempts(self._imocha, state, start=start, now=self._clock(), until=end)
        except VendorRefusedError as error:  # the newest page documents one state only (imocha.md 6.4)
            log.debug("iMocha does not list the state %r: %s", state, error)
            return None
        return next((found.said for found in listed if found.test_invitation_id == number and found.email), None)
