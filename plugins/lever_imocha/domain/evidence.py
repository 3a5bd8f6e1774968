"""Tells whether a chain of events is as it was written: nothing in it changed, taken out, or put in later.

The hash of an event's content is its digest. The first event's hash is its digest; that of each further one is made of
the hash before it and of its own digest. All are SHA-256.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile

_MISSING = "it is not there"


@dataclass(frozen=True, kw_only=True)
class Link:
    """An event's place in its chain.

    :param at: when it happened, for people.
    :param number: from 1 on; None for one from before there were chains.
    :param hash: in hexadecimal.
    :param content: what the event says, as the text that was hashed.
    """

    at: str
    number: int | None
    hash: str | None
    content: str


@dataclass(frozen=True, kw_only=True)
class ChainEnd:
    """What is known of a chain beside its events.

    :param number: of the last event.
    :param hash: of the last event.
    :param removed: the events up to this number were removed because of their age.
    :param removed_hash: of the last removed one.
    """

    number: int
    hash: str
    removed: int = 0
    removed_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found out about a chain.

    :param broken_at: number of the first event that is not as it was written; None when there is none.
    :param said: the same in words.
    """

    broken_at: int | None
    said: str

    @property
    def is_unbroken(self) -> bool:
        """Whether every event is as it was written."""
        return self.broken_at is None


def hash_of(content: str, before: str | None) -> str:
    """Return an event's hash.

    :param before: the hash of the event before it; None for the first one.
    """
    digest = sha256(content.encode())
    return digest.hexdigest() if before is None else sha256(bytes.fromhex(before) + digest.digest()).hexdigest()


def verify(links: Sequence[Link], end: ChainEnd | None) -> Verification:
    """Verify a chain.

    :param links: all of its events that there are, in the order in which they were written.
    :param end: None when it is not known.
    """
    if (found := _problem(links, end)) is not None:
        number, problem = found
        return Verification(broken_at=number, said=f"broken at event {number}: {problem}")
    linked = [link for link in links if link.number is not None]
    before = f"; {len(links) - len(linked)} are from before events were linked" if len(linked) < len(links) else ""
    if end is None:
        return Verification(broken_at=None, said=f"no event is linked{before}")
    removed = f"; {end.removed} were removed because of their age" if end.removed else ""
    since = f" since {linked[0].at}" if linked else ""
    return Verification(
        broken_at=None,
        said=f"unbroken{since}, {len(linked)} {'event' if len(linked) == 1 else 'events'}{removed}{before}",
    )


def _problem(links: Sequence[Link], end: ChainEnd | None) -> tuple[int, str] | None:
    """Return the number of the first event that is not as it was written, and what is wrong with it."""
    from_before = list(takewhile(lambda link: link.number is None, links))
    rest = links[len(from_before) :]
    if end is None:
        return (1, "the end of its chain is gone") if rest else None
    expected, before = end.removed + 1, end.removed_hash
    for link in rest:
        if link.number is not None and link.number <= end.removed:
            continue  # where clocks differ, age reaches it a night later
        if (problem := _problem_of(link, expected, before)) is not None:
            return expected, problem
        expected, before = expected + 1, link.hash
    if expected <= end.number:
        return expected, _MISSING
    if (expected - 1, before) != (end.number, end.hash):
        return end.number, "the end of its chain says otherwise"
    return None


def _problem_of(link: Link, expected: int, before: str | None) -> str | None:
    if link.number is None:
        return f"one of {link.at} that is not linked was put in"
    if link.number != expected:
        return _MISSING
    return None if link.hash == hash_of(link.content, before) else "it is not as it was written"
