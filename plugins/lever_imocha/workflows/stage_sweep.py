"""Sweeps Lever's trigger stages: who came is recorded, who left with an open invitation is enqueued."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Clock
from lever_imocha.domain.decisions import Reason, may_cancel_many
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.pauses import LONGEST
from lever_imocha.errors import LeverImochaError, Scope, as_ours
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewEntry, Work
from lever_imocha.ledger.watermarks import FULL_SWEEP, SWEEP
from lever_imocha.settings import Settings
from lever_imocha.workflows.clocks import clock_problem
from lever_imocha.workflows.masking import DELAY
from lever_imocha.workflows.resolved_settings import ResolvedSettings
from lever_imocha.workflows.situation import SituationReader
from lever_imocha.workflows.temporary_tags import TemporaryTags
from lever_imocha.workflows.vendor_lists import STAGES, ListRead
from lever_imocha.workflows.work import past_failures

log = logging.getLogger(__name__)

_PAGE = 100
_SWEPT_AGAIN = timedelta(days=1)


class StageSweep:
    """Finds what no webhook has announced.

    :param allow_cancelling: a person has said that it is no mistake that so many have left.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        ledger: Ledger,
        settings: Settings,
        situations: SituationReader,
        clock: Clock,
        allow_cancelling: bool = False,
    ) -> None:
        self._allow_cancelling = allow_cancelling
        self.held_back: tuple[int, int] | None = None
        """Set when too many seem to have left: how many, and how many invitations are open."""
        self.lists: list[ListRead] = []
        """What came of reading Lever's lists."""
        self._lever, self._ledger, self._settings = lever, ledger, settings
        self._situations, self._clock = situations, clock

    def run(self, resolved: ResolvedSettings, *, full: bool) -> None:
        """Record new stage entries, and enqueue who left with an open invitation or is to be forgotten.

        A sweep looks at who came since the last one, with an overlap. A full sweep looks at everybody in the stages:
        on demand, the first time, and after every `poll.full_sweep`. The lists that only serve cancelling and
        forgetting are read last; one that cannot be read stops nothing else, and is read from where it was left.
        """
        now = self._clock()
        since, last = self._narrowed_since(now, full=full), self._ledger.watermarks.past(SWEEP, now)
        try:
            self._situations.activate(resolved.trigger_stages)  # also when nobody is there
            in_stage = self._record_entries(resolved, since)
        except Exception as failure:
            self.lists.append(ListRead(name=STAGES, last=last, error=as_ours(failure)))
            raise
        self.lists.append(ListRead(name=STAGES, last=last))
        self._ledger.watermarks.put(SWEEP, now)
        if since is None:
            self._ledger.watermarks.put(FULL_SWEEP, now)
            self._ledger.mails.forget()
            self._end_waits()
            self._enqueue_held_elsewhere(in_stage)
        self._enqueue_departed(resolved, now, since, last, in_stage, full=full)

    def _end_waits(self) -> None:
        """End what waits for longer than it should, because our clock was ahead; masking waits a day from now."""
        queue = self._ledger.queue
        queue.end_waits_beyond(max(LONGEST, *self._settings.write_back.report_retry))
        if clock_problem(self._lever) is None:  # a clock that is behind would end the day
            queue.end_waits_beyond(DELAY, of=Work.MASK, then=DELAY)

    def _enqueue_departed(
        self,
        resolved: ResolvedSettings,
        now: datetime,
        since: datetime | None,
        last: datetime | None,
        in_stage: Collection[str],
        *,
        full: bool,
    ) -> None:
        """Enqueue who left with an open invitation or is to be forgotten, unless these are suspiciously many."""
        pending = self._ledger.assessments.with_open_invitation()
        lists: dict[str, Callable[[datetime], Iterable[str]]] = {
            "moved": partial(self._moved, pending, resolved.trigger_stages),
            "archived": partial(self._archived, pending),
            "deleted": self._deleted,
        }
        if since is None:
            lists["anonymized"] = self._anonymized
        tried = {name: self._read_since_last(name, last, read, now) for name, read in lists.items()}
        found = {name: ids for name, ids in tried.items() if ids is not None}
        left = list[str]()
        if since is None:
            left = [key for key, as_ in pending.items() if key not in in_stage and (full or as_ is None)]
        leaving = {*chain(*found.values(), left if self._settings.cancel_when.stage_left else ())}
        if not self._allow_cancelling and not may_cancel_many(
            len(leaving), len(pending), self._settings.limits.cancel_share
        ):
            self.held_back = (len(leaving), len(pending))
            return
        self._ledger.queue.enqueue(left, Work.INVITE, news=False)
        # News also for who waits or is parked because of an invite that fails: other invitations may be open.
        self._ledger.queue.enqueue([*found.get("moved", ()), *found.get("archived", ())], Work.INVITE)
        gone = [*found.get("deleted", ()), *found.get("anonymized", ())]
        self._ledger.queue.enqueue(gone, Work.CANCEL, news=False)
        for name in found:
            self._ledger.watermarks.put(f"lever.{name}", now)

    def _enqueue_held_elsewhere(self, in_stage: Collection[str]) -> None:
        """Have it decided that nobody waits for who has left while on hold: no webhook may have told it."""
        gone = self._ledger.entries.on_hold().difference(in_stage)
        self._ledger.queue.enqueue(gone, Work.INVITE, news=False)
        self._ledger.queue.release_waiting_for(Reason.LIMIT, of=gone)

    def _narrowed_since(self, now: datetime, *, full: bool) -> datetime | None:
        """Return from when on to look, overlap included; None for a full sweep.

        What a clock that was ahead has swept is not known: after it, everybody is looked at.
        """
        last, last_full = (self._ledger.watermarks.get(name) for name in (SWEEP, FULL_SWEEP))
        if full or last is None or last_full is None or max(last, last_full) > now:
            return None
        if now - last_full >= self._settings.poll.full_sweep:
            return None
        return last - self._settings.poll.overlap

    def _record_entries(self, resolved: ResolvedSettings, since: datetime | None) -> set[str]:
        """Record who is in a trigger stage; return their ids.

        :raises LeverImochaError: a list broke off; who was read before is recorded.
        """
        seen_ids: set[str] = set()
        unreadable: set[str] = set()
        before = self._situations.before()
        for page in _pages(self._in_stages(resolved.trigger_stages, since, seen_ids, unreadable)):
            entries = list[NewEntry]()
            failures = past_failures(page, lambda item: entries.append(self._entry(item, resolved, before)))  # noqa: B023
            self._ledger.entries.record(entries, seen_by="sweep")
            for opportunity, error in failures:
                log.error("opportunity %s was left out of the sweep, and is read alone: %s", opportunity.id, error)
                unreadable.add(opportunity.id)
        # Reading each of them alone tells what is wrong, and that somebody waits.
        self._ledger.queue.enqueue(unreadable, Work.INVITE, news=False)
        return seen_ids | unreadable

    def _entry(self, opportunity: Opportunity, resolved: ResolvedSettings, before: TemporaryTags | None) -> NewEntry:
        situation = self._situations.read(opportunity, resolved, before=before, fresh_tests=True)
        return self._situations.new_entry(situation, resolved)

    def _read_since_last(
        self, name: str, last_sweep: datetime | None, read: Callable[[datetime], Iterable[str]], now: datetime
    ) -> list[str] | None:
        """Read an optional list from where it was left, with an overlap; in the first sweep of all it has nothing new.

        :return: None when it cannot be read.
        """
        known = self._ledger.watermarks.past(f"lever.{name}", now, again=_SWEPT_AGAIN)
        last, found, error = known or last_sweep, list[str](), None
        try:
            found = list(read(last - self._settings.poll.overlap)) if last is not None else []
        except Exception as failure:
            error = as_ours(failure)
            if error.scope is Scope.ACCOUNT:
                raise error from None
            log.warning("Lever's list of %s opportunities cannot be read, the next sweep tries again: %s", name, error)
        self.lists.append(ListRead(name=f"Lever's list of {name} opportunities", last=known, error=error))
        return found if error is None else None

    def _in_stages(
        self, stages: Sequence[str], since: datetime | None, seen_ids: set[str], unreadable: set[str]
    ) -> Iterator[Opportunity]:
        """List who is in a trigger stage: all, or who came, or was given a tag or an address, since a time; each once.

        Lever's two times have gaps, each of its own (lever.md 4.2); full sweeps fill them.

        :param unreadable: gets the ids of those who are listed, but not as documented.
        """
        read = partial(self._lever.list_opportunities, stage_ids=stages, archived=False, expand=("applications",))
        listings = (read(advanced_at_start=since), read(updated_at_start=since)) if since else (read(),)
        for item in chain.from_iterable(listings):
            if item.stage is None:
                unreadable.add(item.id)
            elif item.stage in stages and item.id not in seen_ids:
                seen_ids.add(item.id)
                yield item
        for listing in listings:
            unreadable |= listing.unreadable

    def _moved(self, pending: Collection[str], stages: Sequence[str], start: datetime) -> Iterable[str]:
        """Return who was moved out of the stages with an open invitation."""
        if not pending or not self._settings.cancel_when.stage_left:
            return ()
        moved = self._lever.list_opportunities(archived=False, advanced_at_start=start)
        return (item.id for item in moved if item.id in pending and item.stage not in stages)

    def _archived(self, pending: Collection[str], start: datetime) -> Iterable[str]:
        """Return who was archived with an open invitation."""
        if not pending or not self._settings.cancel_when.archived:
            return ()
        archived = self._lever.list_opportunities(archived=True, archived_at_start=start)
        return (item.id for item in archived if item.id in pending)

    def _deleted(self, start: datetime) -> Iterable[str]:
        """Return who was deleted, and of whom the ledger keeps a name."""
        deleted = self._lever.list_deleted_opportunities(deleted_at_start=start)
        return self._ledger.opportunities.stored_of([item.id for item in deleted])

    def _anonymized(self, start: datetime) -> Iterable[str]:
        """Return who was anonymised, which happens to archived opportunities only (lever.md 12)."""
        archived = self._lever.list_opportunities(archived=True, updated_at_start=start)
        return self._ledger.opportunities.stored_of([item.id for item in archived if item.is_anonymized])


def _pages(found: Iterable[Opportunity]) -> Iterator[list[Opportunity]]:
    """Cut a list that is still being read into pages; who was read before it breaks off is on the last one."""
    page = list[Opportunity]()
    try:
        for one in found:
            page.append(one)
            if len(page) == _PAGE:
                yield page
                page = []
    except LeverImochaError:
        yield page
        raise
    yield page
