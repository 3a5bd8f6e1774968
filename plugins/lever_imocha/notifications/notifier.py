"""The notifier all DAGs carry: it reads the settings when it fires and hands the message to the notifier named there."""

from __future__ import annotations

import logging
from datetime import timedelta
from pkgutil import resolve_name
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from asgiref.sync import sync_to_async
from sqlalchemy.exc import SQLAlchemyError

from lever_imocha.errors import LedgerError, SettingsError
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.ledger.alerts import AlertLog
from lever_imocha.notifications.messages import alert_of, overdue_text
from lever_imocha.settings import AlertSettings, Settings, load_alerts

log = logging.getLogger(__name__)


class SettingsNotifier(BaseNotifier):
    """Tells of a task that failed for good, and of a run that missed its deadline.

    The same failure is told once in `alerts.repeat`: an outage fails every row of every run.
    """

    def __init__(self, context: Any = None) -> None:
        super().__init__(context)

    def notify(self, context: Any) -> None:
        """Tell, unless it was told a moment ago. Never raises."""
        try:
            alert, settings = alert_of(context), load_alerts()
            _tell_once(settings, alert.text, [alert.key], repeat=settings.repeat)
        except SettingsError as error:
            log.error("nobody was told: %s", error)
        except Exception as error:
            log.error("nobody was told: the alert failed (%s)", type(error).__name__)

    async def async_notify(self, context: Any) -> None:
        """The same in the triggerer, in a thread: the ledger's driver and most notifiers block."""
        await sync_to_async(self.notify, thread_sensitive=False)(context)


def deadline(interval: timedelta) -> DeadlineAlert | None:
    """Tells of a run that is not done that long after it was queued; None while the settings name nobody to tell.

    `airflow dags test` of 3.3.2 cannot end a successful run that has a deadline: it looks the alert up by its
    definition instead of its id.
    """
    try:
        if load_alerts().notifier is None:
            return None
    except SettingsError:
        # The DAG must parse; its tasks say what is wrong.
        return None
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, interval, AsyncCallback(SettingsNotifier))


def alert_overdue(settings: Settings) -> None:
    """Tell of what waits too long, once each. Never raises.

    A report may take as long as `write_back.report_retry` gives it before it counts as waiting.
    """
    alerts = settings.alerts
    patience = alerts.waiting + sum(settings.write_back.report_retry, timedelta())
    try:
        register = AlertLog(engine=ledger_engine())
        items = register.overdue(entries=alerts.waiting, reports=patience)
        new = register.claim([item.key for item in items])
        items = [item for item in items if item.key in new]
        if items and not _send(alerts, overdue_text(items)):
            register.give_up(sorted(new))
    except Exception as error:
        log.error("what waits too long could not be told (%s)", type(error).__name__)


def _tell_once(settings: AlertSettings, text: str, keys: list[str], *, repeat: timedelta) -> None:
    try:
        register = AlertLog(engine=ledger_engine())
        if not register.claim(keys, repeat=repeat):
            log.info("told within %s already: %s", repeat, text)
        elif not _send(settings, text):
            register.give_up(keys)
    except (LedgerError, SQLAlchemyError):
        # Twice rather than never: the ledger may be what failed.
        _send(settings, text)


def _send(settings: AlertSettings, text: str) -> bool:
    """Hand a message to the notifier named in the settings; False when that did not work."""
    path = settings.notifier
    if path is None:
        log.warning("nobody is told, there is no alerts.notifier in the settings: %s", text)
        return True
    try:
        kind = resolve_name(path)
    except (ImportError, AttributeError) as error:
        log.error("alerts.notifier: %r cannot be imported (%s); mend the path, or install what brings it", path, error)
        return False
    try:
        notifier = kind(**settings.arguments)
    except Exception as error:
        log.error("alerts.arguments: %s cannot be made with them (%s); compare its documentation", path, error)
        return False
    try:
        notifier({"alert": text})
    except Exception as error:
        log.error("%s failed (%s); check its Airflow connection. It was to say: %s", path, type(error).__name__, text)
        return False
    return True
