"""Writes onto each run of our DAGs what came of its candidates, as Airflow's note of the run: a listener of the plugin.

Airflow calls it in the scheduler, in the transaction that ends the run, or in the API server when a person ends the run. It
asks neither the ledger nor a vendor: the tasks have left their counts as XComs.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.listeners import hookimpl

from lever_imocha.runtime.outcomes import OUTCOMES, note_of

log = logging.getLogger(__name__)

_OURS = "lever_imocha_"


@hookimpl
def on_dag_run_success(dag_run: Any) -> None:
    """Note what came of a run that went well."""
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any) -> None:
    """Note what came of a run that failed."""
    _note(dag_run)


def _note(dag_run: Any) -> None:
    """Write the note, or write it anew after a task was cleared; what a person has written stays. Never raises."""
    try:
        if dag_run.dag_id.startswith(_OURS):
            _write(dag_run)
    except Exception:
        log.exception("the run %s has no note", dag_run.run_id)


def _write(dag_run: Any) -> None:
    from airflow.models.dagrun import DagRunNote
    from airflow.models.xcom import XComModel
    from sqlalchemy import insert, inspect, select, update

    session = inspect(dag_run).session
    if session is None:  # in `dag.test()`
        return
    notes, left = DagRunNote.__table__, XComModel.__table__
    of_run = notes.c.dag_run_id == dag_run.id
    connection = session.connection()
    with connection.begin_nested():  # what fails here leaves the scheduler's transaction as it was
        counts = select(left.c.value).where(left.c.dag_run_id == dag_run.id, left.c.key == OUTCOMES)
        text = note_of(connection.scalars(counts))
        written = connection.execute(select(notes.c.user_id).where(of_run)).first()
        if text and written is None:
            connection.execute(insert(notes).values(dag_run_id=dag_run.id, content=text))
        elif text and written.user_id is None:
            connection.execute(update(notes).where(of_run).values(content=text))
