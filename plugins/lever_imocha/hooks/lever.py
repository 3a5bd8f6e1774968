"""The Airflow hook for Lever, connection type ``lever``."""

from __future__ import annotations

from base64 import b64encode
from functools import cached_property
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.log import mask_secret
from requests.auth import HTTPBasicAuth

from lever_imocha.clients.lever import LeverClient, read_error
from lever_imocha.clients.limits import Limiter
from lever_imocha.domain.metrics import Metrics
from lever_imocha.hooks.connections import (
    ConnectionLike,
    api_client,
    api_key,
    base_url,
    find_connection,
    secret_extras,
    session_for,
    try_connection,
)

DEFAULT_URL = "https://api.lever.co/v1"


def lever_client(
    connection: ConnectionLike, limiter: Limiter | None = None, metrics: Metrics | None = None
) -> LeverClient:
    """Make a client for a connection: the API key is the user name of Basic authentication (lever.md 1.2).

    :raises SettingsError: the connection has no key, or an unencrypted host.
    """
    key = api_key(connection)
    mask_secret(b64encode(f"{key}:".encode()).decode())  # as the header shows the key
    session = session_for(connection)
    session.auth = HTTPBasicAuth(key, "")
    return LeverClient(
        api_client(
            connection,
            vendor="Lever",
            default=DEFAULT_URL,
            session=session,
            limiter=limiter,
            metrics=metrics,
            read_error=read_error,
        )
    )


class LeverHook(HttpHook):
    """Makes clients for Lever from an Airflow connection.

    :param lever_conn_id: a connection of type ``lever``: base URL in host, API key in password.
    """

    conn_name_attr = "lever_conn_id"
    default_conn_name = "lever_default"
    conn_type = "lever"
    hook_name = "Lever"

    def __init__(self, lever_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(http_conn_id=lever_conn_id, **kwargs)
        self.lever_conn_id = lever_conn_id

    def client(self, limiter: Limiter | None = None, metrics: Metrics | None = None) -> LeverClient:
        """Make a typed client; the connection is read once.

        :param limiter: shared by all processes that use the key.
        :param metrics: counts every request and every 429.
        :raises SettingsError: there is no such connection, or it is incomplete.
        """
        return lever_client(self._connection, limiter, metrics)

    @property
    def base_address(self) -> str:
        """The API's base URL."""
        return base_url(self._connection, DEFAULT_URL)

    @property
    def webhook_tokens(self) -> list[str]:
        """The webhooks' signature tokens, from the extra `webhook_tokens`: a list, or text separated by commas."""
        return secret_extras(self._connection, "webhook_tokens")

    @cached_property
    def _connection(self) -> ConnectionLike:
        return find_connection(self.get_connection, self.lever_conn_id, self.conn_type)

    def test_connection(self) -> tuple[bool, str]:
        """Check the key by reading one stage.

        :return: whether it works, and a text for Airflow's connection page.
        """
        return try_connection(lambda: self.client().check(), "Lever")
