"""What the checks look at: read once, when a check asks for it. What cannot be read stops the checks that need it only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Generic, TypeVar

from sqlalchemy import Engine

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.domain.imocha import ImochaTest
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.tags import TagScheme
from lever_imocha.errors import NotPermittedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import tag_scheme

T = TypeVar("T")
C = TypeVar("C", LeverClient, ImochaClient)
_LOOKED_AT = 100


class UnknownFactError(Exception):
    """Something that a check needs could not be read.

    :param what: it is, in words.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


class Fact(Generic[T]):
    """Something that is read once, when it is first asked for.

    :param what: it is, in words, for whoever needs it and does not get it.
    """

    def __init__(self, what: str, read: Callable[[], T]) -> None:
        self._what, self._read = what, read
        self._found: list[T] = []
        self._error: Exception | None = None

    def outcome(self) -> T:
        """Return it; for the check that says why it cannot be read.

        :raises Exception: what reading it raised.
        """
        if self._error is not None:
            raise self._error
        if not self._found:
            try:
                self._found.append(self._read())
            except Exception as error:
                self._error = error
                raise
        return self._found[0]

    def __call__(self) -> T:
        """Return it; for every other check.

        :raises UnknownFactError: it cannot be read.
        """
        try:
            return self.outcome()
        except UnknownFactError:
            raise
        except Exception:
            raise UnknownFactError(self._what) from None


def _answering(client: C) -> C:
    """Return a client whose API answers to its key: what is wrong with that is said once, and not by each check.

    :raises LeverImochaError: it does not.
    """
    with suppress(NotPermittedError):
        client.check()
    return client


@dataclass(frozen=True)
class Tests:
    """iMocha's tests.

    :param complete: whether these are all, see `ListedTests.complete`.
    """

    __test__ = False

    listed: list[ImochaTest]
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where facts come from; each raises an error of ours when it cannot be used.

    :param settings_text: the settings file as it is written.
    :param settings_changed: when the settings file was changed last, where that is known.
    :param clocks: by how much each vendor's clock is ahead of ours, as far as answers said so.
    :param paused: whether each of our DAGs is paused; empty where Airflow cannot be asked.
    :param notifier_problem: what keeps the settings' notifier from being made; None if nothing does, or none is named.
    :param reach: asks an address from here; returns what is wrong with it, None if it answers as a receiver does.
    """

    settings: Callable[[], Settings]
    settings_text: Callable[[], str]
    settings_changed: Callable[[], datetime | None]
    lever: Callable[[], LeverClient]
    imocha: Callable[[], ImochaClient]
    ledger: Callable[[], Engine]
    webhook_tokens: Callable[[], list[str]]
    callback_secret: Callable[[], str | None]
    clocks: Callable[[], dict[str, timedelta]]
    paused: Callable[[], dict[str, bool]]
    reach: Callable[[str], str | None]
    notifier_problem: Callable[[Settings], str | None]


class Facts:
    """Everything that is read for the checks."""

    def __init__(self, sources: Sources, *, clock: Clock = utc_now) -> None:
        self.sources, self.now = sources, clock
        self.settings = Fact("the settings", sources.settings)
        self.lever = Fact("the connection to Lever", lambda: _answering(sources.lever()))
        self.imocha = Fact("the connection to iMocha", lambda: _answering(sources.imocha()))
        self.engine = Fact("the ledger", sources.ledger)
        self.ledger = Fact("the ledger", lambda: Ledger(engine=self.engine(), clock=clock))
        self.webhook_tokens = Fact("the webhook signature tokens", sources.webhook_tokens)
        self.callback_secret = Fact("the callback secret", sources.callback_secret)

        self.stages = Fact("the list of stages", lambda: list(self.lever().list_stages()))
        self.tags = Fact("the list of tags", lambda: [tag.text for tag in self.lever().list_tags()])
        self.postings = Fact("the list of postings", lambda: list(self.lever().list_postings()))
        self.templates = Fact("the list of form templates", lambda: list(self.lever().list_form_templates()))
        self.webhooks = Fact("the list of webhooks", lambda: list(self.lever().list_webhooks()))
        self.users = Fact("the list of users", lambda: list(self.lever().list_users()))
        self.user = Fact(
            "the acting user", lambda: self.lever().find_user(self.settings().perform_as, deactivated_too=True)
        )
        self.opportunities = Fact("the list of opportunities", self._opportunities)
        self.confidential = Fact("whether anything confidential is seen", self._confidential)
        self.tests = Fact("the list of tests", self._tests)

    def with_settings(self, settings: Settings) -> Facts:
        """Return what would be read with other settings, which no file says yet."""
        lever, imocha = self.lever.outcome, self.imocha.outcome
        sources = replace(self.sources, settings=lambda: settings, settings_text=str, lever=lever, imocha=imocha)
        return Facts(sources, clock=self.now)

    @property
    def scheme(self) -> TagScheme:
        """How tags name tests."""
        return tag_scheme(self.settings())

    def _opportunities(self) -> list[Opportunity]:
        """Return some opportunities, applications expanded as the workflow asks for them."""
        listed = self.lever().list_opportunities(archived=False, expand=["applications"])
        return list(islice(listed, _LOOKED_AT))

    def _confidential(self) -> bool:
        with suppress(UnknownFactError):
            if any(posting.confidentiality == "confidential" for posting in self.postings()):
                return True
        return next(self.lever().list_opportunities(confidentiality="confidential"), None) is not None

    def _tests(self) -> Tests:
        tests = self.imocha().list_tests()
        listed = list(tests)
        return Tests(listed, tests.complete)
