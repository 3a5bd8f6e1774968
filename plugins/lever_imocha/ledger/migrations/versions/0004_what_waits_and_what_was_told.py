"""What waits too long is told once"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.add_column("stage_entries", sa.Column("pending_since", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.execute(f"UPDATE {SCHEMA}.stage_entries SET pending_since = first_seen_at")  # noqa: S608 - a constant
    op.alter_column("stage_entries", "pending_since", nullable=False, schema=SCHEMA)
    op.create_table(
        "alerts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
        schema=SCHEMA,
    )
