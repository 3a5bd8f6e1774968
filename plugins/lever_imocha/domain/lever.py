"""Lever's objects, as far as they are read; form templates are in `forms`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator

from lever_imocha.domain.typed_text import usable_address
from lever_imocha.domain.types import NONE_IF_INVALID, Id, Millis, Name, NameText, VendorModel


def _id_of(value: Any) -> Any:
    """Return the id of an object that Lever gives as an id or, when expanded, as a whole."""
    return value.get("id") if isinstance(value, dict) else value or None


def _list_of(kind: type) -> BeforeValidator:
    """Read null as an empty list, and leave out items of another kind."""

    def clean(value: Any) -> Any:
        return [item for item in value if isinstance(item, kind)] if isinstance(value, list) else value or []

    return BeforeValidator(clean)


_MENTIONABLE = re.compile(r"[\w.-]{1,60}")
_OptionalId = Annotated[Id | None, BeforeValidator(_id_of)]
_KnownId = Annotated[_OptionalId, NONE_IF_INVALID]
_Time = Annotated[Millis, NONE_IF_INVALID]
_Text = Annotated[str | None, BeforeValidator(lambda value: value if isinstance(value, str) else None)]
_Texts = Annotated[tuple[Name, ...], _list_of(str)]
_Objects = Annotated[tuple[dict[str, Any], ...], _list_of(dict), Field(repr=False)]


class StageChange(VendorModel):
    """One entry of an opportunity into a stage (lever.md 4.2)."""

    updated_at: _Time = Field(alias="updatedAt", default=None)


def _changes(value: Any) -> Any:
    items = value if isinstance(value, list) else value or []
    return [item if isinstance(item, dict) else {} for item in items]


def _ending_in_time(changes: tuple[StageChange, ...]) -> tuple[StageChange, ...]:
    """Refuse changes of which the last has no time: with another one's, who was there before would seem to come again."""
    if changes and changes[-1].updated_at is None:
        raise ValueError("the last change has no time")
    return changes


_Changes = Annotated[tuple[StageChange, ...], BeforeValidator(_changes), AfterValidator(_ending_in_time)]


class Archived(VendorModel):
    """That an opportunity has left the pipeline, when and why; of one that has not, Lever says null."""

    at: _Time = Field(alias="archivedAt", default=None)
    reason: _KnownId = None

    @model_validator(mode="after")
    def _says_something(self) -> Archived:
        """Refuse what says neither: nobody's invitation is cancelled for an empty object."""
        if self.at is None and self.reason is None:
            raise ValueError("neither a time nor a reason")
        return self


class Application(VendorModel):
    """The link between an opportunity and a posting; `is_bare` when only its id was given, not expanded."""

    posting: _OptionalId = None
    is_bare: bool = False


def _applications(value: Any) -> Any:
    items = value if isinstance(value, list) else value or []
    return [{"is_bare": True} if isinstance(item, str) else item for item in items if isinstance(item, str | dict)]


class Consent(VendorModel):
    """One data protection permission; absent or null means allowed (lever.md 12)."""

    allowed: bool | None = None


class DataProtection(VendorModel):
    """Whether a candidate's data may be stored and the candidate contacted (lever.md 12)."""

    store: Consent | None = None
    contact: Consent | None = None


class Origin(StrEnum):
    """How a candidate came (lever.md 4.2)."""

    AGENCY = "agency"
    APPLIED = "applied"
    INTERNAL = "internal"
    REFERRED = "referred"
    SOURCED = "sourced"
    UNIVERSITY = "university"


def _username(value: Any) -> Any:
    """Return the user name of an expanded user; None for an id, and for what cannot be mentioned (lever.md 6.4)."""
    name = value.get("username") if isinstance(value, dict) else None
    return name if isinstance(name, str) and _MENTIONABLE.fullmatch(name) else None


