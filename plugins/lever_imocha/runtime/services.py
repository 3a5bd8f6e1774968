"""Everything a task or trigger works with, put together from connections and settings."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Engine

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.worker_locks import WorkerLock
from lever_imocha.runtime.metrics import AirflowMetrics
from lever_imocha.runtime.task_author import task_author
from lever_imocha.settings import Settings, load_settings
from lever_imocha.workflows.attempt_sweep import AttemptSweep
from lever_imocha.workflows.comparison import CompareWorkflow
from lever_imocha.workflows.invite import InviteWorkflow
from lever_imocha.workflows.preview import Preview
from lever_imocha.workflows.sync_tags import SyncTagsWorkflow
from lever_imocha.workflows.write_back import WriteBackWorkflow


@lru_cache(maxsize=4)
def _worker_lock(engine: Engine, process: int) -> WorkerLock:
    """Make the lock that shows that this process runs; a forked child gets one of its own."""
    return WorkerLock(engine, f"{socket.gethostname()}:{process}:{uuid.uuid4().hex[:8]}")


@dataclass(frozen=True)
class Services:
    """Clients, ledger and settings of one task.

    :param callback_secret: looks it up; only inviting needs it.
    """

    lever: LeverClient
    imocha: ImochaClient
    ledger: Ledger
    settings: Settings
    worker: str
    callback_secret: Callable[[], str | None]

    @classmethod
    def open(cls, *, lever_conn_id: str, imocha_conn_id: str) -> Services:
        """Read settings and connections.

        :raises SettingsError: the settings or a connection cannot be used.
        :raises LedgerError: the ledger cannot be used.
        """
        settings, engine = load_settings(), ledger_engine()
        limits = settings.rate_limits
        imocha = ImochaHook(imocha_conn_id)
        worker_lock = _worker_lock(engine, os.getpid())
        return cls(
            lever=LeverHook(lever_conn_id).client(
                SharedLimiter(engine=engine, name="lever", rate=limits.lever), AirflowMetrics()
            ),
            imocha=imocha.client(
                SharedLimiter(engine=engine, name="imocha", rate=limits.imocha),
                AirflowMetrics(),
                settings.write_back.report_hosts,
            ),
            ledger=Ledger(engine=engine, lock_worker=worker_lock.renew, author=task_author()),
            settings=settings,
            worker=worker_lock.worker,
            callback_secret=lambda: imocha.callback_secret,
        )

    def invite_workflow(self) -> InviteWorkflow:
        """Collect and invite."""
        return InviteWorkflow(
            lever=self.lever,
            imocha=self.imocha,
            ledger=self.ledger,
            settings=self.settings,
            worker=self.worker,
            callback_secret=self.callback_secret(),
            metrics=AirflowMetrics(),
        )

    def preview(self) -> Preview:
        """Tell what would be done, and do nothing."""
        return Preview(lever=self.lever, imocha=self.imocha, ledger=self.ledger, settings=self.settings)

    def compare_workflow(self) -> CompareWorkflow:
        """Compare the vendors' lists with the ledger."""
        return CompareWorkflow(lever=self.lever, imocha=self.imocha, ledger=self.ledger, settings=self.settings)

    def attempt_sweep(self) -> AttemptSweep:
        """Notice ended attempts."""
        return AttemptSweep(imocha=self.imocha, ledger=self.ledger, settings=self.settings)

    def write_back_workflow(self) -> WriteBackWorkflow:
        """Write reports back."""
        return WriteBackWorkflow(
            lever=self.lever,
            imocha=self.imocha,
            ledger=self.ledger,
            settings=self.settings,
            worker=self.worker,
            metrics=AirflowMetrics(),
        )

    def sync_tags_workflow(self) -> SyncTagsWorkflow:
        """Sync tags."""
        return SyncTagsWorkflow(lever=self.lever, imocha=self.imocha, ledger=self.ledger, settings=self.settings)
