"""The assets that another DAG can be scheduled on. Importing this module is light, and opens nothing.

Always import them from here. Airflow takes an asset's watchers from whichever DAG names the asset: one that writes
``Asset("lever_stage_changed")`` by itself would take away the watcher that webhooks wake.

.. code-block:: python

    from lever_imocha.assets import report_written

    with DAG("tell_the_team", schedule=[report_written], ...):

        @task
        def tell(triggering_asset_events=None) -> None:
            for event in triggering_asset_events[report_written]:
                print(event.extra["opportunity_ids"])

Events carry ids only, those of `stage_changed` and `attempt_ended` in ``event.extra["payload"]["opportunity_ids"]``. Airflow may join events that come at
nearly the same time into one run, or leave one for the next run: read all events of a run, and look the state up in Lever
or iMocha rather than counting events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias, AssetWatcher

from lever_imocha.triggers.deliveries import DeliveryTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

stage_changed = Asset(
    "lever_stage_changed",
    group="lever_imocha",
    watchers=[AssetWatcher(name="lever_deliveries", trigger=DeliveryTrigger(vendor="lever"))],
)
"""A webhook of Lever's that may concern an assessment has come. Sweeps raise no event."""

attempt_ended = Asset(
    "imocha_attempt_ended",
    group="lever_imocha",
    watchers=[AssetWatcher(name="imocha_callbacks", trigger=DeliveryTrigger(vendor="imocha"))],
)
"""A callback of iMocha's that says that an attempt has ended has come. Sweeps raise no event."""

candidate_invited = Asset("lever_imocha_candidate_invited", group="lever_imocha")
"""Candidates were invited; the event's extra has their `opportunity_ids`."""

report_written = Asset("lever_imocha_report_written", group="lever_imocha")
"""Reports were written back to Lever; the event's extra has the `opportunity_ids`."""


def outlet(asset: Asset) -> AssetAlias:
    """Return the outlet of a task that may raise an asset's event: unlike the asset itself, only if it says so."""
    return AssetAlias(f"{asset.name}_by_task", group="lever_imocha")


def announce(context: Context, asset: Asset, opportunity_ids: Sequence[str]) -> None:
    """Raise an asset's event when the task succeeds, if there is anybody to tell of.

    :param context: of a task that has `outlet(asset)` among its outlets; without it nothing is raised.
    """
    alias = outlet(asset)
    events = context.get("outlet_events")
    if opportunity_ids and events is not None and alias in events:
        events[alias].add(asset, extra={"opportunity_ids": list(opportunity_ids)})
