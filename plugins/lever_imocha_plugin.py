"""The one file Airflow loads as a plugin: the webhook receivers in its API server."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from lever_imocha.webhooks.app import PREFIX, app
from lever_imocha.webhooks.callback_paths import HideCallbackTokens


class LeverImochaPlugin(AirflowPlugin):
    """``/lever-imocha/webhooks/lever`` and ``/lever-imocha/webhooks/imocha/<token>``."""

    name = "lever_imocha"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Lever and iMocha"}]  # noqa: RUF012 - as Airflow declares it
    fastapi_root_middlewares = [  # noqa: RUF012 - for paths that miss the application: Airflow logs them, too
        {"middleware": HideCallbackTokens, "name": "Lever and iMocha: no callback token in a log"}
    ]
