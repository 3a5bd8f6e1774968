"""Keeps arrivals in a stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, and_, func, literal_column, or_, select, text, true, update

from lever_imocha.domain.arrivals import ArrivalFacts
from lever_imocha.domain.decisions import Action, Outcome, OverLimit, Reason
from lever_imocha.ledger.events import UTC, appended
from lever_imocha.ledger.tables import DIGEST, deliveries, forgotten, opportunities, stage_entries, watermarks
from lever_imocha.ledger.values import Activation, Decided, NewEntry, StageEntry, Work
from lever_imocha.ledger.watermarks import ACTIVATED, REMOVED
from lever_imocha.ledger.work_queue import QueueingPart

_ENTRY = [stage_entries.c[name] for name in StageEntry.__dataclass_fields__]


_PUT_NAMES = text(
    f"""
    INSERT INTO {opportunities} AS known (opportunity_id, name, seen_at)
    SELECT given.*, CAST(:now AS timestamptz)
    FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[])) AS given (id, name)
    WHERE EXISTS (SELECT FROM {stage_entries} WHERE opportunity_id = given.id)
    ORDER BY given.id  -- two at once lock in the same order
    ON CONFLICT (opportunity_id) DO UPDATE
        SET name = excluded.name, seen_at = excluded.seen_at, missing_since = NULL
        WHERE known.name IS DISTINCT FROM excluded.name OR known.missing_since IS NOT NULL
            OR known.seen_at < excluded.seen_at - interval '1 day'
    """  # noqa: S608 - constants
)
IS_REMOVED = f"""(
    EXISTS (SELECT FROM {forgotten} AS one WHERE one.digest = {DIGEST.format("{0}")} AND {{1}} <= one.at)
    OR EXISTS (SELECT FROM {watermarks} AS every WHERE every.name = '{REMOVED}' AND {{1}} <= every.at)
)"""  # noqa: S608 - constants
"""SQL: whoever arrived then was decided about, and forgotten, or removed because everything was over long ago."""
_WAS_REMOVED = text(f"SELECT {IS_REMOVED.format('CAST(:id AS text)', 'CAST(:entered AS timestamptz)')}")
_CHANGED = "known.decided_at IS NOT NULL AND known.eligibility != excluded.eligibility"
_DECIDED_ANEW = ", ".join(
    f"{column} = CASE WHEN {_CHANGED} THEN excluded.{column} ELSE known.{column} END"
    for column in ("eligibility", "facts", "pending_since", "decided_at")
)
_PUT_ENTRIES = text(
    f"""
    WITH put AS (
    INSERT INTO {stage_entries} AS known (opportunity_id, stage_id, entered_at, eligibility, facts, settings_version,
                                          first_seen_by, first_seen_at, pending_since)
    SELECT id, stage, entered, basis, CAST(facts AS jsonb), version, :seen_by, CAST(:now AS timestamptz),
           CAST(:now AS timestamptz)
    FROM unnest(CAST(:ids AS text[]), CAST(:stages AS text[]), CAST(:times AS timestamptz[]), CAST(:bases AS text[]),
                CAST(:facts AS text[]), CAST(:versions AS bigint[])) AS given (id, stage, entered, basis, facts, version)
    WHERE NOT {IS_REMOVED.format("given.id", "given.entered")} OR (
        SELECT true FROM {stage_entries} AS old
        WHERE old.opportunity_id = given.id AND old.stage_id = given.stage AND old.entered_at = given.entered
    )
    ORDER BY given.id, given.entered  -- two at once lock in the same order
    ON CONFLICT (opportunity_id, stage_id, entered_at) DO UPDATE
        SET {_DECIDED_ANEW}, settings_version = coalesce(excluded.settings_version, known.settings_version)
        WHERE ({_CHANGED}) OR known.settings_version IS DISTINCT FROM
            coalesce(excluded.settings_version, known.settings_version)
    RETURNING opportunity_id, pending_since
    )
    SELECT opportunity_id FROM put WHERE pending_since = CAST(:now AS timestamptz)
    """  # noqa: S608 - constants
)
"""As text, with a list for each column: SQLAlchemy would compile a hundred rows of values anew every time.

Returns who is to be decided about now. Of a change of the settings that asks for nothing new only the version is kept.

An arrival of somebody who was removed is no news, unless it is known, and is not recorded again. A later one is.
"""

_DECIDED = f"""
    SELECT CAST(:now AS timestamptz), CAST(:kind AS text), opportunity_id, CAST(NULL AS bigint), CAST(NULL AS bigint),
           CAST(:why AS text), jsonb_build_object(
               'stage_id', stage_id, 'entered_at', {UTC.format("entered_at")}, 'rests_on', eligibility,
               'facts', facts, 'first_seen_by', first_seen_by, 'webhook_at', (
                   SELECT {UTC.format("min(received_at)")} FROM {deliveries} AS told
                   WHERE told.opportunity_id = changed.opportunity_id AND told.event = 'candidateStageChange'
                       AND told.received_at >= entered_at
               )
           )
    FROM changed
