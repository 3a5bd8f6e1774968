"""People by their latest stage entry, and how many stand how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import text

from lever_imocha.domain.decisions import GOES_ON
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.standing import NOBODY_NEEDED, Standing
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.overview.shared import AT_MOST, LATEST, PAGE, sql_list
from lever_imocha.ledger.work_queue import DROPPED


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one test of a person has come."""

    test_id: int
    invitation_id: int | None
    status: str | None
    invited_at: datetime | None
    times_invited: int | None
    ended_at: datetime | None
    written_at: datetime | None


_PROGRESS = TypeAdapter(list[Progress])


@dataclass(frozen=True, kw_only=True)
class Person:
    """One opportunity, as its latest stage entry and its work say.

    :param entry_id: of the latest stage entry.
    :param facts: what the last decision rests on, as a text; see `Situation.eligibility`.
    :param problem: the name of what went wrong with its work, or, if nothing did, of what it waits for.
    :param next_try: when that is tried again.
    """

    opportunity_id: str
    name: str | None
    entry_id: int
    stage_id: str
    entered_at: datetime
    standing: Standing
    decision: str | None
    reason: str | None
    detail: str
    facts: str
    decided_at: datetime | None
    parked: bool
    problem: str | None
    next_try: datetime | None
    tests: tuple[Progress, ...]


@dataclass(frozen=True, kw_only=True)
class Standings:
    """How many people stand how, but for those who are done.

    :param is_all: everybody was counted; else there may be more, most likely of those who wait.
    """

    people: dict[Standing, int]
    is_all: bool


@dataclass(frozen=True, kw_only=True)
class PeopleFilter:
    """Which people are listed; all that is given has to be true.

    :param name: the beginnings of words of the display name.
    :param after: goes on after this person: the arrival and its id.
    """

    opportunity_id: str | None = None
    name: str | None = None
    standing: Standing | None = None
    test_id: int | None = None
    entered_from: datetime | None = None
    entered_before: datetime | None = None
    after: tuple[datetime, int] | None = None


_OPEN = sql_list(status for status in AttemptStatus if status.is_open)
_NOBODY_NEEDED, _GOES_ON = sql_list(NOBODY_NEEDED), sql_list(GOES_ON)
_STANDING = f"""CASE
        WHEN work.parked OR (e.decision = 'hold' AND e.reason NOT IN ({_NOBODY_NEEDED})) THEN '{Standing.NEEDS_YOU}'
        WHEN work.queued OR e.decided_at IS NULL THEN '{Standing.WORKING}'
        WHEN test.open THEN '{Standing.WAITING}'
        ELSE '{Standing.DONE}' END"""
_PEOPLE = f"""
SELECT e.opportunity_id, o.name, e.id AS entry_id, e.stage_id, e.entered_at, standing.*, e.decision, e.reason, e.detail,
       e.eligibility AS facts, e.decided_at, work.*, coalesce(test.tests, '[]') AS tests
FROM {{entries}} e
LEFT JOIN lever_imocha.opportunities o ON o.opportunity_id = e.opportunity_id
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS queued, coalesce(bool_or(parked_at IS NOT NULL), false) AS parked,
           coalesce(min(error) FILTER (WHERE error NOT IN ({_GOES_ON})), min(error)) AS problem,
           min(not_before) AS next_try
    FROM lever_imocha.work_items w
    WHERE w.opportunity_id = e.opportunity_id AND w.error IS DISTINCT FROM '{DROPPED}'
) work
CROSS JOIN LATERAL (
    SELECT bool_or(i.status IN ({_OPEN})) AS open, json_agg(json_build_object(
        'test_id', a.test_id, 'invitation_id', a.invitation_id, 'status', i.status, 'invited_at', i.invited_at,
        'times_invited', i.times_invited, 'ended_at', i.ended_at, 'written_at', a.written_at) ORDER BY a.id) AS tests
    FROM lever_imocha.assessments a LEFT JOIN lever_imocha.invitations i ON i.id = a.invitation_id
    WHERE a.opportunity_id = e.opportunity_id
) test
CROSS JOIN LATERAL (SELECT {_STANDING} AS standing) standing
WHERE {{where}}
ORDER BY e.entered_at DESC, e.id DESC LIMIT :limit
"""  # noqa: S608 - constants
_ALL = "lever_imocha.stage_entries"
_LATEST_OF = """(
    SELECT latest.* FROM (SELECT DISTINCT opportunity_id FROM ({among}) each) few CROSS JOIN LATERAL (
        SELECT {columns} FROM lever_imocha.stage_entries WHERE opportunity_id = few.opportunity_id
        ORDER BY entered_at DESC, id DESC LIMIT 1
    ) latest
    ORDER BY latest.entered_at DESC, latest.id DESC OFFSET 0
)"""
"""The latest entries of a few, in order, so that no more standings are found out than are shown."""

