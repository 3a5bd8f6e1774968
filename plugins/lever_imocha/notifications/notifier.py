"""The callbacks that all DAGs carry, and the deadline of a run. Cheap to import: every DAG file does."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseNotifier
from asgiref.sync import sync_to_async

from lever_imocha.airflow_compat import AsyncCallback, DeadlineAlert, DeadlineReference, deadline_interval
from lever_imocha.errors import SettingsError
from lever_imocha.settings import load_alerts

log = logging.getLogger(__name__)


class SettingsNotifier(BaseNotifier):
    """Send an alert when a task failed for good, or a run missed its deadline, through the notifier of the settings.

    The settings are read when it fires. The same incident is sent once in `alerts.repeat`: an outage fails every row
    of every run.
    """

    def notify(self, context: Any) -> None:
        """Send the alert, unless it was sent a moment ago. Never raises."""
        from lever_imocha.notifications.alerts import tell
        from lever_imocha.notifications.messages import alert_of

        try:
            tell(load_alerts(), alert_of(context))
        except SettingsError as error:
            log.error("alert not sent: %s", error)
        except Exception as error:
            log.error("alert not sent: %s", type(error).__name__)

    async def async_notify(self, context: Any) -> None:
        """Do the same in the triggerer, in a thread: the ledger's driver and most notifiers block."""
        await sync_to_async(self.notify, thread_sensitive=False)(context)


def tell_success(context: Any) -> None:
    """Tell, once a task succeeds, that what made it fail is over: DAGs carry it as `on_success_callback`. Never raises.

    An incident of candidates lasts while work of theirs waits with the same error.
    """
    from lever_imocha.notifications.alerts import tell_ended
    from lever_imocha.notifications.messages import is_row, task_source

    task = context["ti"]
    if context["dag_run"].run_type == "asset_triggered" and not is_row(task):
        return  # it has done what a webhook named, and swept nothing: what stops sweeps may last
    tell_ended([task_source(task)])


def deadline(interval: timedelta) -> DeadlineAlert | None:
    """Return the deadline of a run: this long after it was queued; None while the settings name no notifier.

    `airflow dags test` of 3.3.2 cannot end a successful run that has a deadline: it looks the alert up by its
    definition instead of its id.
    """
    try:
        if load_alerts().notifier is None:
            return None
    except SettingsError:
        # The DAG must parse; its tasks say what is wrong.
        return None
    callback = AsyncCallback(SettingsNotifier)
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, deadline_interval(interval), callback)
