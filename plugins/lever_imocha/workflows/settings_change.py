"""Tells which of the last arrivals other settings would have decided otherwise; asks no vendor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lever_imocha.domain.arrivals import decided_by, in_words
from lever_imocha.ledger.cache import TESTS
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import known_rules, tag_scheme


@dataclass(frozen=True)
class Difference:
    """The arrivals that were decided in one way, and would have been in another.

    :param would: in words, as `was`.
    """

    would: str
    was: str
    opportunity_ids: Sequence[str]


@dataclass(frozen=True)
class SettingsChange:
    """What other settings would have decided about the last arrivals.

    :param same: arrivals that would be decided as they were.
    :param not_by_settings: arrivals whose decision is not up to the settings: moved on, taken before, dropped.
    :param unknown: arrivals of before the facts were kept.
    :param problems: names of which it is not known what they are, and what to do.
    """

    differences: Sequence[Difference]
    same: int
    not_by_settings: int
    unknown: int
    problems: Sequence[str]


def decide_anew(ledger: Ledger, settings: Settings, *, since: datetime) -> SettingsChange:
    """Decide the arrivals since a time once more, by other settings.

    A test of a rule counts as asked for from the beginning.
    """
    rules, problems = known_rules(ledger, settings)
    scheme, active = tag_scheme(settings), (ledger.cache.get(TESTS) or {}).get("active", ())
    found = defaultdict[tuple[str, str], list[str]](list)
    same = not_by_settings = unknown = 0
    for arrival in ledger.entries.decided_since(since):
        if arrival.facts is None:
            unknown += 1
            continue
        now = decided_by(
            arrival.facts, arrival.stage_id, arrival.outcome,
            rules=rules, scheme=scheme, active=active, existing=settings.activation.existing,
        )  # fmt: skip
        if now is None:
            not_by_settings += 1
            continue
        would, was = in_words(*now), in_words(arrival.outcome, arrival.facts.tests)
        if would == was:
            same += 1
        else:
            found[would, was].append(arrival.opportunity_id)
    largest_first = sorted(found.items(), key=lambda item: -len(item[1]))
    differences = [Difference(would, was, ids) for (would, was), ids in largest_first]
    return SettingsChange(differences, same, not_by_settings, unknown, problems)
