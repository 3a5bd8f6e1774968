"""A vendor's clock, read from its answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests
from lever_imocha.clients.server_clock import ServerClock

from tests.clients.conftest import Vendor


@pytest.mark.parametrize("minutes", [0, -20, 20])
def test_how_far_a_vendor_is_ahead_of_us(vendor: Vendor, minutes: int) -> None:
    ours = timedelta(minutes=-minutes)
    clock, session = ServerClock(lambda: datetime.now(UTC) + ours), requests.Session()
    clock.watch(session)
    assert clock.ahead is None
    session.get(vendor.url, timeout=5)
    assert clock.ahead is not None
    assert abs(clock.ahead - timedelta(minutes=minutes)) < timedelta(seconds=5)


DAY = "Mon, 01 Jan 2026"


@pytest.mark.parametrize(
    "date",
    [{}, *({"Date": date} for date in ("yesterday", f"{DAY} 00:00:00 +{'9' * 20}", f"{DAY} {'9' * 20}:00:00 GMT"))],
)
def test_an_answer_without_a_time_says_nothing(date: dict[str, str]) -> None:
    clock, session, answer = ServerClock(), requests.Session(), requests.Response()
    clock.watch(session)
    answer.headers.update(date)
    for look in session.hooks["response"]:
        look(answer)
    assert clock.ahead is None
