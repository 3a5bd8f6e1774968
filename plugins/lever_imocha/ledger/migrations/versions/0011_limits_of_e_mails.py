"""E-mails are counted, and who was in the stage before the first sweep is known

A ledger that was used before was activated long ago: nothing changes for who is in the stage there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("opportunity_id", sa.Text(), nullable=False),
        sa.Column("test_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        schema=SCHEMA,
    )
    op.create_index("ix_mails_at", "mails", ["at"], schema=SCHEMA)
    op.create_index("ix_mails_opportunity_id", "mails", ["opportunity_id"], schema=SCHEMA)
    op.create_index(
        "uq_mails_unanswered",
        "mails",
        ["opportunity_id", "test_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("answered_at IS NULL"),
    )
    op.add_column("stage_entries", sa.Column("over_limit", sa.Text()), schema=SCHEMA)
    op.create_index(
        "ix_stage_entries_held",
        "stage_entries",
        ["reason"],
        schema=SCHEMA,
        postgresql_where=sa.text("decision = 'hold'"),
    )
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.watermarks (name, at)
        SELECT 'activated', to_timestamp(0)
        WHERE EXISTS (SELECT FROM {SCHEMA}.watermarks WHERE name LIKE 'lever.%')
           OR EXISTS (SELECT FROM {SCHEMA}.stage_entries)
        ON CONFLICT DO NOTHING
        """  # noqa: S608 - constants
    )
