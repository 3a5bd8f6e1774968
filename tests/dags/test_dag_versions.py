"""A DAG whose file has not changed is the same at each parse: Airflow makes no new version of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.models.dag_version import DagVersion
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from sqlalchemy import select

from tests.airflow_versions import read_dags, synced

ROOT = Path(__file__).parents[2]
NOTIFIER = """\
perform_as: people-ops@example.com
alerts: {notifier: tests.notifications.recorder.Recorder, arguments: {path: told, text: "{{ alert }}"}}
"""


def stored() -> set[tuple[str, int, str]]:
    """Return id, version and hash of every version of every DAG that Airflow knows."""
    query = select(SerializedDagModel.dag_id, DagVersion.version_number, SerializedDagModel.dag_hash).join(
        DagVersion, SerializedDagModel.dag_version_id == DagVersion.id
    )
    with create_session() as session:
        return {(dag_id, number, dag_hash) for dag_id, number, dag_hash in session.execute(query)}


@pytest.mark.parametrize("folder", ["dags", "docs/examples"])
def test_parsing_a_dag_again_makes_no_new_version_of_it(folder: str, settings: Callable[[str], None]) -> None:
    settings(NOTIFIER)  # with deadlines
    bags = [synced(read_dags(ROOT / folder))]
    first = stored()
    for _ in range(3):
        bags.append(synced(read_dags(ROOT / folder)))  # all are kept, so that no object has the address of another
        assert stored() == first
    assert {dag_id for dag_id, _, _ in first} >= set(bags[0].dags)
