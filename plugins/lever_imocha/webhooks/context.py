"""Builds what the webhook receivers work with, from Airflow's connections and the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lever_imocha.errors import SettingsError
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import WebhookSettings, load_settings

T = TypeVar("T")

_NOT_SET = {
    "lever": "no signature token is configured; put it into the Lever connection's extra as webhook_tokens, or hand over what"
    " lever_imocha_setup has stored (docs/setup.md)",
    "imocha": "no secret is configured; put it into the iMocha connection's extra as callback_secret, or hand over what"
    " lever_imocha_setup has stored (docs/setup.md)",
}


@dataclass(frozen=True)
class ReceiverContext:
    """What the receivers work with: the ledger, and the secrets that prove a delivery.

    :param problems: vendor -> why all of its deliveries are refused, for the log.
    """

    ledger: Ledger
    limits: WebhookSettings = field(default_factory=WebhookSettings)
    webhook_tokens: list[str] = field(default_factory=list, repr=False)
    callback_secret: str | None = field(default=None, repr=False)
    problems: Mapping[str, str] = field(default_factory=dict)


def open_context() -> ReceiverContext:
    """Return the context as connections and settings are now.

    :raises LeverImochaError: the settings or the ledger cannot be used.
    """
    settings = load_settings()
    problems: dict[str, str] = {}
    return ReceiverContext(
        ledger=Ledger(engine=ledger_engine(pre_ping=True)),
        limits=settings.webhooks,
        webhook_tokens=_found("lever", lambda: LeverHook().webhook_tokens, problems) or [],
        callback_secret=_found("imocha", lambda: ImochaHook().callback_secret, problems),
        problems=problems,
    )


def _found(vendor: str, read: Callable[[], T], problems: dict[str, str]) -> T | None:
    """Read one vendor's secrets; where its connection is missing or wrong, its deliveries are refused, not the other's."""
    try:
        secrets = read()
    except SettingsError as error:
        problems[vendor] = str(error)
        return None
    if not secrets:
        problems[vendor] = _NOT_SET[vendor]
    return secrets
