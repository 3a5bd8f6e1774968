"""An assessment keeps a number below 256 of the invited address, to notice a report that is somebody else's"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("assessments", sa.Column("address_check", sa.SmallInteger()), schema="lever_imocha")
