"""Makes things in Lever once each: what was begun before, or may be there already, is looked up before it is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Sleep
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Effect, WorkItem
from lever_imocha.workflows.idempotency import create_once


class EffectMaker:
    """Makes effects under a work item that this worker holds.

    :param sleep: before an effect whose answer was lost is looked up.
    """

    def __init__(self, *, lever: LeverClient, ledger: Ledger, sleep: Sleep) -> None:
        self._lever, self._ledger, self._sleep = lever, ledger, sleep

    def once(
        self,
        effect: Effect,
        item: WorkItem,
        make: Callable[[], str],
        find: Callable[[], str | None],
        *,
        look_first: bool = False,
        anew: bool = False,
    ) -> None:
        """Make an effect unless it is known to be done.

        :param make: makes it in Lever and returns the id of what was made.
        :param find: returns the id of what is there already, or None.
        :param look_first: it may be there although this ledger never began it.
        :param anew: make it, whether or not it was made before.
        :raises ClaimLostError: another worker has taken over the item; nothing was sent.
        """
        if not anew:
            known = self._ledger.effects.state(effect)
            if known is not None and known.done_at is not None:
                return
            look_first = look_first or known is not None or self._recently_restored
        with self._lever.guarded(partial(self._ledger.effects.start, effect, item)):
            vendor_id = create_once(make, find, look_first=look_first, sleep=self._sleep)
        self._ledger.effects.finish(effect, vendor_id=vendor_id)

    @cached_property
    def _recently_restored(self) -> bool:
        return self._ledger.restore.is_recent()
