"""The ledger, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.ledger.assessments import Assessments
from lever_imocha.ledger.base import WORKFLOW, Author, Database
from lever_imocha.ledger.cache import Cache
from lever_imocha.ledger.comparison import Comparison
from lever_imocha.ledger.deliveries import Deliveries
from lever_imocha.ledger.effects import Effects
from lever_imocha.ledger.entries import Entries
from lever_imocha.ledger.erasure import Erasure
from lever_imocha.ledger.events import Events
from lever_imocha.ledger.evidence import Evidence
from lever_imocha.ledger.invitations import Invitations
from lever_imocha.ledger.mails import Mails
from lever_imocha.ledger.opportunities import Opportunities
from lever_imocha.ledger.overview.attention import Attention
from lever_imocha.ledger.overview.flow import Flow
from lever_imocha.ledger.overview.people import People
from lever_imocha.ledger.overview.timeline import Timeline
from lever_imocha.ledger.overview.traffic import Traffic
from lever_imocha.ledger.requests import Requests
from lever_imocha.ledger.restore import RestoreDetection
from lever_imocha.ledger.sealed_links import SealedLinks
from lever_imocha.ledger.settings_versions import SettingsVersions
from lever_imocha.ledger.watermarks import Watermarks
from lever_imocha.ledger.work_queue import WorkQueue


class Ledger:
    """The ledger's parts, each with one job.

    :param lock_worker: called before anything is claimed; makes sure that the worker counts as running.
    :param author: who writes to the timeline.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock = utc_now,
        lock_worker: Callable[[], None] = lambda: None,
        author: Author = WORKFLOW,
    ) -> None:
        self._database = database = Database(engine=engine, clock=clock, lock_worker=lock_worker, author=author)
        self.queue = WorkQueue(database)
        self.deliveries = Deliveries(database)
        self.entries = Entries(database)
        self.assessments = Assessments(database)
        self.invitations = Invitations(database)
        self.mails = Mails(database)
        self.effects = Effects(database)
        self.events = Events(database)
        self.cache = Cache(database)
        self.settings_versions = SettingsVersions(database)
        self.watermarks = Watermarks(database)
        self.restore = RestoreDetection(database)
        self.opportunities = Opportunities(database)
        self.erasure = Erasure(database)
        self.requests = Requests(database)
        self.sealed_links = SealedLinks(database)
        self.people = People(database)
        self.attention = Attention(database)
        self.timeline = Timeline(database)
        self.flow = Flow(database)
        self.traffic = Traffic(database)
        self.comparison = Comparison(database)
        self.evidence = Evidence(database)

    def transaction(self) -> AbstractContextManager[Connection]:
        """Record all that is recorded inside as one transaction."""
        return self._database.transaction()

    def account_lock(self, name: str) -> AbstractContextManager[None]:
        """Let one process at a time look up, and create, something that the whole account shares."""
        return self._database.account_lock(name)
