"""How the vendors' loosely typed JSON becomes values: numbers as strings and the reverse, times in three forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class VendorModel(BaseModel):
    """A vendor's object: frozen, unknown fields ignored, since both vendors add fields at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


def fold_key(key: str) -> str:
    """An iMocha key without case, spaces, ``_`` and ``-``: its endpoints spell the same key differently."""
    return re.sub(r"[\s_-]", "", key).lower()


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _millis(value: Any) -> Any:
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float):
        return value
    try:
        return datetime.fromtimestamp(int(float(value)) / 1000, tz=UTC)
    except (OverflowError, OSError):
        raise ValueError("no time in milliseconds") from None


_ISO = re.compile(r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?)?\s*(Z|[+-]\d\d:?\d\d)?$")


def parse_utc(value: Any) -> Any:
    """An iMocha time: optional fraction of any length, optional zone; no zone means UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and (found := _ISO.match(value.strip())):
        day, clock, fraction, zone = found.groups()
        clock = (clock or "00:00") + (":00" if len(clock or "00:00") == 5 else "")
        text = f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{'+00:00' if zone in (None, 'Z') else zone}"
        return datetime.fromisoformat(text).astimezone(UTC)
    return value


Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else _text(value))]
"""Words for people: null counts as empty, and a number as its digits."""

Id = Annotated[str, BeforeValidator(_text)]
"""A Lever id: opaque, a UUID or a word such as ``lead-new``."""

Millis = Annotated[datetime | None, BeforeValidator(_millis)]
"""A Lever time: milliseconds since 1970, sometimes as text, sometimes null."""

Utc = Annotated[datetime | None, BeforeValidator(parse_utc)]
"""An iMocha time, read by `parse_utc`."""
