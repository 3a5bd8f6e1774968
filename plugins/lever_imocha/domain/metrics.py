"""The interface for metrics; `runtime` connects it to Airflow's."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Receives counts and durations; docs/runbook.md lists the names."""

    def count(self, name: str) -> None:
        """Add one to a counter."""

    def timing(self, name: str, seconds: float) -> None:
        """Record a duration in seconds."""


class NoMetrics:
    """The default: discards all metrics."""

    def count(self, name: str) -> None:
        """Do nothing."""

    def timing(self, name: str, seconds: float) -> None:
        """Do nothing."""
