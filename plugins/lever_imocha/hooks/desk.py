"""What the webhook receivers work with, from Airflow's connections and the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from airflow.sdk.exceptions import AirflowNotFoundException

from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import WebhookSettings, load_settings

T = TypeVar("T")

_SECONDS_BETWEEN_READS = 30


@dataclass(frozen=True)
class Desk:
    """Where deliveries are kept, and the secrets that prove them."""

    ledger: Ledger
    limits: WebhookSettings = field(default_factory=WebhookSettings)
    webhook_tokens: list[str] = field(default_factory=list, repr=False)
    callback_secret: str | None = field(default=None, repr=False)


def open_desk() -> Desk:
    """The desk as connections and settings are now, read anew twice a minute.

    :raises LeverImochaError: the settings or the ledger cannot be used.
    """
    return _read_desk(int(time.monotonic()) // _SECONDS_BETWEEN_READS)


@lru_cache(maxsize=1)
def _read_desk(_half_minute: int) -> Desk:
    return Desk(
        ledger=Ledger(engine=ledger_engine()),
        limits=load_settings().webhooks,
        webhook_tokens=_found(lambda: LeverHook().webhook_tokens, []),
        callback_secret=_found(lambda: ImochaHook().callback_secret, None),
    )


def _found(read: Callable[[], T], otherwise: T) -> T:
    """A missing connection leaves its own vendor's deliveries refused, not the other's."""
    try:
        return read()
    except AirflowNotFoundException:
        return otherwise
