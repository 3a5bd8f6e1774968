"""The shared limiter keeps one row for each API; the tables in which turns were counted go"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("turn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slowdown", sa.Double(), nullable=False, server_default="1"),
        sa.Column("slowed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_limits")),
        schema=SCHEMA,
        prefixes=["UNLOGGED"],
    )
    # pyrate-limiter made these, when a process first asked for a turn.
    op.execute(f"DROP TABLE IF EXISTS {SCHEMA}.ratelimit___lever, {SCHEMA}.ratelimit___imocha")
