"""Signature tokens of the webhooks that the set-up has made.

A task cannot write a connection, but a variable. Airflow encrypts variables in its database and shows no value whose name
has the word "token".
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.log import mask_secret

VARIABLE = "lever_imocha_webhook_tokens"


def stored_tokens() -> dict[str, str]:
    """Return webhook id -> signature token; none where Airflow's variables cannot be used."""
    found: Any = None
    with suppress(AirflowRuntimeError, ImportError, ValueError):
        found = Variable.get(VARIABLE, default=None, deserialize_json=True)
    tokens = {str(key): str(token) for key, token in found.items()} if isinstance(found, dict) else {}
    for token in tokens.values():
        mask_secret(token)
    return tokens


def store_tokens(tokens: Mapping[str, str]) -> None:
    """Keep the tokens in place of those that were kept.

    :param tokens: webhook id -> signature token.
    """
    for token in tokens.values():
        mask_secret(token)
    Variable.set(VARIABLE, dict(tokens), serialize_json=True)
