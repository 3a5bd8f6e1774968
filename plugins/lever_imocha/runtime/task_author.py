"""Which run of a DAG, and which of its tasks, writes to the timeline."""

from __future__ import annotations

from airflow.sdk import get_current_context

from lever_imocha.ledger.base import WORKFLOW, Author


def task_author() -> Author:
    """Return the task that runs in this process; in a trigger there is none."""
    try:
        task = get_current_context()["ti"]
    except RuntimeError:
        return WORKFLOW
    return Author(run=f"{task.dag_id}/{task.run_id}", task=f"{task.task_id}/{task.map_index}")
