"""Where the workflow is played: both vendors with a clock of their own, the ledger, workers who can die, and people.

Everything runs in one thread. A mishap strikes a run at a chosen moment, at a call to a vendor or at a write to the
ledger: the worker dies there, or something else happens meanwhile, another worker's whole run included. So every
schedule is exactly repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import requests
from lever_imocha.clients import imocha, lever
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.clients.transport import ApiClient
from lever_imocha.domain.imocha import read_status
from lever_imocha.errors import BugError, LeverImochaError, WorkFailedError
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Work
from lever_imocha.ledger.worker_locks import lock_worker
from lever_imocha.runtime.batch_run import run_batch
from lever_imocha.settings import Settings, parse_settings
from lever_imocha.workflows.attempt_sweep import AttemptSweep
from lever_imocha.workflows.invite import InviteWorkflow
from lever_imocha.workflows.write_back import WriteBackWorkflow
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, event, text

from include.sandbox.app import create_app
from include.sandbox.server import serve
from include.sandbox.world import World
from tests.model.model import Candidate, Model
from tests.support import Unlimited, at_once, empty_ledger

SETTINGS = """
perform_as: people-ops@example.com
activation: {existing: invite}
limits: {per_hour: 100000, per_candidate: 1000}
"""
WITHOUT_THE_RULE = SETTINGS + "rules: [{trigger_stage: New lead}]\n"
START = datetime(2026, 7, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONG = timedelta(hours=7)  # longer than any pause between two tries or looks


class Crash(BaseException):
    """The worker's process is gone; nothing may catch this but the scene."""


class Violation(BaseException):
    """The model forbids what a run has just done; no run may catch this, or what is told is a later symptom."""


@contextmanager
def judging() -> Iterator[None]:
    """Let what the model forbids end the run at once."""
    try:
        yield
    except AssertionError as broken:
        raise Violation(str(broken)) from broken


class ManualClockWorld(World):
    """A sandbox whose clock moves only when it is told to, and that remembers what Lever would announce."""

    announced: list[tuple[str, str]]
    moved_by_api: list[tuple[str, str]]

    def now(self) -> datetime:
        """By its own clock."""
        return START + self.shift

    def announce(self, event: str, opportunity: dict[str, Any], *, by_api: bool = False, **data: Any) -> None:
        """Kept for whoever plays the post."""
        self.announced.append((event, opportunity["id"]))
        if by_api and event == "candidateStageChange":
            self.moved_by_api.append((opportunity["id"], data["toStageId"]))

    def reset(self) -> None:
        """Nobody there, and the clock at the start."""
        super().reset()
        self.switches["rate_limit"] = False
        self.announced, self.moved_by_api = [], []


@dataclass
class InjectedFault:
    """Something that strikes once: at the `number`-th call (before it is sent, or after), or write to the ledger."""

    at: str  # call, answer or write
    number: int
    happen: Callable[[], None]

    def pass_by(self, at: str) -> None:
        """One such moment."""
        if at == self.at:
            self.number -= 1
            if self.number == 0:
                self.happen()


class Wire(HTTPAdapter):
    """The line to the vendors, where the scene sees every call."""

    def __init__(self, harness: Harness) -> None:
        super().__init__()
        self._scene = harness

    @judging()
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """One call; its effect is seen before its answer can be lost."""
        self._scene.see_withdrawal(str(request.url))
        self._scene.reach("call")
        answered = False
        try:
            response = super().send(request, *args, **kwargs)
            answered = response.status_code < 500
        finally:
            self._scene.see(answered=answered)
        if request.method != "GET" and "testattempts" not in str(request.url):
            self._scene.writes += 1
        try:
            self._scene.reach("answer")
        except Crash:
            response.close()  # as the system closes what a killed process had open
            raise
        return response


