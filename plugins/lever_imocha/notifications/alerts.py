"""Sends alerts through the notifier named in the settings, each once."""

from __future__ import annotations

import logging
from datetime import timedelta
from pkgutil import resolve_name

from sqlalchemy.exc import SQLAlchemyError

from lever_imocha.errors import LedgerError
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.ledger.alerts import AlertLog
from lever_imocha.notifications.messages import (
    cancelling_text,
    limit_text,
    masking_text,
    overdue_text,
    per_candidate_text,
)
from lever_imocha.settings import AlertSettings, Settings

log = logging.getLogger(__name__)


def alert_overdue(settings: Settings) -> None:
    """Send an alert about what waits too long, once for each wait. Never raises.

    A report may take as long as `write_back.report_retry` gives it before it counts as waiting.
    """
    alerts = settings.alerts
    longest = alerts.waiting + sum(settings.write_back.report_retry, timedelta())
    try:
        sent = AlertLog(engine=ledger_engine())
        items = sent.overdue(entries=alerts.waiting, reports=longest)
        new = sent.claim([item.key for item in items])
        items = [item for item in items if item.key in new]
        if items and not _send(alerts, overdue_text(items)):
            sent.give_up(sorted(new))
    except Exception as error:
        log.error("alert about what waits too long not sent: %s", type(error).__name__)


def alert_limits(settings: Settings) -> None:
    """Send an alert while the limit of the hour holds candidates, once in each hour, and one about each whom a person
    has to decide about. Never raises.
    """
    try:
        sent = AlertLog(engine=ledger_engine())
        waiting, held = sent.over_limit(), {f"per_candidate {key}": who for key, who in sent.per_candidate().items()}
        new = sent.claim(sorted(held))
        if new and not _send(settings.alerts, per_candidate_text([held[key] for key in sorted(new)])):
            sent.give_up(sorted(new))
    except Exception as error:
        log.error("alert about the limit of e-mails not sent: %s", type(error).__name__)
        return
    if waiting.held:
        text = limit_text(waiting, per_hour=settings.limits.per_hour)
        send_once(settings.alerts, text, ["limits.per_hour"], repeat=timedelta(hours=1))


def alert_masking(settings: Settings) -> None:
    """Send an alert about who is going to be masked at iMocha, once about each. Never raises."""
    try:
        sent = AlertLog(engine=ledger_engine())
        times = sent.to_mask()
        new = sent.claim(sorted(times))
        if new and not _send(settings.alerts, masking_text([times[key] for key in new])):
            sent.give_up(sorted(new))
    except Exception as error:
        log.error("alert about masking not sent: %s", type(error).__name__)


def alert_cancelling(settings: Settings, leaving: int, open_invitations: int) -> None:
    """Send an alert that so many seem to have left that nothing was cancelled or forgotten, once in `alerts.repeat`."""
    text = cancelling_text(leaving, open_invitations)
    log.warning("%s", text)
    send_once(settings.alerts, text, ["limits.cancel_share"], repeat=settings.alerts.repeat)


def send_once(settings: AlertSettings, text: str, keys: list[str], *, repeat: timedelta) -> None:
    """Send an alert unless one with these keys was sent within `repeat`."""
    try:
        sent = AlertLog(engine=ledger_engine())
        if not sent.claim(keys, repeat=repeat):
            log.info("alert suppressed (already sent within %s): %s", repeat, text)
        elif not _send(settings, text):
            sent.give_up(keys)
    except (LedgerError, SQLAlchemyError):
        # Twice rather than never: the ledger may be what failed.
        _send(settings, text)


def _send(settings: AlertSettings, text: str) -> bool:
    """Hand a message to the notifier named in the settings; return False when that did not work."""
    path = settings.notifier
    if path is None:
        log.warning("alert not sent, there is no alerts.notifier in the settings: %s", text)
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
        log.error("%s failed (%s); check its Airflow connection. The message: %s", path, type(error).__name__, text)
        return False
    return True
