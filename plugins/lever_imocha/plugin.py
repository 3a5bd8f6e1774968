"""The Airflow plugin: the console and the webhook receivers in its API server (entry point ``airflow.plugins``)."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from fastapi.responses import RedirectResponse

from lever_imocha.console.app import app as console
from lever_imocha.runtime import run_notes
from lever_imocha.runtime.addresses import CONSOLE
from lever_imocha.webhooks.app import PREFIX, create_app
from lever_imocha.webhooks.callback_paths import HideCallbackTokens

_BELOW = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
"""Airflow's own path, where a proxy serves it below one."""

receivers = create_app()


@receivers.get(CONSOLE.removeprefix(PREFIX))
def console_without_slash() -> RedirectResponse:
    """Lead to the console: what is mounted at an address does not get the address without a slash."""
    return RedirectResponse(f"{CONSOLE.rpartition('/')[2]}/")  # relative, so that it is right below any path


class LeverImochaPlugin(AirflowPlugin):
    """``/lever-imocha/console/`` behind Airflow's login; ``/lever-imocha/webhooks/...`` without one."""

    name = "lever_imocha"
    listeners = [run_notes]  # noqa: RUF012 - as Airflow declares it
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        {"app": console, "url_prefix": CONSOLE, "name": "Lever and iMocha: console"},  # the longer address first
        {"app": receivers, "url_prefix": PREFIX, "name": "Lever and iMocha"},
    ]
    fastapi_root_middlewares = [  # noqa: RUF012 - for paths that miss the application: Airflow logs them, too
        {"middleware": HideCallbackTokens, "name": "Lever and iMocha: no callback token in a log"}
    ]
    external_views = [  # noqa: RUF012 - Airflow cuts names of more than nine letters
        {
            "name": "Tests",
            "href": f"{_BELOW}{CONSOLE}/",
            "destination": "nav",
            "url_route": "lever-imocha",
            "nav_top_level": True,
        },
        # On runs and tasks of every DAG: Airflow has no way to show a tab on some only.
        {
            "name": "Candidates",
            "href": f"{_BELOW}{CONSOLE}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "lever-imocha-run",
        },
        {
            "name": "Candidates",
            "href": f"{_BELOW}{CONSOLE}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
            "destination": "task_instance",
            "url_route": "lever-imocha-task",
        },
    ]
