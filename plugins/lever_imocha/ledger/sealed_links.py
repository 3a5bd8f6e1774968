"""Test links that were asked for on the console, sealed for the one browser that opens them: read once, and soon."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, text, update

from lever_imocha.domain.acts import Act
from lever_imocha.ledger.base import Author, Database, LedgerPart
from lever_imocha.ledger.events import appended
from lever_imocha.ledger.requests import Requests
from lever_imocha.ledger.tables import requests, sealed_links

KEPT_FOR = timedelta(minutes=15)
"""So long after it was asked for a link is sealed, and handed out."""
_ASK = text(
    f"""
    WITH asked AS (
        INSERT INTO {sealed_links} (request_id, test_id, opportunity_id, actor, asked_at, public_key)
        SELECT CAST(:request_id AS bigint), test_id, :opportunity_id, :actor, CAST(:now AS timestamptz), :public_key
        FROM unnest(CAST(:test_ids AS bigint[])) AS test_id
        RETURNING *
    ), {
        appended('''
            SELECT asked_at, 'link_asked', opportunity_id, CAST(NULL AS bigint), CAST(NULL AS bigint), CAST(NULL AS text),
                   jsonb_build_object('request', request_id, 'tests', jsonb_agg(test_id ORDER BY test_id))
            FROM asked GROUP BY asked_at, opportunity_id, request_id
        ''')
    }
    """  # noqa: S608 - constants
)
_TAKE = text(
    f"""
    WITH taken AS (
        DELETE FROM {sealed_links}
        WHERE request_id = :request_id AND test_id = :test_id AND opportunity_id = :opportunity_id AND actor = :actor
            AND asked_at > :since AND sealed IS NOT NULL
        RETURNING *
    ), {
        appended('''
            SELECT CAST(:now AS timestamptz), 'link_shown', opportunity_id, CAST(NULL AS bigint), test_id,
                   CAST(NULL AS text), jsonb_build_object('request', request_id)
            FROM taken
        ''')
    } RETURNING (SELECT sealed FROM taken)
    """  # noqa: S608 - constants
)


class SealedLinks(LedgerPart):
    """Keeps the public key of who asks for a test link, then the sealed link, until it is read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._requests = Requests(database)

    def ask(
        self, opportunity_id: str, test_ids: Collection[int], *, public_key: str, shown: str, reason: str, actor: str
    ) -> int | None:
        """Record a request to send the e-mail again, and that its links are to be shown to who asks.

        :param test_ids: the tests whose invitations are sent again.
        :param shown: what the person saw when they asked.
        :return: the request's id; None when the same is asked for already, and nothing is recorded.
        """
        c = requests.c
        mine = (c.opportunity_id == opportunity_id, c.act == Act.SEND_AGAIN, c.actor == actor)
        with self._database.transaction() as connection:
            if not self._requests.add(Act.SEND_AGAIN, {opportunity_id: shown}, reason=reason, actor=actor):
                return None
            request_id: int = connection.execute(select(func.max(c.id)).where(*mine)).scalar_one()
            asked = {
                "request_id": request_id, "test_ids": sorted(test_ids), "opportunity_id": opportunity_id,
                "public_key": public_key, "now": self._database.now(),
            }  # fmt: skip
            connection.execute(_ASK, asked | vars(Author(source="console", actor=actor)))
        return request_id

    def waiting(self, opportunity_id: str, test_id: int) -> dict[int, str]:
        """Return who waits for the link of a test: request -> public key."""
        c = sealed_links.c
        query = select(c.request_id, c.public_key).where(
            c.opportunity_id == opportunity_id, c.test_id == test_id, c.sealed.is_(None), c.asked_at > self._since
        )
        return {row.request_id: row.public_key for row in self._database.rows(query)}

    def put(self, request_id: int, test_id: int, sealed: str | None) -> None:
        """Keep a sealed link until it is taken; None when there is none to wait for."""
        its = (sealed_links.c.request_id == request_id, sealed_links.c.test_id == test_id)
        kept = update(sealed_links).values(sealed=sealed) if sealed is not None else delete(sealed_links)
        self._database.execute(kept.where(*its))

    def is_coming(self, request_id: int, test_id: int, *, opportunity_id: str, actor: str) -> bool:
        """Tell whether who has asked for a link still has it to come."""
        c = sealed_links.c
        mine = (c.request_id == request_id, c.test_id == test_id, c.opportunity_id == opportunity_id, c.actor == actor)
        return bool(self._database.value(select(func.count()).where(*mine, c.asked_at > self._since)))

    def take(self, request_id: int, test_id: int, *, opportunity_id: str, actor: str) -> str | None:
        """Return a sealed link to who has asked for it, and remove it; None when there is none."""
        asked = {
            "request_id": request_id, "test_id": test_id, "opportunity_id": opportunity_id, "since": self._since,
            "now": self._database.now(),
        }  # fmt: skip
        with self._database.statement() as connection:
            sealed: str | None = connection.execute(_TAKE, asked | vars(Author(source="console", actor=actor))).scalar()
        return sealed

    @property
    def _since(self) -> datetime:
        return self._database.now() - KEPT_FOR
