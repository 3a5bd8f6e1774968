"""What the console shows: each method is one statement, and reads no big table from end to end.

Whoever is on a list was seen in a trigger stage once: what is listed are the latest stage entries. Pages go on after a
key and not after a number of rows, so that the last page costs as much as the first.
"""

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
from lever_imocha.domain.standing import NOBODY_NEEDED, Problem, Standing
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.events import ABOUT, CONTENT
from lever_imocha.ledger.work_queue import DROPPED

PAGE = 50
AT_MOST = 5_000
"""So many of the latest arrivals are counted: the page stays fast, and says so."""


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
    :param problem: the name of what went wrong last with its work.
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
class Attention:
    """Somebody for whom something is in the way.

    :param kind: what kind of problem it is.
    :param why: the reason of a hold, or the name of what went wrong.
    :param detail: the tag in question, or the kind of work.
    :param since: when the wait began.
    :param total: how many have the same kind of problem for the same reason.
    """

    kind: Problem
    why: str
    detail: str
    opportunity_id: str
    name: str | None
    since: datetime
    total: int


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One line of a timeline.

    :param source: who told or did it: ``webhook``, ``callback``, ``sweep``, ``read``, ``workflow``, ``console``,
        ``command``.
    :param actor: the person, where it was one.
    :param delivery_id: of the delivery that it was.
    :param run: the run of a DAG that did it, as ``dag/run``; its task is ``task/map index``.
    :param facts: what it rests on.
    :param chain: which chain of events it belongs to, with its number there; None for what is not an event.
    :param content: what its hash is made of.
    """

    at: datetime
    source: str
    actor: str | None
    kind: str
    detail: str | None
    test_id: int | None
    invitation_id: int | None
    delivery_id: int | None
    run: str | None
    task: str | None
    facts: dict[str, Any] | None
    chain: str | None
    number: int | None
    hash: str | None
    content: str | None


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


_OPEN = ", ".join(f"'{status}'" for status in AttemptStatus if status.is_open)
_NOBODY_NEEDED = ", ".join(f"'{reason}'" for reason in NOBODY_NEEDED)
_GOES_ON = ", ".join(f"'{reason}'" for reason in GOES_ON)
_LATEST = """
    NOT EXISTS (
        SELECT 1 FROM lever_imocha.stage_entries later
        WHERE later.opportunity_id = e.opportunity_id AND (later.entered_at, later.id) > (e.entered_at, e.id)
    )
"""

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
    SELECT count(*) > 0 AS queued, coalesce(bool_or(parked_at IS NOT NULL), false) AS parked, min(error) AS problem,
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

_CONDITIONS = {
    "opportunity_id": "e.opportunity_id = :opportunity_id",
    "name": """e.opportunity_id IN (
        SELECT opportunity_id FROM lever_imocha.opportunities
        WHERE to_tsvector('simple', name) @@ to_tsquery('simple', :name) LIMIT 1000)""",  # who types one letter gets some
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
_JUDGED = "opportunity_id, id, entered_at, decision, reason, decided_at"
_STANDINGS = f"""
SELECT {_STANDING} AS standing, count(*) AS people
FROM (SELECT * FROM {_LATEST_OF.format(among=" UNION ".join(_AMONG.values()), columns=_JUDGED)} latest LIMIT :limit) e
LEFT JOIN (
    SELECT opportunity_id, true AS queued, bool_or(parked_at IS NOT NULL) AS parked
    FROM lever_imocha.work_items WHERE error IS DISTINCT FROM '{DROPPED}' GROUP BY opportunity_id
) work ON work.opportunity_id = e.opportunity_id
LEFT JOIN (SELECT DISTINCT opportunity_id, true AS open FROM ({_INVITED}) invited) test ON test.opportunity_id = e.opportunity_id
GROUP BY 1
"""  # noqa: S608 - constants
_MAY_BE_DONE = f"e.decided_at IS NOT NULL AND (e.decision IS DISTINCT FROM 'hold' OR e.reason IN ({_NOBODY_NEEDED}))"
"""Leaves out at once, of the latest, most of those who are not done."""
_HAS_NOTHING_OPEN = f"""
    NOT EXISTS (
        SELECT 1 FROM lever_imocha.work_items w
        WHERE w.opportunity_id = e.opportunity_id AND w.error IS DISTINCT FROM '{DROPPED}' OFFSET 0
    )
    AND NOT EXISTS (
        SELECT 1 FROM lever_imocha.assessments a JOIN lever_imocha.invitations i ON i.id = a.invitation_id
        WHERE a.opportunity_id = e.opportunity_id AND i.status IN ({_OPEN}) OFFSET 0
    )
