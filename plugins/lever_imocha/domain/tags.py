"""Lever tags: which test a tag names, and the tags that show a status."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from lever_imocha.domain.typed_text import plain
from lever_imocha.redaction import redact

_NUMBER = re.compile(r"\[ ?(\d{1,18}) ?\]$")
_NEARLY = 0.8
"""One letter of six may be another, or missing."""
_PUNCTUATION = re.compile(r"\s*(?:[^\w\s]|_)")


@dataclass(frozen=True, kw_only=True)
class TagScheme:
    """How a tag names a test: `prefix` and a number in brackets at the end, or an entry of `mapping`."""

    prefix: str
    mapping: Mapping[str, int]

    def tag_for(self, test_id: int, test_name: str) -> str:
        """Return the tag of a test, as the tag sync creates it."""
        return f"{self.prefix} {' '.join(test_name.split())} [{test_id}]"

    @property
    def form(self) -> str:
        """How a tag is written, for people."""
        return f"{self.prefix} <test's name> [<test's number>]"

    @cached_property
    def mapped(self) -> dict[str, int]:
        """The mapping's tags as they look, and their tests."""
        return {plain(tag): test_id for tag, test_id in self.mapping.items()}

    @cached_property
    def mapped_letters(self) -> dict[str, list[str]]:
        """The letters of the mapping's tags, and the tags that have them: C++ and C# have the same."""
        tags: dict[str, list[str]] = {}
        for tag in self.mapping:
            tags.setdefault(_letters(tag), []).append(tag)
        return tags

    def meant_by(self, seen: str) -> str:
        """Return the tags of the mapping that a text may be meant for; empty if there are none."""
        alike = self.mapped_letters.get(_letters(seen), []) if _letters(seen) else []
        best = [tag for tag in alike if _compact(tag).casefold() == _compact(seen).casefold()]
        return " or ".join(best or alike)

    @cached_property
    def prefix_word(self) -> re.Pattern[str] | None:
        """Matches the prefix's letters at the beginning, whatever stands between them, if no other letter follows."""
        letters = r"[\W_]*".join(map(re.escape, _letters(self.prefix)))
        return re.compile(rf"[\W_]*{letters}(?![^\W_])(?P<rest>.*)", re.DOTALL) if letters else None


class StatusTag(StrEnum):
    """The tags that show a recruiter the state of an assessment (settings `explain`); they never name a test."""

    INVITED = "iMocha: invited"
    STARTED = "iMocha: started"
    COMPLETE = "iMocha: complete"
    EXPIRED = "iMocha: expired"
    ON_HOLD = "iMocha: on hold"
    CANCELLED = "iMocha: cancelled"
    REPORT_MISSING = "iMocha: report missing"


STATUS_TAGS = frozenset(tag.value for tag in StatusTag)


def reads_like(tag: str, other: str) -> bool:
    """Tell whether two tags differ in blanks, capitals and punctuation only."""
    return _letters(tag) == _letters(other)


def is_status_tag(tag: str) -> bool:
    """Tell whether a tag is one of ours that show a status, also in other capitals or with other punctuation."""
    return _letters(tag) in _STATUS_LETTERS


@dataclass(frozen=True)
class WantedTest:
    """A test that an opportunity is to take.

    :param tag: the tag that asks for it; None when its rule does.
    :param test_id: None when the tag names none.
    :param correct: how the tag should be written if it names none.
    """

    tag: str | None
    test_id: int | None
    correct: str = ""

    @property
    def asker(self) -> str:
        """What asks for it, for an operator; a tag is a vendor's text."""
        return "its rule" if self.tag is None else redact(self.tag)

    def __str__(self) -> str:
        """Name it by what asks for it, and say how that should be written."""
        if self.tag is None:
            return f"test {self.test_id} of its rule"
        return f"{self.asker}: write it as {redact(self.correct)}" if self.correct else self.asker


