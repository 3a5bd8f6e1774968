"""Each trigger stage keeps since when it is one

Where somebody arrived before, that is the activation; where nobody did, the next sweep says it.
"""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute(
        """
        INSERT INTO lever_imocha.watermarks (name, at)
        SELECT DISTINCT 'trigger stage ' || e.stage_id, w.at
        FROM lever_imocha.stage_entries e CROSS JOIN lever_imocha.watermarks w
        WHERE w.name = 'activated'
        """
    )