"""  # noqa: S608 - constants
"""Leaves out the others, too; with OFFSET, each is looked up before all else is."""

_ATTENTION = f"""
WITH found AS (
    SELECT CASE WHEN e.reason IN ({_NOBODY_NEEDED}) THEN '{Problem.WAITS}' ELSE '{Problem.HELD}' END AS kind,
           e.reason AS why, e.detail, e.opportunity_id, e.entered_at AS since
    FROM lever_imocha.stage_entries e WHERE e.decision = 'hold' AND {_LATEST}
    UNION ALL
    SELECT CASE WHEN parked_at IS NOT NULL THEN '{Problem.PARKED}'
                WHEN error IS NOT NULL THEN '{Problem.FAILING}' ELSE '{Problem.OVERDUE}' END,
           coalesce(error, kind), kind, opportunity_id, queued_at
    FROM lever_imocha.work_items
    WHERE coalesce(error, '') NOT IN ({_GOES_ON}, '{DROPPED}')
        AND (parked_at IS NOT NULL OR error IS NOT NULL OR coalesce(not_before, queued_at) < :overdue_before)
), counted AS (
    SELECT *, count(*) OVER same AS total,
           row_number() OVER (PARTITION BY kind, why ORDER BY since, opportunity_id) AS rank
    FROM found WHERE CAST(:kind AS text) IS NULL OR (kind = :kind AND why = :why)
    WINDOW same AS (PARTITION BY kind, why)
)
SELECT kind, why, detail, c.opportunity_id, o.name, since, total
FROM counted c LEFT JOIN lever_imocha.opportunities o ON o.opportunity_id = c.opportunity_id
WHERE rank > :skip AND rank <= :skip + :each
ORDER BY kind, why, rank
"""  # noqa: S608 - constants

_TIMELINE = f"""
WITH mine AS (
    SELECT known.invitation_id
    FROM lever_imocha.assessments JOIN lever_imocha.assessment_invitations known ON known.assessment_id = assessments.id
    WHERE opportunity_id = :id
), told AS (
    SELECT entered_at AS at, first_seen_by AS source, 'entered' AS kind, stage_id AS detail, NULL::bigint AS test_id,
           NULL::bigint AS invitation_id, NULL::bigint AS delivery_id
    FROM lever_imocha.stage_entries WHERE opportunity_id = :id
    UNION ALL
    SELECT received_at, 'webhook', event, NULL, NULL, invitation_id, id
    FROM lever_imocha.deliveries WHERE opportunity_id = :id
    UNION ALL
    SELECT received_at, 'callback', event, NULL, NULL, invitation_id, id
    FROM lever_imocha.deliveries WHERE opportunity_id IS NULL AND invitation_id IN (SELECT invitation_id FROM mine)
    UNION ALL
    SELECT started_at, 'workflow', 'begun', step, NULL, NULL, NULL
    FROM lever_imocha.effects WHERE opportunity_id = :id AND done_at IS NULL
    UNION ALL
    SELECT at, 'workflow', CASE WHEN answered_at IS NULL THEN 'mail_unanswered' ELSE 'mail_accepted' END, NULL, test_id,
           NULL, NULL
    FROM lever_imocha.mails WHERE opportunity_id = :id
), recorded AS (
    SELECT * FROM lever_imocha.events WHERE opportunity_id = :id
    UNION ALL
    SELECT * FROM lever_imocha.events WHERE opportunity_id IS NULL AND invitation_id IN (SELECT invitation_id FROM mine)
)
SELECT at, source, NULL AS actor, kind, detail, test_id, invitation_id, delivery_id, NULL AS run, NULL AS task,
       NULL::jsonb AS facts, NULL AS chain, NULL::int AS number, NULL AS hash, NULL AS content
FROM told
UNION ALL
SELECT at, coalesce(source, 'workflow'), actor, CASE WHEN opportunity_id IS NULL THEN 'status_' || kind ELSE kind END,
       detail, test_id, invitation_id, NULL, run, task, facts, {ABOUT}, number, encode(hash, 'hex'), {CONTENT}
FROM recorded
ORDER BY at DESC, number DESC NULLS LAST, kind LIMIT :limit
"""  # noqa: S608 - constants

_OF_RUN = f"""
WITH done AS (
    SELECT * FROM lever_imocha.events WHERE run = :run AND (CAST(:task AS text) IS NULL OR task = :task)
    ORDER BY id LIMIT {AT_MOST}
)
SELECT coalesce(done.opportunity_id, own.opportunity_id) AS opportunity_id, known.name, done.at, done.detail,
       CASE WHEN done.opportunity_id IS NULL THEN 'status_' || kind ELSE kind END AS kind, done.test_id
