"""How work is spread over mapped tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_SINGLES = 32
MAX_BATCHES = 8
"""As many as run at a time; more would only add the 1 to 2 seconds that starting a task costs."""


def batches(items: Sequence[T], singles: int = MAX_SINGLES, most: int = MAX_BATCHES) -> list[list[T]]:
    """Return one item a task up to `singles`, so that each has a row in the grid; else `most` batches of even size."""
    count = len(items) if len(items) <= singles else min(len(items), most)
    return [list(items[number::count]) for number in range(count)]
