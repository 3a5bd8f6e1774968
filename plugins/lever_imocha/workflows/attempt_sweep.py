"""Ended attempts, noticed at iMocha."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.domain.imocha import Said
from lever_imocha.errors import ApiError, LeverImochaError, Scope, VendorRefusedError, as_ours
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import WRITE_BACK_WORK
from lever_imocha.settings import Settings
from lever_imocha.workflows.active_tests import ActiveTests
from lever_imocha.workflows.attempt_statuses import record_statuses
from lever_imocha.workflows.listed_attempts import list_attempts, said_of
from lever_imocha.workflows.vendor_lists import ListRead
from lever_imocha.workflows.work import past_failures

log = logging.getLogger(__name__)

_SWEEP, _ACCOUNT = "imocha.attempts", "imocha.account"
_OTHER_STATES = ("cancelled", "expired")
_CHECKS_AT_ONCE = 20


class AttemptSweep:
    """Notices at iMocha what became of the invitations in the ledger."""

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Clock = utc_now,
    ) -> None:
        self._imocha, self._ledger, self._settings, self._clock = imocha, ledger, settings, clock
        self._tests = ActiveTests(imocha=imocha, ledger=ledger, clock=clock)
        self.lists: list[ListRead] = []
        """What came of reading iMocha's lists of attempts, those that were read."""

    def poll(self, *, rested: timedelta | None = None) -> list[str]:
        """Sweep Retrieve Invites since the last time, look at a few reports directly, and return what is due.

        The sweep's timestamp and window are not documented (imocha.md 6.4): windows overlap, and each open
        invitation's own report is looked at once soon after inviting and then now and then.

        :param rested: do not sweep when somebody else did within this time.
        :return: opportunity ids with something to write back.
        :raises LeverImochaError: the sweep failed, and nothing is due that could be done meanwhile; or nothing can be
            done, as with another account's key.
        """
        now = self._clock()
        swept = self._ledger.watermarks.past(_SWEEP, now, again=self._settings.poll.attempts_window)
        failures = list[LeverImochaError]()
        if rested is None or swept is None or now - swept >= rested:
            for look in (partial(self._sweep, swept, now), self._check_reports):
                try:
                    look()
                except Exception as error:
                    failure = as_ours(error)
                    if failure.scope is Scope.ACCOUNT:
                        raise failure from None
                    failures.append(failure)
        due = self.due()
        for failure in failures:
            if not due:
                raise failure
            log.warning("iMocha could not be swept, what is due is written back all the same: %s", failure)
        return due

    def _sweep(self, last: datetime | None, now: datetime) -> None:
        error: LeverImochaError | None = None
        try:
            self._check_account(now)
            self._read_windows("completed", _SWEEP, last, now)
        except Exception as failure:
            error = as_ours(failure)
            raise
        finally:
            self.lists = [ListRead(name="iMocha's list of attempts", last=last, error=error)]
        for state in _OTHER_STATES:
            self._read_other(state, last, now)

    def _read_other(self, state: str, swept: datetime | None, now: datetime) -> None:
        """Read a list of those for whom nothing is written back: trouble with it stops nothing, the next sweep tries again.

        :param swept: how far the sweep had come; where this list begins when it was never read.
        """
        mark, error = f"{_SWEEP}.{state}", None
        last = self._ledger.watermarks.past(mark, now, again=self._settings.poll.attempts_window) or swept
        try:
            self._read_windows(state, mark, last, now)
        except VendorRefusedError as refusal:  # the newest page documents "completed" only (imocha.md 6.4)
            log.info("iMocha does not list the state %r: %s", state, refusal)
        except Exception as failure:
            error = as_ours(failure)
            if error.scope is Scope.ACCOUNT:
                raise error from None
            log.warning("iMocha's list of %s attempts cannot be read, the next sweep tries again: %s", state, error)
        self.lists.append(ListRead(name=f"iMocha's list of {state} attempts", last=last, error=error))

    def _check_account(self, now: datetime) -> None:
        """Make sure, now and then, that the key is the account's: another's lists have none of our attempts.

        What ended since the last time it was so is within the overlap of the sweep that is the first to go on.
        """
        every = self._settings.poll.attempts_overlap / 2
        checked = self._ledger.watermarks.past(_ACCOUNT, now, again=every)
        if checked is not None and now - checked < every:
            return
        try:
            self._tests.check_account()
        except ApiError as error:
            if error.scope is Scope.ACCOUNT:
                raise
            log.warning("whether the key is the account's cannot be told: %s", error)
        self._ledger.watermarks.put(_ACCOUNT, now)

    def _read_windows(self, state: str, mark: str, last: datetime | None, now: datetime) -> None:
        poll = self._settings.poll
        start = (last or now - poll.attempts_window) - poll.attempts_overlap
        while start < now:
            end = start + poll.attempts_window
            listed = list_attempts(self._imocha, state, start=start, now=now, until=end)
            self._record(said_of(listed), listed=True)
            start = end
            self._ledger.watermarks.put(mark, min(end, now))

    def due(self) -> list[str]:
        """Return what is to be written back as far as is known, callbacks included; asks iMocha nothing."""
        return self._ledger.queue.due(WRITE_BACK_WORK)

    def _check(self, invitation_id: int) -> None:
        try:
            report = self._imocha.get_report(invitation_id)
        except VendorRefusedError:
            log.debug("invitation %s has no report yet", invitation_id)
        else:
            if not report.status.can_begin:
                self._record({invitation_id: report.said})
        finally:  # also one that is never given: the others wait for their turn behind it
            self._ledger.invitations.mark_checked(invitation_id)

    def _record(self, said: Mapping[int, Said], *, listed: bool = False) -> None:
        """Record what became of invitations; where recruiters see it in Lever, have it shown."""
        record_statuses(self._ledger, said, listed=listed, show=self._settings.explain.is_on)

    def _check_reports(self) -> None:
        older_than = self._settings.poll.report_check
        invitations = self._ledger.invitations.to_check(older_than=older_than, limit=_CHECKS_AT_ONCE)
        for invitation_id, error in past_failures(invitations, self._check):
            log.warning("invitation %s: its report cannot be read: %s", invitation_id, error)
