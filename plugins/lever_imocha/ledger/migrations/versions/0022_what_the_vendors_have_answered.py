"""The limiter keeps each API's last answer, and counts how often it has answered 429"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0022"
down_revision = "0021"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    for column in (
        sa.Column("answered", JSONB()),
        sa.Column("refused_on", sa.Date()),
        sa.Column("refused", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("refused_before", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("limits", column, schema=SCHEMA)
