"""Secrets that the set-up has made: the callback secret, and the signature tokens of its webhooks.

A task cannot write a connection, but a variable. Airflow encrypts variables in its database and shows no value whose name
has the word "token" or "secret".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.log import mask_secret

from lever_imocha.airflow_compat import ensure_found_nothing
from lever_imocha.hooks.connections import long_enough

TOKENS = "lever_imocha_webhook_tokens"
CALLBACK_SECRET = "lever_imocha_callback_secret"


def stored_tokens() -> dict[str, str]:
    """Return webhook id -> signature token; none where Airflow's variables cannot be used."""
    found = _found(TOKENS, deserialize_json=True)
    given = found.items() if isinstance(found, dict) else ()
    tokens = {str(key): str(token).strip() for key, token in given if token}
    for token in tokens.values():
        mask_secret(token)
    return tokens


def store_tokens(tokens: Mapping[str, str]) -> None:
    """Keep the tokens in place of those that were kept.

    :param tokens: webhook id -> signature token.
    """
    for token in tokens.values():
        mask_secret(token)
    Variable.set(TOKENS, dict(tokens), serialize_json=True)


def stored_callback_secret() -> str | None:
    """Return the callback secret that the set-up has made; None where there is none.

    :raises SettingsError: it is so short that it could be guessed.
    """
    secret = str(_found(CALLBACK_SECRET) or "").strip()
    return long_enough(secret, f"the variable {CALLBACK_SECRET}") if secret else None


def make_callback_secret() -> None:
    """Make a callback secret and keep it."""
    secret = secrets.token_urlsafe(32)
    mask_secret(secret)
    Variable.set(CALLBACK_SECRET, secret)


def _found(name: str, **how: Any) -> Any:
    found = None
    with suppress(AirflowRuntimeError, ImportError, ValueError):
        found = Variable.get(name, default=None, **how)
    if found is None:
        ensure_found_nothing()
    return found
