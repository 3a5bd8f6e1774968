"""Test links that were asked for on the console, sealed for one browser, until they are read"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "sealed_links",
        sa.Column("request_id", sa.BigInteger(), primary_key=True),
        sa.Column("test_id", sa.BigInteger(), primary_key=True),
        sa.Column("opportunity_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text()),
        sa.ForeignKeyConstraint(["request_id"], [f"{SCHEMA}.requests.id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index("ix_sealed_links_opportunity_id", "sealed_links", ["opportunity_id"], schema=SCHEMA)
