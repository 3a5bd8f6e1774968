"""What the tests need of Airflow's insides, which each version keeps elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from lever_imocha.airflow_compat import SINCE_3_2, SINCE_3_3, stats

ROOT = Path(__file__).parents[1]

if SINCE_3_2:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.triggers.callback import CallbackTrigger
else:
    from airflow.models.dagbag import DagBag, sync_bag_to_db
    from airflow.triggers.deadline import DeadlineCallbackTrigger as CallbackTrigger

if SINCE_3_3:
    from airflow.sdk.exceptions import TaskAwaitingInput as WaitsForAnswer
else:
    from airflow.exceptions import TaskDeferred as WaitsForAnswer

__all__ = [
    "CallbackTrigger",
    "WaitsForAnswer",
    "add_access_log",
    "callbacks_know_the_error",
    "read_dags",
    "restart_stats",
    "synced",
]

callbacks_know_the_error = pytest.mark.skipif(
    not SINCE_3_3, reason="`dag.test()` of 3.1 and 3.2 does not tell a callback the error; their workers do"
)


def read_dags(folder: Path | str = ROOT / "dags") -> Any:
    """Read the DAG files of a folder."""
    return DagBag(folder, bundle_name="dags-folder") if SINCE_3_2 else DagBag(folder)


def synced(bag: Any) -> Any:
    """Let Airflow know a bag's DAGs, without which `dag.test()` runs nothing."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    return bag


def restart_stats() -> None:
    """Let Airflow read anew where its metrics go."""
    if SINCE_3_2:
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

        if SINCE_3_3:
            stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        else:
            stats.initialize(factory=get_stats_factory(stats))
    else:
        from airflow.configuration import conf
        from airflow.metrics.base_stats_logger import NoStatsLogger
        from airflow.metrics.statsd_logger import get_statsd_logger

        stats.instance = None
        type(stats).factory = get_statsd_logger if conf.getboolean("metrics", "statsd_on") else NoStatsLogger


def add_access_log(app: FastAPI) -> None:
    """Add the access log of Airflow's API server; 3.1 leaves it to uvicorn."""
    if SINCE_3_3:
        from airflow.api_fastapi.app import init_access_logging

        init_access_logging(app)
    elif SINCE_3_2:
        from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware

        app.add_middleware(HttpAccessLogMiddleware)