FROM done
LEFT JOIN lever_imocha.assessments own ON done.opportunity_id IS NULL AND own.invitation_id = done.invitation_id
LEFT JOIN lever_imocha.opportunities known
    ON known.opportunity_id = coalesce(done.opportunity_id, own.opportunity_id)
WHERE coalesce(done.opportunity_id, own.opportunity_id) IS NOT NULL
ORDER BY done.id
"""  # noqa: S608 - constants


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a run of a DAG has done about somebody."""

    opportunity_id: str
    name: str | None
    at: datetime
    kind: str
    detail: str | None
    test_id: int | None


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How far those who entered a trigger stage in a period have come: of all, or of one group.

    Who was not invited has no test; who has two tests counts once as entered, and twice as invited and further on.
    Durations are in seconds: the median, and what 95 of 100 take at most.

    :param by: how they are grouped: ``all``, ``week``, ``test``, ``posting`` or ``rule``.
    :param week: the first day of the week in which they entered.
    :param stage_id: the trigger stage of the rule.
    :param completed_stage_id: of the rule; None for those who were not invited.
    """

    by: str
    test_id: int | None
    week: datetime | None
    posting_id: str | None
    stage_id: str | None
    completed_stage_id: str | None
    form_template: str | None
    entered: int
    held: int
    invited: int
    started: int
    ended: int
    written: int
    expired: int
    cancelled: int
    move_to_invitation: tuple[float, float] | None
    invitation_to_start: tuple[float, float] | None
    end_to_report: tuple[float, float] | None

    @property
    def lost(self) -> int:
        """How many were lost before they started: the invitation has expired, or was cancelled."""
        return self.expired + self.cancelled


@dataclass(frozen=True, kw_only=True)
class Received:
    """What one vendor has sent on one day, by kind."""

    day: datetime
    vendor: str
    event: str
    count: int
    last: datetime


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Deliveries in a vendor's name that were refused for one reason."""

    vendor: str
    why: str
    count: int
    last: datetime


@dataclass(frozen=True, kw_only=True)
class StoredDelivery:
    """One delivery.

    :param opportunity_id: whom it is about; of several that share an invitation, one.
    """

    id: int
    vendor: str
    event: str
    received_at: datetime
    opportunity_id: str | None


@dataclass(frozen=True, kw_only=True)
class Queued:
    """Work of one kind in one state.

    :param state: ``due``, ``claimed``, ``waiting`` or ``parked``.
    """

    kind: str
    state: str
    count: int
    oldest: datetime


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How one API's rate limit stands.

    :param backlog: seconds until the next turn that is free.
    :param slowdown: how many times longer the gaps are than the settings say, because the vendor answered 429.
    :param limit: requests a second, as the settings of who asked last say; None while nobody has.
    :param this_minute: requests since the minute began.
    :param last_minute: requests in the whole minute before.
    :param answered_call: which call the last answer known was to, by its name; its status is ``answer_status``.
    :param refused_today: how often it has answered 429 since the day (UTC) began.
    """

    name: str
    limit: float | None
    this_minute: int
    last_minute: int
    backlog: float
    slowdown: float
    slowed_at: datetime | None
    answered_at: datetime | None
    answered_call: str | None
    answer_status: int | None
    refused_today: int
    refused_yesterday: int


def _quantiles(begin: str, end: str) -> str:
    """Return as SQL the median and the 95th percentile of the seconds between two times."""
    took = f"extract(epoch FROM {end} - {begin})::float8"
    return f"percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY {took}) FILTER (WHERE {end} > {begin})"


_ENDED = ", ".join(f"'{status}'" for status in AttemptStatus if status.is_ended)
_FLOW = f"""
WITH cohort AS (
    SELECT e.id, date_trunc('week', e.entered_at, 'UTC') AS week, e.decision, e.entered_at,
        e.facts #>> '{{posting_ids,0}}' AS posting_id, e.stage_id, mine.*
    FROM (
        SELECT * FROM lever_imocha.stage_entries WHERE entered_at >= :since ORDER BY entered_at DESC LIMIT {AT_MOST}
    ) e
    LEFT JOIN LATERAL (
        SELECT a.test_id, a.completed_stage_id, a.form_template, a.written_at, i.id AS invitation_id, i.status, i.invited_at, i.ended_at, (
            SELECT min(v.at) FROM lever_imocha.events v
            WHERE v.invitation_id = i.id AND v.opportunity_id IS NULL AND v.kind = '{AttemptStatus.IN_PROGRESS}'
        ) AS started_at
        FROM lever_imocha.assessments a LEFT JOIN lever_imocha.invitations i ON i.id = a.invitation_id
        WHERE a.opportunity_id = e.opportunity_id AND a.entry_id = e.id
        OFFSET 0  -- looked up for each arrival, and not joined as whole tables
    ) mine ON true
)
SELECT CASE grouping(week, test_id, posting_id, stage_id)
           WHEN 15 THEN 'all' WHEN 7 THEN 'week' WHEN 11 THEN 'test' WHEN 13 THEN 'posting' ELSE 'rule' END AS by,
    test_id, week, posting_id, stage_id, completed_stage_id, form_template, count(DISTINCT id) AS entered, count(DISTINCT id) FILTER (WHERE decision = 'hold') AS held,
    count(invitation_id) AS invited,
    count(*) FILTER (WHERE started_at IS NOT NULL OR status = '{AttemptStatus.IN_PROGRESS}' OR status IN ({_ENDED})) AS started,
    count(*) FILTER (WHERE status IN ({_ENDED})) AS ended, count(written_at) AS written,
    count(*) FILTER (WHERE status = '{AttemptStatus.EXPIRED}') AS expired,
    count(*) FILTER (WHERE status = '{AttemptStatus.CANCELLED}') AS cancelled,
    {_quantiles("entered_at", "invited_at")} AS move_to_invitation, {_quantiles("invited_at", "started_at")} AS invitation_to_start, {_quantiles("ended_at", "written_at")} AS end_to_report
