"""Whatever people do and whatever fails: nothing twice, nothing lost."""

from __future__ import annotations

from tests.model.machine import play
from tests.model.scene import Scene


def test_random_schedules_end_as_the_model_says(scene: Scene) -> None:
    assert play(scene, examples=100, steps=30, derandomize=True)["steps"] > 2000
