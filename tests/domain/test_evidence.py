"""A chain of events shows what was changed in it, taken out of it, or put into it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lever_imocha.domain.evidence import ChainEnd, Link, hash_of, verify

AT = "2026-07-02 00:00 UTC"


def chain(*contents: str) -> list[Link]:
    links, before = list[Link](), None
    for number, content in enumerate(contents, 1):
        before = hash_of(content, before)
        links.append(Link(at=AT, number=number, hash=before, content=content))
    return links


LINKS = chain("entered", "held", "invited", "written back")
END = ChainEnd(number=4, hash=str(LINKS[-1].hash))
UNLINKED = Link(at=AT, number=None, hash=None, content="from before")
FORGED = replace(LINKS[1], content="ignored", hash=hash_of("ignored", LINKS[0].hash))


def test_what_was_written_is_unbroken() -> None:
    verdict = verify(LINKS, END)
    assert verdict.is_unbroken
    assert verdict.said == f"unbroken since {AT}, 4 events"


def test_events_from_before_are_told_and_break_nothing() -> None:
    assert verify([UNLINKED, *LINKS], END).said.endswith("4 events; 1 are from before events were linked")
    assert verify([UNLINKED], None).said == "no event is linked; 1 are from before events were linked"


def test_what_went_with_age_breaks_nothing() -> None:
    cut = replace(END, removed=2, removed_hash=LINKS[1].hash)
    assert verify(LINKS[2:], cut).said == f"unbroken since {AT}, 2 events; 2 were removed because of their age"
    assert verify(LINKS[1:], cut).is_unbroken
    assert verify([], replace(END, removed=4, removed_hash=LINKS[3].hash)).is_unbroken
    assert verify(chain("a", "b", "c")[2:], cut).broken_at == 3


@pytest.mark.parametrize(
    ("links", "end", "broken_at"),
    [
        ([LINKS[0], replace(LINKS[1], content="ignored"), *LINKS[2:]], END, 2),
        ([LINKS[0], FORGED, *LINKS[2:]], END, 3),
        ([LINKS[0], *LINKS[2:]], END, 2),
        (LINKS[1:], END, 1),
        (LINKS[:-1], END, 4),
        ([], END, 1),
        ([*LINKS[:2], UNLINKED, *LINKS[2:]], END, 3),
        ([*LINKS, UNLINKED], END, 5),
        ([*LINKS, chain("entered", "held", "invited", "written back", "forged")[-1]], END, 4),
        ([LINKS[0], LINKS[1], LINKS[1], *LINKS[2:]], END, 3),
        (LINKS, None, 1),
        (LINKS, replace(END, hash="00" * 32), 4),
    ],
    ids=[
        "changed", "changed with its hash", "taken out", "the first taken out", "the last taken out", "all taken out",
        "put in", "put at the end", "linked at the end", "twice", "its end is gone", "its end is another's",
    ],
)  # fmt: skip
def test_the_first_event_that_is_not_as_it_was_written_is_named(
    links: list[Link], end: ChainEnd | None, broken_at: int
) -> None:
    verdict = verify(links, end)
    assert not verdict.is_unbroken
    assert verdict.broken_at == broken_at
