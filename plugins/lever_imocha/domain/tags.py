"""What a Lever tag means to us: which test it names, or which status it shows."""

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
        """The tag of a test, as the tag sync creates it."""
        return f"{self.prefix} {' '.join(test_name.split())} [{test_id}]"


class StatusTag(StrEnum):
    """The tags by which a recruiter sees how an assessment stands (settings `explain`); they never name a test."""

    INVITED = "iMocha: invited"
    STARTED = "iMocha: started"
    COMPLETE = "iMocha: complete"
    EXPIRED = "iMocha: expired"
    ON_HOLD = "iMocha: on hold"


STATUS_TAGS = frozenset(tag.value for tag in StatusTag)


@dataclass(frozen=True)
class WantedTest:
    """A tag of ours and the test it names; None when it names none."""

    tag: str
    test_id: int | None


def wanted_tests(tags: Sequence[str], scheme: TagScheme) -> tuple[WantedTest, ...]:
    """The tests an opportunity's tags ask for, each once, in the tags' order.

    Tags are compared exactly: Lever keeps tags apart that differ in case only (lever.md 5.2).
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
    """Tags that would be ours but for capitals: somebody may wonder why they ask for nothing (lever.md 5.2)."""
    known = {tag.casefold() for tag in scheme.mapping}
    return [
        tag
        for tag in tags
        if tag not in STATUS_TAGS
        and not tag.startswith(scheme.prefix)
        and tag not in scheme.mapping
        and (tag.casefold().startswith(scheme.prefix.casefold()) or tag.casefold() in known)
    ]
