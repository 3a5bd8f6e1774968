"""The work queue: what is to be done about whom, by when, and by which worker; and what waits for a person.

One row is one work item: one kind of work about one opportunity. How it stands follows from its columns:

=========== =====================================================================================================
due         nobody holds it, and its time has come
claimed     a running worker holds it; the claim of one that has ended counts as none
waiting     its next try is set for later (`not_before`): the last one failed, or its time has not come
parked      it failed too often: it is not tried again before something new happens or a person says so (`parked_at`)
=========== =====================================================================================================

An item that is done is deleted. What is enqueued while a worker holds the item raises its version, so that the worker
does not delete what it has not seen.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    delete,
    false,
    func,
    literal,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.domain.decisions import Reason
from lever_imocha.errors import ClaimLostError
from lever_imocha.ledger.base import Database, LedgerPart
from lever_imocha.ledger.tables import SCHEMA, work_items
from lever_imocha.ledger.values import WRITE_BACK_WORK, QueuedWork, Work, WorkItem
from lever_imocha.ledger.worker_locks import is_running

_ITEM = work_items.c
_AT_ONCE = 5000
"""So many opportunities are worked on in one run; the others are due in the next."""


def channel(kind: Work) -> str:
    """Return the PostgreSQL channel that announces work for which a run is started."""
    return f"{SCHEMA}_{'imocha' if kind in WRITE_BACK_WORK else 'lever'}"


def unclaimed() -> ColumnElement[bool]:
    """Return as SQL that nobody holds the item, or its holder has ended.

    The claim of a running worker does not end, however long it waits; see `worker_locks` for one that is frozen.
    """
    return or_(_ITEM.claimed_by.is_(None), ~is_running(_ITEM.claimed_by))


def claimed_by(opportunity_id: str, kind: Work, worker: str) -> Any:
    """Return as SQL the item if the worker holds it, with its row locked.

    Who takes it over at this moment is waited for; or waits, and then sees what the statement has recorded.
    """
    held = select(_ITEM.opportunity_id).where(*_key(opportunity_id, kind), _ITEM.claimed_by == worker)
    return held.with_for_update()


MAKE_DUE = """
ON CONFLICT (opportunity_id, kind) DO UPDATE SET
    version = item.version + 1,
    queued_at = CASE WHEN item.claimed_by IS NULL THEN item.queued_at ELSE excluded.queued_at END,
    starts_run = item.starts_run OR excluded.starts_run,
    tries = CASE WHEN item.parked_at IS NULL THEN item.tries ELSE 0 END,
    not_before = NULL,
    parked_at = NULL
"""
"""SQL: the end of ``INSERT INTO work_items AS item``. An item that is there keeps its place in the queue, and is tried
now, also if it was to wait or was parked. What comes while a worker holds the item waits from now on."""

_INSERT = f"""
    INSERT INTO {work_items} AS item (opportunity_id, kind, queued_at, starts_run)
    SELECT unnest(CAST(:ids AS text[])), :kind, :now, :starts_run
