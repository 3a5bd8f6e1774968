"""The ledger's tables, in a PostgreSQL schema of their own."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from lever_imocha.domain.acts import Act
from lever_imocha.domain.decisions import Action, Departure, OverLimit, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger.values import Work

E = TypeVar("E", bound=StrEnum)

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


class Word(TypeDecorator[E], Generic[E]):
    """A text column whose values are those of an enum."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        """Return what is stored."""
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """Return what was stored."""
        return None if value is None else self.kind(value)


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def _at(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


opportunities = Table(
    "opportunities",
    metadata,
    Column("opportunity_id", Text, primary_key=True),
    Column("name", Text),
    _at("missing_since"),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_opportunities_seen_at", "seen_at"),
    Index("ix_opportunities_named", "seen_at", postgresql_where="name IS NOT NULL"),
    Index("ix_opportunities_name", text("to_tsvector('simple', name)"), postgresql_using="gin"),
)

work_items = Table(
    "work_items",
    metadata,
    Column("opportunity_id", Text, primary_key=True),
    Column("kind", Word(Work), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default="1"),
    _at("queued_at", nullable=False),
    Column("starts_run", Boolean, nullable=False, server_default=false()),
    Column("claimed_by", Text),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    _at("not_before"),
    _at("parked_at"),
    Index("ix_work_items_queued_at", "kind", "queued_at"),
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
    Column("decision", Word(Action)),
    Column("reason", Word(Reason)),
    Column("detail", Text, nullable=False, server_default=""),
    _at("decided_at"),
    Column("over_limit", Word(OverLimit)),
    Column("facts", JSONB),
    Column("settings_version", BigInteger),
    UniqueConstraint("opportunity_id", "stage_id", "entered_at"),
    Index("ix_stage_entries_entered_at", "entered_at", "id"),
    Index("ix_stage_entries_held", "reason", postgresql_where="decision = 'hold'"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("test_id", BigInteger, nullable=False),
    Column("status", Word(AttemptStatus), nullable=False),
    _at("invited_at", nullable=False),
    Column("times_invited", Integer, nullable=False),
    _at("ended_at"),
    _at("checked_at"),
    _at("called_back_at"),
    _at("revived_at"),
    _at("masked_at"),
    _at("expires_at"),
    Index(
        "ix_invitations_open",
        "status",
        "checked_at",
        postgresql_where=f"status IN ({', '.join(repr(status.value) for status in AttemptStatus if status.is_open)})",
    ),
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
    Column("link_id", BigInteger),
    Column("address_check", SmallInteger),
    Column("mails_tried", Integer, nullable=False, server_default="0"),
    Column("handled_entry_id", BigInteger, ForeignKey(stage_entries.c.id)),
    Column("left_as", Word(Departure)),
    _at("written_at"),
    UniqueConstraint("opportunity_id", "test_id"),
    Index("ix_assessments_invitation_id", "invitation_id"),
    Index("ix_assessments_entry_id", "entry_id"),
    Index("ix_assessments_handled_entry_id", "handled_entry_id"),
    Index("ix_assessments_test_id", "test_id", "entry_id"),
)

assessment_invitations = Table(
    "assessment_invitations",
    metadata,
    Column("assessment_id", BigInteger, ForeignKey(assessments.c.id, ondelete="CASCADE"), primary_key=True),
    Column("invitation_id", BigInteger, ForeignKey(invitations.c.id, ondelete="CASCADE"), primary_key=True),
    Index("ix_assessment_invitations_invitation_id", "invitation_id"),
)

mails = Table(
    "mails",
    metadata,
    _id(),
    Column("opportunity_id", Text, nullable=False),
    Column("contact_id", Text),
    Column("test_id", BigInteger, nullable=False),
    _at("at", nullable=False),
    _at("answered_at"),
    Index("ix_mails_at", "at"),
    Index("ix_mails_contact_id", "contact_id"),
    Index("ix_mails_opportunity_id", "opportunity_id"),
    Index("uq_mails_unanswered", "opportunity_id", "test_id", unique=True, postgresql_where="answered_at IS NULL"),
)

effects = Table(
    "effects",
    metadata,
    Column("opportunity_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    _at("started_at", nullable=False),
    _at("done_at"),
    Column("vendor_id", Text),
    Column("content", JSONB),
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
    UniqueConstraint("vendor", "key"),
    Index("ix_deliveries_received_at", "received_at"),
    Index("ix_deliveries_opportunity_id", "opportunity_id"),
    Index("ix_deliveries_invitation_id", "invitation_id", postgresql_where="invitation_id IS NOT NULL"),
)

refusals = Table(
    "refusals",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("why", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    _at("last_at", nullable=False),
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
    Column("facts", JSONB),
    Column("source", Text),
    Column("actor", Text),
    Column("run", Text),
    Column("task", Text),
    Column("number", Integer),
    Column("hash", LargeBinary),
    Index("ix_events_opportunity_id", "opportunity_id"),
    Index("ix_events_invitation_id", "invitation_id", postgresql_where="opportunity_id IS NULL"),
    Index("ix_events_at", "at"),
    Index("ix_events_run", "run", postgresql_using="hash"),
)

event_chains = Table(
    "event_chains",
    metadata,
    Column("about", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("removed", Integer, nullable=False, server_default="0"),
    Column("removed_hash", LargeBinary),
)

bulk_requests = Table(
    "bulk_requests",
    metadata,
    _id(),
    _at("asked_at", nullable=False),
    Column("act", Word(Act), nullable=False),
    Column("about", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("asked", Integer, nullable=False),
    _at("stopped_at"),
    Column("stopped_by", Text),
)

requests = Table(
    "requests",
    metadata,
    _id(),
    _at("asked_at", nullable=False),
    Column("act", Word(Act), nullable=False),
    Column("opportunity_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("test_id", BigInteger),
    Column("bulk_id", BigInteger, ForeignKey(bulk_requests.c.id)),
    _at("begun_at"),
    _at("done_at"),
    Column("outcome", Text),
    Column("delivery_id", BigInteger),
    Index("ix_requests_opportunity_id", "opportunity_id"),
    Index("ix_requests_bulk_id", "bulk_id", postgresql_where="bulk_id IS NOT NULL"),
    Index("ix_requests_open", "id", postgresql_where="done_at IS NULL"),
)

sealed_links = Table(
    "sealed_links",
    metadata,
    Column("request_id", BigInteger, ForeignKey(requests.c.id, ondelete="CASCADE"), primary_key=True),
    Column("test_id", BigInteger, primary_key=True),
    Column("opportunity_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _at("asked_at", nullable=False),
    Column("public_key", Text, nullable=False),
    Column("sealed", Text),
    Index("ix_sealed_links_opportunity_id", "opportunity_id"),
)

DIGEST = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"
"""SQL: what is kept of the id of a forgotten opportunity."""

forgotten = Table("forgotten", metadata, Column("digest", Text, primary_key=True), _at("at", nullable=False))

settings_versions = Table(
    "settings_versions", metadata, _id(), _at("since", nullable=False), Column("asks", JSONB, nullable=False)
)

reference = Table(
    "reference",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    _at("read_at", nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("key", Text, primary_key=True),
    _at("told_at", nullable=False),
    Index("ix_alerts_told_at", "told_at"),
    Column("source", Text, nullable=False, server_default=""),
    Column("about", Text, nullable=False, server_default=""),
    Column("error", Text),
    Column("told", Boolean, nullable=False, server_default=false()),
    Index("ix_alerts_source", "source"),
)

watermarks = Table("watermarks", metadata, Column("name", Text, primary_key=True), _at("at", nullable=False))

limits = Table(
    "limits",
    metadata,
    Column("name", Text, primary_key=True),
    _at("turn_at", nullable=False),
    Column("slowdown", Double, nullable=False, server_default="1"),
    _at("slowed_at"),
    Column("gap", Double),
    _at("minute_at"),
    Column("taken", Integer, nullable=False, server_default="0"),
    Column("taken_before", Integer, nullable=False, server_default="0"),
    Column("answered", JSONB),
    Column("refused_on", Date),
    Column("refused", Integer, nullable=False, server_default="0"),
    Column("refused_before", Integer, nullable=False, server_default="0"),
    # Lost in a crash of the server, which does no harm, and no turn waits for the disk.
    prefixes=["UNLOGGED"],
)
