"""E-mails to one candidate are counted over all the person's opportunities

Those that were sent before are counted for their own opportunity only; a week later they are not counted any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.add_column("mails", sa.Column("contact_id", sa.Text()), schema=SCHEMA)
    op.create_index("ix_mails_contact_id", "mails", ["contact_id"], schema=SCHEMA)
