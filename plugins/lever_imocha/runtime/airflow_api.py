"""Switches DAGs on and off through Airflow's REST API: a task has no other way."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import requests
from airflow.providers.http.hooks.http import HttpHook

from lever_imocha.airflow_compat import AirflowNotFoundException

log = logging.getLogger(__name__)

CONNECTION = "lever_imocha_airflow"
_SECONDS = 20


def set_paused(dag_ids: Iterable[str], *, paused: bool) -> bool:
    """Switch DAGs off, or on, as the user of the Airflow connection `lever_imocha_airflow`.

    :return: False when there is no such connection, or Airflow refuses; then a person does it.
    """
    hook = HttpHook(http_conn_id=CONNECTION)
    try:
        user = hook.get_connection(CONNECTION)
        hook.get_conn()  # puts the address together
        url, login = hook.base_url.rstrip("/"), {"username": user.login, "password": user.password}
        answer = requests.post(f"{url}/auth/token", json=login, timeout=_SECONDS)
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        for dag_id in dag_ids:
            requests.patch(
                f"{url}/api/v2/dags/{dag_id}", json={"is_paused": paused}, headers=headers, timeout=_SECONDS
            ).raise_for_status()
    except AirflowNotFoundException:
        return False
    except (requests.RequestException, ValueError, KeyError) as error:
        log.warning("connection %s: Airflow does not let it switch DAGs (%s)", CONNECTION, type(error).__name__)
        return False
    return True
