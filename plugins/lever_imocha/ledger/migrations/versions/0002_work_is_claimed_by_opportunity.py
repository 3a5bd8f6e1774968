"""Work is claimed by opportunity, and deliveries are kept"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "opportunities",
        sa.Column("opportunity_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("opportunity_id", name=op.f("pk_opportunities")),
        schema=SCHEMA,
    )
    op.execute(
        f"INSERT INTO {SCHEMA}.opportunities (opportunity_id, name)"  # noqa: S608 - a constant
        f" SELECT opportunity_id, max(name) FROM {SCHEMA}.stage_entries GROUP BY opportunity_id"
    )
    for column in ("name", "claimed_by", "claimed_until", "tries", "not_before"):
        op.drop_column("stage_entries", column, schema=SCHEMA)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("opportunity_id", sa.Text(), nullable=True),
        sa.Column("invitation_id", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("vendor", "key", name=op.f("uq_deliveries_vendor_key")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["vendor", "opportunity_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where="handled_at IS NULL",
    )