class Harness:
    """Vendors, ledger and workers, and the model beside them.

    :param url: the sandbox's address.
    """

    def __init__(self, *, world: ManualClockWorld, url: str, engine: Engine, settings: Settings) -> None:
        self.world, self._engine, self._complete = world, engine, settings
        self.ledger = Ledger(engine=engine, clock=world.now)
        self.lever = LeverClient(self._client("Lever", f"{url}/lever/v1", auth=("lever-key", "")))
        client = self._client("iMocha", f"{url}/imocha/v3", headers={"X-API-KEY": "imocha-key"})
        self.imocha = ImochaClient(client, self._session())
        self._workers: list[tuple[str, psycopg.Connection[Any]]] = []
        event.listen(engine, "commit", lambda _connection: self.reach("write"))

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", Wire(self))
        return session

    def _client(self, vendor: str, base_url: str, **given: Any) -> ApiClient:
        session = self._session()
        session.auth = given.get("auth")
        session.headers.update(given.get("headers", {}))
        client = ApiClient(
            vendor=vendor, base_url=base_url, session=session, limiter=Unlimited(), sleep=at_once,
            read_error=lever.read_error if vendor == "Lever" else imocha.read_error,
        )  # fmt: skip
        session.mount("http://", Wire(self))  # after the client has mounted its own
        return client

    # One example after another

    def reset(self) -> None:
        """Empty vendors, an empty ledger, two new workers."""
        self.injected: InjectedFault | None = None
        self.settings = self._complete
        self.close()
        self.world.reset()
        empty_ledger(self._engine)
        self.model, self.keys, self.writes = Model(), list[str](), 0
        self.callbacks: list[tuple[str, int]] = []
        self._counts: dict[tuple[str, str], int] = {}
        self._mails = self._moves = self._posted = 0
        self._last_mail: tuple[str, int] | None = None
        self._hired = 0
        self._workers = [self._start_worker(), self._start_worker()]

    def close(self) -> None:
        """The workers go home."""
        for _, worker_lock in self._workers:
            worker_lock.close()
        self._workers = []

    def _start_worker(self) -> tuple[str, psycopg.Connection[Any]]:
        self._hired += 1
        name = f"worker {self._hired}"
        return name, lock_worker(self._engine, name)

    def _replace_worker(self, index: int) -> None:
        """The dead worker's connections close, as the system does for a killed process; another takes its place."""
        _, worker_lock = self._workers[index]
        pid = worker_lock.info.backend_pid
        worker_lock.close()
        self._workers[index] = self._start_worker()
        still = text("SELECT true FROM pg_stat_activity WHERE pid = :pid")
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while connection.execute(still, {"pid": pid}).first():  # PostgreSQL needs a moment to notice
                pass

    # Runs

    def work(self, kind: str, who: int = 0, *, injected: InjectedFault | None = None, worker: int = 0) -> None:
        """One run of the work of a DAG, or of one task cleared by hand."""
        outer = self.model.begin()
        if outer:
            self.injected, self._last_mail = injected, None
        try:
            self._run(kind, self._workers[worker][0], who)
        except Violation as broken:
            if not outer:
                raise
            raise AssertionError(str(broken)) from broken
        except Crash:
            self._replace_worker(worker)
            if self._last_mail:
                self.model.lost(*self._last_mail)
        finally:
            if outer:
                self.injected = None
                self.model.end()

    @judging()
    def _run(self, kind: str, worker: str, who: int) -> None:
        """Do the work; what a vendor did may stop it, a mistake of ours may not."""
        try:
            getattr(self, f"_{kind}")(worker, who)
        except LeverImochaError as error:
            causes = error.causes if isinstance(error, WorkFailedError) else [error]
            if any(isinstance(cause, BugError) for cause in causes):
                raise Violation(str(error)) from error

    def change_settings(self) -> None:
        """Take the rule out, or put it back."""
        is_complete = self.settings is self._complete
        self.settings = parse_settings(WITHOUT_THE_RULE) if is_complete else self._complete

    def _invite_workflow(self, worker: str) -> InviteWorkflow:
        return InviteWorkflow(
            lever=self.lever, imocha=self.imocha, ledger=self.ledger, settings=self.settings, worker=worker,
            clock=self.world.now, sleep=at_once,
        )  # fmt: skip

    def _write_back_workflow(self, worker: str) -> WriteBackWorkflow:
        return WriteBackWorkflow(
            lever=self.lever, imocha=self.imocha, ledger=self.ledger, settings=self.settings, worker=worker,
            clock=self.world.now, sleep=at_once,
        )  # fmt: skip

    def _collect_and_act(self, worker: str, **how: Any) -> None:
        workflow = self._invite_workflow(worker)
        run_batch(workflow.collect(**how), workflow.act)

    def _sweep(self, worker: str, _who: int) -> None:
        self._collect_and_act(worker)

    def _full_sweep(self, worker: str, _who: int) -> None:
        self._collect_and_act(worker, full=True)

    def _by_webhook(self, worker: str, _who: int) -> None:
        self._collect_and_act(worker, sweep=False)

    def _act(self, worker: str, who: int) -> None:
        self._invite_workflow(worker).act(self.keys[who % len(self.keys)], force=True)

    def _write_due(self, worker: str, due: list[str]) -> None:
        workflow = self._write_back_workflow(worker)
        if due:
            workflow.prepare()
        run_batch(due, workflow.write_back)

    def _watch(self) -> AttemptSweep:
        return AttemptSweep(imocha=self.imocha, ledger=self.ledger, settings=self.settings, clock=self.world.now)

    def _look(self, worker: str, _who: int) -> None:
        self._write_due(worker, self._watch().poll())

    def _called_back(self, worker: str, _who: int) -> None:
        self._write_due(worker, self._watch().due())

    def _write_back(self, worker: str, who: int) -> None:
        self._write_back_workflow(worker).write_back(self.keys[who % len(self.keys)], force=True)

    # What is seen at the vendors

    def reach(self, at: str) -> None:
        """A moment at which a run can be struck. A mishap that lets something happen strikes nothing within it."""
        if self.injected is not None:
            self.injected.pass_by(at)

    def see_withdrawal(self, url: str) -> None:
        """Tell the model that iMocha is about to be asked to cancel an invitation."""
        if url.endswith("/cancel"):
            invitation = self.world.invitations[int(url.split("/")[-2])]
            self.model.withdrawn(invitation.email, invitation.test_id)

    def see(self, *, answered: bool) -> None:
        """Tell the model every effect of a call."""
        self.world.shift += SECOND / 20
        for mail in self.world.mails[self._mails :]:
            self._mails += 1
            self._last_mail = mail["to"], self.world.invitations[mail["invitation"]].test_id
            self.model.mailed(*self._last_mail)
            if not answered:
                self.model.lost(*self._last_mail)
        self._see_invitations()
        for key, person in self.model.people.items():
            self._see_profile(key, person)
        for key, stage in self.world.moved_by_api[self._moves :]:
            self._moves += 1
            self.model.moved(key, next(item["text"] for item in self.world.stages if item["id"] == stage))

    def _see_invitations(self) -> None:
        live = set[tuple[str, int]]()
        for invitation in self.world.invitations.values():
            name = invitation.email, invitation.test_id
            attempt = self.model.attempt(*name)
            assert not (invitation.state in ("Pending", "In Progress") and name in live), (
                f"two live invitations: {name}"
            )
            live |= {name} if invitation.state in ("Pending", "In Progress") else set()
            if invitation.state == "Cancelled" != attempt.state:
                self.model.cancelled(*name)
            attempt.state, attempt.ready = invitation.state, invitation.report_ready

    def _see_profile(self, key: str, person: Candidate) -> None:
        forms = [{field["text"]: field["value"] for field in form["fields"]} for form in self.world.forms.get(key, [])]
        names = [
            file["name"].removeprefix("iMocha report ").removesuffix(".pdf") for file in self.world.files.get(key, [])
        ]
        for kind, ids in (("form", [form["Invitation"] for form in forms]), ("file", names)):
            for invitation_id in ids[self._counts.get((key, kind), 0) :]:
                invitation = self.world.invitations[int(invitation_id)]
                assert invitation.email == person.email, f"{key} was given another person's {kind}"
                self.model.wrote(key, kind, invitation.test_id)
            self._counts[key, kind] = len(ids)

    # The end

    def settle(self) -> None:
        """Nothing goes wrong any more: the sweeps alone bring everything to where it belongs, and then write nothing."""
        self.world.faults.clear()
        self.settings = self._complete
        for _ in range(8):
            self.writes = 0
            self.world.shift += LONG
            self.work("full_sweep")
            self.work("look")
            if not self.writes and not self._waiting():
                break
        assert not self.writes, "it never comes to rest"
        owed = self.model.owed()
        assert not owed, f"owed when all is quiet: {'; '.join(owed)}"
        self._check_equal()

    def _check_equal(self) -> None:
        """Both vendors and the ledger are as the model says."""
        for key, person in self.model.people.items():
            if person.left != "deleted":
                stage = self.world.opportunities[key]["stage"]
                name = next(item["text"] for item in self.world.stages if item["id"] == stage)
                assert name == person.stage, f"{key} is in {name}, and should be in {person.stage}"
        for invitation in self.world.invitations.values():
            known, state = self.ledger.invitations.status(invitation.id), invitation.state
            if known is not None and invitation.report_ready:
                assert read_status(known) is read_status(state), f"the ledger says {known}, iMocha {state}"
        assert not self._waiting(), f"still waiting to be decided about: {self._waiting()}"

    def _waiting(self) -> list[str]:
        return self.ledger.queue.due(list(Work), waiting=True)


@contextmanager
def open_harness(ledger_url: str) -> Iterator[Harness]:
    """A scene with a sandbox on a port, before a migrated ledger.

    Nothing is waited for: neither the time between two tries nor the disk at a commit of the ledger, since no schedule
    kills the database.
    """
    engine = engine_for(ledger_url)
    with engine.begin() as connection:
        connection.execute(text(f'ALTER DATABASE "{engine.url.database}" SET synchronous_commit = off'))
    engine.dispose()
    world = ManualClockWorld()
    world.reset()
    with serve(create_app(world)) as url:
        harness = Harness(world=world, url=url, engine=engine, settings=parse_settings(SETTINGS))
        try:
            yield harness
        finally:
            harness.close()
            engine.dispose()
