"""Builds what the webhook receivers work with, from Airflow's connections and the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from lever_imocha.errors import SettingsError
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import WebhookSettings, load_settings

T = TypeVar("T")


@dataclass(frozen=True)
class ReceiverContext:
    """What the receivers work with: the ledger, and the secrets that prove a delivery."""

    ledger: Ledger
    limits: WebhookSettings = field(default_factory=WebhookSettings)
    shows_status: bool = False
    webhook_tokens: list[str] = field(default_factory=list, repr=False)
    callback_secret: str | None = field(default=None, repr=False)


def open_context() -> ReceiverContext:
    """Return the context as connections and settings are now.

    :raises LeverImochaError: the settings or the ledger cannot be used.
    """
    settings = load_settings()
    return ReceiverContext(
        ledger=Ledger(engine=ledger_engine(pre_ping=True)),
        limits=settings.webhooks,
        shows_status=settings.explain.status_tags,
        webhook_tokens=_found(lambda: LeverHook().webhook_tokens, []),
        callback_secret=_found(lambda: ImochaHook().callback_secret, None),
    )


def _found(read: Callable[[], T], otherwise: T) -> T:
    """A missing connection leaves its own vendor's deliveries refused, not the other's."""
    try:
        return read()
    except SettingsError:
        return otherwise
