"""Why somebody was (not) invited, moved, archived: all that the ledger knows of it, without names, and verified."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Row, text

from lever_imocha.domain.evidence import ChainEnd, Link, Verification, verify
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.events import ABOUT, CONTENT
from lever_imocha.ledger.overview.people import People, PeopleFilter, Person
from lever_imocha.ledger.overview.timeline import Moment, Timeline

_AT_MOST = 20_000
_HOW = (
    "digest = SHA-256 of an event's content in UTF-8. The hash of a chain's first event is its digest; that of each further"
    " event is SHA-256 of the hash before it (32 bytes) and its own digest (32 bytes). A chain"
    " whose first events were removed goes on from its removed_hash."
)
_CHAINS = text(
    f"""
    WITH mine AS (
        SELECT known.invitation_id FROM lever_imocha.assessments
        JOIN lever_imocha.assessment_invitations known ON known.assessment_id = assessments.id
        WHERE opportunity_id = :id
    ), recorded AS (
        SELECT * FROM lever_imocha.events WHERE opportunity_id = :id
        UNION ALL
        SELECT * FROM lever_imocha.events
        WHERE opportunity_id IS NULL AND invitation_id IN (SELECT invitation_id FROM mine)
    ), link AS (
        SELECT id, {ABOUT} AS about, at, number, encode(hash, 'hex') AS hash, {CONTENT} AS content FROM recorded
    ), chain AS (
        SELECT about, number, encode(hash, 'hex') AS hash, removed, encode(removed_hash, 'hex') AS removed_hash
        FROM lever_imocha.event_chains
        WHERE about IN (SELECT CAST(:id AS text) UNION ALL SELECT 'invitation ' || invitation_id FROM mine)
    )
    SELECT coalesce(chain.about, link.about) AS about, link.id, link.at, link.number, link.hash, link.content,
           chain.number AS end_number, chain.hash AS end_hash, chain.removed, chain.removed_hash
    FROM link FULL JOIN chain ON chain.about = link.about
    ORDER BY 1, link.id
    """  # noqa: S608 - constants
)
"""One statement: what is written meanwhile would look as if it was missing."""


class Evidence(LedgerPart):
    """Evidence."""

    def of(self, opportunity_id: str) -> dict[str, Any] | None:
        """Return all that is known of an opportunity, as JSON values; None when nothing is known.

        The candidate's name is left out; the names in Airflow of those who asked for something are in it.
        """
        people = People(self._database).listed(PeopleFilter(opportunity_id=opportunity_id), limit=1)
        moments = Timeline(self._database).of(opportunity_id, limit=_AT_MOST)[::-1]
        rows = self._database.rows(_CHAINS.bindparams(id=opportunity_id))
        if not moments and not rows:
            return None
        return {
            "opportunity_id": opportunity_id,
            "made_at": _utc(self._database.now()),
            "decision": _decision(people[0]) if people else None,
            "chains": [_chain(about, list(links)) for about, links in groupby(rows, lambda row: str(row.about))],
            "how_to_verify": _HOW,
            "events": [_event(moment) for moment in moments],
        }


def as_json(evidence: dict[str, Any]) -> str:
    """Return evidence as the text of a file."""
    return json.dumps(evidence, indent=2, ensure_ascii=False) + "\n"


def _utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at is not None else None


def _decision(person: Person) -> dict[str, Any]:
    """Return the last decision, and what came of it."""
    return {
        "stage_id": person.stage_id, "entered_at": _utc(person.entered_at), "decision": person.decision,
        "reason": person.reason, "detail": person.detail, "rests_on": person.facts, "at": _utc(person.decided_at),
        "tests": [
            vars(test) | {name: _utc(getattr(test, name)) for name in ("invited_at", "ended_at", "written_at")}
            for test in person.tests
        ],
    }  # fmt: skip


def _chain(about: str, rows: list[Row[Any]]) -> dict[str, Any]:
    found, end = _verified(rows), rows[0]
    return {
        "about": about, "unbroken": found.is_unbroken, "broken_at": found.broken_at, "says": found.said,
        "events": end.end_number or 0, "hash": end.end_hash, "removed": end.removed or 0,
        "removed_hash": end.removed_hash,
    }  # fmt: skip


def _verified(rows: list[Row[Any]]) -> Verification:
    links = [
        Link(at=f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", number=row.number, hash=row.hash, content=row.content)
        for row in rows
        if row.id is not None
    ]
    first = rows[0]
    if first.end_number is None:
        return verify(links, None)
    end = ChainEnd(number=first.end_number, hash=first.end_hash, removed=first.removed, removed_hash=first.removed_hash)
    return verify(links, end)


def _event(moment: Moment) -> dict[str, Any]:
    return vars(moment) | {"at": _utc(moment.at)}
