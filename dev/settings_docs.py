"""Writes docs/settings.md from the settings' models: every key, its default and its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import yaml
from lever_imocha.settings import Settings
from pydantic import BaseModel
from pydantic.fields import FieldInfo

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_HEAD = """\
# Settings

Made by `make docs` from `plugins/lever_imocha/settings.py`: change it there.

The file is `include/lever_imocha.yaml`; the environment variable `LEVER_IMOCHA_SETTINGS` names another. A mistake stops
the next run with one line for each: the key, the value and the fix. Durations are seconds, or ISO 8601 such as `PT5M`.

| key | default | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    return _HEAD + "".join(f"| `{key}` | {default} | {meaning} |\n" for key, default, meaning in _rows(Settings))


def _rows(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in section.model_fields.items():
        inner, many = _section(field)
        if inner:
            yield from _rows(inner, f"{prefix}{name}{'[]' if many else ''}.")
        elif not field.description:
            raise ValueError(f"{prefix}{name}: write one line below the field in settings.py that says what it means")
        else:
            yield f"{prefix}{name}", _default(field), " ".join(field.description.split()).replace("|", "\\|")


def _section(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """Return the model of a section, and whether the setting is a list of them."""
    for kind, many in [(field.annotation, False), *((inner, True) for inner in get_args(field.annotation))]:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind, many
    return None, False


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True)
    return "(none)" if value is None else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """Return a value as it is written in the file."""
    if isinstance(value, timedelta):
        days = value / timedelta(days=1)
        return f"P{days:g}D" if days >= 7 and days.is_integer() else f"{value.total_seconds():g}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
