"""The ledger's tables, in a PostgreSQL schema of their own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "lever_imocha"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def _at(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _claim() -> list[Column[Any]]:
    """Who works on a row; how often it was given back, and when to try again."""
    return [
        Column("claimed_by", Text),
        Column("tries", Integer, nullable=False, server_default="0"),
        _at("not_before"),
    ]


opportunities = Table(
    "opportunities",
    metadata,
    Column("opportunity_id", Text, primary_key=True),
    Column("name", Text),
    Column("reason", Text),
    *_claim(),
)

stage_entries = Table(
    "stage_entries",
    metadata,
    _id(),
    Column("opportunity_id", Text, nullable=False),
    Column("stage_id", Text, nullable=False),
    _at("entered_at", nullable=False),
    Column("first_seen_by", Text, nullable=False),
    _at("first_seen_at", nullable=False),
    _at("pending_since", nullable=False),
    Column("eligibility", Text, nullable=False),
    Column("decision", Text),
    Column("reason", Text),
    Column("detail", Text, nullable=False, server_default=""),
    _at("decided_at"),
    UniqueConstraint("opportunity_id", "stage_id", "entered_at"),
    Index("ix_stage_entries_pending", "entered_at", postgresql_where="decided_at IS NULL"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("test_id", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    _at("invited_at", nullable=False),
    Column("times_invited", Integer, nullable=False),
    Column("times_refreshed", Integer, nullable=False),
    _at("ended_at"),
    _at("checked_at"),
    Index("ix_invitations_open", "checked_at", postgresql_where="ended_at IS NULL"),
)

assessments = Table(
    "assessments",
    metadata,
    _id(),
    Column("opportunity_id", Text, nullable=False),
    Column("test_id", BigInteger, nullable=False),
    Column("entry_id", BigInteger, ForeignKey(stage_entries.c.id), nullable=False),
    Column("trigger_stage_id", Text, nullable=False),
    Column("completed_stage_id", Text, nullable=False),
    Column("form_template", Text, nullable=False),
    Column("invitation_id", BigInteger, ForeignKey(invitations.c.id)),
    _at("intended_at"),
    Column("handled_entry_id", BigInteger, ForeignKey(stage_entries.c.id)),
    Column("left_as", Text),
    _at("written_at"),
    Column("reason", Text),
    *_claim(),
    UniqueConstraint("opportunity_id", "test_id"),
    Index("ix_assessments_invitation_id", "invitation_id"),
)

write_back_steps = Table(
    "write_back_steps",
    metadata,
    Column("invitation_id", BigInteger, ForeignKey(invitations.c.id), primary_key=True),
    Column("opportunity_id", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    _at("started_at", nullable=False),
    _at("done_at"),
    Column("vendor_id", Text),
)

notices = Table(
    "notices",
    metadata,
    Column("opportunity_id", Text, primary_key=True),
    Column("problem", Text, primary_key=True),
    _at("started_at", nullable=False),
    _at("done_at"),
    Column("vendor_id", Text),
)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    Column("vendor", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("opportunity_id", Text),
    Column("invitation_id", BigInteger),
    _at("received_at", nullable=False),
    _at("handled_at"),
    _at("not_before"),
    UniqueConstraint("vendor", "key"),
    Index("ix_deliveries_waiting", "vendor", "opportunity_id", postgresql_where="handled_at IS NULL"),
)

events = Table(
    "events",
    metadata,
    _id(),
    _at("at", nullable=False),
    Column("kind", Text, nullable=False),
    Column("opportunity_id", Text),
    Column("invitation_id", BigInteger),
    Column("test_id", BigInteger),
    Column("detail", Text),
    Index("ix_events_opportunity_id", "opportunity_id"),
)

reference = Table(
    "reference",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    _at("read_at", nullable=False),
)

alerts = Table("alerts", metadata, Column("key", Text, primary_key=True), _at("told_at", nullable=False))

watermarks = Table("watermarks", metadata, Column("name", Text, primary_key=True), _at("at", nullable=False))

limits = Table(
    "limits",
    metadata,
    Column("name", Text, primary_key=True),
    _at("turn_at", nullable=False),
    Column("slowdown", Double, nullable=False, server_default="1"),
    _at("slowed_at"),
    # Lost in a crash of the server, which does no harm, and no turn waits for the disk.
    prefixes=["UNLOGGED"],
)
