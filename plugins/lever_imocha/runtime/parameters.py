"""Parameters of operators and sensors as a task gets them: what a template rendered is text, whatever it stood for."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from lever_imocha.errors import SettingsError

T = TypeVar("T")


def read(kind: type[T], value: object, *, name: str) -> T:
    """Return a parameter as what it stands for: ``"101"`` as 101, ``"false"`` and ``"no"`` as False.

    With and without `render_template_as_native_obj`: a value that is no text is taken as it is.

    :param kind: int, bool or an enumeration.
    :param name: of the parameter, for the error's text.
    :raises SettingsError: it is something else, or empty.
    """
    try:
        return TypeAdapter(kind).validate_python(value.strip() if isinstance(value, str) else value)
    except ValidationError:
        raise SettingsError([f"{name}: {value!r} cannot be read; give {_wanted(kind)}"]) from None


def _wanted(kind: type) -> str:
    if issubclass(kind, Enum):
        return f"one of {', '.join(str(member) for member in kind)}"
    return _KINDS[kind]


_KINDS: dict[type, str] = {int: "a whole number", bool: "true or false"}


def read_text(value: object, *, name: str) -> str:
    """Return a text that must not be empty; a template of nothing renders ``None``.

    :raises SettingsError: it is empty.
    """
    text = text_or_none(value)
    if text is None:
        raise SettingsError([f"{name}: is empty; give a text, or a template that renders one"])
    return text


def read_time(value: object, *, name: str) -> datetime:
    """Return a time: from a time, or from its ISO text, as a template renders it.

    :raises SettingsError: it is something else, or lacks a time zone.
    """
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError([f"{name}: {value!s} is no time with a time zone; give one, as 2026-01-31T09:00:00+00:00"])
    return moment


def given(value: object) -> bool:
    """Return whether an optional parameter says anything."""
    return value is not None and str(value).strip() not in ("", "None")


def text_or_none(value: object) -> str | None:
    """Return an optional text; None if it says nothing."""
    return str(value).strip() if given(value) else None


def read_list(value: object, *, name: str, split: bool = True) -> list[str]:
    """Return a list's items as texts: from a list, from a rendered one (``"['a', 'b']"``), or from one text.

    :param split: a text with commas is several items.
    :raises SettingsError: it is empty.
    """
    if isinstance(value, str):
        value = _items(value.strip(), split)
    items = [str(item).strip() for item in value] if isinstance(value, Sequence) else [str(value)] if value else []
    return [read_text(item, name=name) for item in items] or [read_text("", name=name)]


def read_mapping(value: object, *, name: str) -> Mapping[str, Any]:
    """Return a dictionary: as it is, or from the text of one, as a template renders it, or from JSON.

    :raises SettingsError: it is something else.
    """
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError, yaml.YAMLError):
            value = _from_text(value.strip())
    if isinstance(value, Mapping):
        return value
    raise SettingsError([f"{name}: cannot be read; give a dictionary, or a template that renders one or JSON"])


def _from_text(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return yaml.safe_load(text)


def _items(text: str, split: bool) -> list[Any]:
    if text.startswith("[") and text.endswith("]"):
        try:
            return list(yaml.safe_load(text))
        except (yaml.YAMLError, TypeError):
            pass
    return text.split(",") if split else [text]
