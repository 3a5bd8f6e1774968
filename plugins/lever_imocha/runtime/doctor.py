"""Gives the doctor its connections, and keeps and tells what it found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import requests

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.clients.limits import Limiter
from lever_imocha.clients.reachability import receiver_problem
from lever_imocha.clients.server_clock import ServerClock
from lever_imocha.errors import LedgerError, SettingsError
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.hooks.limits import limiter_for, process_limiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.notifications.alerts import made, tell, tell_ended
from lever_imocha.notifications.messages import doctor_alert, doctor_source
from lever_imocha.runtime.metrics import AirflowMetrics
from lever_imocha.settings import Settings, load_alerts, load_settings, read_text, settings_changed, settings_path
from lever_imocha.workflows.doctor.checkup import keep, keep_names
from lever_imocha.workflows.doctor.facts import Facts, Sources
from lever_imocha.workflows.doctor.findings import Finding, Level

log = logging.getLogger(__name__)

_LOG_LEVELS = {Level.ERROR: logging.ERROR, Level.WARNING: logging.WARNING}


def facts_of(
    *,
    lever_conn_id: str = "lever_default",
    imocha_conn_id: str = "imocha_default",
    paused: Callable[[], Mapping[str, bool]] = dict,
) -> Facts:
    """Return what the checks look at, read by these connections when it is asked for. Opens nothing yet.

    :param paused: whether each DAG is paused, where Airflow can be asked.
    """
    lever, imocha = LeverHook(lever_conn_id), ImochaHook(imocha_conn_id)
    clocks: dict[str, ServerClock] = {}

    def lever_client() -> LeverClient:
        api = lever.api_client(_limiter("lever"), AirflowMetrics())
        clocks["Lever"] = api.server_clock
        return LeverClient(api)

    def imocha_client() -> ImochaClient:
        api = imocha.api_client(_limiter("imocha"), AirflowMetrics())
        clocks["iMocha"] = api.server_clock
        return ImochaClient(api, requests.Session())

    return Facts(
        Sources(
            settings=load_settings,
            settings_text=lambda: read_text(settings_path()),
            settings_changed=settings_changed,
            lever=lever_client,
            imocha=imocha_client,
            ledger=ledger_engine,
            webhook_tokens=lambda: lever.webhook_tokens,
            callback_secret=lambda: imocha.callback_secret,
            clocks=lambda: {vendor: clock.ahead for vendor, clock in clocks.items() if clock.ahead is not None},
            paused=lambda: dict(paused()),
            reach=receiver_problem,
            notifier_problem=_notifier_problem,
        )
    )


def _notifier_problem(settings: Settings) -> str | None:
    try:
        if settings.alerts.notifier:
            made(settings.alerts.notifier, settings.alerts.arguments)
    except SettingsError as problem:
        return str(problem)
    return None


def _limiter(api: str) -> Limiter:
    try:
        return limiter_for(api)
    except LedgerError:  # the ledger has a check of its own
        return process_limiter(api)


def log_findings(findings: Sequence[Finding]) -> None:
    """Write one line for each finding into the task's log."""
    for finding in findings:
        log.log(_LOG_LEVELS.get(finding.level, logging.INFO), "%s", finding.line)


def keep_and_tell(findings: list[Finding], facts: Facts) -> None:
    """Keep the table in the ledger, and tell what is newly wrong and what has ended. Never raises."""
    try:
        ledger = Ledger(engine=ledger_engine())
        keep(ledger, findings, datetime.now(UTC))
        keep_names(ledger, facts)
    except LedgerError as error:
        log.error("the table is not kept: %s", error)
    alert = doctor_alert(findings)
    try:
        tell(load_alerts(), alert)
    except SettingsError as error:
        log.error("alert not sent: %s. It was to say: %s", error, alert.text_of(None))
    looked_at = {doctor_source(finding.check) for finding in findings if finding.level is not Level.UNKNOWN}
    tell_ended(looked_at, still=[incident.key for incident in alert.incidents])
