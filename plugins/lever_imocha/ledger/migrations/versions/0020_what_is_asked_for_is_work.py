"""What people ask for is work in the queue; it can be about one test, or a part of a request about many

What was asked for and is not done yet becomes work.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "bulk_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("stopped_by", sa.Text()),
        schema=SCHEMA,
    )
    op.add_column("requests", sa.Column("test_id", sa.BigInteger()), schema=SCHEMA)
    op.add_column("requests", sa.Column("bulk_id", sa.BigInteger()), schema=SCHEMA)
    op.add_column("requests", sa.Column("begun_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.create_foreign_key(
        op.f("fk_requests_bulk_id"), "requests", "bulk_requests", ["bulk_id"], ["id"], source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )  # fmt: skip
    op.create_index(
        "ix_requests_bulk_id", "requests", ["bulk_id"], schema=SCHEMA, postgresql_where=sa.text("bulk_id IS NOT NULL")
    )
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.work_items (opportunity_id, kind, queued_at, starts_run)
        SELECT opportunity_id, 'request', min(asked_at), true FROM {SCHEMA}.requests
        WHERE done_at IS NULL GROUP BY opportunity_id
        """  # noqa: S608 - constants
    )
