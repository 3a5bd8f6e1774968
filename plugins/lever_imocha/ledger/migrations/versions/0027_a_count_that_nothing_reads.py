"""How often an invitation was refreshed is counted no more: nothing reads it, and the timeline says when"""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.drop_column("invitations", "times_refreshed", schema="lever_imocha")
