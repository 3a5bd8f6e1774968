"""Lever's objects, as far as we read them; form templates are in `forms`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from lever_imocha.domain.types import Id, Millis, Text, VendorModel


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


def _list(value: Any) -> Any:
    return [] if value is None else value


def _texts(value: Any) -> Any:
    return [item for item in _list(value) if isinstance(item, str)]


class StageChange(VendorModel):
    """One arrival in a stage (lever.md 4.2)."""

    to_stage_id: Id = Field(alias="toStageId")
    updated_at: Millis = Field(alias="updatedAt", default=None)


class Archived(VendorModel):
    """Why and when an opportunity left the pipeline."""

    reason: Id | None = None
    archived_at: Millis = Field(alias="archivedAt", default=None)


class Application(VendorModel):
    """The link between an opportunity and a posting; only its posting matters here."""

    posting: Annotated[Id | None, BeforeValidator(_id_of)] = None


class Consent(VendorModel):
    """One data protection permission; absent means allowed."""

    allowed: bool | None = None


class DataProtection(VendorModel):
    """What the law lets us do with a candidate's data (lever.md 12)."""

    store: Consent | None = None
    contact: Consent | None = None


def _applications(value: Any) -> Any:
    return [item if isinstance(item, dict) else {} for item in _list(value)]


class Opportunity(VendorModel):
    """One candidacy of one person (lever.md 4.2). `stage` is an id, expanded or not."""

    id: Id
    name: str | None = None
    emails: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    stage: Annotated[Id | None, BeforeValidator(_id_of)] = None
    archived: Archived | None = None
    tags: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    stage_changes: Annotated[tuple[StageChange, ...], BeforeValidator(_list)] = Field(alias="stageChanges", default=())
    applications: Annotated[tuple[Application, ...], BeforeValidator(_applications)] = ()
    confidentiality: str | None = None
    created_at: Millis = Field(alias="createdAt", default=None)
    last_advanced_at: Millis = Field(alias="lastAdvancedAt", default=None)
    is_anonymized: bool | None = Field(alias="isAnonymized", default=False)
    data_protection: DataProtection | None = Field(alias="dataProtection", default=None)

    @property
    def entered_stage_at(self) -> datetime:
        """When it entered its stage: the last stage change, the only trustworthy time (lever.md 4.2)."""
        times = [change.updated_at for change in self.stage_changes if change.updated_at]
        return times[-1] if times else self.last_advanced_at or self.created_at or datetime.fromtimestamp(0, tz=UTC)

    @property
    def posting_ids(self) -> tuple[str, ...]:
        """The posting applied to; known only when read with ``expand=applications``."""
        return tuple(application.posting for application in self.applications if application.posting)

    @property
    def email(self) -> str | None:
        """The first usable address; Lever marks none as primary (lever.md 13)."""
        return next((email.strip() for email in self.emails if email.strip()), None)

    @property
    def display_name(self) -> str | None:
        """The name to show; Lever names a contact by the e-mail address when it knows no other, which is not kept."""
        return None if self.name is None or "@" in self.name else self.name

    @property
    def may_contact(self) -> bool:
        """Neither anonymised nor forbidden by data protection (lever.md 12)."""
        consents = (self.data_protection.store, self.data_protection.contact) if self.data_protection else ()
        return not self.is_anonymized and all(consent is None or consent.allowed is not False for consent in consents)


def _dicts(value: Any) -> Any:
    return [item for item in value or [] if isinstance(item, dict)]


def _group_id(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value or None


class Stage(VendorModel):
    """A pipeline stage; built-in ones have word ids."""

    id: Id
    text: Text = ""


class Tag(VendorModel):
    """A tag and how many opportunities carry it."""

    text: str
    count: int | None = None


class User(VendorModel):
    """A Lever account."""

    id: Id
    email: str | None = Field(default=None, repr=False)


class Posting(VendorModel):
    """An advertised job."""

    id: Id
    text: Text = ""
    state: str | None = None
    tags: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()


class TemplateFrame(VendorModel):
    """A form template without its fields, as an update takes it back: the group by its id (7.2)."""

    text: str
    instructions: str | None = None
    group: Annotated[Id | None, BeforeValidator(_group_id)] = None
    secret_by_default: bool | None = Field(alias="secretByDefault", default=None)


class ProfileForm(VendorModel):
    """A form on an opportunity's profile."""

    id: Id
    base_template_id: Id | None = Field(alias="baseTemplateId", default=None)
    fields: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_dicts), Field(repr=False)] = ()
    deleted_at: Millis = Field(alias="deletedAt", default=None)


class LeverFile(VendorModel):
    """A file on an opportunity."""

    id: Id
    name: str | None = None
    status: str | None = None


class Note(VendorModel):
    """A note; `value` joins the texts of its thread. The docs show a created one with its ``noteId`` only (9)."""

    id: Id = Field(validation_alias=AliasChoices("id", "noteId"))
    fields: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_dicts), Field(repr=False)] = ()

    @property
    def value(self) -> str:
        """The note's text."""
        return "\n".join(str(item.get("value") or "") for item in self.fields)


class Webhook(VendorModel):
    """A registered webhook; the signature token is only in the answer that created it."""

    id: Id
    event: str
    url: str = ""
    configuration: dict[str, Any] | None = Field(default=None, repr=False)