def wanted_tests(tags: Sequence[str], scheme: TagScheme) -> tuple[WantedTest, ...]:
    """Return the tests that an opportunity's tags ask for, each once, in the order of the tags.

    Blanks, the width of signs, and in our prefix capitals and punctuation make no difference where there is a number
    in brackets at the end: nobody means anything else. What begins like ours and has none, and what differs in capitals
    or punctuation from a tag of the mapping, asks for a test and names none.
    """
    wanted: dict[object, WantedTest] = {}
    for tag in tags:
        if (test := _wanted(tag, scheme)) is not None:
            wanted.setdefault(test.test_id if test.test_id is not None else tag, test)
    return tuple(wanted.values())


def asked_tests(tags: Sequence[str], scheme: TagScheme, of_rule: Sequence[int]) -> tuple[WantedTest, ...]:
    """Return the tests that an opportunity is to take, each once; what tags ask for comes first.

    :param of_rule: the tests that its rule asks for.
    """
    wanted = wanted_tests(tags, scheme)
    named = {test.test_id for test in wanted}
    more = (WantedTest(None, test_id) for test_id in of_rule if test_id not in named)
    return (*wanted, *more) or doubtful_tests(tags, scheme)


def own_tags(tags: Sequence[str], scheme: TagScheme, named: Collection[str]) -> list[str]:
    """Return the tags that ask for a test, may be meant to, or are named by a rule.

    :param named: the tags that rules name, as they look (`plain`).
    """
    meant = set(doubtful_tags(tags, scheme))
    return [tag for tag in tags if tag in meant or plain(tag) in named or _wanted(tag, scheme) is not None]


def doubtful_tests(tags: Sequence[str], scheme: TagScheme) -> tuple[WantedTest, ...]:
    """Return what `doubtful_tags` may be meant for; this counts where nothing else asks for a test."""
    return tuple(WantedTest(tag, None, scheme.form) for tag in doubtful_tags(tags, scheme))


def doubtful_tags(tags: Sequence[str], scheme: TagScheme) -> list[str]:
    """Return the tags that may be meant for a test.

    They begin with the prefix's word and go on with others, such as ``iMocha alumni``, or with one that is nearly it, and
    end like ours, such as ``iMoca: Python [101]``.
    """
    return [
        tag
        for tag in tags
        if not is_status_tag(tag) and _wanted(tag, scheme) is None and _may_be_ours(plain(tag), scheme)
    ]


def _may_be_ours(seen: str, scheme: TagScheme) -> bool:
    if _after_prefix(seen, scheme) is not None:
        return True
    ours = _letters(scheme.prefix)
    beginning = _letters(seen)[: len(ours)]
    return bool(_NUMBER.search(seen)) and difflib.SequenceMatcher(None, beginning, ours).ratio() >= _NEARLY


def _wanted(tag: str, scheme: TagScheme) -> WantedTest | None:
    seen = plain(tag)
    if seen in scheme.mapped:
        return WantedTest(tag, scheme.mapped[seen])
    if is_status_tag(tag):
        return None
    number, rest = _NUMBER.search(seen), _after_prefix(seen, scheme)
    is_ours = _compact(seen).startswith(_compact(scheme.prefix))
    if is_ours or (rest is not None and (number or _PUNCTUATION.match(rest))):
        return WantedTest(tag, int(number[1])) if number else WantedTest(tag, None, scheme.form)
    meant = scheme.meant_by(seen)
    return WantedTest(tag, None, meant) if meant else None


def _after_prefix(seen: str, scheme: TagScheme) -> str | None:
    """Return what follows the prefix's letters; None if a tag does not begin with them."""
    found = scheme.prefix_word.match(seen.casefold()) if scheme.prefix_word else None
    return found["rest"] if found else None


def _compact(text: str) -> str:
    return "".join(plain(text).split())


def _letters(text: str) -> str:
    return "".join(sign for sign in plain(text).casefold() if sign.isalnum())


_STATUS_LETTERS = frozenset(map(_letters, STATUS_TAGS))
