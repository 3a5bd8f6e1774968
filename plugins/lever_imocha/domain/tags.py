"""Lever tags: which test a tag names, and the tags that show a status."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_NUMBER = re.compile(r"\[(\d{1,18})\]\s*$")


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
    """A tag in our format and the id of the test it names; None if it names none."""

    tag: str
    test_id: int | None


def wanted_tests(tags: Sequence[str], scheme: TagScheme) -> tuple[WantedTest, ...]:
    """Return the tests that an opportunity's tags name, each once, in the order of the tags.

    Tags are compared exactly: for Lever, tags that differ in case only are different (lever.md 5.2).
    """
    wanted: dict[object, WantedTest] = {}
    for tag in tags:
        if tag in STATUS_TAGS:
            continue
        if tag in scheme.mapping:
            test = WantedTest(tag, scheme.mapping[tag])
        elif tag.startswith(scheme.prefix):
            found = _NUMBER.search(tag)
            test = WantedTest(tag, int(found[1]) if found else None)
        else:
            continue
        wanted.setdefault(test.test_id if test.test_id is not None else tag, test)
    return tuple(wanted.values())


def near_misses(tags: Sequence[str], scheme: TagScheme) -> list[str]:
    """Return the tags that would name a test if case made no difference, for a warning (lever.md 5.2)."""
    known = {tag.casefold() for tag in scheme.mapping}
    return [
        tag
        for tag in tags
        if tag not in STATUS_TAGS
        and not tag.startswith(scheme.prefix)
        and tag not in scheme.mapping
        and (tag.casefold().startswith(scheme.prefix.casefold()) or tag.casefold() in known)
    ]
