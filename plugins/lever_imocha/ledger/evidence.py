"""Why somebody was (not) invited, moved, archived: all that the ledger knows of it, without names, and verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from lever_imocha.domain.evidence import ChainEnd, Link, verify
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.events import ABOUT, CONTENT
from lever_imocha.ledger.overview.people import People, PeopleFilter, Person
from lever_imocha.ledger.overview.shared import as_one
from lever_imocha.ledger.overview.timeline import TIMELINE, Moment

_AT_MOST = 20_000
_HOW = (
    "digest = SHA-256 of an event's content in UTF-8. The hash of a chain's first event is its digest; that of each further"
    " event is SHA-256 of the hash before it (32 bytes) and its own digest (32 bytes). A chain"
    " whose first events were removed goes on from its removed_hash."
)
_INVITATIONS = """
    SELECT known.invitation_id FROM lever_imocha.assessments
    JOIN lever_imocha.assessment_invitations known ON known.assessment_id = assessments.id
    WHERE opportunity_id = :id
"""
_QUERY = as_one(
    moments=TIMELINE,
    links=f"""
    SELECT {ABOUT} AS about, at, number, encode(hash, 'hex') AS hash, {CONTENT} AS content
    FROM (
        SELECT * FROM lever_imocha.events WHERE opportunity_id = :id
        UNION ALL
        SELECT * FROM lever_imocha.events WHERE opportunity_id IS NULL AND invitation_id IN ({_INVITATIONS})
    ) recorded
    ORDER BY id
    """,  # noqa: S608 - constants
    ends=f"""
    SELECT about, number, encode(hash, 'hex') AS hash, removed, encode(removed_hash, 'hex') AS removed_hash
    FROM lever_imocha.event_chains
    WHERE about IN (
        SELECT CAST(:id AS text) UNION ALL SELECT 'invitation ' || invitation_id FROM ({_INVITATIONS}) mine
    )
    """,  # noqa: S608 - constants
)


@dataclass(frozen=True, kw_only=True)
class _Link:
    """An event's place in its chain; see `Link`."""

    about: str
    at: datetime
    number: int | None
    hash: str | None
    content: str


@dataclass(frozen=True, kw_only=True)
class _End(ChainEnd):
    """What is known of a chain beside its events."""

    about: str


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What is known of an opportunity, of one moment: what is written meanwhile would look as if it was missing."""

    moments: list[Moment]
    links: list[_Link]
    ends: list[_End]

    @property
    def chains(self) -> list[dict[str, Any]]:
        """Each chain of events, verified."""
        ends = {end.about: end for end in self.ends}
        links: dict[str, list[_Link]] = {about: [] for about in ends}
        for link in self.links:
            links.setdefault(link.about, []).append(link)
        return [_chain(about, links[about], ends.get(about)) for about in sorted(links)]


_FOUND = TypeAdapter(_Found)


class Evidence(LedgerPart):
    """Evidence."""

    def of(self, opportunity_id: str) -> dict[str, Any] | None:
        """Return all that is known of an opportunity, as JSON values; None when nothing is known.

        The candidate's name is left out; the names in Airflow of those who asked for something are in it.
        """
        people = People(self._database).listed(PeopleFilter(opportunity_id=opportunity_id), limit=1)
        (row,) = self._database.rows(_QUERY.bindparams(id=opportunity_id, limit=_AT_MOST))
        found = _FOUND.validate_python(row._asdict())
        if not (found.moments or found.links or found.ends):
            return None
        return {
            "opportunity_id": opportunity_id,
            "made_at": _utc(self._database.now()),
            "decision": _decision(people[0]) if people else None,
            "chains": found.chains,
            "how_to_verify": _HOW,
            "events": [_event(moment) for moment in reversed(found.moments)],
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


def _chain(about: str, links: list[_Link], end: ChainEnd | None) -> dict[str, Any]:
    written = [
        Link(at=f"{one.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", number=one.number, hash=one.hash, content=one.content)
        for one in links
    ]
    found = verify(written, end)
    return {
        "about": about, "unbroken": found.is_unbroken, "broken_at": found.broken_at, "says": found.said,
        "events": end.number if end else 0, "hash": end.hash if end else None, "removed": end.removed if end else 0,
        "removed_hash": end.removed_hash if end else None,
    }  # fmt: skip


def _event(moment: Moment) -> dict[str, Any]:
    return vars(moment) | {"at": _utc(moment.at)}
