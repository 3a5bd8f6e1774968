"""Which of iMocha's tests are active: read at most once a run, since the list is slow (imocha.md 4.1)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.clock import Clock
from lever_imocha.domain.known_tests import KnownTests, are_others, learn
from lever_imocha.domain.tags import WantedTest
from lever_imocha.errors import ApiError, Scope, SettingsError, UnexpectedAnswerError
from lever_imocha.ledger.cache import TESTS
from lever_imocha.ledger.repository import Ledger

log = logging.getLogger(__name__)

_YOUNG = timedelta(minutes=4)


class ActiveTests:
    """The run's first task reads the list and leaves what is known in the ledger; the others read it there."""

    def __init__(self, *, imocha: ImochaClient, ledger: Ledger, clock: Clock) -> None:
        self._imocha, self._ledger, self._clock = imocha, ledger, clock
        self._known: KnownTests | None = None
        self._fresh = self._checked = False
        self._unread: ApiError | None = None

    def among(self, wanted: Iterable[WantedTest], *, fresh: bool = False) -> set[int]:
        """Return the ids of the active tests among those wanted.

        :param fresh: do not trust an earlier run's list; nor is one that is older than a few minutes trusted when it
            lacks a test.
        :raises LeverImochaError: it cannot be told: the list cannot be read, is empty, or is another account's.
        """
        ids = {test.test_id for test in wanted if test.test_id is not None}
        if not ids:
            return set()
        if self._known is None:
            young = self._ledger.cache.get(TESTS, younger_than=_YOUNG)
            self._known = _read(young or self._ledger.cache.get(TESTS) or {})
            self._fresh = young is not None and not fresh
            if young is not None and not self._known.are_all(self._clock()):
                self._unread = _incomplete()
        if not self._fresh and (fresh or not ids <= self._known.active):
            self._read_list(self._known)
        if self._unread is not None and not ids <= self._known.active:
            raise self._unread
        return ids & self._known.active

    def check_account(self) -> None:
        """Make sure by the list, read now, that the key is the account's, before something is done that cannot be undone.

        :raises LeverImochaError: the list cannot be read, is empty, or is another account's.
        """
        if not self._checked:
            self._learn(_read(self._ledger.cache.get(TESTS) or {}))
            self._fresh = True

    def _read_list(self, known: KnownTests) -> None:
        """Learn from one more list; one that cannot be read stops only who is to take a test that is not known."""
        self._fresh = True  # whatever comes of it: the list is slow
        try:
            self._learn(known)
        except ApiError as error:
            if error.scope is Scope.ACCOUNT:
                raise
            log.warning("iMocha's list of tests cannot be read, the tests known before count: %s", error)
            self._unread = error

    def _learn(self, known: KnownTests) -> None:
        """Learn from one more list, and keep what is known then."""
        tests = self._imocha.list_tests()
        listed = list(tests)
        if not listed:
            raise UnexpectedAnswerError(vendor="iMocha", call="list_tests", detail="no test at all is listed")
        if are_others(known, listed):
            raise SettingsError(
                [
                    "connection imocha_default: iMocha lists none of the tests known until now; put back the account's API"
                    " key, or, if the account has changed, run python -m lever_imocha.ledger moved"
                ]
            )
        learned = learn(known, listed, self._clock(), complete=tests.complete)
        absent = {str(test_id): since.isoformat() for test_id, since in learned.absent_since.items()}
        names = {str(test.id): test.name for test in listed if test.name}
        since = learned.incomplete_since
        self._ledger.cache.put(
            TESTS,
            {
                "active": sorted(learned.active),
                "absent_since": absent,
                "names": names,
                "incomplete_since": since.isoformat() if since else None,
            },
        )
        self._known, self._checked = learned, True
        self._unread = None if learned.are_all(self._clock()) else _incomplete()


def _read(stored: Mapping[str, Any]) -> KnownTests:
    absent = {int(key): datetime.fromisoformat(since) for key, since in stored.get("absent_since", {}).items()}
    since = stored.get("incomplete_since")
    return KnownTests(frozenset(stored.get("active", ())), absent, datetime.fromisoformat(since) if since else None)


def _incomplete() -> UnexpectedAnswerError:
    return UnexpectedAnswerError(vendor="iMocha", call="list_tests", detail="the list is not complete")
