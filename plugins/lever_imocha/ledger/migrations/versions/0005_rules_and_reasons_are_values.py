"""What was one text becomes columns: the rule an assessment was begun under, and what a decision's reason is about"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = "lever_imocha"
RULE = ("trigger_stage_id", "completed_stage_id", "form_template")


def upgrade() -> None:
    for column in RULE:
        op.add_column("assessments", sa.Column(column, sa.Text()), schema=SCHEMA)
    op.execute(
        f"UPDATE {SCHEMA}.assessments SET trigger_stage_id = split_part(rule_key, '|', 1),"  # noqa: S608 - a constant
        " completed_stage_id = split_part(rule_key, '|', 2),"
        " form_template = regexp_replace(rule_key, '^[^|]*[|][^|]*[|]', '')"
    )
    for column in RULE:
        op.alter_column("assessments", column, nullable=False, schema=SCHEMA)
    op.drop_column("assessments", "rule_key", schema=SCHEMA)
    op.add_column("stage_entries", sa.Column("detail", sa.Text(), server_default="", nullable=False), schema=SCHEMA)
    op.execute(
        f"UPDATE {SCHEMA}.stage_entries SET detail = (regexp_match(reason, '^.*? [(](.*)[)]$'))[1],"  # noqa: S608 - a constant
        " reason = (regexp_match(reason, '^(.*?) [(].*[)]$'))[1] WHERE reason ~ '^.*? [(].*[)]$'"
    )