"""  # noqa: S608 - constants
"""SQL: the event of a decision, with what it rests on: webhooks are not kept for as long as the timeline."""
_AS_READ = "(pending_since = coalesce(CAST(:pending_since AS timestamptz), pending_since))"
"""SQL: nothing has asked for another decision since what was decided about was read."""
_DECIDE = text(
    f"""
    WITH changed AS (
        UPDATE {stage_entries} SET decision = :decision, reason = :reason, detail = :detail,
            decided_at = CASE WHEN {_AS_READ} THEN CAST(:now AS timestamptz) END,
            over_limit = CASE WHEN over_limit = '{OverLimit.DROP}' OR NOT {_AS_READ} THEN over_limit END,
            eligibility = coalesce(:eligibility, eligibility), facts = coalesce(CAST(:facts AS jsonb), facts)
        WHERE id = :id
        RETURNING *
    ), {appended(_DECIDED)}
    """  # noqa: S608 - constants
)
_HOLD = text(
    f"""
    WITH changed AS (
        UPDATE {stage_entries} SET decision = '{Action.HOLD}', reason = :reason, detail = ''
        WHERE id = :id AND (decision, reason, detail) IS DISTINCT FROM ('{Action.HOLD}', CAST(:reason AS text), '')
        RETURNING *
    ), {appended(_DECIDED)}
    """  # noqa: S608 - constants
)


class Entries(QueueingPart):
    """Stage entries, and the names that come with them."""

    def record(self, entries: Sequence[NewEntry], *, seen_by: str) -> None:
        """Record arrivals once each, and make deciding about them due.

        A decided one is pending again when what its decision rests on has changed.
        """
        if not entries:
            return
        with self._database.transaction() as connection:
            changed = self._insert(connection, entries, seen_by)
            self._queue.enqueue(changed, Work.INVITE)

    def record_read(self, entry: NewEntry) -> list[StageEntry]:
        """Record the arrival of an opportunity that was just read, and return all of its arrivals nobody has decided.

        Its work item is in the caller's hands: nothing is enqueued.
        """
        with self._database.transaction() as connection:
            self._insert(connection, [entry], "read")
            return self.pending(entry.opportunity_id)

    def _insert(self, connection: Connection, entries: Sequence[NewEntry], seen_by: str) -> list[str]:
        values = {
            "ids": [entry.opportunity_id for entry in entries], "stages": [entry.stage_id for entry in entries],
            "times": [entry.entered_at for entry in entries], "bases": [entry.eligibility for entry in entries],
            "facts": [entry.facts.model_dump_json() if entry.facts else None for entry in entries],
            "versions": [entry.settings_version for entry in entries],
            "seen_by": seen_by, "now": self._database.now(),
        }  # fmt: skip
        changed = list(connection.execute(_PUT_ENTRIES, values).scalars())
        names = {entry.opportunity_id: entry.name for entry in entries}
        connection.execute(_PUT_NAMES, {"ids": list(names), "names": list(names.values()), "now": values["now"]})
        return changed

    def was_removed(self, opportunity_id: str, entered_at: datetime) -> bool:
        """Tell whether an arrival, if the ledger does not know it, is that of somebody who was removed or forgotten."""
        with self._database.statement() as connection:
            values = {"id": opportunity_id, "entered": entered_at}
            return bool(connection.execute(_WAS_REMOVED, values).scalar())

    def pending(self, opportunity_id: str, *, or_held: bool = False) -> list[StageEntry]:
        """Return an opportunity's arrivals nobody has decided, oldest first.

        :param or_held: and those on hold.
        """
        c = stage_entries.c
        open_ = or_(c.decided_at.is_(None), c.decision == Action.HOLD) if or_held else c.decided_at.is_(None)
        query = select(*_ENTRY).where(c.opportunity_id == opportunity_id, open_).order_by(c.entered_at)
        return [StageEntry(**row._mapping) for row in self._database.rows(query)]

    def decide(
        self,
        entry_id: int,
        *,
        decision: Action,
        reason: Reason | None = None,
        detail: str = "",
        eligibility: str | None = None,
        facts: ArrivalFacts | None = None,
        pending_since: datetime | None = None,
    ) -> None:
        """Record what was decided about an arrival, and what that rested on.

        That a person has released it holds for one decision; that a person has dropped it, for good. What has asked for
        another decision since the arrival was read stands: it is decided about again.

        :param detail: what the reason is about: the tag in question.
        :param eligibility: see `Situation.eligibility`; None leaves it as it was, and so it does the facts.
        :param pending_since: of the arrival as it was read; None where nobody else can have asked for anything.
        """
        kind = "decided" if decision.sends else "held" if decision is Action.HOLD else "ignored"
        self._tell(
            _DECIDE, kind, Outcome(decision, reason, detail), id=entry_id, decision=decision.value,
            reason=reason and reason.value, detail=detail, eligibility=eligibility,
            facts=facts.model_dump_json() if facts is not None else None, pending_since=pending_since,
        )  # fmt: skip

    def hold_for_now(self, entry_id: int, reason: Reason) -> None:
        """Record why an arrival waits; it stays undecided, so that it goes on by itself."""
        self._tell(_HOLD, "held", Outcome(Action.HOLD, reason), id=entry_id, reason=reason.value)

    def _tell(self, change: TextClause, kind: str, outcome: Outcome, **values: Any) -> None:
        """Change an entry and tell it to the timeline, with what the decision rests on, in one statement."""
        reason = f"{outcome.reason}{f' ({outcome.detail})' if outcome.detail else ''}" if outcome.reason else None
        said = {"now": self._database.now(), "kind": kind, "why": reason or outcome.action.value}
        self._database.execute(change, said | values | vars(self._database.author))

    def held(self, reasons: Collection[Reason]) -> dict[Reason, int]:
        """Return how many arrivals are on hold for each of these reasons."""
        c = stage_entries.c
        query = (
            select(c.reason, func.count())
            .where(c.decision == literal_column("'hold'"), c.reason.in_(reasons))
            .group_by(c.reason)
        )
        return dict(self._database.rows(query))

    def on_hold(self) -> set[str]:
        """Return the opportunities of which an arrival is on hold."""
        c = stage_entries.c
        return set(self._database.values(select(c.opportunity_id).where(c.decision == literal_column("'hold'"))))

    def of_activation(self) -> Activation | None:
        """Return how far the work has come about those who were there before the activation; None when nobody waits."""
        c, activated = stage_entries.c, select(watermarks.c.at).where(watermarks.c.name == ACTIVATED).scalar_subquery()
        waits = and_(c.decision == literal_column("'hold'"), c.reason == Reason.LIMIT)
        were_there = select(func.count()).where(c.entered_at < activated)
        (waiting,) = self._database.values(were_there.where(waits))
        if not waiting:  # as nearly always: the index of who is held is enough to know it
            return None
        sends = c.decision.in_([action for action in Action if action.sends])
        (sent,) = self._database.values(were_there.where(or_(sends, c.reason == Reason.ALREADY_HANDLED)))
        return Activation(sent=sent, waiting=waiting)

    def settle_held(
        self,
        over_limit: OverLimit,
        reasons: Collection[Reason],
        *,
        opportunity_id: str | None = None,
        asked_at: datetime | None = None,
    ) -> int:
        """Have all whom a limit holds decided again now, as a person says; or one of them.

        :param asked_at: when the person said so: who came later is not meant. None for now.
        :return: how many.
        """
        c = stage_entries.c
        whom = true() if opportunity_id is None else c.opportunity_id == opportunity_id
        if asked_at is not None:
            whom = and_(whom, c.pending_since <= asked_at)
        values = {"over_limit": over_limit, "decided_at": None, "pending_since": self._database.now()}
        settled = (
            update(stage_entries)
            .where(c.decision == literal_column("'hold'"), c.reason.in_(reasons), whom)
            .values(values)
            .returning(c.opportunity_id)
        )
        with self._database.transaction():
            found = self._database.values(settled)
            self._queue.enqueue(found, Work.INVITE)
        return len(found)

    def decided_since(self, entered: datetime) -> list[Decided]:
        """Return the arrivals since a time that were decided, or wait for their turn, with the facts."""
        c = stage_entries.c
        query = (
            select(c.opportunity_id, c.stage_id, c.decision, c.reason, c.detail, c.facts)
            .where(c.entered_at >= entered, c.decision.is_not(None))
            .order_by(c.entered_at)
        )
        return [
            Decided(
                opportunity_id=row.opportunity_id, stage_id=row.stage_id,
                outcome=Outcome(row.decision, row.reason, row.detail),
                facts=ArrivalFacts.model_validate(row.facts) if row.facts else None,
            )
            for row in self._database.rows(query)
        ]  # fmt: skip

    def last(self, opportunity_id: str) -> StageEntry | None:
        """Return an opportunity's latest arrival."""
        query = (
            select(*_ENTRY)
            .where(stage_entries.c.opportunity_id == opportunity_id)
            .order_by(stage_entries.c.entered_at.desc(), stage_entries.c.id.desc())
            .limit(1)
        )
        rows = self._database.rows(query)
        return StageEntry(**rows[0]._mapping) if rows else None
