"""A claim lasts as long as its worker lives"""

from alembic import op

revision = "0008"
down_revision = "0007"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    for table in ("opportunities", "assessments"):
        op.drop_column(table, "claimed_until", schema=SCHEMA)