class Opportunity(VendorModel):
    """One candidacy of one person (lever.md 4.2). `stage` is an id, expanded or not.

    What a decision rests on has to be as documented; of the rest, what is not is left out.
    """

    id: Id
    name: Annotated[Name | None, NONE_IF_INVALID] = None
    emails: _Texts = ()
    contact: _KnownId = None
    stage: _OptionalId = None
    archived: Archived | None = None
    tags: _Texts = ()
    stage_changes: _Changes = Field(alias="stageChanges", default=())
    applications: Annotated[tuple[Application, ...], BeforeValidator(_applications)] = ()
    origin: _Text = None
    created_at: _Time = Field(alias="createdAt", default=None)
    last_advanced_at: _Time = Field(alias="lastAdvancedAt", default=None)
    is_anonymized: bool | None = Field(alias="isAnonymized", default=False)
    data_protection: DataProtection | None = Field(alias="dataProtection", default=None)
    owner_username: Annotated[str | None, BeforeValidator(_username)] = Field(alias="owner", default=None, repr=False)

    @property
    def entered_stage_at(self) -> datetime:
        """When the opportunity entered its stage: the last stage change, else the best time there is (lever.md 4.2)."""
        last = self.stage_changes[-1].updated_at if self.stage_changes else None
        return last or self.last_advanced_at or self.created_at or datetime.fromtimestamp(0, tz=UTC)

    def has_left(self, stage_id: str) -> bool:
        """Tell whether it is archived, or in another stage than this one."""
        return self.archived is not None or self.stage != stage_id

    @property
    def posting_ids(self) -> tuple[str, ...]:
        """The ids of the postings applied to; empty unless read with ``expand=applications``."""
        return tuple(application.posting for application in self.applications if application.posting)

    @property
    def postings_are_known(self) -> bool:
        """Whether `posting_ids` are all: False when Lever names an application by its id only (lever.md 1.3)."""
        return not any(application.is_bare for application in self.applications)

    @property
    def email(self) -> str | None:
        """The first that can be written to, as people type addresses; Lever marks none as primary (lever.md 13)."""
        return next(filter(None, map(usable_address, self.emails)), None)

    @property
    def display_name(self) -> str | None:
        """The name to show; None where Lever shows the e-mail address because it knows no name."""
        return None if self.name is None or "@" in self.name else self.name

    @property
    def may_contact(self) -> bool:
        """Whether the candidate may be contacted: not anonymised, not forbidden by data protection (lever.md 12)."""
        consents = (self.data_protection.store, self.data_protection.contact) if self.data_protection else ()
        return not self.is_anonymized and all(consent is None or consent.allowed is not False for consent in consents)


class Identified(VendorModel):
    """A record of which only the id can be read."""

    id: Id


WEBHOOK_EVENTS = {
    "candidateStageChange": "Candidate stage change",
    "candidateArchiveChange": "Candidate archive change",
    "candidateHired": "Candidate hired",
    "candidateDeleted": "Candidate deleted",
}
"""The events that are acted on, by Lever's name of each in the API, with its name in Lever's pages (lever.md 11.2)."""


class Stage(VendorModel):
    """A pipeline stage; built-in ones have an id such as ``lead-new`` (lever.md 6.1)."""

    id: Id
    text: NameText = ""


class Tag(VendorModel):
    """A tag that somebody carries."""

    text: Name


class User(VendorModel):
    """A Lever account."""

    id: Id
    email: str | None = Field(default=None, repr=False)
    deactivated_at: Millis = Field(alias="deactivatedAt", default=None)

    @property
    def is_active(self) -> bool:
        """Whether the user can log in; a deactivated one stays in Lever's records."""
        return self.deactivated_at is None


class Posting(VendorModel):
    """An advertised job."""

    id: Id
    text: NameText = ""
    state: str | None = None
    confidentiality: _Text = None
    tags: _Texts = ()


class TemplateFrame(VendorModel):
    """A form template without its fields, as an update requires it: the group by its id (lever.md 7.2)."""

    text: str
    instructions: str | None = None
    group: _OptionalId = None
    secret_by_default: bool | None = Field(alias="secretByDefault", default=None)


class ProfileForm(VendorModel):
    """A form on an opportunity's profile (lever.md 7.3)."""

    id: Id
    base_template_id: _KnownId = Field(alias="baseTemplateId", default=None)
    fields: _Objects = ()
    created_at: _Time = Field(alias="createdAt", default=None)
    deleted_at: _Time = Field(alias="deletedAt", default=None)


class LeverFile(VendorModel):
    """A file on an opportunity (lever.md 8)."""

    id: Id
    name: Annotated[Name | None, NONE_IF_INVALID] = None
    status: _Text = None
    uploaded_at: _Time = Field(alias="uploadedAt", default=None)


class Note(VendorModel):
    """A note; a created one may have its id under ``noteId`` only (lever.md 9)."""

    id: Id = Field(validation_alias=AliasChoices("id", "noteId"))
    fields: _Objects = ()
    created_at: _Time = Field(alias="createdAt", default=None)

    @property
    def value(self) -> str:
        """The texts of the note's thread, one a line."""
        return "\n".join(str(item.get("value") or "") for item in self.fields)


class Webhook(VendorModel):
    """A registered webhook; only the answer that created it has the signature token (lever.md 11.1)."""

    id: Id
    event: str
    url: str = ""
    configuration: dict[str, Any] | None = Field(default=None, repr=False)

    @property
    def signature_token(self) -> str | None:
        """What its deliveries are signed with."""
        token = (self.configuration or {}).get("signatureToken")
        return str(token) if token else None

    @property
    def origins(self) -> list[str]:
        """The origins of candidates that it is restricted to; empty when it is not."""
        conditions = (self.configuration or {}).get("conditions")
        origins = conditions.get("origins") if isinstance(conditions, dict) else None
        return [str(origin) for origin in origins] if isinstance(origins, list) else []
