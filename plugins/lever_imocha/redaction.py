"""Takes what may be about a candidate out of a vendor's texts."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html.entities import html5

_SEPARATORS = r"\s\"'<>,;"
# Also what ends a line, and halves of surrogate pairs.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BASE64 = re.compile(r"(?<![\w+/-])[\w+/-]{12,4000}={0,2}", re.ASCII)
_LONGEST_READ = 10_000
_LONGEST_PIECE = 60


def redact(text: str, limit: int = 300, *, hidden: Iterable[str] = ()) -> str:
    """Shorten a vendor's text to one line and take e-mail addresses and links out of it.

    :param hidden: further texts to take out, such as the values that were sent; in capitals or not, and as they are
        written in an address (``%C3%A9``), in JSON (``\\u00e9``), in HTML (``&#233;``, ``&eacute;``), in an e-mail (``=C3=A9``),
        in base64, and where letters were lost on the way.
    """
    if len(text) > _LONGEST_READ:
        text = text[:_LONGEST_READ].rpartition(" ")[0]  # the last word may be the first half of an address
    pieces = sorted(filter(None, set(_pieces(hidden))), key=len, reverse=True)
    personal = [*(re.compile("".join(map(_spellings, piece)), re.IGNORECASE) for piece in pieces), _PERSONAL]
    return _BASE64.sub(lambda word: _decoded(word, personal), _without(_seen(text), personal))[:limit]


def _without(text: str, personal: Iterable[re.Pattern[str]]) -> str:
    for pattern in personal:
        text = pattern.sub("[removed]", text)
    return text


def _decoded(word: re.Match[str], personal: Iterable[re.Pattern[str]]) -> str:
    """Return a word, unless it is base64 of something personal."""
    try:
        said = b64decode(word[0].rstrip("=").translate(_URL_SAFE) + "==").decode()
    except ValueError:
        return word[0]
    return word[0] if _without(said, personal) == said else "[removed]"


_URL_SAFE = str.maketrans("-_", "+/")


def _seen(text: str, *, line_end: str = " ") -> str:
    """Return a text as it looks: in the usual width, without signs that show nothing or turn the line round."""
    usual = unicodedata.normalize("NFKC", _CONTROL.sub(line_end, text))
    return "".join(sign for sign in usual if unicodedata.category(sign) != "Cf")


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """Cut into lines, and long lines into pieces: a vendor may repeat a part only."""
    for text in texts:
        for line in _seen(text, line_end="\n").splitlines():
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
        return r"(?>(?:[\s+_]|%(?:25){0,3}20|=20|\\u0020|&nbsp;){1,4})"
    forms = {form for case in (letter, letter.lower(), letter.upper()) for form in _forms(case)}
    return f"(?>{'|'.join(sorted(forms, key=len, reverse=True))})"


def _forms(text: str) -> Iterator[str]:
    yield re.escape(text)
    for code in {text.encode(), text.encode("latin-1", "ignore")} - {b""}:
        yield "".join(f"(?:%(?:25){{0,3}}|=|\\\\{{1,4}}x){byte:02x}" for byte in code)
    units = text.encode("utf-16-be")
    yield "".join(rf"(?:\\{{1,4}}|%)u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
    yield "".join(rf"&#0{{0,4}}(?:{ord(sign)}(?!\d)|x0{{0,4}}{ord(sign):x}(?![0-9a-f]));?" for sign in text)
    yield from (f"&{re.escape(name)}" for name in _NAMES.get(text, ()))
    if not text.isascii():
        yield rf"\?|\ufffd|{unicodedata.normalize('NFD', text).encode('ascii', 'ignore').decode() or re.escape(text)}"


_NAMES: dict[str, list[str]] = {}
for _name, _meant in html5.items():
    _NAMES.setdefault(_meant, []).append(_name)

_AT, _COLON, _SLASH = map(_spellings, "@:/")
# An address is looked for only where a word begins: one look at each word, however long it is.
_PERSONAL = re.compile(
    rf"(?<![^{_SEPARATORS}:])(?:\"[^\"@]{{1,64}}\"|[^{_SEPARATORS}:]+){_AT}[^{_SEPARATORS}]+"
    rf"|(?:https?|ftp){_COLON}(?:\\?{_SLASH}){{2}}\S+",
    re.IGNORECASE,
)
