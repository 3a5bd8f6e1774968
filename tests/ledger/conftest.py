"""A clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

NOW = datetime(2026, 7, 2, tzinfo=UTC)


class Clock:
    """A time that tests move."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()
