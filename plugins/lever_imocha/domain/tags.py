"""Lever tags: which test a tag names, and the tags that show a status."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lever_imocha.domain.written import plain
from lever_imocha.errors import redact

_NUMBER = re.compile(r"\[ ?(\d{1,18}) ?\]$")


@dataclass(frozen=True, kw_only=True)
class TagScheme:
    """How a tag names a test: `prefix` and a number in brackets at the end, or an entry of `mapping`."""

    prefix: str
    mapping: Mapping[str, int]

    def tag_for(self, test_id: int, test_name: str) -> str:
        """Return the tag of a test, as the tag sync creates it."""
        return f"{self.prefix} {' '.join(test_name.split())} [{test_id}]"


class StatusTag(StrEnum):
    """The tags that show a recruiter the state of an assessment (settings `explain`); they never name a test."""

    INVITED = "iMocha: invited"
    STARTED = "iMocha: started"
    COMPLETE = "iMocha: complete"
    EXPIRED = "iMocha: expired"
    ON_HOLD = "iMocha: on hold"


STATUS_TAGS = frozenset(tag.value for tag in StatusTag)


@dataclass(frozen=True)
class WantedTest:
    """A test that an opportunity is to take.

    :param tag: the tag that asks for it; None when its rule does.
    :param test_id: None when the tag names none.
    """

    tag: str | None
    test_id: int | None

    @property
    def asker(self) -> str:
        """What asks for it, for an operator; a tag is a vendor's text."""
        return "its rule" if self.tag is None else redact(self.tag)

    def __str__(self) -> str:
        """Name it by what asks for it."""
        return f"test {self.test_id} of its rule" if self.tag is None else self.asker


def wanted_tests(tags: Sequence[str], scheme: TagScheme) -> tuple[WantedTest, ...]:
    """Return the tests that an opportunity's tags name, each once, in the order of the tags.

    Blanks and the width of signs make no difference: nobody means anything by them. Capitals do, as in Lever itself
    (lever.md 5.2).
    """
    mapping = {plain(tag): test_id for tag, test_id in scheme.mapping.items()}
    wanted: dict[object, WantedTest] = {}
    for tag in tags:
        seen = plain(tag)
        if seen in STATUS_TAGS:
            continue
        if seen in mapping:
            test = WantedTest(tag, mapping[seen])
        elif _compact(seen).startswith(_compact(scheme.prefix)):
            found = _NUMBER.search(seen)
            test = WantedTest(tag, int(found[1]) if found else None)
        else:
            continue
        wanted.setdefault(test.test_id if test.test_id is not None else tag, test)
    return tuple(wanted.values())


def near_misses(tags: Sequence[str], scheme: TagScheme) -> list[str]:
    """Return the tags that name no test and look as if they should, for a warning.

    They differ in capitals or punctuation from a tag of the mapping, or at their beginning from the prefix.
    """
    prefix, known = _letters(scheme.prefix), {_letters(tag) for tag in scheme.mapping} - {""}
    status = {_letters(tag) for tag in STATUS_TAGS}
    return [
        tag
        for tag in tags
        if (letters := _letters(tag)) not in status
        and not wanted_tests([tag], scheme)
        and (letters in known or (prefix and letters.startswith(prefix)))
    ]


def _compact(text: str) -> str:
    return "".join(plain(text).split())


def _letters(text: str) -> str:
    return "".join(sign for sign in plain(text).casefold() if sign.isalnum())
