"""What the console asks for, and the indexes by which it finds people"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("opportunity_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text()),
        schema=SCHEMA,
    )
    op.create_index("ix_requests_opportunity_id", "requests", ["opportunity_id"], schema=SCHEMA)
    op.create_index("ix_requests_open", "requests", ["id"], schema=SCHEMA, postgresql_where="done_at IS NULL")
    op.create_index("ix_stage_entries_entered_at", "stage_entries", ["entered_at", "id"], schema=SCHEMA)
    op.create_index("ix_assessments_test_id", "assessments", ["test_id", "entry_id"], schema=SCHEMA)
    op.create_index(
        "ix_opportunities_name", "opportunities", [sa.text("to_tsvector('simple', name)")], schema=SCHEMA,
        postgresql_using="gin",
    )  # fmt: skip
