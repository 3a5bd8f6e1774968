"""The rate limit of whoever uses a hook: the ledger's where there is a ledger, else one of this process."""

from __future__ import annotations

from functools import lru_cache

from lever_imocha.clients.limits import InProcessLimiter, Limiter
from lever_imocha.errors import SettingsError
from lever_imocha.hooks.ledger import find_ledger_url, ledger_engine
from lever_imocha.settings import RateLimits, load_settings

_ALONE = 5
"""Requests a second of one process that does not know what others send with the same key."""


@lru_cache
def process_limiter(api: str) -> Limiter:
    """Return this process's own limit, which all its hooks for one API share.

    :param api: ``lever`` or ``imocha``.
    """
    return InProcessLimiter(_ALONE)


def limiter_for(api: str) -> Limiter:
    """Return the limit that all processes share through the ledger; without a ledger, this process's own.

    :param api: ``lever`` or ``imocha``.
    :raises LedgerError: a ledger is named, but cannot be used.
    """
    url = find_ledger_url()
    if url is None:
        return process_limiter(api)
    from lever_imocha.ledger.limiter import SharedLimiter

    return SharedLimiter(engine=ledger_engine(url), name=api, rate=getattr(_rates(), api))


def _rates() -> RateLimits:
    try:
        return load_settings().rate_limits
    except SettingsError:  # a hook works without the settings file
        return RateLimits()
