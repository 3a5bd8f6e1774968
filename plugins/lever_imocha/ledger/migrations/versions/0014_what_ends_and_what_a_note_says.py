"""Troubles whose end is told, notes that are changed, and until when an invitation can be used

What people were told of is forgotten: what still lasts is told once more.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.execute(f"DELETE FROM {SCHEMA}.alerts")  # noqa: S608 - a constant
    for name in ("source", "about"):
        op.add_column("alerts", sa.Column(name, sa.Text(), nullable=False, server_default=""), schema=SCHEMA)
    op.add_column("alerts", sa.Column("error", sa.Text()), schema=SCHEMA)
    op.add_column("alerts", sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()), schema=SCHEMA)
    op.create_index("ix_alerts_source", "alerts", ["source"], schema=SCHEMA)
    op.add_column("effects", sa.Column("content", JSONB()), schema=SCHEMA)
    op.add_column("invitations", sa.Column("expires_at", sa.DateTime(timezone=True)), schema=SCHEMA)
