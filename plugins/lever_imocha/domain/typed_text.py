"""Texts as people type or paste them: blanks of all kinds, full-width signs, addresses with something around them."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

_LONGEST_ADDRESS = 254  # RFC 5321
_BETWEEN = re.compile(r'[\s,;<>()\[\]"]+')
_ADDRESS = re.compile(r"[^\s@]{1,64}@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]+")


def plain(text: str) -> str:
    """Return a text as it looks: signs in their usual width, one blank for each gap, nothing that cannot be seen."""
    usual = unicodedata.normalize("NFKC", text)
    seen = "".join(sign for sign in usual if unicodedata.category(sign) != "Cf")
    return " ".join(seen.split())


def usable_address(text: str) -> str | None:
    """Return the first e-mail address in a text, without what surrounds it; None when there is none.

    Nothing is guessed: what has a blank within it, or no domain, is no address.
    """
    for word in _BETWEEN.split(plain(text)):
        address = _without_scheme(word).strip("'").rstrip(".:!?")
        if len(address) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(address):
            return address
    return None


def _without_scheme(word: str) -> str:
    scheme, colon, rest = word.partition(":")
    return unquote(rest).partition("?")[0] if colon and scheme.casefold() == "mailto" else word
