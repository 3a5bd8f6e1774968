"""What is kept of an opportunity as such: its display name, which can be erased, and since when it is missing in Lever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Text, any_, cast, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from lever_imocha.domain.decisions import Departure
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import assessments, opportunities


class Opportunities(LedgerPart):
    """Display names, and since when an opportunity is missing."""

    def erase_name(self, opportunity_id: str) -> None:
        """Forget a candidate's name."""
        self._database.execute(
            update(opportunities).where(opportunities.c.opportunity_id == opportunity_id).values(name=None)
        )

    def stored_of(self, opportunity_ids: Sequence[str]) -> set[str]:
        """Return those who are not forgotten yet: a name is kept, or a test of theirs is not known to be a deleted one's."""
        given = cast(list(opportunity_ids), ARRAY(Text))
        named = select(opportunities.c.opportunity_id).where(
            opportunities.c.opportunity_id == any_(given), opportunities.c.name.is_not(None)
        )
        tested = select(assessments.c.opportunity_id).where(
            assessments.c.opportunity_id == any_(given), assessments.c.left_as.is_distinct_from(Departure.DELETED)
        )
        return set(self._database.values(named.union(tested)))

    def record_missing(self, opportunity_id: str) -> datetime:
        """Remember that Lever does not find an opportunity; return since when."""
        statement = insert(opportunities).values(opportunity_id=opportunity_id, missing_since=self._database.now())
        since: datetime = self._database.value(
            statement.on_conflict_do_update(
                index_elements=["opportunity_id"],
                set_={"missing_since": func.least(opportunities.c.missing_since, statement.excluded.missing_since)},
            ).returning(opportunities.c.missing_since)
        )
        return since

    def record_found(self, opportunity_id: str) -> None:
        """Forget that an opportunity was missing."""
        self._database.execute(
            update(opportunities)
            .where(opportunities.c.opportunity_id == opportunity_id, opportunities.c.missing_since.is_not(None))
            .values(missing_since=None)
        )
