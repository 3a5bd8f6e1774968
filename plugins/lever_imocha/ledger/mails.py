"""The e-mails that were sent to candidates, one row each: what the limits count, over all workers together."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Text,
    and_,
    case,
    delete,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from lever_imocha.domain.decisions import Reason
from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.tables import mails
from lever_imocha.ledger.values import MailCounts

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
_MAIL = mails.c


class Mails(LedgerPart):
    """E-mails. One whose call was not answered counts as sent; its repetition takes its place and is not counted again."""

    def counts(self, opportunity_id: str, contact_id: str | None) -> MailCounts:
        """Return how many were sent in the last hour to all, and in the last seven days to one candidate.

        E-mails of the opportunity whose call was not answered are left out: they are about to be sent again.

        :param contact_id: the person, whose other opportunities count as well.
        """
        hour, week = self._last_hour(~self._is_unanswered(opportunity_id)), self._last_week(opportunity_id, contact_id)
        (row,) = self._database.rows(select(hour.label("last_hour"), week.label("to_candidate")))
        return MailCounts(**row._mapping)

    def take(
        self,
        opportunity_id: str,
        contact_id: str | None,
        test_id: int,
        *,
        per_hour: int | None = None,
        per_candidate: int | None = None,
    ) -> Reason | None:
        """Count one more e-mail before it is sent, unless that is above a limit; part of the caller's transaction.

        One transaction at a time counts, until its end: two workers cannot both take the last one.

        :param contact_id: the person it is sent to.
        :param per_hour: how many may be sent in any hour; None for no limit.
        :param per_candidate: how many may be sent to one person in seven days; None for no limit.
        :return: which limit stands against it; None when it may be sent.
        """
        now = self._database.now()
        hour = self._last_hour(not_(and_(*self._unanswered(opportunity_id, test_id))))
        week = self._last_week(opportunity_id, contact_id)
        above = {
            reason: count >= most
            for reason, count, most in ((Reason.PER_CANDIDATE, week, per_candidate), (Reason.LIMIT, hour, per_hour))
            if most is not None
        }
        given = {"opportunity_id": opportunity_id, "contact_id": contact_id, "test_id": test_id, "at": now}
        new = select(*(literal(value, _MAIL[name].type) for name, value in given.items()))
        taken = (
            insert(mails)
            .from_select(list(given), new.where(not_(or_(false(), *above.values()))))
            .on_conflict_do_update(
                index_elements=["opportunity_id", "test_id"], index_where=_MAIL.answered_at.is_(None), set_={"at": now}
            )
            .cte("taken")
        )
        why = case(*((is_above, literal(reason.value)) for reason, is_above in above.items())) if above else null()
        with self._database.transaction() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("mails"))))
            reason = connection.execute(select(why).add_cte(taken)).scalar()
        return Reason(reason) if reason is not None else None

    def mark_sent(self, opportunity_id: str, test_id: int) -> None:
        """Record that iMocha has answered that it has invited."""
        self._database.execute(
            update(mails).where(*self._unanswered(opportunity_id, test_id)).values(answered_at=self._database.now())
        )

    def give_back(self, opportunity_id: str, test_id: int) -> None:
        """Count an e-mail no more: none was sent."""
        self._database.execute(delete(mails).where(*self._unanswered(opportunity_id, test_id)))

    def sent_last_hour(self) -> int:
        """Return how many were sent in the last hour to all."""
        query = select(func.count()).where(_MAIL.at > self._database.now() - HOUR).select_from(mails)
        return int(self._database.value(query))

    def forget(self) -> None:
        """Delete what no limit counts any more; what a clock that was ahead has counted, counts from now on."""
        now = self._database.now()
        self._database.execute(delete(mails).where(_MAIL.at < now - WEEK))
        self._database.execute(update(mails).where(_MAIL.at > now).values(at=now))

    def _last_hour(self, *which: ColumnElement[bool]) -> ScalarSelect[int]:
        since = self._database.now() - HOUR
        return select(func.count()).where(_MAIL.at > since, *which).select_from(mails).scalar_subquery()

    def _last_week(self, opportunity_id: str, contact_id: str | None) -> ScalarSelect[int]:
        """Return as SQL how many one candidate was sent; the opportunity's own unanswered are about to be sent again."""
        mine = or_(_MAIL.opportunity_id == opportunity_id, _MAIL.contact_id == literal(contact_id, Text))
        which = (mine, _MAIL.at > self._database.now() - WEEK, ~self._is_unanswered(opportunity_id))
        return select(func.count()).where(*which).select_from(mails).scalar_subquery()

    @staticmethod
    def _is_unanswered(opportunity_id: str) -> ColumnElement[bool]:
        return and_(_MAIL.opportunity_id == opportunity_id, _MAIL.answered_at.is_(None))

    @staticmethod
    def _unanswered(opportunity_id: str, test_id: int) -> tuple[ColumnElement[bool], ...]:
        return _MAIL.opportunity_id == opportunity_id, _MAIL.test_id == test_id, _MAIL.answered_at.is_(None)
