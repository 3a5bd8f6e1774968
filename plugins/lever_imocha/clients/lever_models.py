"""Lever's smaller objects, as far as we read them (lever.md 6 to 11)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lever_imocha.domain.types import Id, Millis, VendorModel


def _dicts(value: Any) -> Any:
    return [item for item in value or [] if isinstance(item, dict)]


def _texts(value: Any) -> Any:
    return [item for item in value or [] if isinstance(item, str)]


class Stage(VendorModel):
    """A pipeline stage; built-in ones have word ids."""

    id: Id
    text: str = ""


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
    text: str = ""
    state: str | None = None
    tags: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()


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
    """A note; `value` joins the texts of its thread."""

    id: Id
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
