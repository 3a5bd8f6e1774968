"""The only file Airflow loads as a plugin; the package beside it is imported as a package, see .airflowignore."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class LeverImochaPlugin(AirflowPlugin):
    """Marks the package in Airflow's list of plugins."""

    name = "lever_imocha"
