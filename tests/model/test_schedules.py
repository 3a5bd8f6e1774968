"""Whatever people do and whatever fails: nothing twice, nothing lost."""

from __future__ import annotations

from tests.model.machine import play
from tests.model.scene import Scene


def test_random_schedules_end_as_the_model_says(scene: Scene) -> None:
    play(scene, examples=60, steps=40, derandomize=True)
