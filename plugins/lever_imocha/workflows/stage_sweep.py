"""Sweeps Lever's trigger stages: who came is recorded, who left with an open invitation is enqueued."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain

from more_itertools import chunked

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import Departure
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import LeverImochaError, Scope, as_ours
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewEntry, Work
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import ResolvedSettings
from lever_imocha.workflows.situation import SituationReader, new_entry
from lever_imocha.workflows.temporary_tags import TemporaryTags

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
        on demand, the first time, and after every `poll.full_sweep`. The lists that only serve cancelling and
        forgetting are read last; one that cannot be read stops nothing else, and is read from where it was left.
        """
        now = self._clock()
        since, last = self._narrowed_since(now, full=full), self._ledger.watermarks.past(_SWEEP, now)
        log.debug("activated at %s", self._situations.activated_at)  # the first sweep activates, also with nobody there
        in_stage = self._record_entries(resolved, since)
        self._ledger.watermarks.put(_SWEEP, now)
        if since is None:
            self._ledger.watermarks.put(_FULL_SWEEP, now)
            self._ledger.deliveries.forget(older_than=2 * self._settings.webhooks.max_age)
            self._ledger.mails.forget()
        pending = self._ledger.assessments.with_open_invitation()
        if since is None:
            left = [key for key, as_ in pending.items() if key not in in_stage and (full or as_ is None)]
            self._ledger.queue.enqueue(left, Work.INVITE, news=False)
            self._read_since_last("anonymized", last, self._anonymized, now)
        self._read_since_last("moved", last, partial(self._moved, pending, resolved.trigger_stages), now)
        self._read_since_last("archived", last, partial(self._archived, pending), now)
        self._read_since_last("deleted", last, self._deleted, now)

    def _narrowed_since(self, now: datetime, *, full: bool) -> datetime | None:
        """Return from when on to look, overlap included; None for a full sweep."""
        last, last_full = (self._ledger.watermarks.past(name, now) for name in (_SWEEP, _FULL_SWEEP))
        if full or last is None or last_full is None or now - last_full >= self._settings.poll.full_sweep:
            return None
        return last - self._settings.poll.overlap

    def _record_entries(self, resolved: ResolvedSettings, since: datetime | None) -> set[str]:
        """Record who is in a trigger stage; return their ids."""
        seen_ids: set[str] = set()
        before = self._situations.before()
        for page in chunked(self._in_stages(resolved.trigger_stages, since, seen_ids), _PAGE):
            entries = [entry for item in page if (entry := self._entry(item, resolved, before)) is not None]
            self._ledger.entries.record(entries, seen_by="sweep")
        return seen_ids

    def _entry(
        self, opportunity: Opportunity, resolved: ResolvedSettings, before: TemporaryTags | None
    ) -> NewEntry | None:
        try:
            return new_entry(self._situations.read(opportunity, resolved, before=before, fresh_tests=True))
        except LeverImochaError:
            raise
        except Exception as error:
            log.error("opportunity %s was left out of the sweep: %s", opportunity.id, as_ours(error))
            return None

    def _read_since_last(
        self, name: str, last_sweep: datetime | None, read: Callable[[datetime], None], now: datetime
    ) -> None:
        """Read an optional list from where it was left, with an overlap; in the first sweep of all it has nothing new."""
        mark = f"lever.{name}"
        last = self._ledger.watermarks.past(mark, now) or last_sweep
        try:
            if last is not None:
                read(last - self._settings.poll.overlap)
        except Exception as failure:
            error = as_ours(failure)
            if error.scope is Scope.ACCOUNT:
                raise error from None
            log.warning("Lever's list of %s opportunities cannot be read, the next sweep tries again: %s", name, error)
        else:
            self._ledger.watermarks.put(mark, now)

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

    def _moved(self, pending: Mapping[str, Departure | None], stages: Sequence[str], start: datetime) -> None:
        """Enqueue who was moved out of the stages with an open invitation."""
        if not pending or not self._settings.cancel_when.stage_left:
            return
        moved = self._lever.list_opportunities(archived=False, advanced_at_start=start)
        found = [item.id for item in moved if item.id in pending and item.stage not in stages]
        self._ledger.queue.enqueue(found, Work.INVITE, news=False)

    def _archived(self, pending: Mapping[str, Departure | None], start: datetime) -> None:
        """Enqueue who was archived with an open invitation."""
        if not pending or not self._settings.cancel_when.archived:
            return
        archived = self._lever.list_opportunities(archived=True, archived_at_start=start)
        self._ledger.queue.enqueue([item.id for item in archived if item.id in pending], Work.INVITE, news=False)

    def _deleted(self, start: datetime) -> None:
        """Enqueue who was deleted, and of whom the ledger keeps a name."""
        self._forget(item.id for item in self._lever.list_deleted_opportunities(deleted_at_start=start))

    def _anonymized(self, start: datetime) -> None:
        """Enqueue who was anonymised, which happens to archived opportunities only (lever.md 12)."""
        archived = self._lever.list_opportunities(archived=True, updated_at_start=start)
        self._forget(item.id for item in archived if item.is_anonymized)

    def _forget(self, opportunity_ids: Iterable[str]) -> None:
        self._ledger.queue.enqueue(self._ledger.names.stored_of(list(opportunity_ids)), Work.CANCEL, news=False)
