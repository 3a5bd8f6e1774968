"""Lever's smaller objects, as far as we read them (lever.md 6 to 11)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from lever_imocha.domain.types import Id, Millis, Text, VendorModel


def _dicts(value: Any) -> Any:
    return [item for item in value or [] if isinstance(item, dict)]


def _texts(value: Any) -> Any:
    return [item for item in value or [] if isinstance(item, str)]


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
