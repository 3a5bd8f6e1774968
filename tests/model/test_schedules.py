"""Whatever people do and whatever fails: nothing twice, nothing lost."""

from __future__ import annotations

from tests.model.harness import Harness
from tests.model.machine import play


def test_random_schedules_end_as_the_model_says(harness: Harness) -> None:
    assert play(harness, examples=100, steps=30, derandomize=True)["steps"] > 2000
