"""Tags that the tag sync has put on an opportunity for a moment: they ask for no test there.

They are remembered before they are put on and until they are off again, so that a sync that is cut off in between
neither invites the candidate to every test nor leaves the tags behind. The last ones stay known when they are off: who
read the opportunity meanwhile has to know of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from uuid import uuid4

from lever_imocha.domain.lever import Opportunity
from lever_imocha.ledger.cache import TEMPORARY_TAGS
from lever_imocha.ledger.repository import Ledger


@dataclass(frozen=True, kw_only=True)
class TemporaryTags:
    """What a tag sync has put on an opportunity.

    :param sync: tells one sync from another.
    :param are_off: they were taken off again.
    """

    opportunity_id: str
    tags: Sequence[str]
    sync: str = ""
    are_off: bool = False


def remember(ledger: Ledger, opportunity_id: str, tags: Sequence[str]) -> None:
    """Record that these tags are about to be put on."""
    _put(ledger, TemporaryTags(opportunity_id=opportunity_id, tags=list(tags), sync=uuid4().hex))


def mark_off(ledger: Ledger, temporary: TemporaryTags) -> None:
    """Record that they are off."""
    _put(ledger, replace(temporary, are_off=True))


def _put(ledger: Ledger, temporary: TemporaryTags) -> None:
    ledger.cache.put(TEMPORARY_TAGS, asdict(temporary))


def temporary_tags(ledger: Ledger) -> TemporaryTags | None:
    """Return the tags that the last sync has put on; None when there was none."""
    found = ledger.cache.get(TEMPORARY_TAGS)
    return TemporaryTags(**found) if found else None


def lasting_tags(opportunity: Opportunity, ledger: Ledger, *, before: TemporaryTags | None) -> tuple[str, ...]:
    """Return the tags an opportunity carries for itself.

    :param before: `temporary_tags` from before the opportunity was read. A sync may have begun, or ended, or both
        since: then its tags may be among those that were read.
    """
    after = temporary_tags(ledger)
    moments = [before] if before is not None and not before.are_off else []
    if after is not None and (not after.are_off or after != before):
        moments.append(after)
    temporary = {tag for moment in moments if moment.opportunity_id == opportunity.id for tag in moment.tags}
    return tuple(tag for tag in opportunity.tags if tag not in temporary)
