"""Reads what a vendor has answered: within bounds, and never naming the content of what does not fit."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from pydantic import ValidationError
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from lever_imocha.domain.types import fold_key
from lever_imocha.redaction import redact

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Of JSON, unpacked; the largest page of a hundred opportunities is a twentieth of it."""
_PIECE = 64 * 1024
LONGEST_RETRY_AFTER = 3600
"""Seconds: no vendor makes us wait longer, whatever its answer says."""
MISFITS = (ValidationError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
_ID = re.compile(r"\d{1,19}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class NoFactError(ValueError):
    """An answer of status 200 that says nothing; the message says why, without the vendor's words."""


class TooLargeError(ValueError):
    """An answer that is larger than any that we expect."""


def read_body(response: requests.Response) -> bytes:
    """Return a whole answer, unpacked.

    :raises TooLargeError: it is larger than `MAX_ANSWER_BYTES`; the rest is not unpacked.
    """
    content = bytearray()
    for piece in response.iter_content(_PIECE):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise TooLargeError
    return bytes(content)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def loads(content: bytes, encoding: str | None) -> Any:
    """Return JSON, also where its letters are not those of UTF-8.

    :raises ValueError: it is none.
    """
    try:
        return json.loads(content, parse_constant=_no_number)
    except UnicodeDecodeError:
        return json.loads(content.decode(encoding or "utf-8", "replace"), parse_constant=_no_number)


def json_of(response: requests.Response) -> Any:
    """Return an error's JSON; None if there is none."""
    try:
        return loads(read_body(response), response.encoding)
    except (ValueError, LookupError, RecursionError, requests.RequestException):
        return None


def target_of(response: requests.Response) -> str | None:
    """Return the address that a redirect names; None if it names none."""
    try:
        return urljoin(response.url, response.headers["Location"])
    except (KeyError, ValueError):
        return None


def moved_to(response: requests.Response) -> str | None:
    """Return where a redirect leads, if this is on the same host."""
    target = target_of(response) if response.is_redirect else None
    try:
        return target if target and urlsplit(target)[:2] == urlsplit(response.url)[:2] else None
    except ValueError:
        return None


def misfit(error: Exception) -> str:
    """Say where an answer does not fit, without the values, which may be personal."""
    if isinstance(error, ValidationError):
        places = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
        return redact(f"fields not as expected: {', '.join(places) or 'all'}")
    if isinstance(error, NoFactError):
        return str(error)
    return f"the answer has another shape ({type(error).__name__})"


def name_of(item: Any, number: int) -> str:
    """Name a record by its id, and by its place in the page if what stands there is no id."""
    keys = ("id", "testid", "testlinkid", "testinvitationid")
    given = item if isinstance(item, dict) else {}
    ids = {fold_key(str(key)): str(value) for key, value in given.items()}
    found = next((ids[key] for key in keys if _ID.fullmatch(ids.get(key, ""))), None)
    return f"record {found}" if found else f"record number {number} of the page"


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header in either of its two forms; None for anything else."""
    try:
        return float(min(Retry().parse_retry_after(value or ""), LONGEST_RETRY_AFTER))
    except (InvalidHeader, ValueError, OverflowError):
        return None
