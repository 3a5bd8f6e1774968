"""Field types for the vendors' loosely typed JSON: numbers as text and the reverse, times in several forms."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

log = logging.getLogger(__name__)

LONGEST_TEXT = 100_000
LONGEST_NAME = 500
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_NOT_FOR_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(value: Any) -> Any:
    """Return JSON with every text in it as PostgreSQL, a log and a web page can hold it.

    Control characters other than line ends and tabs are removed, so are halves of surrogate pairs, and what follows
    after 100,000 characters.
    """
    if isinstance(value, str):
        return _NOT_FOR_TEXT.sub("", value[:LONGEST_TEXT])
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return value


class VendorModel(BaseModel):
    """A vendor's object: frozen; unknown fields are ignored, since both vendors add fields at any time.

    Its texts are cleaned here and nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, data: Any) -> Any:
        return clean(data)


def fold_key(key: str) -> str:
    """Return a key in lower case without spaces, ``_`` and ``-``.

    iMocha's endpoints spell the same key differently (imocha.md 1).
    """
    return re.sub(r"[\s_-]", "", key).lower()


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _millis(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("no number")
    millis = float(value)
    if not _EARLIEST <= millis / 1000 < _LATEST:
        raise ValueError("no time of this century")
    return datetime.fromtimestamp(int(millis) / 1000, tz=UTC)


def _utc(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Remove blanks, also before the zone, which pydantic does not accept; add UTC where no zone is given."""
    if isinstance(value, str):
        value = re.sub(r"\s+(?=(Z|[+-]\d\d:?\d\d)$)", "", value.strip())
    if value is None or value == "":
        return None
    moment: datetime = read(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _none_if_invalid(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    try:
        return read(value)
    except (ValidationError, OverflowError):
        log.warning("%s is not as documented and is left empty", info.field_name)
        return None


NONE_IF_INVALID = WrapValidator(_none_if_invalid)
"""For a field that its object is of use without: what it does not expect is read as nothing."""

Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else _text(value))]
"""Text for people: null becomes empty, and a number its digits."""


def _one_line(value: str) -> str:
    return re.sub(r"[\t\r\n]+", " ", value)[:LONGEST_NAME]


Name = Annotated[str, AfterValidator(_one_line)]
"""A text of one line, of at most 500 characters."""

NameText = Annotated[Text, AfterValidator(_one_line)]
"""Both: null becomes empty, and a number its digits."""


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


Number = Annotated[int, BeforeValidator(_no_bool), Field(ge=-(2**63), lt=2**63)]
"""A whole number that the ledger can hold; `true` is none."""

Id = Annotated[str, BeforeValidator(_text), Field(pattern=rf"^\S{{1,{LONGEST_NAME}}}$")]
"""A Lever id: opaque, a UUID or a word such as ``lead-new``; what is blank, or has blanks, is none."""

Millis = Annotated[datetime | None, BeforeValidator(_millis)]
"""A Lever time, in UTC: milliseconds since 1970 as a number or text; null and empty text are None.

What is no time of this century is none: seconds, say, would be one of 1970.
"""

Utc = Annotated[datetime | None, WrapValidator(_utc)]
"""An iMocha time, in UTC: ISO 8601 with or without fraction and zone; no zone means UTC (imocha.md 1)."""
