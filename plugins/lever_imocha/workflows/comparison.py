"""Compares what Lever and iMocha list with the ledger: what was missed is queued, the rest is explained or told.

The sweeps look at what has changed. This looks at everything, now and then, and says whether anybody was missed. Lists
are read a page at a time, and one record that is odd stops no other. From a list of which a part could not be read
follows no verdict; what it shows all the same is queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from more_itertools import chunked

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.domain.comparison import Judgement, Verdict, judge_arrival, judge_attempt
from lever_imocha.domain.decisions import Situation
from lever_imocha.domain.imocha import Said
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import LeverImochaError, SettingsError, VendorRefusedError, as_ours
from lever_imocha.ledger.cache import COMPARISON
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Work
from lever_imocha.ledger.watermarks import SWEEP
from lever_imocha.settings import Settings
from lever_imocha.workflows.attempt_statuses import record_statuses
from lever_imocha.workflows.listed_attempts import list_attempts, said_of
from lever_imocha.workflows.resolved_settings import ResolvedSettings, resolve
from lever_imocha.workflows.situation import SituationReader
from lever_imocha.workflows.work import past_failures

log = logging.getLogger(__name__)

_PAGE = 100
_PERIOD, _WINDOW = timedelta(days=30), timedelta(days=1)
"""Attempts are looked at that ended in this time, in windows."""
_SETTLED = timedelta(hours=1)
"""What ended so lately may move between the pages of a list, and is left to the sweep."""
_SHOWN = 50


@dataclass
class Compared:
    """What came of comparing one list with the ledger.

    :param vendor: whose list it is.
    :param read: how many records concern us.
    :param explained: how many, by the reason.
    :param healed: likewise.
    :param unexplained: how many.
    :param shown: the first of those: opportunity id -> why.
    :param unknown: why there is no verdict; empty when there is one.
    """

    vendor: str
    read: int = 0
    agrees: int = 0
    healed: dict[str, int] = field(default_factory=dict)
    explained: dict[str, int] = field(default_factory=dict)
    unexplained: int = 0
    shown: dict[str, str] = field(default_factory=dict)
    unknown: str = ""

    def count(self, judgement: Judgement, opportunity_id: str | None) -> None:
        """Count one record."""
        self.read += 1
        if judgement.verdict is Verdict.AGREES:
            self.agrees += 1
        elif judgement.verdict is Verdict.UNEXPLAINED:
            self.unexplained += 1
            if opportunity_id is not None and len(self.shown) < _SHOWN:
                self.shown[opportunity_id] = judgement.why
        else:
            counts = self.healed if judgement.verdict is Verdict.HEALED else self.explained
            counts[judgement.why] = counts.get(judgement.why, 0) + 1

    @property
    def is_complete(self) -> bool:
        """Whether all was read, and all that is unexplained is shown: who is not shown any more is explained now."""
        return not self.unknown and self.unexplained == len(self.shown)

    def __str__(self) -> str:
        said = (
            f"{self.read} records of {self.vendor}: {self.agrees} agree, {sum(self.healed.values())} healed,"
            f" {sum(self.explained.values())} explained, {self.unexplained} unexplained"
        )
        return f"{said}; not known whether that is all: {self.unknown}" if self.unknown else said


class CompareWorkflow:
    """Compares both vendors' lists with the ledger."""

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        clock: Clock = utc_now,
    ) -> None:
        self._lever, self._imocha, self._ledger = lever, imocha, ledger
        self._settings, self._clock = settings, clock
        self._situations = SituationReader(imocha=imocha, ledger=ledger, settings=settings, clock=clock)
        self.failures: list[LeverImochaError] = []
        """Why a list could not be read to its end."""

    def run(self) -> list[Compared]:
        """Compare, queue what was missed, and keep the result; a list that cannot be read stops not the other."""
        found = [self._tried("Lever", self._compare_arrivals), self._tried("iMocha", self._compare_attempts)]
        self._ledger.cache.put(COMPARISON, {"at": self._clock().isoformat(), "lists": [asdict(one) for one in found]})
        return found

    def _tried(self, vendor: str, compare: Callable[[Compared], None]) -> Compared:
        """Compare one list; whatever goes wrong, what was found until then is kept, and there is no verdict."""
        result = Compared(vendor)
        try:
            compare(result)
        except Exception as failure:
            error = as_ours(failure)
            self.failures.append(error)
            result.unknown = error.public_message
        return result

    # Lever: who is in a trigger stage

    def _compare_arrivals(self, result: Compared) -> None:
        resolved = resolve(self._ledger, self._lever, self._settings)
        if not resolved.trigger_stages:  # without any, Lever would list everybody
            raise SettingsError(resolved.problems)
        swept = self._ledger.watermarks.past(SWEEP, self._clock())
        new_since = swept - self._settings.poll.overlap if swept is not None else None
        before = self._situations.before()
        stages = resolved.trigger_stages
        listed = self._lever.list_opportunities(stage_ids=stages, archived=False, expand=("applications",))
        unread = 0
        for page in chunked((one for one in listed if one.stage in stages), _PAGE):
            situations = list[Situation]()

            def read(opportunity: Opportunity, into: list[Situation] = situations) -> None:
                into.append(self._situations.read(opportunity, resolved, before=before))

            failures = past_failures(page, read)
            for opportunity, error in failures:
                log.warning("opportunity %s cannot be compared: %s", opportunity.id, error)
            unread += len(failures)
            self._compare_situations([one for one in situations if one.wanted], resolved, new_since, result)
        if unread + listed.skipped:
            result.unknown = (
                f"{unread + listed.skipped} of Lever's records could not be read; the log of the task names them"
            )

    def _compare_situations(
        self, page: Sequence[Situation], resolved: ResolvedSettings, new_since: datetime | None, result: Compared
    ) -> None:
        entries = {one.opportunity.id: self._situations.new_entry(one, resolved) for one in page}
        known = self._ledger.comparison.arrivals(list(entries.values()))
        missed = list[str]()
        for situation in page:
            key, entry = situation.opportunity.id, entries[situation.opportunity.id]
            judgement = judge_arrival(
                known[key],
                asked=[test.test_id for test in situation.wanted if test.test_id and situation.is_active(test)],
                rests_on=entry.eligibility,
                is_new=new_since is None or entry.entered_at >= new_since,
            )
            result.count(judgement, key)
            if judgement.verdict is Verdict.HEALED:
                missed.append(key)
        self._ledger.entries.record([entries[key] for key in missed], seen_by="comparison")
        self._ledger.queue.enqueue(missed, Work.INVITE, news=False)  # also of whom the arrival was recorded before

    # iMocha: which attempts have ended

    def _compare_attempts(self, result: Compared) -> None:
        until = self._clock() - _SETTLED
        start = until - _PERIOD
        windows = [(start + _WINDOW * day, start + _WINDOW * (day + 1)) for day in range(_PERIOD // _WINDOW)]
        for page in chunked(self._ended(windows, result), _PAGE):
            self._compare_statuses(dict(page), result)

    def _ended(self, windows: Sequence[tuple[datetime, datetime]], result: Compared) -> Iterable[tuple[int, Said]]:
        """Return iMocha's list of reports with their status; where it is refused, what Retrieve Invites lists."""
        reports = self._reports(windows, result)
        try:
            first = next(reports, None)
        except VendorRefusedError as error:
            log.info("iMocha does not list reports (%s), Retrieve Invites is compared; it names no total", error)
            return self._attempts(windows)
        return chain([first] if first else [], reports)

    def _reports(self, windows: Sequence[tuple[datetime, datetime]], result: Compared) -> Iterator[tuple[int, Said]]:
        for start, end in windows:
            listed = self._imocha.list_reports(start_at=start, end_at=end)
            for report in listed:
                if report.test_invitation_id is not None:
                    yield report.test_invitation_id, report.said
            if not listed.complete:
                result.unknown = (
                    f"iMocha lists fewer reports than it says there are, from {start:%Y-%m-%d %H:%M} UTC on"
                )

    def _attempts(self, windows: Sequence[tuple[datetime, datetime]]) -> Iterator[tuple[int, Said]]:
        for start, end in windows:
            listed = list_attempts(self._imocha, "completed", start=start, now=self._clock(), until=end)
            yield from said_of(listed).items()

    def _compare_statuses(self, listed: Mapping[int, Said], result: Compared) -> None:
        known = self._ledger.comparison.attempts(list(listed))
        missed, unqueued = dict[int, Said](), set[str]()
        for invitation_id, said in listed.items():
            ours = known.get(invitation_id)
            judgement = judge_attempt(ours, said.status)
            result.count(judgement, ours.opportunity_id if ours else None)
            if judgement.verdict is Verdict.HEALED and ours is not None:
                if ours.status.is_ended and ours.opportunity_id is not None:
                    unqueued.add(ours.opportunity_id)
                else:
                    missed[invitation_id] = said
        record_statuses(self._ledger, missed, listed=True, show=self._settings.explain.is_on)
        self._ledger.queue.enqueue(unqueued, Work.WRITE_BACK, news=False)


def kept_comparison(kept: Mapping[str, Any]) -> tuple[datetime, list[Compared]]:
    """Read what was kept: when was compared, and what came of it."""
    return datetime.fromisoformat(kept["at"]), [Compared(**row) for row in kept["lists"]]


def told_unexplained(found: Iterable[Compared]) -> dict[str, str]:
    """Return what nobody can explain: opportunity id -> why."""
    return {key: why for one in found for key, why in one.shown.items()}
