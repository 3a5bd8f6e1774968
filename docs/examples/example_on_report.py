"""
### A DAG that starts when reports were written back to Lever

Airflow may join several events into one run: read all of them.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task
from lever_imocha.assets import report_written

with DAG(dag_id="example_on_report", schedule=[report_written], catchup=False, doc_md=__doc__):

    @task
    def written_for(triggering_asset_events: Any = None) -> list[str]:
        """Return the opportunities whose report was written."""
        events = triggering_asset_events[report_written] if triggering_asset_events else []
        return sorted({key for event in events for key in event.extra["opportunity_ids"]})

    written_for()
