"""Whatever people do and whatever fails: nothing twice, nothing lost."""

from __future__ import annotations

import pytest

from tests.model.harness import Harness
from tests.model.machine import play


@pytest.mark.parametrize("examples", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_random_schedules_end_as_the_model_says(harness: Harness, examples: int) -> None:
    assert play(harness, examples=examples, steps=30, derandomize=True)["steps"] > 20 * examples
