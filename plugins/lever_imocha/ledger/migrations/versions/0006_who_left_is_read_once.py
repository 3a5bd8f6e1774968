"""How an opportunity left with an open invitation is remembered, so that it is not read again every hour"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.add_column("assessments", sa.Column("left_as", sa.Text()), schema=SCHEMA)
