"""Tags that the tag sync has put on an opportunity for a moment: they ask for no test there.

They are remembered before they are put on and until they are off again, so that a sync that is killed in between
neither invites the candidate to every test nor leaves the tags behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from lever_imocha.domain.lever import Opportunity
from lever_imocha.ledger.repository import Ledger

_KEY = "tags.borrowed"  # as ledgers of 0.1.0 have it


def remember(ledger: Ledger, opportunity_id: str, tags: Sequence[str]) -> None:
    """These tags are about to be put on."""
    ledger.cache.put(_KEY, {"opportunity_id": opportunity_id, "tags": list(tags)})


def forget(ledger: Ledger) -> None:
    """They are off."""
    ledger.cache.put(_KEY, {})


def temporary_tags(ledger: Ledger) -> tuple[str, list[str]] | None:
    """The opportunity and the tags that a sync did not come to take off."""
    found = ledger.cache.get(_KEY)
    return (found["opportunity_id"], found["tags"]) if found else None


def lasting_tags(opportunity: Opportunity, ledger: Ledger) -> tuple[str, ...]:
    """The tags an opportunity carries for itself."""
    temporary = temporary_tags(ledger)
    if temporary is None or temporary[0] != opportunity.id:
        return opportunity.tags
    return tuple(tag for tag in opportunity.tags if tag not in temporary[1])
