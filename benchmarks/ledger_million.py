"""Every query of the ledger on one that knows a million candidates: medians, and what reads a big table from end to end.

``python -m benchmarks.ledger_million``: about five minutes and 3 GB of disk. Exits 1 when a method takes longer than
50 ms, when a plan reads all of a big table, or when a method of the ledger has no case here. What a case writes is rolled back, so what a commit waits for the disk is not measured. Needs an idle machine:
where others wait for the processor, so does each query.
"""

from __future__ import annotations

import argparse
import inspect
import os
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any

from lever_imocha import ledger as package
from lever_imocha.domain.acts import Act
from lever_imocha.domain.arrivals import ArrivalFacts
from lever_imocha.domain.decisions import Action, Departure, OverLimit, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import ResolvedRule, RuleKey
from lever_imocha.domain.settings_versions import Asks
from lever_imocha.domain.standing import Standing
from lever_imocha.domain.tags import TagScheme
from lever_imocha.ledger import overview
from lever_imocha.ledger.alerts import AlertLog, Incident
from lever_imocha.ledger.base import Database, LedgerPart
from lever_imocha.ledger.database import engine_for, upgrade
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.overview.people import PeopleFilter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA
from lever_imocha.ledger.values import CANDIDATE_WORK, Effect, NewDelivery, NewEntry, Request, Work, WorkItem
from lever_imocha.ledger.worker_locks import WorkerLock, lock_worker
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, event, text

from benchmarks.ledger_rows import COMPLETED, FORM, STAGE, WORKERS, Rows, fill
from dev import postgres
from dev.environment import RUN

LIMIT = 0.05
RULE = RuleKey(trigger_stage_id=STAGE, completed_stage_id=COMPLETED, form_template=FORM)
ASKS = Asks.of([ResolvedRule(**vars(RULE), tests=(101,))], TagScheme(prefix="iMocha:", mapping={}))


@dataclass(frozen=True)
class Case:
    """One method with one set of arguments.

    :param name: of the method, with its class.
    :param given: the arguments, in words.
    :param call: is timed; it is given the number of the round, so that each round takes other rows, and what `before`
        returned.
    :param before: what has to be there, in the same transaction; it is not timed.
    """

    name: str
    given: str
    call: Callable[[int, Any], object]
    before: Callable[[int], object] = lambda _: None


@dataclass
class Result:
    """What a case took.

    :param times: of each round.
    :param plan: how the big tables are read.
    :param reads_all: the big tables that are read from end to end.
    """

    case: Case
    times: list[float] = field(default_factory=list)
    queries: int = 0
    plan: set[str] = field(default_factory=set)
    reads_all: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """Return the median."""
        return median(self.times)

    @property
    def is_wrong(self) -> bool:
        """Tell whether it is too slow, or will be once there are more candidates."""
        return self.is_slow or bool(self.reads_all)

    @property
    def is_slow(self) -> bool:
        """Tell whether it takes longer than it may."""
        return self.seconds > LIMIT


def methods() -> set[str]:
    """Find the public methods of every class of the ledger that uses the database."""
    found = set[str]()
    for module in map(import_module, _modules()):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            # Database is the way there: its methods take any statement.
            if kind.__module__ == module.__name__ and kind is not Database and _uses_the_database(kind):
                public = inspect.getmembers(kind, inspect.isfunction)
                found |= {f"{name}.{method}" for method, _ in public if not method.startswith("_")}
    return found


def _modules() -> Iterator[str]:
    for place in (package, overview):
        for module in pkgutil.iter_modules(place.__path__, f"{place.__name__}."):
            if not module.name.endswith("__main__"):
                yield module.name


def _uses_the_database(kind: type) -> bool:
    return issubclass(kind, LedgerPart) or "engine" in inspect.signature(kind).parameters


def _incident(key: str) -> Incident:
    return Incident(key=key, source="benchmark", about=key)