FROM cohort
GROUP BY GROUPING SETS ((), (week), (test_id), (posting_id), (stage_id, completed_stage_id, form_template))
ORDER BY grouping(week, test_id, posting_id, stage_id) DESC, week, entered DESC, test_id, posting_id, stage_id
"""  # noqa: S608 - constants


class Overview(LedgerPart):
    """Reads; never writes."""

    def flow(self, *, since: datetime) -> list[Flow]:
        """Return how far those who entered since a time have come: all together first, then by week, test, posting, rule.

        Of more than `AT_MOST` arrivals, the latest count.
        """
        rows = self._database.rows(text(_FLOW).bindparams(since=since))
        return [Flow(**row._mapping) for row in rows]

    def received(self, *, since: datetime) -> list[Received]:
        """Return what the vendors have sent since a time, by day and kind."""
        query = text(
            """
            SELECT date_trunc('day', received_at, 'UTC') AS day, vendor, event, count(*), max(received_at) AS last
            FROM lever_imocha.deliveries WHERE received_at >= :since GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """
        )
        return [Received(**row._mapping) for row in self._database.rows(query.bindparams(since=since))]

    def refused(self, *, since: datetime) -> list[Refused]:
        """Return what was refused since a day, by vendor and reason, the last refusal first."""
        query = text(
            """
            SELECT vendor, why, sum(count)::bigint AS count, max(last_at) AS last
            FROM lever_imocha.refusals WHERE day >= CAST(:since AS timestamptz)::date GROUP BY 1, 2 ORDER BY 4 DESC
            """
        )
        return [Refused(**row._mapping) for row in self._database.rows(query.bindparams(since=since))]

    def deliveries(self, *, limit: int = PAGE) -> list[StoredDelivery]:
        """Return the last deliveries, the latest first."""
        query = text(
            """
            SELECT d.id, d.vendor, d.event, d.received_at, coalesce(d.opportunity_id, (
                SELECT a.opportunity_id FROM lever_imocha.assessments a WHERE a.invitation_id = d.invitation_id
                ORDER BY a.id LIMIT 1
            )) AS opportunity_id
            FROM (SELECT * FROM lever_imocha.deliveries ORDER BY received_at DESC LIMIT :limit) d
            ORDER BY d.received_at DESC, d.id DESC
            """
        )
        return [StoredDelivery(**row._mapping) for row in self._database.rows(query.bindparams(limit=limit))]

    def queued(self) -> list[Queued]:
        """Return how much work is queued, by kind and state."""
        query = text(
            """
            SELECT kind, CASE WHEN parked_at IS NOT NULL THEN 'parked' WHEN claimed_by IS NOT NULL THEN 'claimed'
                              WHEN not_before > :now THEN 'waiting' ELSE 'due' END AS state,
                   count(*), min(queued_at) AS oldest
            FROM lever_imocha.work_items GROUP BY 1, 2 ORDER BY 1, 2
            """
        )
        return [Queued(**row._mapping) for row in self._database.rows(query.bindparams(now=self._database.now()))]

    def rates(self) -> list[Rate]:
        """Return how the rate limits stand."""
        query = text(
            """
            SELECT name, 1 / gap AS limit,
                   CASE minute_at WHEN minute THEN taken ELSE 0 END AS this_minute,
                   CASE minute_at WHEN minute THEN taken_before
                                  WHEN minute - interval '1 minute' THEN taken ELSE 0 END AS last_minute,
                   greatest(0, extract(epoch FROM turn_at - clock_timestamp()))::float8 AS backlog, slowed_at,
                   greatest(1, slowdown - coalesce(extract(epoch FROM clock_timestamp() - slowed_at), 0) / 60)::float8
                   AS slowdown,
                   CAST(answered ->> 0 AS timestamptz) AS answered_at, answered ->> 1 AS answered_call,
                   CAST(answered ->> 2 AS int) AS answer_status,
                   CASE refused_on WHEN today THEN refused ELSE 0 END AS refused_today,
                   CASE refused_on WHEN today THEN refused_before
                                   WHEN today - 1 THEN refused ELSE 0 END AS refused_yesterday
            FROM lever_imocha.limits, date_trunc('minute', clock_timestamp()) AS minute,
                 CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date) AS today
            ORDER BY name
            """
        )
        return [Rate(**row._mapping) for row in self._database.rows(query)]

    def people(self, wanted: PeopleFilter, *, limit: int = PAGE) -> list[Person]:
        """Return people by their latest arrival, the newest first."""
        given = {name: value for name, value in vars(wanted).items() if value is not None}
        among = _AMONG.get(wanted.standing) if wanted.standing else None
        entries = _LATEST_OF.format(among=among, columns="*") if among else _ALL
        conditions = [*(_CONDITIONS[name] for name in given), "true" if among else _LATEST]
        if wanted.standing is Standing.DONE:
            conditions.append(_MAY_BE_DONE)
            if len(given) == 1:  # with a period as well, PostgreSQL would look at all of it before it shows the latest
                conditions.append(_HAS_NOTHING_OPEN)
        if wanted.after is not None:
            given["after_at"], given["after_id"] = given.pop("after")
        if wanted.name is not None:
            given["name"] = _beginnings(wanted.name)
        query = text(_PEOPLE.format(entries=entries, where=" AND ".join(conditions)))
        rows = self._database.rows(query.bindparams(**given, limit=limit))
        return [_person(row._mapping) for row in rows]

    def standings(self) -> dict[Standing, int]:
        """Count who is not done, by standing; of more than `AT_MOST`, the latest arrivals."""
        rows = {row.standing: row.people for row in self._database.rows(text(_STANDINGS).bindparams(limit=AT_MOST))}
        return {standing: rows.get(standing, 0) for standing in Standing if standing is not Standing.DONE}

    def attention(
        self, *, overdue_before: datetime, each: int, kind: Problem | None = None, why: str = "", skip: int = 0
    ) -> list[Attention]:
        """Return for whom something is in the way, by kind and reason, the longest waiting of each first.

        :param overdue_before: work that is queued since before this counts as overdue.
        :param each: at most so many for each reason.
        :param kind: with `why`: of one reason only.
        :param skip: of each reason, leave out so many first ones.
        """
        given = {"overdue_before": overdue_before, "each": each, "kind": kind, "why": why, "skip": skip}
        return [
            Attention(**{**row._mapping, "kind": Problem(row.kind)})
            for row in self._database.rows(text(_ATTENTION).bindparams(**given))
        ]

    def of_run(self, run: str, *, task: str | None = None) -> list[Done]:
        """Return what a run of a DAG has done, in that order.

        :param run: as in the events' `Origin`, ``dag/run``.
        :param task: of one task only, ``task/map index``.
        """
        rows = self._database.rows(text(_OF_RUN).bindparams(run=run, task=task))
        return [Done(**row._mapping) for row in rows]

    def timeline(self, opportunity_id: str, *, limit: int = 500) -> list[Moment]:
        """Return what was told, decided and done about an opportunity, the latest first."""
        rows = self._database.rows(text(_TIMELINE).bindparams(id=opportunity_id, limit=limit))
        return [Moment(**row._mapping) for row in rows]


def _person(row: Mapping[str, Any]) -> Person:
    values = {field.name: row[field.name] for field in fields(Person)}
    tests = tuple(_PROGRESS.validate_python(row["tests"]))
    return Person(**{**values, "standing": Standing(row["standing"]), "tests": tests})


def _beginnings(name: str) -> str:
    """Return a query for PostgreSQL's text search: every word begins a word of the name."""
    words = re.findall(r"\w+", name)
    return " & ".join(f"{word}:*" for word in words)
