"""Sweeps Lever's trigger stages: who came is recorded, who left with an open invitation is enqueued."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain

from more_itertools import chunked

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Work
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import ResolvedSettings
from lever_imocha.workflows.situation import SituationReader, new_entry

log = logging.getLogger(__name__)

_SWEEP, _FULL_SWEEP = "lever.sweep", "lever.full_sweep"
_PAGE = 100


class StageSweep:
    """Finds what no webhook has announced.

    :param clock: aware UTC now.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        ledger: Ledger,
        settings: Settings,
        situations: SituationReader,
        clock: Callable[[], datetime],
    ) -> None:
        self._lever, self._ledger, self._settings = lever, ledger, settings
        self._situations, self._clock = situations, clock

    def run(self, resolved: ResolvedSettings, *, full: bool) -> None:
        """Record new stage entries, and enqueue who left with an open invitation or is to be forgotten.

        A sweep looks at who came since the last one, with an overlap. A full sweep looks at everybody in the stages:
        on demand, the first time, and after every `poll.full_sweep`.
        """
        now = self._clock()
        log.debug(
            "activated at %s", self._situations.activated_at
        )  # the first sweep activates, also when nobody is there
        since = self._narrowed_since(now, full=full)
        in_stage = self._record_entries(resolved, since)
        left = self._who_left(resolved.trigger_stages, since, in_stage, again=full)
        self._ledger.queue.enqueue(left, Work.INVITE, news=False)
        self._ledger.queue.enqueue(self._to_forget(since), Work.CANCEL, news=False)
        self._ledger.watermarks.put(_SWEEP, now)
        if since is None:
            self._ledger.watermarks.put(_FULL_SWEEP, now)
            self._ledger.deliveries.forget(older_than=2 * self._settings.webhooks.max_age)
            self._ledger.mails.forget()

    def _narrowed_since(self, now: datetime, *, full: bool) -> datetime | None:
        """Return from when on to look, overlap included; None for a full sweep."""
        last, last_full = self._ledger.watermarks.get(_SWEEP), self._ledger.watermarks.get(_FULL_SWEEP)
        if full or last is None or last_full is None or now - last_full >= self._settings.poll.full_sweep:
            return None
        return last - self._settings.poll.overlap

    def _record_entries(self, resolved: ResolvedSettings, since: datetime | None) -> set[str]:
        """Record who is in a trigger stage; return their ids."""
        seen_ids: set[str] = set()
        for page in chunked(self._in_stages(resolved.trigger_stages, since, seen_ids), _PAGE):
            situations = (self._situations.read(item, resolved, fresh_tests=True) for item in page)
            self._ledger.entries.record([new_entry(situation) for situation in situations], seen_by="sweep")
        return seen_ids

    def _in_stages(self, stages: Sequence[str], since: datetime | None, seen_ids: set[str]) -> Iterator[Opportunity]:
        """List who is in a trigger stage: all, or who came, or was given a tag or an address, since a time; each once.

        Lever's two times have gaps, each of its own (lever.md 4.2); full sweeps fill them.
        """
        read = partial(self._lever.list_opportunities, stage_ids=stages, archived=False, expand=("applications",))
        listings = (read(advanced_at_start=since), read(updated_at_start=since)) if since else (read(),)
        for item in chain.from_iterable(listings):
            if item.stage in stages and item.id not in seen_ids:
                seen_ids.add(item.id)
                yield item

    def _who_left(
        self, stages: Sequence[str], since: datetime | None, in_stage: Collection[str], *, again: bool
    ) -> list[str]:
        """Return the opportunities with an open invitation that have left, each way the settings care about.

        A full sweep finds who is in no trigger stage any more, and has not been read since they left.

        :param again: also those who were read since.
        """
        pending = self._ledger.assessments.with_open_invitation()
        cancel = self._settings.cancel_when
        found = []
        if since is None:
            found = [key for key, left in pending.items() if key not in in_stage and (again or left is None)]
        elif pending and cancel.stage_left:
            moved = self._lever.list_opportunities(archived=False, advanced_at_start=since)
            found = [item.id for item in moved if item.id in pending and item.stage not in stages]
        if pending and cancel.archived and (start := self._looked_back(since)) is not None:
            archived = self._lever.list_opportunities(archived=True, archived_at_start=start)
            found += [item.id for item in archived if item.id in pending]
        return found

    def _looked_back(self, since: datetime | None) -> datetime | None:
        """Return since when a listing of what happened is read: a full sweep reads since the last full one."""
        last_full = self._ledger.watermarks.get(_FULL_SWEEP)
        return since or (last_full - self._settings.poll.overlap if last_full else None)

    def _to_forget(self, since: datetime | None) -> list[str]:
        """Return the opportunities deleted or anonymised since, of whom the ledger keeps a name."""
        start = self._looked_back(since)
        if start is None:
            return []
        gone = [item.id for item in self._deleted_since(start)]
        if since is None:  # only archived opportunities can be anonymised (lever.md 12)
            archived = self._lever.list_opportunities(archived=True, updated_at_start=start)
            gone += [item.id for item in archived if item.is_anonymized]
        return sorted(self._ledger.names.stored_of(gone))

    def _deleted_since(self, start: datetime) -> Iterator[Opportunity]:
        try:
            yield from self._lever.list_deleted_opportunities(deleted_at_start=start)
        except VendorRefusedError as error:
            log.info("deleted opportunities are noticed by full sweeps only: %s", error)
