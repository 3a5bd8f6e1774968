"""How work is spread over mapped tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_TASKS = 32


def batches(items: Sequence[T], most: int = MAX_TASKS) -> list[list[T]]:
    """One item a task up to `most`, beyond that `most` tasks of even size, so that thousands stay few tasks."""
    count = min(len(items), most)
    return [list(items[number::count]) for number in range(count)]
