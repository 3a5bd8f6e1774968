"""One work queue, and one table of what was made at a vendor; the work that waits and the steps done are copied"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = "lever_imocha"
OPEN = "status IN ('pending', 'in_progress', 'unknown')"
ENDED = "status IN ('complete', 'test_left', 'terminated')"


def _at(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    _create_tables()
    _copy_work()
    _copy_effects()
    _drop_what_was_copied()
    op.drop_index("ix_invitations_open", "invitations", schema=SCHEMA)
    op.create_index(
        "ix_invitations_open", "invitations", ["status", "checked_at"], schema=SCHEMA, postgresql_where=sa.text(OPEN)
    )
    op.create_index("ix_deliveries_received_at", "deliveries", ["received_at"], schema=SCHEMA)


def _create_tables() -> None:
    op.create_table(
        "work_items",
        _text("opportunity_id", nullable=False),
        _text("kind", nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        _at("queued_at", nullable=False),
        sa.Column("starts_run", sa.Boolean(), nullable=False, server_default=sa.false()),
        _text("claimed_by"),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        _text("error"),
        _at("not_before"),
        _at("parked_at"),
        sa.PrimaryKeyConstraint("opportunity_id", "kind", name=op.f("pk_work_items")),
        schema=SCHEMA,
    )
    op.create_index("ix_work_items_queued_at", "work_items", ["kind", "queued_at"], schema=SCHEMA)
    op.create_table(
        "effects",
        _text("opportunity_id", nullable=False),
        _text("subject", nullable=False),
        _text("step", nullable=False),
        _at("started_at", nullable=False),
        _at("done_at"),
        _text("vendor_id"),
        sa.PrimaryKeyConstraint("opportunity_id", "subject", "step", name=op.f("pk_effects")),
        schema=SCHEMA,
    )
    op.add_column("invitations", _at("called_back_at"), schema=SCHEMA)


def _copy_work() -> None:
    # Undecided stage entries, and webhooks that nobody has acted on.
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.work_items (opportunity_id, kind, queued_at, starts_run, tries, error, not_before)
        SELECT opportunity_id, 'invite', min(since), bool_or(by_webhook), coalesce(min(tries), 0), min(reason),
               max(not_before)
        FROM (
            SELECT opportunity_id, pending_since AS since, false AS by_webhook FROM {SCHEMA}.stage_entries
            WHERE decided_at IS NULL
            UNION ALL
            SELECT opportunity_id, received_at, true FROM {SCHEMA}.deliveries
            WHERE vendor = 'lever' AND handled_at IS NULL AND opportunity_id IS NOT NULL
        ) AS waiting LEFT JOIN {SCHEMA}.opportunities USING (opportunity_id)
        GROUP BY opportunity_id
        """  # noqa: S608 - constants
    )
    # Callbacks that nobody has acted on, and ended attempts that are not written back.
    op.execute(
        f"""
        UPDATE {SCHEMA}.invitations SET called_back_at = received_at FROM {SCHEMA}.deliveries
        WHERE vendor = 'imocha' AND handled_at IS NULL AND invitation_id = invitations.id
        """  # noqa: S608 - constants
    )
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.work_items (opportunity_id, kind, queued_at, starts_run, tries, error, not_before)
        SELECT opportunity_id, 'write_back', min(coalesce(ended_at, called_back_at, now())),
               bool_or(called_back_at IS NOT NULL), min(tries), min(reason), max(not_before)
        FROM {SCHEMA}.assessments JOIN {SCHEMA}.invitations ON invitations.id = invitation_id
        WHERE written_at IS NULL AND ({ENDED} OR called_back_at IS NOT NULL)
        GROUP BY opportunity_id
        """  # noqa: S608 - constants
    )


def _copy_effects() -> None:
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.effects
        SELECT opportunity_id, 'invitation ' || invitation_id, step, started_at, done_at, vendor_id
        FROM {SCHEMA}.write_back_steps
        UNION ALL
        SELECT opportunity_id, problem, 'note', started_at, done_at, vendor_id FROM {SCHEMA}.notices
        """  # noqa: S608 - constants
    )


def _drop_what_was_copied() -> None:
    op.drop_table("write_back_steps", schema=SCHEMA)
    op.drop_table("notices", schema=SCHEMA)
    for table in ("opportunities", "assessments"):
        for column in ("claimed_by", "tries", "not_before", "reason"):
            op.drop_column(table, column, schema=SCHEMA)
    op.drop_index("ix_deliveries_waiting", "deliveries", schema=SCHEMA)
    for column in ("handled_at", "not_before"):
        op.drop_column("deliveries", column, schema=SCHEMA)
