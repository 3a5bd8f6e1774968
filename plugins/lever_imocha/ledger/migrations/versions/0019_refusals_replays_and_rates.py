"""Refused deliveries are counted, a delivery can be asked for again, and the limiter counts requests"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "refusals",
        sa.Column("vendor", sa.Text(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("why", sa.Text(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("requests", sa.Column("delivery_id", sa.BigInteger()), schema=SCHEMA)
    for column in (
        sa.Column("gap", sa.Double()),
        sa.Column("minute_at", sa.DateTime(timezone=True)),
        sa.Column("taken", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("taken_before", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("limits", column, schema=SCHEMA)
