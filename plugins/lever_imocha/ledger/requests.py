"""What people ask for on the console: written there, done by a run of the DAG that invites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import and_, func, select, text, true

from lever_imocha.ledger.base import LedgerPart, Origin
from lever_imocha.ledger.events import appended
from lever_imocha.ledger.tables import requests
from lever_imocha.ledger.values import Act, Request, Work
from lever_imocha.ledger.work_queue import channel

_REQUEST = [requests.c[name] for name in Request.__dataclass_fields__]
_IS_OPEN = and_(requests.c.done_at.is_(None), requests.c.act.in_(list(Act)))
"""One that a newer version has left is not ours to do."""
_TOLD = """
    SELECT CAST(:now AS timestamptz), CAST(:kind AS text), opportunity_id, CAST(NULL AS bigint), CAST(NULL AS bigint),
           CAST(:why AS text), jsonb_build_object('request', id, 'shown', shown, 'delivery', delivery_id)
    FROM changed
"""
_ADD = text(
    f"""
    WITH changed AS (
        INSERT INTO {requests} (asked_at, act, opportunity_id, shown, reason, actor, delivery_id)
        SELECT CAST(:now AS timestamptz), :act, asked.id, asked.shown, :why, :actor, CAST(:delivery_id AS bigint)
        FROM unnest(CAST(:ids AS text[]), CAST(:shown AS text[])) AS asked (id, shown)
        WHERE NOT EXISTS (
            SELECT 1 FROM {requests} WHERE opportunity_id = asked.id AND act = :act AND done_at IS NULL
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


class Requests(LedgerPart):
    """Keeps requests, with who asked and why, for good."""

    def add(
        self, act: Act, shown: Mapping[str, str], *, reason: str, actor: str, delivery_id: int | None = None
    ) -> int:
        """Record requests about opportunities, and wake the DAG that does them; none that is open already.

        :param shown: opportunity id -> what the person saw of it when they asked.
        :param delivery_id: the delivery that is to be done again.
        :return: how many are new.
        """
        values = {
            "now": self._database.now(), "act": act.value, "kind": f"asked_{act}", "ids": sorted(shown),
            "shown": [shown[key] for key in sorted(shown)], "why": reason, "delivery_id": delivery_id,
        } | vars(Origin(source="console", actor=actor))  # fmt: skip
        with self._database.transaction() as connection:
            added = connection.execute(_ADD, values).rowcount
            connection.execute(select(func.pg_notify(channel(Work.INVITE), "")))
        return added

    def waits(self) -> bool:
        """Tell whether a request is open."""
        return self._database.value(select(true()).where(_IS_OPEN).limit(1)) is not None

    def take(self) -> Request | None:
        """Return the oldest open request that no other run has, locked until the end of the caller's transaction."""
        query = select(*_REQUEST).where(_IS_OPEN).order_by(requests.c.id).limit(1).with_for_update(skip_locked=True)
        rows = self._database.rows(query)
        return Request(**rows[0]._mapping) if rows else None

    def finish(self, request: Request, *, outcome: str) -> None:
        """Record what came of a request, for who asked."""
        said = {"now": self._database.now(), "id": request.id, "kind": f"done_{request.act}", "why": outcome}
        self._database.execute(_FINISH, said | vars(replace(self._database.origin, actor=request.actor)))
