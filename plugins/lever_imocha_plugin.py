"""The one file Airflow loads as a plugin: the webhook receivers in its API server."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from lever_imocha.webhooks.app import app


class LeverImochaPlugin(AirflowPlugin):
    """``/lever-imocha/webhooks/lever`` and ``/lever-imocha/webhooks/imocha/<token>``."""

    name = "lever_imocha"
    fastapi_apps = [{"app": app, "url_prefix": "/lever-imocha", "name": "Lever and iMocha"}]  # noqa: RUF012 - as Airflow declares it
