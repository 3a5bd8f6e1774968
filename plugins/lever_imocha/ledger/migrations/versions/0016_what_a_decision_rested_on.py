"""What a decision about an arrival rested on is kept with it; of earlier arrivals it is not known."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("stage_entries", sa.Column("facts", JSONB()), schema="lever_imocha")
