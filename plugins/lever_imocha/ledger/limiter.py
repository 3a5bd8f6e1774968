"""One rate limit for every process that uses an API key."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from sqlalchemy import Engine, select

from lever_imocha.domain.clock import Clock, Sleep
from lever_imocha.ledger.tables import limits

_NOW = "coalesce(%(now)s::timestamptz, clock_timestamp())"
_FACTOR = "greatest(1, limits.slowdown - coalesce(abs(extract(epoch FROM {now} - limits.slowed_at)), 0) / 60)"
_JUST_SLOWED = f"slowed_at BETWEEN {_NOW} - interval '1 second' AND {_NOW} + interval '1 second'"
_TODAY = f"({_NOW} AT TIME ZONE 'UTC')::date"

_TAKE_TURN = f"""
    INSERT INTO {limits} AS limits (name, turn_at, gap, minute_at, taken, answered)
    VALUES (%(name)s, {_NOW}, %(gap)s, date_trunc('minute', {_NOW}), 1, %(answered)s)
    ON CONFLICT (name) DO UPDATE SET turn_at = CASE
            -- the turns were given by a clock that was ahead
            WHEN limits.minute_at > excluded.minute_at + interval '1 minute' THEN excluded.turn_at
            ELSE greatest(
                excluded.turn_at,
                limits.turn_at + %(gap)s * interval '1 second' * {_FACTOR.format(now="excluded.turn_at")}
            ) END,
        gap = excluded.gap, minute_at = excluded.minute_at,
        taken = CASE WHEN limits.minute_at = excluded.minute_at THEN limits.taken ELSE 0 END + 1,
        taken_before = CASE limits.minute_at
            WHEN excluded.minute_at THEN limits.taken_before
            WHEN excluded.minute_at - interval '1 minute' THEN limits.taken
            ELSE 0 END,
        answered = greatest(limits.answered, excluded.answered)
    RETURNING greatest(0, extract(epoch FROM turn_at - {_NOW}))::float8
"""  # noqa: S608 - constants

_SLOW_DOWN = f"""
    UPDATE {limits} AS limits SET
        slowdown = CASE WHEN {_JUST_SLOWED} THEN slowdown ELSE least(16, 2 * {_FACTOR.format(now=_NOW)}) END,
        slowed_at = CASE WHEN {_JUST_SLOWED} THEN slowed_at ELSE {_NOW} END,
        refused_on = {_TODAY},
        refused = CASE WHEN refused_on = {_TODAY} THEN refused ELSE 0 END + 1,
        refused_before = CASE refused_on WHEN {_TODAY} THEN refused_before WHEN {_TODAY} - 1 THEN refused ELSE 0 END
    WHERE name = %(name)s
"""  # noqa: S608 - constants


def slowed_at(engine: Engine) -> dict[str, datetime]:
    """Return when each API last answered 429, by its name; without those that never did."""
    query = select(limits.c.name, limits.c.slowed_at).where(limits.c.slowed_at.is_not(None))
    with engine.connect() as connection:
        return {row.name: row.slowed_at for row in connection.execute(query)}


class SharedLimiter:
    """Give every request a moment of its own, in the order in which workers, triggers and servers ask.

    The ledger keeps the moment of the latest turn. One statement moves it on by the gap between two requests and says
    how long to wait for it; the wait itself holds neither a connection nor a lock. A process that ends while it waits
    loses its one turn and stops nobody. Turns are never refused: who asks last waits for all who asked before, which
    is one turn for each waiting process.

    After a 429 the gap doubles, up to 16 times the one that `rate` asks for, and then shrinks by one such gap a minute.
    Several 429s within a second count once: they answer requests that were on their way together. When the clock is put
    back, the turns begin anew: nobody waits for the time that it told before.

    The same statements count, for the console, the turns of this minute and of the one before, and the 429s of today and of
    yesterday (UTC), and keep the last answer: `[time, call, status]`, of which the later is the greater. It is told with the
    next turn, so that it costs no statement of its own.

    :param name: of the API whose key is shared, a word.
    :param rate: requests a second. Processes with different rates share the turns; each keeps its own gap.
    :param clock: the time; None leaves it to the database's own clock, which all processes share.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        name: str,
        rate: float,
        sleep: Sleep = time.sleep,
        clock: Clock | None = None,
    ) -> None:
        # Without a transaction there is no BEGIN and no COMMIT to wait for.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._name, self._gap, self._sleep, self._clock = name, 1 / rate, sleep, clock
        self._answered: str | None = None

    def acquire(self) -> None:
        """Wait until one more request may be sent.

        :raises LedgerError: the ledger cannot be used.
        """
        given = self._given(gap=self._gap, answered=self._answered)
        with self._engine.connect() as connection:
            wait: float = connection.exec_driver_sql(_TAKE_TURN, given).scalar_one()
        self._sleep(wait)

    def note_answer(self, call: str, status: int) -> None:
        """Remember what the vendor has answered, for the console; the next turn tells it."""
        now = self._clock() if self._clock else datetime.now(UTC)
        self._answered = json.dumps([now.isoformat(timespec="milliseconds"), call, status])

    def slow_down(self) -> None:
        """Make the turns of all processes rarer for a while, because the vendor answered 429.

        :raises LedgerError: the ledger cannot be used.
        """
        with self._engine.connect() as connection:
            connection.exec_driver_sql(_SLOW_DOWN, self._given())

    def _given(self, **values: object) -> dict[str, object]:
        return {"name": self._name, "now": self._clock and self._clock(), **values}
