"""Takes what may be about a candidate out of a vendor's texts."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

_SEPARATORS = r"\s\"'<>,;"
_AT = r"(?:@|%(?:25){0,3}40|\\u0040|&#64;|&#x40;)"
# An address is looked for only where a word begins: one look at each word, however long it is.
_PERSONAL = re.compile(
    rf"(?<![^{_SEPARATORS}:])[^{_SEPARATORS}:]+{_AT}[^{_SEPARATORS}]+"
    r"|https?(?::|%(?:25){0,3}3a)(?:\\?/|%(?:25){0,3}2f){2}\S+",
    re.IGNORECASE,
)
# Also what ends a line, and what turns the direction of a line round.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_READ = 10_000
_LONGEST_PIECE = 60


def redact(text: str, limit: int = 300, *, hidden: Iterable[str] = ()) -> str:
    """Shorten a vendor's text to one line and take e-mail addresses and links out of it.

    :param hidden: further texts to take out, such as the values that were sent; in capitals or not, and as they are
        written in an address (``%C3%A9``), in JSON (``\\u00e9``) and in HTML (``&#233;``).
    """
    if len(text) > _LONGEST_READ:
        text = text[:_LONGEST_READ].rpartition(" ")[0]  # the last word may be the first half of an address
    text = _CONTROL.sub(" ", unicodedata.normalize("NFC", text))
    for piece in sorted(filter(None, set(_pieces(hidden))), key=len, reverse=True):
        text = re.sub("".join(map(_spellings, piece)), "[removed]", text, flags=re.IGNORECASE)
    return _PERSONAL.sub("[removed]", text)[:limit]


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """Cut into lines, and long lines into pieces: a vendor may repeat a part only."""
    for text in texts:
        for line in _CONTROL.sub("\n", unicodedata.normalize("NFC", text)).splitlines():
            words = " ".join(line.split())
            # A last piece of a letter or two would take this letter out everywhere.
            yield from (
                words[start : start + _LONGEST_PIECE] for start in range(0, max(1, len(words) - 2), _LONGEST_PIECE)
            )


@lru_cache(maxsize=1024)
def _spellings(letter: str) -> str:
    """Return a pattern for one letter as it may be written in an answer.

    Once a form fits, no other is tried: or a long text would take for ever.
    """
    if letter == " ":
        return r"(?>(?:[\s+]|%(?:25){0,3}20|\\u0020|&nbsp;){1,4})"
    forms = {form for case in (letter, letter.lower(), letter.upper()) for form in _forms(case)}
    return f"(?>{'|'.join(sorted(forms, key=len, reverse=True))})"


def _forms(text: str) -> Iterator[str]:
    yield re.escape(text)
    yield "".join(f"%(?:25){{0,3}}{byte:02x}" for byte in text.encode())
    units = text.encode("utf-16-be")
    yield "".join(rf"\\{{1,4}}u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
    yield "".join(f"&#0{{0,4}}(?:{ord(letter)}|x0{{0,4}}{ord(letter):x});" for letter in text)
    yield re.escape(html.escape(text))
