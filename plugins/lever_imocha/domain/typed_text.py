"""Texts as people type or paste them: blanks of all kinds, full-width signs, addresses with something around them."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

_LONGEST_ADDRESS = 254  # RFC 5321
_BETWEEN = re.compile('[\\s,;:<>()\\[\\]{}|"`\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u3001\u3002]+')
_AROUND = "*'\u2018\u2019"
_ADDRESS = re.compile(r"(?!/)[^\s@]{1,64}@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_](?:[\w-]*[^\W_])")
_MAILTO = re.compile(r"mailto:(?://)?([^\s?]*)(?:\?\S*)?", re.IGNORECASE)


def plain(text: str) -> str:
    """Return a text as it looks: signs in their usual width, one blank for each gap, nothing that cannot be seen."""
    usual = unicodedata.normalize("NFKC", text)
    seen = "".join(sign for sign in usual if unicodedata.category(sign) != "Cf")
    return " ".join(seen.split())


def usable_address(text: str) -> str | None:
    """Return the first e-mail address in a text, without what surrounds it; None when there is none.

    Nothing is guessed: what has a blank within it, or no domain, is no address.
    """
    seen = _MAILTO.sub(lambda link: f" {unquote(link[1])} ", plain(text))
    for word in _BETWEEN.split(seen):
        address = word.lstrip(_AROUND).rstrip(f"{_AROUND}.!?")
        if len(address) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(address):
            return address
    return None
