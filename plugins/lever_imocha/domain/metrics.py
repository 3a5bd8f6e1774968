"""What the work tells of itself in numbers; where they go is decided at Airflow's edge."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Takes counts and times; names are listed in docs/runbook.md."""

    def count(self, name: str) -> None:
        """One more."""

    def timing(self, name: str, seconds: float) -> None:
        """How long it took."""


class NoMetrics:
    """Nobody is interested."""

    def count(self, name: str) -> None:
        """Forget it."""

    def timing(self, name: str, seconds: float) -> None:
        """Forget it."""
