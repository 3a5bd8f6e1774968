"""Airflow's own metrics: StatsD, Datadog or OpenTelemetry, whichever `[metrics]` in its configuration switches on."""

from __future__ import annotations

from datetime import timedelta

from lever_imocha.airflow_compat import stats


class AirflowMetrics:
    """Names begin with ``lever_imocha.``."""

    def count(self, name: str) -> None:
        """Add one to a counter."""
        stats.incr(f"lever_imocha.{name}")

    def timing(self, name: str, seconds: float) -> None:
        """Add a time."""
        stats.timing(f"lever_imocha.{name}", timedelta(seconds=seconds))
