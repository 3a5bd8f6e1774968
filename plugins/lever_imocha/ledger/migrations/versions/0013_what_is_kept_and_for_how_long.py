"""What is kept about people can be found, dated and erased: all of their invitations, and when they were last seen

Of ledgers used before, everybody was last seen now: the periods of the settings begin with this upgrade.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

SCHEMA = "lever_imocha"


def upgrade() -> None:
    op.add_column(
        "opportunities",
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_index("ix_opportunities_seen_at", "opportunities", ["seen_at"], schema=SCHEMA)
    op.create_index(
        "ix_opportunities_named", "opportunities", ["seen_at"], schema=SCHEMA,
        postgresql_where=sa.text("name IS NOT NULL"),
    )  # fmt: skip
    op.create_index("ix_assessments_entry_id", "assessments", ["entry_id"], schema=SCHEMA)
    op.create_index("ix_assessments_handled_entry_id", "assessments", ["handled_entry_id"], schema=SCHEMA)
    op.create_index(
        "ix_deliveries_invitation_id", "deliveries", ["invitation_id"], schema=SCHEMA,
        postgresql_where=sa.text("invitation_id IS NOT NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_events_invitation_id", "events", ["invitation_id"], schema=SCHEMA,
        postgresql_where=sa.text("opportunity_id IS NULL"),
    )  # fmt: skip
    op.create_index("ix_events_at", "events", ["at"], schema=SCHEMA)
    op.create_index("ix_alerts_told_at", "alerts", ["told_at"], schema=SCHEMA)
    op.create_table(
        "forgotten",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_forgotten")),
        schema=SCHEMA,
    )
    op.add_column("invitations", sa.Column("masked_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    _create_assessment_invitations()


def _create_assessment_invitations() -> None:
    op.create_table(
        "assessment_invitations",
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("invitation_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("assessment_id", "invitation_id", name=op.f("pk_assessment_invitations")),
        sa.ForeignKeyConstraint(
            ["assessment_id"], [f"{SCHEMA}.assessments.id"], ondelete="CASCADE",
            name=op.f("fk_assessment_invitations_assessment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"], [f"{SCHEMA}.invitations.id"], ondelete="CASCADE",
            name=op.f("fk_assessment_invitations_invitation_id"),
        ),
        schema=SCHEMA,
    )  # fmt: skip
    # The timeline knows the earlier invitations of those who took a test again.
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.assessment_invitations (assessment_id, invitation_id)
        SELECT id, invitation_id FROM {SCHEMA}.assessments WHERE invitation_id IS NOT NULL
        UNION
        SELECT assessments.id, events.invitation_id
        FROM {SCHEMA}.events
        JOIN {SCHEMA}.assessments USING (opportunity_id, test_id)
        JOIN {SCHEMA}.invitations ON invitations.id = events.invitation_id
        """  # noqa: S608 - constants
    )
    op.create_index(
        "ix_assessment_invitations_invitation_id", "assessment_invitations", ["invitation_id"], schema=SCHEMA
    )
    op.execute(
        f"""
        UPDATE {SCHEMA}.invitations SET masked_at = events.at FROM {SCHEMA}.events
        WHERE events.kind IN ('masked', 'mask_by_hand') AND events.invitation_id = invitations.id
        """  # noqa: S608 - constants
    )
