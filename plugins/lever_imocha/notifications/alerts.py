"""Tells people of incidents through the notifier named in the settings, each once, and when it has ended."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from lever_imocha.domain.decisions import CANCEL_SHARE
from lever_imocha.errors import LedgerError, SettingsError
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.ledger.alerts import AlertLog
from lever_imocha.ledger.repository import Ledger
from lever_imocha.notifications.messages import (
    SETTINGS,
    Alert,
    cancelling_alert,
    cancelling_waits_alert,
    comparison_alert,
    ended_text,
    limit_alert,
    list_alert,
    masking_alert,
    overdue_alert,
    per_candidate_alert,
    settings_incidents,
)
from lever_imocha.redaction import redact
from lever_imocha.settings import AlertSettings, Settings, load_alerts
from lever_imocha.workflows.vendor_lists import STAGES, ListRead

log = logging.getLogger(__name__)

_LONGEST = 4000
"""Signs of a message."""


def alert_waiting(settings: Settings, *, overdue: bool) -> None:
    """Tell whom limits hold, who will be masked, and, if wanted, what waits too long or is parked. Never raises.

    A report may take as long as `write_back.report_retry` gives it before it counts as waiting.
    """
    try:
        known = AlertLog(engine=ledger_engine())
        alerts = [
            limit_alert(known.over_limit(), per_hour=settings.limits.per_hour),
            per_candidate_alert(known.per_candidate()),
            cancelling_waits_alert(Ledger(engine=ledger_engine()).queue.count_waiting_for(CANCEL_SHARE)),
        ]
        masking = masking_alert(known.to_mask())
        if overdue:
            longest = settings.alerts.waiting + sum(settings.write_back.report_retry, timedelta())
            alerts.append(overdue_alert(known.overdue(entries=settings.alerts.waiting, reports=longest)))
    except Exception as error:
        log.error("alert about what waits not sent: %s", type(error).__name__)
        return
    for alert in (*alerts, masking):
        tell(settings.alerts, alert)
    lasting = [incident.key for alert in alerts for incident in alert.incidents]
    tell_ended([alert.source for alert in alerts], still=lasting)


def alert_sweep(
    settings: Settings, problems: Sequence[str], held_back: tuple[int, int] | None, lists: Sequence[ListRead]
) -> None:
    """Tell what a sweep has found, and what has ended as it shows. Never raises.

    :param problems: of the settings; a task that fails tells them.
    :param held_back: how many seem to have left, of how many open invitations, so that nobody was cancelled.
    :param lists: what came of reading the lists.
    """
    alert = cancelling_alert(held_back)
    tell(settings.alerts, alert)
    lasting = [*alert.incidents, *settings_incidents(problems)]
    swept = any(one.name == STAGES and one.error is None for one in lists)
    tell_ended([SETTINGS, *([alert.source] if swept else [])], still=[incident.key for incident in lasting])
    alert_lists(settings.alerts, lists)


def alert_lists(settings: AlertSettings, lists: Sequence[ListRead]) -> None:
    """Tell which lists could not be read for as long as a candidate may wait, and which are read again. Never raises."""
    now = datetime.now(UTC)
    for one in lists:
        alert = list_alert(one)
        if one.is_late(now, settings.waiting):
            tell(settings, alert)
    if well := [list_alert(one).source for one in lists if one.error is None]:
        tell_ended(well)


def alert_comparison(settings: Settings, unexplained: Mapping[str, str], *, complete: bool) -> None:
    """Tell what a comparison cannot explain, and what has ended since the last one. Never raises.

    :param complete: all lists were read; otherwise nothing is known to have ended.
    """
    alert = comparison_alert(unexplained)
    tell(settings.alerts, alert)
    if complete:
        tell_ended([alert.source], still=[incident.key for incident in alert.incidents])


def tell(settings: AlertSettings, alert: Alert) -> None:
    """Send an alert about those of its incidents that nobody was told of lately. Never raises."""
    if not alert.incidents:
        return
    try:
        known = AlertLog(engine=ledger_engine())
        new = known.claim(alert.incidents, repeat=settings.repeat if alert.repeats else None)
        if not new:
            log.info("alert suppressed, it was sent already: %s", alert.text_of(None))
        elif send(settings, alert.text_of(new)):
            known.mark_told(new)
        else:
            known.give_up(new)
    except (LedgerError, SQLAlchemyError):
        # Twice rather than never: the ledger may be what failed.
        send(settings, alert.text_of(None))


def tell_ended(sources: Collection[str], *, still: Collection[str] = ()) -> None:
    """Tell that incidents have ended, if people were told of them. Never raises.

    One statement, unless there is something to tell.

    :param still: the keys of those that last.
    """
    try:
        known = AlertLog(engine=ledger_engine())
        ended = known.end(sources, still=still)
        if ended and not send(load_alerts(), ended_text(ended)):
            known.put_back(ended)
    except Exception as error:
        log.error("the end of an incident was not told: %s", type(error).__name__)


def made(path: str, arguments: Mapping[str, Any]) -> Any:
    """Make a notifier.

    :raises SettingsError: it cannot be made, and why.
    """
    try:
        kind = resolve_name(path)
    except (ImportError, AttributeError) as error:
        why = f"alerts.notifier: {path!r} cannot be imported ({error}); correct the path, or install what brings it"
        raise SettingsError([why]) from None
    try:
        return kind(**arguments)
    except Exception as error:
        why = (
            f"alerts.arguments: {path} cannot be made with them ({redact(str(error), 200)}); compare its documentation"
        )
        raise SettingsError([why]) from None


def send(settings: AlertSettings, text: str) -> bool:
    """Hand a message to the notifier named in the settings; return False when that did not work."""
    text, path = redact(text, _LONGEST), settings.notifier
    if path is None:
        log.warning("alert not sent, there is no alerts.notifier in the settings: %s", text)
        return True
    try:
        notifier = made(path, settings.arguments)
    except SettingsError as error:
        log.error("%s", error)
        return False
    try:
        notifier({"alert": text})
    except Exception as error:
        log.error("%s failed (%s); check its Airflow connection. The message: %s", path, type(error).__name__, text)
        return False
    return True
