"""What the settings ask of whom is kept with since when, and of each arrival under which version it was last seen

The rules in force become the first version. What was known of tests that were added to rules later becomes versions,
too: who had come before them was not asked, and still is not.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0026"
down_revision = "0025"

_TABLE = sa.table(
    "settings_versions", sa.column("since", sa.DateTime(timezone=True)), sa.column("asks", JSONB), schema="lever_imocha"
)
_ASKS = ("trigger_stage_id", "posting_ids", "tags", "tests", "skip_origins")
_FROM_THE_START = timedelta(minutes=10)
_LONG_AGO = datetime.fromtimestamp(0, tz=UTC)


def upgrade() -> None:
    op.create_table(
        "settings_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asks", JSONB(), nullable=False),
        schema="lever_imocha",
    )
    op.add_column("stage_entries", sa.Column("settings_version", sa.BigInteger()), schema="lever_imocha")
    op.execute(
        """
        UPDATE lever_imocha.stage_entries SET reason = 'was in the stage before the settings asked for a test'
        WHERE reason = 'was in the stage before the integration was activated'
        """
    )
    read = op.get_bind().execute
    marks = {row.name: row.at for row in read(sa.text("SELECT name, at FROM lever_imocha.watermarks"))}
    used = read(sa.text("SELECT value->'rules' FROM lever_imocha.reference WHERE key = 'lever'")).scalar()
    rules = [
        {"completed_stage_id": "", "form_template": "", **{key: rule[key] for key in _ASKS if key in rule}}
        for rule in used or ()
        if "trigger_stage_id" in rule
    ]

    def since(rule: dict[str, Any], test_id: int) -> datetime:
        asked = marks.get(f"rule of {rule['trigger_stage_id']} asks for {test_id}", _LONG_AGO)
        begun = marks.get(f"trigger stage {rule['trigger_stage_id']}", asked)
        return _LONG_AGO if asked - begun < _FROM_THE_START else asked

    times = {since(rule, test_id) for rule in rules for test_id in rule.get("tests", ())}
    for at in sorted({_LONG_AGO, *times}) if rules else ():
        then = [{**one, "tests": [test for test in one.get("tests", ()) if since(one, test) <= at]} for one in rules]
        op.execute(sa.insert(_TABLE).values(since=at, asks={"rules": then}))
    op.execute("DELETE FROM lever_imocha.watermarks WHERE name LIKE 'rule of %'")
