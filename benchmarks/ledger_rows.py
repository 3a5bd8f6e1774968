"""Fills a ledger with the history of many candidates, by SQL alone.

Candidate `n` of `count` is named by its number. The last ones are those something is to be done about:

================  ====================================================================
to invite         a stage entry that nobody has decided, and a work item
open              an invitation that can be taken, or is being taken
to write          an ended attempt and a work item: due, waiting for a next try, parked
all before them   history: written back (86 %), expired (10 %), cancelled (2 %), and so on
================  ====================================================================
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lever_imocha.ledger.tables import SCHEMA
from sqlalchemy import Engine, text

EVERY = timedelta(seconds=95)
"""From one candidate to the next: a million in three years."""
STAGE, COMPLETED, FORM = "lead-new", "lead-tested", "Assessment report"
WORKERS = 8


@dataclass(frozen=True)
class Rows:
    """Which candidates there are.

    :param count: a million, or fewer; of fewer, fewer are waiting.
    """

    count: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def _share(self, of_a_million: int) -> int:
        return max(40, of_a_million * self.count // 1_000_000)

    @property
    def to_invite(self) -> range:
        """Whose stage entry nobody has decided."""
        return range(self.count - self._share(2000) + 1, self.count + 1)

    @property
    def claimable(self) -> range:
        """Those of them whose work item no worker holds."""
        return self.to_invite[: -2 * WORKERS]

    @property
    def open(self) -> range:
        """Who can take the test, or is taking it."""
        return range(self.to_invite.start - self._share(2000), self.to_invite.start)

    @property
    def to_write(self) -> range:
        """Whose report is due."""
        return range(self.open.start - self._share(200), self.open.start)

    @property
    def waiting(self) -> range:
        """Whose report could not be written, and is tried again later."""
        return range(self.to_write.start - self._share(500), self.to_write.start)

    @property
    def parked(self) -> range:
        """Whose report could not be written, and is not tried again."""
        return range(self.waiting.start - self._share(50), self.waiting.start)

    @property
    def expired(self) -> range:
        """Whose invitation expired."""
        return range(10, self.parked.start, 10)

    @property
    def written(self) -> range:
        """Some of those whose report is in Lever."""
        return range(7, self.parked.start, 50)

    @staticmethod
    def key(number: int) -> str:
        """Return the opportunity's id: as Lever's ids are in no order, nor are these."""
        return str(uuid.UUID(hashlib.md5(f"opportunity {number}".encode(), usedforsecurity=False).hexdigest()))

    @staticmethod
    def delivery_key(number: int) -> str:
        """Return the key of the delivery about a candidate."""
        return hashlib.md5(f"delivery {number}".encode(), usedforsecurity=False).hexdigest()

    def entered_at(self, number: int) -> datetime:
        """Return when a candidate entered the stage."""
        return self.now - (self.count - number) * EVERY


def fill(engine: Engine, rows: Rows) -> None:
    """Fill an empty ledger, and bring PostgreSQL's statistics up to date.

    :param engine: a superuser's, as only that one can leave out checks and have a checkpoint made.
    """
    values = {
        "count": rows.count, "now": rows.now, "every": EVERY, "stage": STAGE, "completed": COMPLETED, "form": FORM,
        "workers": WORKERS, "history": rows.parked.start - 1, "parked": rows.parked.stop - 1,
        "waiting": rows.waiting.stop - 1, "to_write": rows.to_write.stop - 1, "open": rows.open.stop - 1,
    }  # fmt: skip
    settings = (
        f"search_path = {SCHEMA}, pg_temp", "statement_timeout = 0", "work_mem = '256MB'",
        "session_replication_role = replica",  # foreign keys are right by construction
    )  # fmt: skip
    with engine.begin() as connection:
        for setting in settings:
            connection.execute(text(f"SET LOCAL {setting}"))
        for statement in _FILL:
            connection.execute(text(statement), values)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("RESET statement_timeout"))


_FILL = (
    """
    CREATE TEMP TABLE candidate ON COMMIT DROP AS
    SELECT n, md5('opportunity ' || n)::uuid::text AS id, :now - (:count - n) * CAST(:every AS interval) AS at,
           CASE WHEN n > :open THEN NULL
                WHEN n > :to_write
                THEN (ARRAY['in_progress', 'unknown'] || array_fill('pending'::text, ARRAY[8]))[1 + n % 10]
                WHEN n > :history THEN 'complete'
                WHEN n % 10 = 0 THEN 'expired'
                WHEN n % 50 = 1 THEN 'cancelled'
                WHEN n % 50 = 2 THEN 'terminated'
                WHEN n % 25 = 3 THEN 'test_left'
                ELSE 'complete' END AS status
    FROM generate_series(1, :count) AS n
    """,
    "ANALYZE candidate",
    """
    INSERT INTO opportunities (opportunity_id, name, seen_at)
    SELECT id, CASE WHEN n > :count - 30000 THEN 'Candidate Number ' || n END, at FROM candidate
    """,
    """
    INSERT INTO stage_entries (id, opportunity_id, stage_id, entered_at, first_seen_by, first_seen_at, pending_since,
                               eligibility, decision, decided_at)
    SELECT n, id, :stage, at, 'sweep', at, at, 'tests [101]', CASE WHEN n <= :open THEN 'invite' END,
           CASE WHEN n <= :open THEN at END
    FROM candidate
    """,
    """
    INSERT INTO invitations (id, test_id, status, invited_at, times_invited, ended_at, checked_at)
    SELECT n, 101, status, at, 1, CASE WHEN n <= :to_write THEN at + interval '1 day' END,
           CASE WHEN n > :to_write AND n % 2 = 0 THEN :now - n % 600 * interval '1 minute' END
    FROM candidate WHERE n <= :open
    """,
    """
    INSERT INTO assessments (id, opportunity_id, test_id, entry_id, trigger_stage_id, completed_stage_id,
                             form_template, invitation_id, handled_entry_id, left_as, written_at)
    SELECT n, id, 101, n, :stage, :completed, :form, n, n, CASE WHEN status = 'cancelled' THEN 'archived' END,
           CASE WHEN n <= :history AND status IN ('complete', 'test_left', 'terminated') THEN at + interval '1 day' END
    FROM candidate WHERE n <= :open
    """,
    """
    INSERT INTO assessment_invitations SELECT n, n FROM candidate WHERE n <= :open
    """,
    """
    INSERT INTO effects
    SELECT id, 'invitation ' || n, step, at, at, md5(step || n)::uuid::text
    FROM candidate CROSS JOIN unnest(ARRAY['form', 'note', 'stage', 'file']) AS step
    WHERE n <= :history AND status IN ('complete', 'test_left', 'terminated') AND (step != 'file' OR n % 2 = 0)
    ORDER BY id
    """,
    """
    INSERT INTO events (at, kind, opportunity_id, invitation_id, test_id)
    SELECT at + number * interval '1 hour', kind, CASE WHEN kind != 'complete' THEN id END, n, 101
    FROM unnest(ARRAY['invited', 'complete', 'form_done', 'stage_done', 'written_back'])
             WITH ORDINALITY AS given (kind, number), candidate
    WHERE n <= :open
    """,
    """
    INSERT INTO deliveries (vendor, key, event, opportunity_id, invitation_id, received_at)
    SELECT CASE n % 2 WHEN 1 THEN 'lever' ELSE 'imocha' END, md5('delivery ' || n),
           CASE n % 2 WHEN 1 THEN 'candidateStageChange' ELSE 'complete' END, CASE n % 2 WHEN 1 THEN id END,
           CASE n % 2 WHEN 0 THEN n END, at
    FROM candidate
    """,
    """
    INSERT INTO work_items (opportunity_id, kind, queued_at, starts_run, claimed_by)
    SELECT id, 'invite', at, n % 2 = 0,
           CASE WHEN n > :count - :workers THEN 'living ' || n % :workers
                WHEN n > :count - 2 * :workers THEN 'dead ' || n % :workers END
    FROM candidate WHERE n > :open
    """,
    """
    INSERT INTO work_items (opportunity_id, kind, queued_at, starts_run, tries, error, not_before, parked_at)
    SELECT id, 'write_back', at + interval '1 day', n % 2 = 0, CASE WHEN n <= :waiting THEN 3 ELSE 0 END,
           CASE WHEN n <= :waiting THEN 'RequestRejectedError' END,
           CASE WHEN n > :parked AND n <= :waiting THEN :now + interval '1 day' END, CASE WHEN n <= :parked THEN at END
    FROM candidate WHERE n > :history AND n <= :to_write
    """,
    """
    INSERT INTO alerts (key, told_at, source, told)
    SELECT 'parked ' || n, :now, 'benchmark', true FROM generate_series(1, CAST(:count AS bigint) / 100) AS n
    """,
    """
    INSERT INTO reference (key, value, read_at)
    SELECT 'lever', jsonb_build_object('rules', jsonb_agg(jsonb_build_object(
               'trigger_stage_id', CASE n WHEN 20 THEN CAST(:stage AS text) ELSE 'stage ' || n END,
               'completed_stage_id', CAST(:completed AS text), 'form_template', CAST(:form AS text)))), :now
    FROM generate_series(1, 20) AS n
    """,
    "SELECT setval(pg_get_serial_sequence('stage_entries', 'id'), :count),"
    " setval(pg_get_serial_sequence('assessments', 'id'), :count)",
)
