"""Problems are noted in Lever once"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("opportunity_id", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vendor_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("opportunity_id", "problem", name=op.f("pk_notices")),
        schema=SCHEMA,
    )
