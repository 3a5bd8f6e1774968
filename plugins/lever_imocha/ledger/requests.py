"""What people ask for on the console: written there, done by a run when the candidate's turn comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, func, literal, select, text, true, update
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.domain.acts import Act
from lever_imocha.ledger.base import Author
from lever_imocha.ledger.events import appended
from lever_imocha.ledger.tables import bulk_requests, requests
from lever_imocha.ledger.values import BulkRequest, Request, Work, work_of
from lever_imocha.ledger.work_queue import QueueingPart

_REQUEST = [requests.c[name] for name in Request.__dataclass_fields__]
_MOST_SHOWN = 10
_IS_OPEN = requests.c.done_at.is_(None)
_TOLD = """
    SELECT CAST(:now AS timestamptz), CAST(:verb AS text) || '_' || act, opportunity_id, CAST(NULL AS bigint), test_id,
           CAST(:why AS text), jsonb_build_object('request', id, 'shown', shown, 'delivery', delivery_id)
    FROM changed ORDER BY opportunity_id COLLATE "C"
"""
"""SQL: the events of the requests that are `changed`, in the order in which everybody locks."""
_ADD = text(
    f"""
    WITH changed AS (
        INSERT INTO {requests} (asked_at, act, opportunity_id, test_id, bulk_id, delivery_id, shown, reason, actor)
        SELECT CAST(:now AS timestamptz), :act, asked.id, CAST(:test_id AS bigint), CAST(:bulk_id AS bigint),
               CAST(:delivery_id AS bigint), asked.shown, :why, :actor
        FROM unnest(CAST(:ids AS text[]), CAST(:shown AS text[])) AS asked (id, shown)
        WHERE NOT EXISTS (
            SELECT 1 FROM {requests} WHERE opportunity_id = asked.id AND act = :act AND done_at IS NULL
                AND test_id IS NOT DISTINCT FROM CAST(:test_id AS bigint)
                AND delivery_id IS NOT DISTINCT FROM CAST(:delivery_id AS bigint)
        )
        RETURNING *
    ), {appended(_TOLD)}
    """  # noqa: S608 - constants
)
_FINISH = text(
    f"""
    WITH changed AS (
        UPDATE {requests} SET done_at = :now, outcome = :why WHERE id = :id
        RETURNING *
    ), {appended(_TOLD)}
    """  # noqa: S608 - constants
)
_WITHDRAW = text(
    f"""
    WITH changed AS (
        UPDATE {requests} SET done_at = :now, outcome = :why
        WHERE bulk_id = :bulk_id AND done_at IS NULL AND begun_at IS NULL
        RETURNING *
    ), {appended(_TOLD)}
    """  # noqa: S608 - constants
)


class Requests(QueueingPart):
    """Keeps requests, with who asked and why. Each makes work due in the transaction that records it."""

    def add(
        self,
        act: Act,
        shown: Mapping[str, str],
        *,
        reason: str,
        actor: str,
        test_id: int | None = None,
        delivery_id: int | None = None,
        bulk_id: int | None = None,
    ) -> int:
        """Record requests about opportunities, and start a run that does them; none that is open already.

        :param shown: opportunity id -> what the person saw of it when they asked.
        :param test_id: the one test that they are about.
        :param delivery_id: the delivery that is to be done again.
        :return: how many are new.
        """
        values = {
            "now": self._database.now(), "act": act.value, "verb": "asked", "ids": sorted(shown), "test_id": test_id,
            "delivery_id": delivery_id, "bulk_id": bulk_id, "shown": [shown[key] for key in sorted(shown)], "why": reason,
        } | vars(Author(source="console", actor=actor))  # fmt: skip
        with self._database.transaction() as connection:
            self._queue.enqueue(shown, work_of(act), starts_run=True)  # before the events, as everywhere
            added: int = connection.execute(_ADD, values).rowcount
        return added

    def add_bulk(
        self,
        act: Act,
        shown: Mapping[str, str],
        *,
        about: str,
        reason: str,
        actor: str,
        test_id: int | None = None,
    ) -> int:
        """Record a request about many opportunities as one, which can be watched and stopped.

        :param about: which group it is, in words.
        :return: its id.
        """
        given = {"act": act, "about": about, "reason": reason, "actor": actor, "asked_at": self._database.now()}
        with self._database.transaction() as connection:
            new = insert(bulk_requests).values(asked=len(shown), **given).returning(bulk_requests.c.id)
            bulk_id: int = connection.execute(new).scalar_one()
            added = self.add(act, shown, reason=reason, actor=actor, test_id=test_id, bulk_id=bulk_id)
            if added < len(shown):  # the others are asked for already
                connection.execute(update(bulk_requests).where(bulk_requests.c.id == bulk_id).values(asked=added))
        return bulk_id

    def bulk(self, bulk_id: int) -> BulkRequest | None:
        """Return a request about many, and how far it is."""
        return next(iter(self._bulks(select(literal(bulk_id)))), None)

    def running(self) -> list[BulkRequest]:
        """Return the latest requests about many of which something is still to be done."""
        query = select(requests.c.bulk_id).where(_IS_OPEN, requests.c.bulk_id.is_not(None)).distinct()
        return self._bulks(query.order_by(requests.c.bulk_id.desc()).limit(_MOST_SHOWN))

    def _bulks(self, ids: Select[tuple[int]]) -> list[BulkRequest]:
        """Return requests about many, the latest first, with what came of each."""
        c, number = requests.c, func.count()
        came = (
            select(c.outcome, number.label("number"), func.count(c.begun_at).label("begun"))
            .where(c.bulk_id == bulk_requests.c.id)
            .group_by(c.outcome)
            .lateral()
        )
        query = (
            select(bulk_requests, came)
            .join(came, true(), isouter=True)
            .where(bulk_requests.c.id.in_(ids))
            .order_by(bulk_requests.c.id.desc(), came.c.number.desc(), came.c.outcome)
        )
        return [_bulk(list(rows)) for _, rows in groupby(self._database.rows(query), key=lambda row: row.id)]

    def stop(self, bulk_id: int, *, actor: str) -> int:
        """Withdraw what is left of a request about many; whose turn has come is not withdrawn.

        :return: how many are withdrawn.
        """
        now = self._database.now()
        stopped = update(bulk_requests).where(bulk_requests.c.id == bulk_id, bulk_requests.c.stopped_at.is_(None))
        said = {"now": now, "bulk_id": bulk_id, "verb": "done", "why": f"withdrawn: stopped by {actor}"}
        with self._database.transaction() as connection:
            connection.execute(stopped.values(stopped_at=now, stopped_by=actor))
            author = vars(Author(source="console", actor=actor))
            return int(connection.execute(_WITHDRAW, said | author).rowcount)

    def begin(self, opportunity_id: str, work: Work) -> list[Request]:
        """Return what is open about an opportunity, oldest first: its turn has come, and it is not withdrawn any more.

        :param work: of which kind of work; what a newer version has left is not ours to do.
        """
        acts = [act for act in Act if work_of(act) is work]
        begun = (
            update(requests)
            .where(requests.c.opportunity_id == opportunity_id, requests.c.act.in_(acts), _IS_OPEN)
            .values(begun_at=func.coalesce(requests.c.begun_at, self._database.now()))
            .returning(*_REQUEST)
        )
        return sorted((Request(**row._mapping) for row in self._database.rows(begun)), key=lambda request: request.id)

    def finish(self, request: Request, *, outcome: str) -> None:
        """Record what came of a request, for who asked."""
        said = {"now": self._database.now(), "id": request.id, "verb": "done", "why": outcome}
        self._database.execute(_FINISH, said | vars(replace(self._database.author, actor=request.actor)))

    def number(self, request: Request) -> int:
        """Return which one it is of all requests for the same act about the same test, from 1 on."""
        c = requests.c
        same = (c.opportunity_id == request.opportunity_id, c.act == request.act, c.test_id == request.test_id)
        return int(self._database.value(select(func.count()).where(*same, c.id <= request.id)))


def _bulk(rows: list[Row[Any]]) -> BulkRequest:
    """Return a request about many.

    :param rows: one for each outcome; without one, of what is still to be done.
    """
    done = [row for row in rows if row.outcome is not None]
    return BulkRequest(
        **{column.name: rows[0]._mapping[column.name] for column in bulk_requests.columns},
        done=sum(row.number for row in done),
        withdrawn=sum(row.number - row.begun for row in done),
        left=sum(row.number or 0 for row in rows if row.outcome is None),
        outcomes={row.outcome: row.number for row in done},
    )
