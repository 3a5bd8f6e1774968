"""The time, as everything takes it that depends on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time now, in UTC and with its zone."""
Sleep = Callable[[float], None]
"""Waits for a number of seconds."""


def utc_now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)
