"""Where Airflow's API server serves what is ours."""

from __future__ import annotations

CONSOLE = "/lever-imocha/console"
