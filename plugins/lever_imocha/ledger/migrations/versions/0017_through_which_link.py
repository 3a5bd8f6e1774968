"""Through which test link the last invite went is remembered: a repeat after a lost answer takes the same one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("assessments", sa.Column("link_id", sa.BigInteger()), schema="lever_imocha")
