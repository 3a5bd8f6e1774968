"""Which of iMocha's tests are active: read at most once a run, since the list is slow (imocha.md 4.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.tags import WantedTest
from lever_imocha.ledger.repository import Ledger

_KEY = "imocha.tests"
_YOUNG = timedelta(minutes=4)


class ActiveTests:
    """The run's first task reads the list and leaves it in the ledger; the others read it there."""

    def __init__(self, *, imocha: ImochaClient, ledger: Ledger) -> None:
        self._imocha, self._ledger = imocha, ledger
        self._active: set[int] | None = None
        self._fresh = False

    def among(self, wanted: Iterable[WantedTest], *, fresh: bool = False) -> set[int]:
        """The ids of the active tests among those wanted.

        :param fresh: do not trust an earlier run's list; nor is one that is older than a few minutes trusted when it
            lacks a test.
        """
        ids = {test.test_id for test in wanted if test.test_id is not None}
        if not ids:
            return set()
        if self._active is None:
            young = self._ledger.cache.get(_KEY, younger_than=_YOUNG)
            stored = young or self._ledger.cache.get(_KEY)
            self._active, self._fresh = set(stored["active"] if stored else ()), young is not None and not fresh
        if not self._fresh and (fresh or not ids <= self._active):
            self._active = {test.id for test in self._imocha.list_tests() if test.is_active}
            self._fresh = True
            self._ledger.cache.put(_KEY, {"active": sorted(self._active)})
        return ids & self._active
