"""From a row in the grid to the candidate in Lever, and to their timeline on the console."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink

from lever_imocha.domain.hosts import candidate_page
from lever_imocha.errors import LeverImochaError
from lever_imocha.runtime.addresses import CONSOLE


def _candidates(operator: Any) -> list[str]:
    return getattr(operator, "opportunity_ids", None) or [getattr(operator, "opportunity_id", "")]


class TimelineLink(BaseOperatorLink):
    """Open the timeline of a task's candidate on the console; of several, the console's first page."""

    name = "Timeline"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL on Airflow's API server."""
        from airflow.configuration import conf  # not needed to parse a DAG

        ids = _candidates(operator)
        page = f"people/{ids[0]}" if len(ids) == 1 and ids[0] else ""
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}{CONSOLE}/{page}"


class LeverCandidateLink(BaseOperatorLink):
    """Open the candidate of a task in Lever; a task for several candidates has no link."""

    name = "Candidate in Lever"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL of the candidate's page in Lever; empty for several."""
        from lever_imocha.hooks.lever import LeverHook  # not needed to parse a DAG

        ids = _candidates(operator)
        if len(ids) != 1:
            return ""
        try:
            return candidate_page(
                LeverHook(getattr(operator, "lever_conn_id", LeverHook.default_conn_name)).base_address, ids[0]
            )
        except LeverImochaError:
            return ""