_NAMED = """
    SELECT opportunity_id FROM lever_imocha.opportunities
    WHERE to_tsvector('simple', name) @@ to_tsquery('simple', :name) LIMIT 1000
"""  # who types one letter gets some
_CONDITIONS = {
    "opportunity_id": "e.opportunity_id = :opportunity_id",
    "name": f"e.opportunity_id IN ({_NAMED})",
    "test_id": "e.opportunity_id IN (SELECT opportunity_id FROM lever_imocha.assessments WHERE test_id = :test_id)",
    "standing": "standing.standing = :standing",
    "entered_from": "e.entered_at >= :entered_from",
    "entered_before": "e.entered_at < :entered_before",
    "after": "(e.entered_at, e.id) < (:after_at, :after_id)",
}
_HELD = f"""
    SELECT opportunity_id FROM lever_imocha.stage_entries WHERE decision = 'hold' AND reason NOT IN ({_NOBODY_NEEDED})
    UNION SELECT opportunity_id FROM lever_imocha.work_items
    WHERE parked_at IS NOT NULL AND error IS DISTINCT FROM '{DROPPED}'
"""  # noqa: S608 - constants
_INVITED = f"""
    SELECT a.opportunity_id FROM lever_imocha.invitations i JOIN lever_imocha.assessments a ON a.invitation_id = i.id
    WHERE i.status IN ({_OPEN})
"""  # noqa: S608 - constants
_AMONG = {
    Standing.NEEDS_YOU: _HELD,
    Standing.WORKING: "SELECT opportunity_id FROM lever_imocha.work_items",
    Standing.WAITING: _INVITED,
}
"""Where the few are looked for, so that not everybody's standing is found out."""
_STANDINGS = f"""
SELECT standing, count(*) AS people, sum(rows)::int AS rows
FROM (
    SELECT opportunity_id, min(standing) AS standing, count(*) AS rows
    FROM (
        SELECT e.opportunity_id, 1 AS standing FROM lever_imocha.stage_entries e
        WHERE e.decision = 'hold' AND e.reason NOT IN ({_NOBODY_NEEDED}) AND {LATEST}
        UNION ALL
        SELECT opportunity_id, 1 FROM lever_imocha.work_items
        WHERE parked_at IS NOT NULL AND error IS DISTINCT FROM '{DROPPED}'
        UNION ALL
        SELECT opportunity_id, 2 FROM lever_imocha.work_items
        WHERE parked_at IS NULL AND error IS DISTINCT FROM '{DROPPED}'
        UNION ALL
        SELECT opportunity_id, 3 FROM ({_INVITED}) invited
        LIMIT :limit
    ) found
    GROUP BY opportunity_id
) each
GROUP BY standing
"""  # noqa: S608 - constants
"""Who is found twice counts where something is to be done first: PostgreSQL reads one part after the other."""
_LATEST_AND_DONE = f"""CASE
    WHEN e.decided_at IS NULL OR (e.decision = 'hold' AND e.reason NOT IN ({_NOBODY_NEEDED})) THEN false
    WHEN EXISTS (
        SELECT 1 FROM lever_imocha.work_items w
        WHERE w.opportunity_id = e.opportunity_id AND w.error IS DISTINCT FROM '{DROPPED}' OFFSET 0
    ) THEN false
    WHEN EXISTS (
        SELECT 1 FROM lever_imocha.assessments a JOIN lever_imocha.invitations i ON i.id = a.invitation_id
        WHERE a.opportunity_id = e.opportunity_id AND i.status IN ({_OPEN}) OFFSET 0
    ) THEN false
    ELSE {LATEST} END
"""  # noqa: S608 - constants
"""Of the latest arrivals many are not done: this leaves them out first, in this order, before all else is looked up."""


class People(LedgerPart):
    """Reads; never writes."""

    def listed(self, wanted: PeopleFilter, *, limit: int = PAGE) -> list[Person]:
        """Return people by their latest arrival, the newest first."""
        given = {name: value for name, value in vars(wanted).items() if value is not None}
        among = (_AMONG.get(wanted.standing) if wanted.standing else None) or (_NAMED if wanted.name else None)
        entries = _LATEST_OF.format(among=among, columns="*") if among else _ALL
        latest = _LATEST_AND_DONE if wanted.standing is Standing.DONE else "true" if among else LATEST
        conditions = [*(_CONDITIONS[name] for name in given), latest]
        if wanted.after is not None:
            given["after_at"], given["after_id"] = given.pop("after")
        if wanted.name is not None:
            given["name"] = _beginnings(wanted.name)
        query = text(_PEOPLE.format(entries=entries, where=" AND ".join(conditions)))
        rows = self._database.rows(query.bindparams(**given, limit=limit))
        return [_person(row._mapping) for row in rows]

    def standings(self, *, limit: int = AT_MOST) -> Standings:
        """Count who is not done, by standing; first who needs you, and at most so many in all."""
        rows = self._database.rows(text(_STANDINGS).bindparams(limit=limit))
        people = {row.standing: row.people for row in rows}
        not_done = [standing for standing in Standing if standing is not Standing.DONE]
        return Standings(
            people={standing: people.get(rank, 0) for rank, standing in enumerate(not_done, start=1)},
            is_all=sum(row.rows for row in rows) < limit,
        )


def _person(row: Mapping[str, Any]) -> Person:
    values = {field.name: row[field.name] for field in fields(Person)}
    tests = tuple(_PROGRESS.validate_python(row["tests"]))
    return Person(**{**values, "standing": Standing(row["standing"]), "tests": tests})


def _beginnings(name: str) -> str:
    """Return a query for PostgreSQL's text search: every word begins a word of the name."""
    words = re.findall(r"\w+", name)
    return " & ".join(f"{word}:*" for word in words)
