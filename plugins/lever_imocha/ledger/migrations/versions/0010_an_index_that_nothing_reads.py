"""The index of undecided stage entries goes: the work queue says what is to be done, and deciding is cheaper without it"""

from alembic import op

revision = "0010"
down_revision = "0009"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.drop_index("ix_stage_entries_pending", "stage_entries", schema=SCHEMA)
