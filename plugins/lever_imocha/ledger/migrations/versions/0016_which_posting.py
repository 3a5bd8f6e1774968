"""Which posting a stage entry is for, so that the console can count by posting"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("stage_entries", sa.Column("posting_id", sa.Text()), schema="lever_imocha")
