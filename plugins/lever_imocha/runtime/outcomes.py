"""Counts what came of a run's candidates, for the run's note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from lever_imocha.domain.decisions import Action

OUTCOMES = "outcomes"
"""The key of the XCom in which a task leaves how many candidates came to which outcome."""
_KINDS, _LENGTH = 10, 1000
_DONE: Mapping[str, str] = {
    Action.INVITE: "invited",
    Action.REFRESH: "invited again",
    Action.REATTEMPT: "given another attempt",
    Action.ADOPT: "adopted",
    Action.HOLD: "held",
    Action.IGNORE: "ignored",
}


def counted(outcomes: Iterable[str]) -> dict[str, int]:
    """Count outcomes by their kind; why nobody was invited is a part of it, the tag in question is not."""
    kinds = Counter[str]()
    for outcome in outcomes:
        kind, _, why = outcome.partition(":")
        reason = f":{why.partition(' (')[0]}" if why and kind in _DONE else ""
        kinds[f"{_DONE.get(kind, kind)}{reason}"] += 1
    return dict(kinds)


def note_of(left: Iterable[Mapping[str, int]]) -> str:
    """Return the note for what a run's tasks have left; empty when nobody was worked on."""
    total = Counter[str]()
    for counts in left:
        total.update(counts)
    most_first = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {kind}" for kind, number in most_first[:_KINDS])[:_LENGTH]
