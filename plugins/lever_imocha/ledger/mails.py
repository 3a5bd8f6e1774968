"""The e-mails that were sent to candidates, one row each: what the limits count, over all workers together."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, and_, delete, func, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

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
        now = self._database.now()
        mine = and_(
            or_(_MAIL.opportunity_id == opportunity_id, _MAIL.contact_id == literal(contact_id, Text)),
            _MAIL.at > now - WEEK,
        )
        unanswered = and_(_MAIL.opportunity_id == opportunity_id, _MAIL.answered_at.is_(None))
        hour = select(func.count()).where(_MAIL.at > now - HOUR, ~unanswered).select_from(mails).scalar_subquery()
        week = select(func.count()).where(mine, ~unanswered).select_from(mails).scalar_subquery()
        (row,) = self._database.rows(select(hour.label("last_hour"), week.label("to_candidate")))
        return MailCounts(**row._mapping)

    def take(self, opportunity_id: str, contact_id: str | None, test_id: int, *, per_hour: int | None) -> bool:
        """Count one more e-mail before it is sent, unless that is above the limit; part of the caller's transaction.

        One transaction at a time counts, until its end: two workers cannot both take the last one.

        :param contact_id: the person it is sent to.
        :param per_hour: how many may be sent in any hour; None for no limit.
        :return: whether it may be sent.
        """
        now = self._database.now()
        with self._database.transaction() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("mails"))))
            same = and_(_MAIL.opportunity_id == opportunity_id, _MAIL.test_id == test_id, _MAIL.answered_at.is_(None))
            others = select(func.count()).where(_MAIL.at > now - HOUR, ~same).select_from(mails).scalar_subquery()
            new = select(
                literal(opportunity_id, Text),
                literal(contact_id, Text),
                literal(test_id, BigInteger),
                literal(now, DateTime(timezone=True)),
            ).where(true() if per_hour is None else others < per_hour)
            taken = (
                insert(mails)
                .from_select(["opportunity_id", "contact_id", "test_id", "at"], new)
                .on_conflict_do_update(
                    index_elements=["opportunity_id", "test_id"],
                    index_where=_MAIL.answered_at.is_(None),
                    set_={"at": now},
                )
                .returning(_MAIL.id)
            )
            return connection.execute(taken).scalar() is not None

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

    @staticmethod
    def _unanswered(opportunity_id: str, test_id: int) -> tuple[ColumnElement[bool], ...]:
        return _MAIL.opportunity_id == opportunity_id, _MAIL.test_id == test_id, _MAIL.answered_at.is_(None)
