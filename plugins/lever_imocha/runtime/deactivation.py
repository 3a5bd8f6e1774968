"""Gives the deactivation its connections, and switches the DAGs off."""

from __future__ import annotations

from collections.abc import Mapping

from lever_imocha.hooks.stored_secrets import store_tokens, stored_tokens
from lever_imocha.runtime.airflow_api import set_paused
from lever_imocha.runtime.doctor import facts_of
from lever_imocha.workflows.setup.deactivation import STOPPED, Deactivation


def deactivation(lever_conn_id: str, imocha_conn_id: str) -> Deactivation:
    """Return the deactivation with its connections."""
    return Deactivation(
        facts=facts_of(lever_conn_id=lever_conn_id, imocha_conn_id=imocha_conn_id),
        stored_tokens=stored_tokens,
        store_tokens=store_tokens,
    )


def switched_off(paused: Mapping[str, bool]) -> str:
    """Switch the DAGs off; return a line that says so, or what a person has to do.

    :param paused: whether each DAG is paused; empty where Airflow does not say.
    """
    on = [dag for dag in STOPPED if not paused.get(dag, False)]
    if not on or set_paused(on, paused=True):
        return f"off: {', '.join(STOPPED)}"
    return f"by hand: Airflow, Dags: switch off {', '.join(on)}"
