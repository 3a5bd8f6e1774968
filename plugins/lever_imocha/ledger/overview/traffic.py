"""What the vendors send, what is queued, and how the rate limits stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from lever_imocha.ledger.base import LedgerPart
from lever_imocha.ledger.overview.shared import PAGE, as_one


@dataclass(frozen=True, kw_only=True)
class Received:
    """What one vendor has sent on one day, by kind."""

    day: datetime
    vendor: str
    event: str
    count: int
    last: datetime


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Deliveries in a vendor's name that were refused for one reason."""

    vendor: str
    why: str
    count: int
    last: datetime


@dataclass(frozen=True, kw_only=True)
class StoredDelivery:
    """One delivery.

    :param opportunity_id: whom it is about; of several that share an invitation, one.
    """

    id: int
    vendor: str
    event: str
    received_at: datetime
    opportunity_id: str | None


@dataclass(frozen=True, kw_only=True)
class Queued:
    """Work of one kind in one state.

    :param state: ``due``, ``claimed``, ``waiting`` or ``parked``.
    """

    kind: str
    state: str
    count: int
    oldest: datetime


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How one API's rate limit stands.

    :param backlog: seconds until the next turn that is free.
    :param slowdown: how many times longer the gaps are than the settings say, because the vendor answered 429.
    :param limit: requests a second, as the settings of who asked last say; None while nobody has.
    :param this_minute: requests since the minute began.
    :param last_minute: requests in the whole minute before.
    :param answered_call: which call the last answer known was to, by its name; its status is ``answer_status``.
    :param refused_today: how often it has answered 429 since the day (UTC) began.
    """

    name: str
    limit: float | None
    this_minute: int
    last_minute: int
    backlog: float
    slowdown: float
    slowed_at: datetime | None
    answered_at: datetime | None
    answered_call: str | None
    answer_status: int | None
    refused_today: int
    refused_yesterday: int


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All of it, as it stood at one moment.

    :param received: since a time, by day and kind.
    :param refused: since a day, by vendor and reason, the last refusal first.
    :param deliveries: the latest first.
    """

    received: tuple[Received, ...]
    refused: tuple[Refused, ...]
    deliveries: tuple[StoredDelivery, ...]
    queued: tuple[Queued, ...]
    rates: tuple[Rate, ...]


_SEEN = TypeAdapter(Seen)
_QUERY = as_one(
    received="""
    SELECT date_trunc('day', received_at, 'UTC') AS day, vendor, event, count(*), max(received_at) AS last
    FROM lever_imocha.deliveries WHERE received_at >= :since GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    refused="""
    SELECT vendor, why, sum(count)::bigint AS count, max(last_at) AS last
    FROM lever_imocha.refusals WHERE day >= CAST(:since AS timestamptz)::date GROUP BY 1, 2 ORDER BY 4 DESC
    """,
    deliveries="""
    SELECT d.id, d.vendor, d.event, d.received_at, coalesce(d.opportunity_id, (
        SELECT a.opportunity_id FROM lever_imocha.assessments a WHERE a.invitation_id = d.invitation_id
        ORDER BY a.id LIMIT 1
    )) AS opportunity_id
    FROM (SELECT * FROM lever_imocha.deliveries ORDER BY received_at DESC LIMIT :limit) d
    ORDER BY d.received_at DESC, d.id DESC
    """,
    queued="""
    SELECT kind, CASE WHEN parked_at IS NOT NULL THEN 'parked' WHEN claimed_by IS NOT NULL THEN 'claimed'
                      WHEN not_before > :now THEN 'waiting' ELSE 'due' END AS state,
           count(*), min(queued_at) AS oldest
    FROM lever_imocha.work_items GROUP BY 1, 2 ORDER BY 1, 2
    """,
    rates="""
    SELECT name, 1 / gap AS limit,
           CASE minute_at WHEN minute THEN taken ELSE 0 END AS this_minute,
           CASE minute_at WHEN minute THEN taken_before
                          WHEN minute - interval '1 minute' THEN taken ELSE 0 END AS last_minute,
           greatest(0, extract(epoch FROM turn_at - clock_timestamp()))::float8 AS backlog, slowed_at,
           greatest(1, slowdown - coalesce(extract(epoch FROM clock_timestamp() - slowed_at), 0) / 60)::float8
           AS slowdown,
           CAST(answered ->> 0 AS timestamptz) AS answered_at, answered ->> 1 AS answered_call,
           CAST(answered ->> 2 AS int) AS answer_status,
           CASE refused_on WHEN today THEN refused ELSE 0 END AS refused_today,
           CASE refused_on WHEN today THEN refused_before
                           WHEN today - 1 THEN refused ELSE 0 END AS refused_yesterday
    FROM lever_imocha.limits, date_trunc('minute', clock_timestamp()) AS minute,
         CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date) AS today
    ORDER BY name
    """,
)


class Traffic(LedgerPart):
    """Reads; never writes."""

    def seen(self, *, since: datetime, deliveries: int = PAGE) -> Seen:
        """Return what the vendors have sent since a time, what is queued, and how the rate limits stand.

        :param deliveries: how many of the last ones.
        """
        given = {"since": since, "limit": deliveries, "now": self._database.now()}
        (row,) = self._database.rows(_QUERY.bindparams(**given))
        return _SEEN.validate_python(row._asdict())
