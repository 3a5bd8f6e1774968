"""The timeline: what happened to whom, ids only, each event linked to the one before of the same opportunity.

An event's hash is made of that of the event before and of what it says itself, so that a later change, or one that is
missing, shows (`domain.evidence`). The end of each chain is kept beside the events, in `event_chains`: one statement
moves it on and writes the event, and of two workers at once the second waits there for the first.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import event_chains, events
from lever_imocha.ledger.values import Event

SENT = ("invited", "refreshed", "reattempt_given")
"""Kinds of events: iMocha was asked for an e-mail, and has accepted it."""

ABOUT = "coalesce(opportunity_id, 'invitation ' || invitation_id, 'ledger')"
"""SQL: the chain that an event belongs to."""
UTC = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""SQL: a time as text, whatever the zone of the session."""
CONTENT = f"""jsonb_build_array(
    {UTC.format("at")}, kind, opportunity_id, invitation_id, test_id, detail,
    facts, source, actor, run, task
)::text"""
"""SQL: what an event says, as the text of which its hash is made."""


def appended(rows: str) -> str:
    """Return the SQL after a WITH that adds events to the timeline, at most one of each chain.

    Besides its own values it is given those of the database's `author`. As text: SQLAlchemy would compile its ON CONFLICT anew every
    time.

    :param rows: SQL of the columns at, kind, opportunity_id, invitation_id, test_id, detail, facts, in this order.
    """
    return f"""
    told (at, kind, opportunity_id, invitation_id, test_id, detail, facts) AS (
        {rows}
    ), new AS (
        SELECT *, CAST(:source AS text) AS source, CAST(:actor AS text) AS actor, CAST(:run AS text) AS run,
               CAST(:task AS text) AS task
        FROM told
    ), linked AS (
        INSERT INTO {event_chains} AS chain (about, number, hash)
        SELECT {ABOUT}, 1, sha256(convert_to({CONTENT}, 'UTF8')) FROM new
        ON CONFLICT (about) DO UPDATE SET number = chain.number + 1, hash = sha256(chain.hash || excluded.hash)
        RETURNING about, number, hash
    )
    INSERT INTO {events}
        (at, kind, opportunity_id, invitation_id, test_id, detail, facts, source, actor, run, task, number, hash)
    SELECT new.*, linked.number, linked.hash FROM new JOIN linked ON linked.about = {ABOUT}
    """  # noqa: S608 - constants


def about_invitation(invitation_id: int) -> str:
    """Return the chain of the events that are about an invitation only."""
    return f"invitation {invitation_id}"


GIVEN = """
    SELECT CAST(:now AS timestamptz), CAST(:kind AS text), CAST(:opportunity_id AS text), CAST(:invitation_id AS bigint),
           CAST(:test_id AS bigint), CAST(:detail AS text), CAST(:facts AS jsonb)
"""
"""SQL: one event, all of it given."""
_RECORD = text(f"WITH {appended(GIVEN)}")


class Events(LedgerPart):
    """Writes and reads the timeline."""

    def record(
        self,
        kind: str,
        *,
        opportunity_id: str | None = None,
        invitation_id: int | None = None,
        test_id: int | None = None,
        detail: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the timeline; neither `detail` nor `facts` hold personal data.

        :param facts: what it rests on.
        """
        said = {
            "now": self._database.now(), "kind": kind, "opportunity_id": opportunity_id, "invitation_id": invitation_id,
            "test_id": test_id, "detail": detail, "facts": json.dumps(facts) if facts is not None else None,
        }  # fmt: skip
        self._database.execute(_RECORD, said | vars(self._database.author))

    def count(self, kind: str, *, since: datetime, details: Collection[str]) -> int:
        """Return to how many opportunities something happened since a time.

        :param details: of the events that count.
        """
        query = select(func.count(events.c.opportunity_id.distinct())).where(
            events.c.at > since, events.c.kind == kind, events.c.detail.in_(details)
        )
        return int(self._database.value(query))

    def newest(self, opportunity_id: str, kinds: Collection[str]) -> list[Event]:
        """Return an opportunity's events of some kinds, newest first."""
        c = events.c
        query = select(c.at, c.kind, c.test_id, c.invitation_id, c.detail).where(
            c.opportunity_id == opportunity_id, c.kind.in_(kinds)
        )
        return [Event(**row._mapping) for row in self._database.rows(query.order_by(c.id.desc()))]
