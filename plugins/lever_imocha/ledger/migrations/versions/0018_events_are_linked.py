"""Events say who did them and in which run, what they rest on, and are linked to the one before

What people have asked for becomes a part of the timeline. Events from before have no link.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    for column in (
        sa.Column("facts", JSONB()),
        sa.Column("source", sa.Text()),
        sa.Column("actor", sa.Text()),
        sa.Column("run", sa.Text()),
        sa.Column("task", sa.Text()),
        sa.Column("number", sa.Integer()),
        sa.Column("hash", sa.LargeBinary()),
    ):
        op.add_column("events", column, schema=SCHEMA)
    op.create_index("ix_events_run", "events", ["run"], schema=SCHEMA, postgresql_using="hash")
    op.create_table(
        "event_chains",
        sa.Column("about", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("removed_hash", sa.LargeBinary()),
        schema=SCHEMA,
    )
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.events (at, kind, opportunity_id, detail, source, actor)
        SELECT * FROM (
            SELECT asked_at AS at, 'asked_' || act, opportunity_id, reason, 'console', actor FROM {SCHEMA}.requests
            UNION ALL
            SELECT done_at, 'done_' || act, opportunity_id, outcome, NULL, actor FROM {SCHEMA}.requests
            WHERE done_at IS NOT NULL
        ) AS told ORDER BY at
        """  # noqa: S608 - a constant
    )