"""
_ENQUEUE, _ENSURE = text(_INSERT + MAKE_DUE), text(_INSERT + "ON CONFLICT DO NOTHING")

DROPPED = "dropped by a person"
"""The error of parked work that a person does not want done."""


class WorkQueue(LedgerPart):
    """Work items."""

    def enqueue(
        self, opportunity_ids: Collection[str], kind: Work, *, news: bool = True, starts_run: bool = False
    ) -> None:
        """Make work about opportunities due now.

        :param news: something has happened. Without it, work that is queued already stays as it is: waiting or parked.
        :param starts_run: a run is started for it; otherwise the next run by the schedule finds it.
        """
        if not opportunity_ids:
            return
        ids, now = sorted(set(opportunity_ids)), self._database.now()  # sorted: two at once lock in the same order
        values = {"ids": ids, "kind": kind.value, "now": now, "starts_run": starts_run}
        with self._database.statement() as connection:
            connection.execute(_ENQUEUE if news else _ENSURE, values)
            if starts_run:
                connection.execute(select(func.pg_notify(channel(kind), "")))

    def enqueue_later(self, opportunity_id: str, kind: Work, *, not_before: datetime) -> None:
        """Make work due at a time; work that is queued already stays as it is."""
        values = {"opportunity_id": opportunity_id, "kind": kind, "queued_at": self._database.now()}
        self._database.execute(insert(work_items).values(not_before=not_before, **values).on_conflict_do_nothing())

    def enqueue_claimed(
        self, opportunity_id: str, kind: Work, *, worker: str, news: bool = True
    ) -> dict[Work, WorkItem]:
        """Enqueue work and claim it at once; return the item by its kind, as `claim` does.

        It is empty when another worker holds the item, which then does it again, or when it waits and is no news.
        """
        with self._database.transaction():
            self.enqueue([opportunity_id], kind, news=news)
            return self.claim(opportunity_id, [kind], worker=worker)

    def due(self, kinds: Collection[Work], *, waiting: bool = False) -> list[str]:
        """Return the opportunities with work that is due, longest waiting first.

        :param waiting: also those whose next try is set for later; a person has asked for it.
        """
        query = (
            select(_ITEM.opportunity_id)
            .where(_ITEM.kind.in_(kinds), _ITEM.parked_at.is_(None), unclaimed(), self._in_time(or_earlier=waiting))
            .group_by(_ITEM.opportunity_id)
            .order_by(func.min(_ITEM.queued_at), _ITEM.opportunity_id)
            .limit(_AT_ONCE)
        )
        return self._database.values(query)

    def starting_runs(self, kinds: Collection[Work], *, limit: int = 100) -> list[str]:
        """Return the opportunities about whom work is due that does not wait for the schedule; of many, some."""
        query = select(_ITEM.opportunity_id).where(_ITEM.kind.in_(kinds), _ITEM.starts_run, self._is_due()).limit(limit)
        return sorted(set(self._database.values(query)))

    def newest(self, kinds: Collection[Work], *, since: datetime) -> str | None:
        """Return the opportunity whose work was queued last, after a time, and starts a run; None when there is none."""
        query = (
            select(_ITEM.opportunity_id)
            .where(_ITEM.kind.in_(kinds), _ITEM.starts_run, _ITEM.queued_at > since, self._is_due())
            .order_by(_ITEM.queued_at.desc())
            .limit(1)
        )
        found: str | None = self._database.value(query)
        return found

    def claim(
        self, opportunity_id: str, kinds: Collection[Work], *, worker: str, force: bool = False
    ) -> dict[Work, WorkItem]:
        """Take what is due about an opportunity and nobody else works on.

        :param force: a person has asked for it: also what waits or is parked, but for masking.
        :return: the items by their kind; empty when there is nothing to do.
        """
        self._database.lock_worker()
        take = (
            update(work_items)
            .where(_ITEM.opportunity_id == opportunity_id, _ITEM.kind.in_(kinds), unclaimed())
            .where(or_(self._is_due(), _ITEM.kind != Work.MASK) if force else self._is_due())
            .values(claimed_by=worker)
            .returning(_ITEM.kind, _ITEM.version, _ITEM.tries, _ITEM.error, _ITEM.queued_at)
        )
        with self._database.statement() as connection:
            found = [
                WorkItem(opportunity_id=opportunity_id, worker=worker, **row._mapping)
                for row in connection.execute(take)
            ]
        return {item.kind: item for item in found}

    def check_claim(self, item: WorkItem) -> None:
        """Make sure that the item's worker still holds it.

        :raises ClaimLostError: another worker has taken it over.
        """
        if self._database.value(claimed_by(item.opportunity_id, item.kind, item.worker)) is None:
            raise ClaimLostError(item.opportunity_id)

    def finish(self, item: WorkItem) -> None:
        """Delete an item that is done, unless more came meanwhile: that is due now. Another's claim is left alone."""
        mine = [*_key(item.opportunity_id, item.kind), _ITEM.claimed_by == item.worker]
        done = delete(work_items).where(*mine, _ITEM.version == item.version).returning(true()).cte("done")
        anew = {"claimed_by": None, "tries": 0, "error": None, "not_before": None, "parked_at": None}
        self._database.execute(
            update(work_items).where(*mine, _ITEM.version != item.version).values(anew).add_cte(done)
        )

    def put_off(self, item: WorkItem, *, error: str, not_before: datetime | None, failed: bool = True) -> None:
        """Give an item back whose try failed, to be tried again later; what came meanwhile is tried at once.

        :param error: the name of what went wrong, a word.
        :param not_before: the time of the next try; None parks the item.
        :param failed: the try counts as a failure; otherwise its time had not come.
        """
        unseen = _ITEM.version != item.version
        self._give_back(
            item,
            tries=_ITEM.tries + int(failed),
            error=error,
            not_before=case((unseen, null()), else_=literal(not_before, _ITEM.not_before.type)),
            parked_at=case((unseen, null()), else_=literal(self._database.now() if not_before is None else None, _ITEM.parked_at.type)),
        )  # fmt: skip

    def release(self, item: WorkItem) -> None:
        """Give an item back as it was: what stopped the work is not about this candidate."""
        self._give_back(item)

    def listed(self) -> list[QueuedWork]:
        """Return all that is queued, longest waiting first."""
        c = work_items.c
        names = list(QueuedWork.__dataclass_fields__)
        rows = self._database.rows(select(*(c[name] for name in names)).order_by(c.queued_at))
        return [QueuedWork(**dict(zip(names, row, strict=True))) for row in rows]

    def release_waiting(self, opportunity_ids: Collection[str] = (), *, or_dropped: bool = True) -> int:
        """Have work tried again now that waits or is parked, because a person says so; masking only when it has failed.

        :param opportunity_ids: without any, all that is parked and that nobody has dropped.
        :param or_dropped: of these opportunities, also what a person has dropped.
        :return: how many work items.
        """
        parked, failed = _ITEM.parked_at.is_not(None), _ITEM.error.is_not(None)
        which = _ITEM.opportunity_id.in_(opportunity_ids) if opportunity_ids else parked
        wanted = true() if opportunity_ids and or_dropped else ~is_dropped()
        waits = or_(parked, and_(_ITEM.not_before.is_not(None), or_(_ITEM.kind != Work.MASK, failed)))
        anew = {"parked_at": None, "not_before": None, "tries": 0}
        return len(
            self._database.rows(update(work_items).where(which, wanted, waits).values(anew).returning(_ITEM.kind))
        )

    def release_waiting_for(self, error: str, *, most: int | None = None, of: Collection[str] | None = None) -> None:
        """Have work tried again now that was put off for one reason, because this has changed.

        :param most: only so many, longest waiting first; without it, all.
        :param of: only about these opportunities.
        """
        whom = true() if of is None else _ITEM.opportunity_id.in_(of)
        waits = (_ITEM.error == error, _ITEM.not_before.is_not(None), _ITEM.parked_at.is_(None))
        first = select(_ITEM.opportunity_id, _ITEM.kind).where(whom, *waits).order_by(_ITEM.queued_at).limit(most)
        anew = {"not_before": self._database.now(), "tries": 0}  # a time: from it on the item waits for a worker
        key = tuple_(_ITEM.opportunity_id, _ITEM.kind)
        self._database.execute(update(work_items).where(key.in_(first)).values(anew))

    def end_waits_beyond(self, longest: timedelta, *, of: Work | None = None, then: timedelta = timedelta(0)) -> None:
        """Have work tried again now whose next try is further ahead than any pause: by a clock that was ahead.

        A rule's delay waits for a time that is not counted from the last try; so does masking, unless it is asked for.

        :param longest: the longest pause.
        :param of: only this kind of work.
        :param then: when it is tried again instead, counted from now.
        """
        now = self._database.now()
        waits = (
            _ITEM.not_before > now + longest,
            _ITEM.kind == of if of is not None else _ITEM.kind != Work.MASK,
            _ITEM.error.is_distinct_from(Reason.DELAY.value),
        )
        self._database.execute(update(work_items).where(*waits).values(not_before=now + then))

    def count_waiting_for(self, error: str) -> int:
        """Return how many work items wait for one reason."""
        return int(self._database.value(select(func.count()).select_from(work_items).where(_ITEM.error == error)))

    def drop_masking(self, opportunity_ids: Collection[str]) -> int:
        """Have nothing masked of opportunities, because a person says so; return of how many.

        The work items stay, parked, so that no sweep enqueues them again; `release_waiting` takes it back.
        """
        which = (_ITEM.opportunity_id.in_(opportunity_ids), _ITEM.kind == Work.MASK, unclaimed())
        values = {"parked_at": self._database.now(), "not_before": None, "error": DROPPED}
        return len(self._database.rows(update(work_items).where(*which).values(values).returning(_ITEM.kind)))

    def _give_back(self, item: WorkItem, **values: Any) -> None:
        self._database.execute(
            update(work_items)
            .where(*_key(item.opportunity_id, item.kind), _ITEM.claimed_by == item.worker)
            .values(claimed_by=None, **values)
        )

    def _in_time(self, *, or_earlier: bool = False) -> ColumnElement[bool]:
        in_time = or_(_ITEM.not_before.is_(None), _ITEM.not_before <= self._database.now())
        return or_(in_time, _ITEM.kind != Work.MASK) if or_earlier else in_time

    def _is_due(self) -> ColumnElement[bool]:
        return and_(_ITEM.parked_at.is_(None), unclaimed(), self._in_time())


class QueueingPart(LedgerPart):
    """A part of the ledger that makes work due in the transaction that records the reason."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._queue = WorkQueue(database)


def is_dropped() -> ColumnElement[bool]:
    """Return as SQL that a person does not want the item done."""
    return func.coalesce(_ITEM.error == DROPPED, false())


def _key(opportunity_id: str, kind: Work) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _ITEM.opportunity_id == opportunity_id, _ITEM.kind == kind