class Cases:
    """Realistic arguments for every method."""

    def __init__(self, engine: Engine, rows: Rows) -> None:
        self._rows = rows
        self._lock = WorkerLock(engine, "benchmark")
        self.ledger = Ledger(engine=engine, lock_worker=self._lock.renew)
        self._alerts = AlertLog(engine=engine)
        self._limiter = SharedLimiter(engine=engine, name="benchmark", rate=1000, sleep=lambda _: None)

    def all(self) -> Iterator[Case]:
        """Make all cases."""
        yield from self._shared()
        yield from self._queue()
        yield from self._entries()
        yield from self._assessments()
        yield from self._invitations()
        yield from self._effects()
        yield from self._deliveries()
        yield from self._erasure()
        yield from self._small_tables()
        yield from self._console()

    # Who a case is about

    @staticmethod
    def _one(of: range, turn: int) -> int:
        return of[turn * 7919 % len(of)]

    def _key(self, of: range, turn: int) -> str:
        return self._rows.key(self._one(of, turn))

    @staticmethod
    def _hundred(of: range, turn: int) -> list[int]:
        """Return a hundred of them, far from each other."""
        step = max(1, len(of) // 100)
        return list(of[turn % step :: step][:100])

    def _claimed(self, of: range, turn: int, kind: Work) -> WorkItem:
        items = self.ledger.queue.claim(self._key(of, turn), [kind], worker="benchmark", force=True)
        return items[kind]

    # The cases

    def _shared(self) -> Iterator[Case]:
        ledger = self.ledger

        def enter_lock(_turn: int, _: object) -> None:
            with ledger.account_lock("benchmark"):
                pass

        yield Case("Ledger.transaction", "nothing inside", lambda _turn, _: ledger.transaction().__enter__())
        yield Case("Ledger.account_lock", "free", enter_lock)
        yield Case("WorkerLock.renew", "held", lambda _turn, _: self._lock.renew())
        yield Case("SharedLimiter.acquire", "free", lambda _turn, _: self._limiter.acquire())
        yield Case("SharedLimiter.note_answer", "an answer", lambda _turn, _: self._limiter.note_answer("invite", 200))
        yield Case("SharedLimiter.slow_down", "after a 429", lambda _turn, _: self._limiter.slow_down())
        wait = timedelta(minutes=15)
        yield Case(
            "AlertLog.overdue", "all that waits", lambda _turn, _: self._alerts.overdue(entries=wait, reports=wait)
        )
        yield Case("AlertLog.over_limit", "all", lambda _turn, _: self._alerts.over_limit())
        yield Case("AlertLog.to_mask", "all", lambda _turn, _: self._alerts.to_mask())
        yield Case("AlertLog.per_candidate", "all", lambda _turn, _: self._alerts.per_candidate())
        told = [_incident(f"parked {number}") for number in range(1, 2651)]
        yield Case(
            "AlertLog.claim", "2,650 told, 100 new",
            lambda turn, _: self._alerts.claim([*told, *(_incident(f"new {turn} {number}") for number in range(100))]),
        )  # fmt: skip
        yield Case(
            "AlertLog.claim", "one, again", lambda _turn, _: self._alerts.claim([_incident("benchmark")], repeat=wait)
        )

        def new(turn: int) -> list[str]:
            return [f"new {turn} {number}" for number in range(100)]

        yield Case("AlertLog.mark_told", "100", lambda turn, _: self._alerts.mark_told(new(turn)))
        yield Case("AlertLog.give_up", "100", lambda turn, _: self._alerts.give_up(new(turn)))
        yield Case("AlertLog.end", "nothing to end", lambda _turn, _: self._alerts.end(["task d t"]))
        still = [incident.key for incident in told]
        yield Case("AlertLog.end", "2,650 last", lambda _turn, _: self._alerts.end(["benchmark"], still=still))
        yield Case("AlertLog.put_back", "one", lambda turn, _: self._alerts.put_back([_incident(f"back {turn}")]))

    def _queue(self) -> Iterator[Case]:
        queue, rows = self.ledger.queue, self._rows

        def keys(of: range, turn: int) -> list[str]:
            return [rows.key(number) for number in self._hundred(of, turn)]

        yield Case("WorkQueue.enqueue", "100 new", lambda turn, _: queue.enqueue(keys(rows.expired, turn), Work.INVITE))
        yield Case(
            "WorkQueue.enqueue", "100 queued, starts a run",
            lambda turn, _: queue.enqueue(keys(rows.to_invite, turn), Work.INVITE, starts_run=True),
        )  # fmt: skip
        left = [rows.key(number) for number in rows.open]
        yield Case("WorkQueue.enqueue", "2,000 who left", lambda _turn, _: queue.enqueue(left, Work.INVITE))
        queued = [rows.key(number) for number in rows.to_invite]
        yield Case(
            "WorkQueue.enqueue", "2,000 queued, no news",
            lambda _turn, _: queue.enqueue(queued, Work.INVITE, news=False),
        )  # fmt: skip
        yield Case(
            "WorkQueue.enqueue_claimed", "one",
            lambda turn, _: queue.enqueue_claimed(self._key(rows.written, turn), Work.STATUS, worker="benchmark"),
        )  # fmt: skip
        yield Case(
            "WorkQueue.enqueue_later", "one",
            lambda turn, _: queue.enqueue_later(self._key(rows.written, turn), Work.MASK, not_before=rows.now),
        )  # fmt: skip
        yield Case(
            "WorkQueue.drop_masking", "one", lambda turn, _: queue.drop_masking([self._key(rows.written, turn)]),
            before=lambda turn: queue.enqueue_later(self._key(rows.written, turn), Work.MASK, not_before=rows.now),
        )  # fmt: skip
        yield Case("WorkQueue.due", "to invite", lambda _turn, _: queue.due(CANDIDATE_WORK))
        yield Case("WorkQueue.due", "to write back", lambda _turn, _: queue.due([Work.WRITE_BACK]))
        yield Case("WorkQueue.due", "all, and what waits", lambda _turn, _: queue.due(list(Work), waiting=True))
        yield Case("WorkQueue.starting_runs", "to invite", lambda _turn, _: queue.starting_runs(CANDIDATE_WORK))
        yield Case("WorkQueue.starting_runs", "to write back", lambda _turn, _: queue.starting_runs([Work.WRITE_BACK]))
        lately = rows.now - timedelta(minutes=1)
        yield Case("WorkQueue.newest", "of a minute", lambda _turn, _: queue.newest(CANDIDATE_WORK, since=lately))
        yield Case(
            "WorkQueue.newest", "of a week",
            lambda _turn, _: queue.newest([Work.WRITE_BACK], since=rows.now - timedelta(days=7)),
        )  # fmt: skip
        yield Case(
            "WorkQueue.claim", "due",
            lambda turn, _: queue.claim(self._key(rows.claimable, turn), CANDIDATE_WORK, worker="benchmark"),
        )  # fmt: skip
        yield Case(
            "WorkQueue.claim", "parked, by force",
            lambda turn, _: queue.claim(
                self._key(rows.parked, turn), [Work.WRITE_BACK], worker="benchmark", force=True
            ),
        )  # fmt: skip
        yield Case(
            "WorkQueue.check_claim", "held", lambda _turn, item: queue.check_claim(item),
            before=lambda turn: self._claimed(rows.claimable, turn, Work.INVITE),
        )  # fmt: skip
        yield Case(
            "WorkQueue.finish", "held", lambda _turn, item: queue.finish(item),
            before=lambda turn: self._claimed(rows.claimable, turn, Work.INVITE),
        )  # fmt: skip
        yield Case(
            "WorkQueue.put_off", "held",
            lambda _turn, item: queue.put_off(item, error="RequestRejectedError", not_before=rows.now),
            before=lambda turn: self._claimed(rows.to_write, turn, Work.WRITE_BACK),
        )  # fmt: skip
        yield Case(
            "WorkQueue.release", "held", lambda _turn, item: queue.release(item),
            before=lambda turn: self._claimed(rows.to_write, turn, Work.WRITE_BACK),
        )  # fmt: skip
        yield Case("WorkQueue.listed", "all", lambda _turn, _: queue.listed())
        yield Case("WorkQueue.release_waiting", "all that is parked", lambda _turn, _: queue.release_waiting())
        yield Case(
            "WorkQueue.release_waiting", "one that waits",
            lambda turn, _: queue.release_waiting([self._key(rows.waiting, turn)]),
        )  # fmt: skip

    def _entry(self, number: int, *, eligibility: str = "tests [101]", later: timedelta = timedelta(0)) -> NewEntry:
        return NewEntry(
            opportunity_id=self._rows.key(number), stage_id=STAGE, eligibility=eligibility,
            entered_at=self._rows.entered_at(number) + later, name=f"Candidate Number {number}",
            facts=ArrivalFacts(tags=("iMocha: Test [101]",), posting_ids=("p",), tests=(101,), rule=RULE, rule_version="0" * 12),
        )  # fmt: skip

    def _entries(self) -> Iterator[Case]:
        entries, rows = self.ledger.entries, self._rows

        def page(of: range, turn: int, **changed: Any) -> list[NewEntry]:
            return [self._entry(number, **changed) for number in self._hundred(of, turn)]

        yield Case(
            "Entries.record", "a page of 100, as known",
            lambda turn, _: entries.record(page(rows.open, turn), seen_by="sweep"),
        )  # fmt: skip
        yield Case(
            "Entries.record", "a page of 100, changed",
            lambda turn, _: entries.record(page(rows.open, turn, eligibility="tests [102]"), seen_by="sweep"),
        )  # fmt: skip
        new = range(rows.count + 1, 2 * rows.count)
        yield Case(
            "Entries.record", "a page of 100, new", lambda turn, _: entries.record(page(new, turn), seen_by="sweep")
        )
        yield Case(
            "Entries.record_read", "as known",
            lambda turn, _: entries.record_read(self._entry(self._one(rows.to_invite, turn))),
        )  # fmt: skip
        yield Case(
            "Entries.record_read", "came back",
            lambda turn, _: entries.record_read(
                self._entry(self._one(rows.written, turn), later=timedelta(days=300))
            ),
        )  # fmt: skip
        yield Case(
            "Entries.was_removed", "one",
            lambda turn, _: entries.was_removed(self._key(rows.written, turn), rows.entered_at(turn)),
        )  # fmt: skip
        yield Case("Entries.pending", "one", lambda turn, _: entries.pending(self._key(rows.to_invite, turn)))
        yield Case(
            "Entries.decide", "one",
            lambda turn, _: entries.decide(self._one(rows.to_invite, turn), decision=Action.INVITE, eligibility="x"),
        )  # fmt: skip
        day = rows.now - timedelta(days=1)
        yield Case("Entries.decided_since", "of a day", lambda _turn, _: entries.decided_since(day))
        yield Case("Entries.last", "one", lambda turn, _: entries.last(self._key(rows.written, turn)))

    def _assessments(self) -> Iterator[Case]:
        assessments, rows = self.ledger.assessments, self._rows
        yield Case("Assessments.get", "one", lambda turn, _: assessments.get(self._one(rows.open, turn)))
        yield Case("Assessments.count_mail", "one", lambda turn, _: assessments.count_mail(self._one(rows.open, turn)))
        yield Case("Assessments.of", "one", lambda turn, _: assessments.of(self._key(rows.written, turn)))
        yield Case("Assessments.to_write", "one", lambda turn, _: assessments.to_write(self._key(rows.to_write, turn)))
        yield Case(
            "Assessments.intend", "a new one",
            lambda turn, item: assessments.intend(
                101, item, entry_id=self._one(rows.claimable, turn), rule_key=RULE
            ),
            before=lambda turn: self._claimed(rows.claimable, turn, Work.INVITE),
        )  # fmt: skip
        yield Case(
            "Assessments.mark_handled", "one",
            lambda turn, _: assessments.mark_handled(self._one(rows.open, turn), self._one(rows.open, turn)),
        )  # fmt: skip
        yield Case(
            "Assessments.reopen", "one",
            lambda turn, _: assessments.reopen(self._one(rows.open, turn), left=self._key(rows.open, turn)),
        )  # fmt: skip
        yield Case(
            "Assessments.reopen", "shared with one who stays",
            lambda turn, _: assessments.reopen(self._one(rows.open, turn), left="another"),
        )  # fmt: skip
        yield Case(
            "Assessments.mark_written", "two",
            lambda turn, _: assessments.mark_written([self._one(rows.to_write, turn), self._one(rows.waiting, turn)]),
        )  # fmt: skip
        yield Case(
            "Assessments.write_again", "one", lambda turn, _: assessments.write_again(self._key(rows.written, turn))
        )
        yield Case(
            "Assessments.open_invitations", "one",
            lambda turn, _: assessments.open_invitations(self._key(rows.open, turn)),
        )  # fmt: skip
        yield Case("Assessments.with_open_invitation", "all", lambda _turn, _: assessments.with_open_invitation())
        yield Case("Assessments.count_open", "all", lambda _turn, _: assessments.count_open())
        yield Case(
            "Assessments.record_departure", "one",
            lambda turn, _: assessments.record_departure(self._key(rows.open, turn), Departure.ARCHIVED),
        )  # fmt: skip
        yield Case("Assessments.sharing", "one", lambda turn, _: assessments.sharing(self._one(rows.open, turn)))

    def _invitations(self) -> Iterator[Case]:
        invitations, rows = self.ledger.invitations, self._rows

        def record(turn: int, assessment_id: int) -> object:
            return invitations.record(
                assessment_id, invitation_id=rows.count * 2 + turn, test_id=101, status=AttemptStatus.COMPLETE,
                entry_id=self._one(rows.claimable, turn),
            )  # fmt: skip

        def intended(turn: int) -> int:
            item = self._claimed(rows.claimable, turn, Work.INVITE)
            entry_id = self._one(rows.claimable, turn)
            return self.ledger.assessments.intend(101, item, entry_id=entry_id, rule_key=RULE)

        def said(of: range, turn: int, status: AttemptStatus) -> dict[int, AttemptStatus]:
            return dict.fromkeys(self._hundred(of, turn), status)

        yield Case("Invitations.record", "a new one, ended", record, before=intended)
        yield Case("Invitations.status", "one", lambda turn, _: invitations.status(self._one(rows.written, turn)))
        yield Case(
            "Invitations.set_status", "100 of open ones, ended",
            lambda turn, _: invitations.set_status(said(rows.open, turn, AttemptStatus.COMPLETE), show=True),
        )  # fmt: skip
        yield Case(
            "Invitations.set_status", "100 of old ones, known",
            lambda turn, _: invitations.set_status(said(rows.written, turn, AttemptStatus.EXPIRED)),
        )  # fmt: skip
        yield Case(
            "Invitations.set_status", "100 nobody knows",
            lambda turn, _: invitations.set_status(
                said(range(3 * rows.count, 4 * rows.count), turn, AttemptStatus.COMPLETE)
            ),
        )  # fmt: skip
        yield Case(
            "Invitations.to_check", "20 of a sweep",
            lambda _turn, _: invitations.to_check(older_than=timedelta(hours=6), limit=20),
        )  # fmt: skip
        yield Case(
            "Invitations.mark_checked", "one", lambda turn, _: invitations.mark_checked(self._one(rows.open, turn))
        )
        yield Case("Invitations.to_mask", "one", lambda turn, _: invitations.to_mask(self._key(rows.written, turn)))
        yield Case(
            "Invitations.of_others", "100",
            lambda turn, _: invitations.of_others(dict.fromkeys(self._hundred(rows.open, turn), (None, 7))),
        )  # fmt: skip
        yield Case(
            "Invitations.have_reports_read", "one",
            lambda turn, _: invitations.have_reports_read([self._one(rows.open, turn)]),
        )  # fmt: skip
        yield Case("Invitations.belongs_to", "one", lambda turn, _: invitations.belongs_to(self._one(rows.open, turn)))
        yield Case(
            "Invitations.lifetime", "one",
            lambda turn, _: invitations.lifetime(self._key(rows.written, turn), self._one(rows.written, turn)),
        )  # fmt: skip
        yield Case(
            "Invitations.mark_masked", "one",
            lambda turn, _: invitations.mark_masked(self._key(rows.written, turn), self._one(rows.written, turn)),
        )  # fmt: skip
        yield Case(
            "Invitations.set_window", "one",
            lambda turn, _: invitations.set_window(self._one(rows.open, turn), expires_at=rows.now),
        )  # fmt: skip
        yield Case("Invitations.recheck", "one", lambda turn, _: invitations.recheck(self._one(rows.open, turn)))
        yield Case(
            "Invitations.mark_answered", "one",
            lambda turn, _: invitations.mark_answered(self._one(rows.open, turn), rows.now),
        )  # fmt: skip

    def _effects(self) -> Iterator[Case]:
        effects, rows = self.ledger.effects, self._rows

        def effect(of: range, turn: int) -> Effect:
            number = self._one(of, turn)
            return Effect.of_invitation(rows.key(number), number, "form")

        yield Case("Effects.state", "one", lambda turn, _: effects.state(effect(rows.written, turn)))
        yield Case(
            "Effects.created_ids", "one", lambda turn, _: effects.created_ids(self._key(rows.written, turn), "form")
        )
        yield Case("Effects.last_made", "one", lambda turn, _: effects.last_made(effect(rows.written, turn)))
        yield Case(
            "Effects.remember", "one", lambda turn, _: effects.remember(effect(rows.written, turn), {"number": 0})
        )
        yield Case(
            "Effects.start", "one", lambda turn, item: effects.start(effect(rows.to_write, turn), item),
            before=lambda turn: self._claimed(rows.to_write, turn, Work.WRITE_BACK),
        )  # fmt: skip
        yield Case(
            "Effects.finish", "one",
            lambda turn, _: effects.finish(effect(rows.to_write, turn), vendor_id="form-id"),
        )  # fmt: skip

    def _deliveries(self) -> Iterator[Case]:
        deliveries, rows = self.ledger.deliveries, self._rows

        def moved(of: range, to_stage_id: str | None) -> Callable[[int, Any], object]:
            return lambda turn, _: deliveries.record(
                NewDelivery(
                    vendor="lever", key=f"new {turn}", event="candidateStageChange",
                    opportunity_id=self._key(of, turn), to_stage_id=to_stage_id,
                )
            )  # fmt: skip

        def called_back(of: range) -> Callable[[int, Any], object]:
            return lambda turn, _: deliveries.record(
                NewDelivery(vendor="imocha", key=f"new {turn}", event="complete", invitation_id=self._one(of, turn))
            )

        new = range(rows.count + 1, 2 * rows.count)
        name = "Deliveries.record"
        yield Case(name, "lever: moved to a trigger stage", moved(new, STAGE))
        yield Case(name, "lever: moved elsewhere, open", moved(rows.open, "elsewhere"))
        yield Case(name, "lever: moved elsewhere, closed", moved(rows.written, "elsewhere"))
        yield Case(name, "lever: archived", moved(rows.open, None))
        yield Case(name, "imocha: of an open one", called_back(rows.open))
        yield Case(name, "imocha: of a written one", called_back(rows.written))
        yield Case(name, "imocha: nobody knows it", called_back(range(3 * rows.count, 4 * rows.count)))
        yield Case(
            name, "sent again",
            lambda turn, _: deliveries.record(
                NewDelivery(
                    vendor="lever", key=rows.delivery_key(2 * turn + 1), event="candidateStageChange",
                    opportunity_id=self._key(rows.open, turn), to_stage_id=STAGE,
                )
            ),
        )  # fmt: skip

    def _erasure(self) -> Iterator[Case]:
        erasure, rows = self.ledger.erasure, self._rows
        old, long_ago = rows.entered_at(rows.count // 2), rows.entered_at(0)

        def some(remove: Callable[..., int], before: datetime) -> Callable[[int, Any], object]:
            return lambda _turn, _: remove(before=before, limit=50)

        for name in ("remove_people", "remove_events", "remove_deliveries", "erase_names", "remove_alerts"):
            remove = getattr(erasure, name)
            yield Case(f"Erasure.{name}", "fifty", some(remove, old))
            yield Case(f"Erasure.{name}", "none is old", some(remove, long_ago))
        yield Case("Erasure.forget", "one", lambda turn, _: erasure.forget(self._key(rows.written, turn)))

    def _small_tables(self) -> Iterator[Case]:
        ledger, rows = self.ledger, self._rows
        value = {"rules": [{"trigger_stage_id": STAGE}] * 20}
        yield Case(
            "Events.record", "one", lambda turn, _: ledger.events.record("x", opportunity_id=self._key(rows.open, turn))
        )
        yield Case(
            "Events.count",
            "an hour",
            lambda _turn, _: ledger.events.count(
                "cancelled", since=rows.now - timedelta(hours=1), details=["archived"]
            ),
        )
        yield Case(
            "Events.newest", "one",
            lambda turn, _: ledger.events.newest(self._key(rows.written, turn), ("invited", "report_missing")),
        )  # fmt: skip
        yield Case("Cache.put", "20 rules", lambda _turn, _: ledger.cache.put("lever", value))
        yield Case(
            "Cache.get", "20 rules", lambda _turn, _: ledger.cache.get("lever", younger_than=timedelta(minutes=5))
        )
        yield Case("Watermarks.put", "one", lambda _turn, _: ledger.watermarks.put("sweep", rows.now))
        yield Case("Cache.many", "three", lambda _turn, _: ledger.cache.many("lever", "x", "y"))
        yield Case("Cache.drop", "two keys", lambda _turn, _: ledger.cache.drop("a", "b"))
        yield Case(
            "Deliveries.has_stage_change", "one",
            lambda turn, _: ledger.deliveries.has_stage_change(self._key(rows.written, turn), since=rows.now),
        )  # fmt: skip
        yield Case("Deliveries.last", "one vendor", lambda _turn, _: ledger.deliveries.last("lever"))
        yield Case(
            "Deliveries.count_refused",
            "one",
            lambda _turn, _: ledger.deliveries.count_refused("lever", "bad signature", 1),
        )
        yield Case("Deliveries.concerned", "one", lambda turn, _: ledger.deliveries.concerned(turn + 1))
        yield Case(
            "Deliveries.replay", "one",
            lambda turn, _: ledger.deliveries.replay(turn + 1, self._key(rows.written, turn)),
        )  # fmt: skip
        yield Case("SettingsVersions.add", "one", lambda _turn, _: ledger.settings_versions.add(ASKS, since=rows.now))
        yield Case("SettingsVersions.all", "a hundred", lambda _turn, _: ledger.settings_versions.all())
        yield Case("SettingsVersions.newest", "one", lambda _turn, _: ledger.settings_versions.newest())
        yield Case("Watermarks.first", "one", lambda _turn, _: ledger.watermarks.first("activated"))
        yield Case("Watermarks.beginning", "now", lambda _turn, _: ledger.watermarks.beginning())
        yield Case("Entries.hold_for_now", "one", lambda turn, _: ledger.entries.hold_for_now(turn + 1, Reason.LIMIT))
        yield Case("Entries.of_activation", "none waits", lambda _turn, _: ledger.entries.of_activation())
        yield Case("Entries.held", "by limits", lambda _turn, _: ledger.entries.held([Reason.LIMIT]))
        yield Case("Entries.on_hold", "all", lambda _turn, _: ledger.entries.on_hold())
        yield Case(
            "Entries.settle_held",
            "by limits",
            lambda _turn, _: ledger.entries.settle_held(OverLimit.RELEASE, [Reason.LIMIT]),
        )
        yield Case(
            "WorkQueue.release_waiting_for", "one reason", lambda _turn, _: ledger.queue.release_waiting_for("settings")
        )
        yield Case(
            "WorkQueue.end_waits_beyond", "a day", lambda _turn, _: ledger.queue.end_waits_beyond(timedelta(days=1))
        )
        yield Case(
            "WorkQueue.count_waiting_for", "one reason", lambda _turn, _: ledger.queue.count_waiting_for("settings")
        )
        yield Case("Mails.counts", "one", lambda turn, _: ledger.mails.counts(self._key(rows.written, turn), "c"))
        yield Case(
            "Mails.take",
            "one",
            lambda turn, _: ledger.mails.take(self._key(rows.written, turn), "c", 1, per_hour=10_000),
        )
        yield Case("Mails.mark_sent", "one", lambda turn, _: ledger.mails.mark_sent(self._key(rows.written, turn), 1))
        yield Case("Mails.give_back", "one", lambda turn, _: ledger.mails.give_back(self._key(rows.written, turn), 1))
        yield Case("Mails.sent_last_hour", "all", lambda _turn, _: ledger.mails.sent_last_hour())
        yield Case("Mails.forget", "old ones", lambda _turn, _: ledger.mails.forget())
        yield Case("Watermarks.past", "one", lambda _turn, _: ledger.watermarks.past("sweep", rows.now))
        yield Case("Watermarks.database_time", "now", lambda _turn, _: ledger.watermarks.database_time())
        yield Case("Watermarks.get", "one", lambda _turn, _: ledger.watermarks.get("sweep"))
        yield Case("RestoreDetection.last_event", "", lambda _turn, _: ledger.restore.last_event())
        yield Case(
            "RestoreDetection.is_same_history", "as it is", lambda _turn, seen: ledger.restore.is_same_history(seen),
            before=lambda _: ledger.restore.last_event(),
        )  # fmt: skip
        yield Case("RestoreDetection.mark", "", lambda _turn, _: ledger.restore.mark())
        yield Case("RestoreDetection.is_recent", "", lambda _turn, _: ledger.restore.is_recent())
        yield Case(
            "Opportunities.erase_name",
            "one",
            lambda turn, _: ledger.opportunities.erase_name(self._key(rows.written, turn)),
        )
        deleted = [rows.key(number) for number in rows.expired[:1000]]
        yield Case(
            "Opportunities.record_missing",
            "one",
            lambda turn, _: ledger.opportunities.record_missing(self._key(rows.written, turn)),
        )
        yield Case(
            "Opportunities.record_found",
            "one",
            lambda turn, _: ledger.opportunities.record_found(self._key(rows.written, turn)),
        )
        yield Case(
            "Opportunities.stored_of", "1,000 deleted ones", lambda _turn, _: ledger.opportunities.stored_of(deleted)
        )

    def _console(self) -> Iterator[Case]:
        ledger, requests, rows = self.ledger, self.ledger.requests, self._rows
        yield Case(
            "Assessments.send_again", "one",
            lambda turn, _: self.ledger.assessments.send_again(self._key(rows.open, turn)),
        )  # fmt: skip

        def listed(wanted: PeopleFilter, _turn: int, _: object) -> object:
            return ledger.people.listed(wanted)

        old, week = rows.now - timedelta(days=60), timedelta(days=7)
        for given, wanted in {
            "the latest": PeopleFilter(),
            "a later page": PeopleFilter(after=(old, 1)),
            "of a week": PeopleFilter(entered_from=old, entered_before=old + week),
            "of a week, done": PeopleFilter(entered_from=old, entered_before=old + week, standing=Standing.DONE),
            "one": PeopleFilter(opportunity_id=self._key(rows.written, 1)),
            "of a rare name": PeopleFilter(name="number 77"),
            "of a name that all have": PeopleFilter(name="cand"),
            "of a test that all take": PeopleFilter(test_id=101),
            "of a test that nobody takes": PeopleFilter(test_id=102),
            **{f"who: {standing}": PeopleFilter(standing=standing) for standing in Standing},
        }.items():
            yield Case("People.listed", given, partial(listed, wanted))
        minutes = timedelta(minutes=15)
        yield Case(
            "Attention.listed", "all reasons",
            lambda _turn, _: ledger.attention.listed(overdue_before=rows.now - minutes, each=10),
        )  # fmt: skip
        yield Case("People.standings", "all", lambda _turn, _: ledger.people.standings())
        yield Case("Timeline.of", "one", lambda turn, _: ledger.timeline.of(self._key(rows.written, turn)))
        yield Case("Timeline.of_run", "one", lambda turn, _: ledger.timeline.of_run(f"lever_imocha_invite/{turn}"))
        yield Case("Evidence.of", "one", lambda turn, _: self.ledger.evidence.of(self._key(rows.written, turn)))
        yield Case("Flow.cohorts", "a week", lambda _turn, _: ledger.flow.cohorts(since=rows.now - week))
        yield Case("Traffic.seen", "two weeks", lambda _turn, _: ledger.traffic.seen(since=rows.now - 2 * week))
        arrivals = [self._entry(number) for number in self._hundred(rows.written, 0)]
        yield Case("Comparison.arrivals", "100", lambda _turn, _: self.ledger.comparison.arrivals(arrivals))
        yield Case(
            "Comparison.attempts", "100",
            lambda turn, _: self.ledger.comparison.attempts(self._hundred(rows.written, turn)),
        )  # fmt: skip

        def ask(turn: int, _: object) -> None:
            shown = {rows.key(number): "" for number in self._hundred(rows.open, turn)}
            requests.add(Act.LOOK_AGAIN, shown, reason="a reason", actor="ann")

        def ask_bulk(turn: int, _: object = None) -> int:
            shown = {rows.key(number): "" for number in self._hundred(rows.open, turn)}
            return requests.add_bulk(Act.LOOK_AGAIN, shown, about="a group", reason="a reason", actor="ann")

        yield Case("Requests.add", "a hundred", ask)
        yield Case("Requests.add_bulk", "a hundred", ask_bulk)
        yield Case("Requests.bulk", "of a hundred", lambda _turn, bulk: requests.bulk(bulk), before=ask_bulk)
        yield Case("Requests.running", "one", lambda _turn, _: requests.running(), before=ask_bulk)
        yield Case("Requests.stop", "one", lambda _turn, bulk: requests.stop(bulk, actor="ann"), before=ask_bulk)
        yield Case(
            "Requests.begin", "one",
            lambda turn, _: requests.begin(rows.key(self._hundred(rows.open, turn)[0]), Work.REQUEST), before=ask_bulk,
        )  # fmt: skip
        asked = Request(
            id=2**40, act=Act.LOOK_AGAIN, opportunity_id=self._key(rows.open, 1), test_id=101, reason="", actor="",
            shown="", asked_at=rows.now, begun_at=rows.now,
        )  # fmt: skip
        yield Case(
            "Erasure.remove_bulk_requests", "one of a hundred",
            lambda _turn, _: self.ledger.erasure.remove_bulk_requests(before=rows.now + week, limit=50),
            before=lambda turn: requests.stop(ask_bulk(turn), actor="ann"),
        )  # fmt: skip
        links, key = self.ledger.sealed_links, self._key(rows.open, 1)

        def ask_for_link(_turn: int, _: object = None) -> int:
            return links.ask(key, [101], public_key="a key", shown="", reason="a reason", actor="ann") or 0

        def sealed(turn: int) -> int:
            request_id = ask_for_link(turn)
            links.put(request_id, 101, "sealed")
            return request_id

        yield Case("SealedLinks.ask", "one", ask_for_link)
        yield Case("SealedLinks.waiting", "one", lambda _turn, _: links.waiting(key, 101), before=ask_for_link)
        yield Case("SealedLinks.put", "one", lambda _turn, asked: links.put(asked, 101, "sealed"), before=ask_for_link)
        yield Case(
            "SealedLinks.is_coming", "one",
            lambda _turn, asked: links.is_coming(asked, 101, opportunity_id=key, actor="ann"), before=ask_for_link,
        )  # fmt: skip
        yield Case(
            "SealedLinks.take", "one", lambda _turn, asked: links.take(asked, 101, opportunity_id=key, actor="ann"),
            before=sealed,
        )  # fmt: skip
        yield Case(
            "Erasure.remove_sealed_links", "one",
            lambda _turn, _: self.ledger.erasure.remove_sealed_links(before=rows.now + week, limit=50), before=sealed,
        )  # fmt: skip
        yield Case("Requests.finish", "one", lambda _turn, _: requests.finish(asked, outcome="done"))
        yield Case("Requests.number", "one", lambda _turn, _: requests.number(asked))


class _RollBackError(Exception):
    """Ends a transaction."""


@contextmanager
def recorded(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Record every statement that an engine sends, with its parameters."""
    queries: list[tuple[str, Any]] = []

    def record(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        queries.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    yield queries
    event.remove(engine, "before_cursor_execute", record)


def measure(engine: Engine, rows: Rows, *, rounds: int) -> list[Result]:
    """Time all cases on a filled ledger.

    :param rounds: that count; one more before them opens what is opened once, and shows the plans.
    """
    results = []
    with ExitStack() as stack:
        for number in range(WORKERS):
            stack.callback(lock_worker(engine, f"living {number}").close)
        cases = Cases(engine, rows)
        big = _big_tables(engine, more_than=rows.count // 2)
        for case in cases.all():
            result = Result(case)
            for turn in range(rounds + 1):
                _play(cases.ledger, engine, result, turn, big)
            results.append(result)
    return results


def _play(ledger: Ledger, engine: Engine, result: Result, turn: int, big: set[str]) -> None:
    case = result.case
    try:
        with ledger.transaction() as connection:
            connection.execute(text("SELECT 1"))  # opens the transaction
            given = case.before(turn)
            with recorded(engine) as queries:
                begin = time.perf_counter()
                case.call(turn, given)
                seconds = time.perf_counter() - begin
            if turn:
                result.times.append(seconds)
            else:
                result.queries = len(queries)
                _explain(connection, queries, result, big)
            raise _RollBackError
    except _RollBackError:
        pass


def _big_tables(engine: Engine, *, more_than: int) -> set[str]:
    query = text(
        "SELECT relname FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace) AND reltuples > :more"
    )
    with engine.connect() as connection:
        return set(connection.execute(query, {"schema": SCHEMA, "more": more_than}).scalars())


def _explain(connection: Connection, queries: list[tuple[str, Any]], result: Result, big: set[str]) -> None:
    for statement, parameters in queries:
        if statement.startswith("LOCK"):
            continue  # has no plan
        answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
        for node, above in _nodes(answer[0]["Plan"]):
            table = node.get("Relation Name")
            if table in big and node["Node Type"] != "ModifyTable":
                result.plan.add(f"{node['Node Type']} {table}")
                if _reads_all(node, above):
                    result.reads_all.add(table)


def _nodes(plan: dict[str, Any], above: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    yield plan, above
    for part in plan.get("Plans", ()):
        yield from _nodes(part, plan["Node Type"])


def _reads_all(node: dict[str, Any], above: str) -> bool:
    # A key's index read without a condition is no better than the table, unless only its first rows are asked for.
    whole_key = node.get("Index Name", "").startswith(("pk_", "uq_")) and "Index Cond" not in node
    return above != "Limit" and (node["Node Type"] == "Seq Scan" or (whole_key and "Bitmap" not in node["Node Type"]))


def table_of(results: list[Result]) -> Table:
    """Show what each method took."""
    table = Table()
    for name in ("method", "given"):
        table.add_column(name, no_wrap=True)
    for name in ("queries", "ms"):
        table.add_column(name, justify="right")
    table.add_column("plan, when it is wrong")
    for result in results:
        plan = ", ".join(sorted(result.plan)) if result.is_wrong else ""
        style = "bold red" if result.is_wrong else None
        row = (result.case.name, result.case.given, str(result.queries), f"{result.seconds * 1000:.1f}", plan)
        table.add_row(*row, style=style)
    return table


def problems_of(results: list[Result]) -> list[str]:
    """Say what is wrong, and which methods nobody has thought of."""
    have, want = {result.case.name for result in results}, methods()
    return [
        *(f"{result.case.name} ({result.case.given}): {result.seconds * 1000:.0f} ms" for result in results if result.is_slow),
        *(f"{result.case.name} ({result.case.given}) reads all of {', '.join(sorted(result.reads_all))}" for result in results if result.reads_all),
        *(f"{name} has no case" for name in sorted(want - have)),
        *(f"{name} is no method" for name in sorted(have - want)),
    ]  # fmt: skip


def main() -> None:
    """Run on a ledger of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_million", description=__doc__)
    parser.add_argument("--opportunities", type=int, default=1_000_000, help="of few, plans read all, and rightly")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = Rows(options.opportunities)
    base_url = postgres.start(RUN / "postgres")
    postgres.drop_database(base_url, "million")
    engine = engine_for(postgres.create_database(base_url, "million"))
    console = Console(width=120)
    try:
        upgrade(engine)
        begin = time.monotonic()
        fill(engine_for(postgres.superuser_url(base_url, "million")), rows)
        console.print(f"{rows.count:,} candidates in {time.monotonic() - begin:.0f} s")
        results = measure(engine, rows, rounds=options.rounds)
    finally:
        engine.dispose()
        postgres.drop_database(base_url, "million")
        postgres.stop(RUN / "postgres")
    console.print(table_of(results))
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    problems = problems_of(results)
    for problem in problems:
        console.print(f"WRONG: {problem}", highlight=False)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
