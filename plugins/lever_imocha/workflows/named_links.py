"""Which test links have the name that a rule says: read once a run for each test, and kept a few minutes for its other tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.imocha import named_links
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.errors import ApiError, Scope, UnexpectedAnswerError
from lever_imocha.ledger.cache import LINKS
from lever_imocha.ledger.repository import Ledger

log = logging.getLogger(__name__)

_YOUNG = timedelta(minutes=4)


class NamedLinks:
    """Looks up links by name; a rule that says none costs nothing."""

    def __init__(self, *, imocha: ImochaClient, ledger: Ledger) -> None:
        self._imocha, self._ledger = imocha, ledger
        self._known: dict[int, Mapping[str, int]] = {}
        self._unread: dict[int, ApiError] = {}

    def of(self, rule: ResolvedRule | None, tests: Iterable[int], *, fresh: bool) -> dict[int, int]:
        """Return by test the id of its link that has the name that the rule says; tests without one are left out.

        :param fresh: do not trust what an earlier run left.
        :raises LeverImochaError: a test's links cannot be read.
        """
        if rule is None or rule.link is None:
            return {}
        name, found = rule.link.strip().casefold(), dict[int, int]()
        for test_id in tests:
            links = self._links(test_id, fresh=fresh)
            if name in links:
                found[test_id] = links[name]
            elif test_id in self._unread:
                raise self._unread[test_id]
        return found

    def _links(self, test_id: int, *, fresh: bool) -> Mapping[str, int]:
        if test_id not in self._known:
            self._known[test_id] = self._read(test_id, fresh=fresh)
        return self._known[test_id]

    def _read(self, test_id: int, *, fresh: bool) -> Mapping[str, int]:
        """Read a test's links; where they cannot be read, or none is listed, those known before count."""
        key = f"{LINKS}.{test_id}"
        if not fresh and (kept := self._ledger.cache.get(key, younger_than=_YOUNG)) is not None:
            return kept
        try:
            listed = self._imocha.list_test_links(test_id)
            if not listed:
                raise UnexpectedAnswerError(vendor="iMocha", call="list_test_links", detail="no link at all is listed")
        except ApiError as error:
            if error.scope is Scope.ACCOUNT:
                raise
            log.warning("iMocha's links of test %s cannot be read, those known before count: %s", test_id, error)
            self._unread[test_id] = error
            return self._ledger.cache.get(key) or {}
        found = {name: link.id for name, link in named_links(listed).items()}
        self._ledger.cache.put(key, found)
        return found
