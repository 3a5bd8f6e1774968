"""What is needed before something is taken for a fact: since when, how often, and whether it is newer"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.create_index("ix_deliveries_opportunity_id", "deliveries", ["opportunity_id"], schema=SCHEMA)
    op.add_column("opportunities", sa.Column("missing_since", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.add_column("invitations", sa.Column("revived_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.add_column(
        "assessments", sa.Column("mails_tried", sa.Integer(), nullable=False, server_default="0"), schema=SCHEMA
    )
