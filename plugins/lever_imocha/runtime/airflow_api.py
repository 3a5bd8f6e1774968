"""Switches DAGs on through Airflow's REST API: a task has no other way."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import requests
from airflow.sdk import BaseHook

from lever_imocha.airflow_compat import AirflowNotFoundException

log = logging.getLogger(__name__)

CONNECTION = "lever_imocha_airflow"
_SECONDS = 20


def unpause(dag_ids: Iterable[str]) -> bool:
    """Switch DAGs on, as the user of the Airflow connection `lever_imocha_airflow`.

    :return: False when there is no such connection, or Airflow refuses; then a person does it.
    """
    try:
        connection = BaseHook.get_connection(CONNECTION)
    except AirflowNotFoundException:
        return False
    url = str(connection.host).rstrip("/")
    login = {"username": connection.login, "password": connection.password}
    try:
        answer = requests.post(f"{url}/auth/token", json=login, timeout=_SECONDS)
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        for dag_id in dag_ids:
            requests.patch(
                f"{url}/api/v2/dags/{dag_id}", json={"is_paused": False}, headers=headers, timeout=_SECONDS
            ).raise_for_status()
    except (requests.RequestException, ValueError, KeyError) as error:
        log.warning("connection %s: Airflow does not let it switch DAGs on (%s)", CONNECTION, type(error).__name__)
        return False
    return True
