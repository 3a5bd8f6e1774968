"""The Airflow hook for iMocha, connection type ``imocha``."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

from airflow.providers.http.hooks.http import HttpHook

from lever_imocha.clients.imocha import ImochaClient, read_error
from lever_imocha.clients.limits import Limiter
from lever_imocha.domain.metrics import Metrics
from lever_imocha.hooks.connections import (
    ConnectionLike,
    api_client,
    api_key,
    find_connection,
    secret_extra,
    session_for,
    try_connection,
)

DEFAULT_URL = "https://apiv3.imocha.io/v3"


def imocha_client(
    connection: ConnectionLike,
    limiter: Limiter | None = None,
    metrics: Metrics | None = None,
    report_hosts: Collection[str] = (),
) -> ImochaClient:
    """Make a client for a connection; report links outside the API are fetched without the key (imocha.md 7.2).

    :raises SettingsError: the connection has no key, or an unencrypted host.
    """
    session = session_for(connection)
    session.headers["X-API-KEY"] = api_key(connection)
    client = api_client(
        connection,
        vendor="iMocha",
        default=DEFAULT_URL,
        session=session,
        limiter=limiter,
        metrics=metrics,
        read_error=read_error,
    )
    return ImochaClient(client, session_for(connection), report_hosts)


class ImochaHook(HttpHook):
    """Makes clients for iMocha from an Airflow connection.

    :param imocha_conn_id: a connection of type ``imocha``: base URL in host, API key in password.
    """

    conn_name_attr = "imocha_conn_id"
    default_conn_name = "imocha_default"
    conn_type = "imocha"
    hook_name = "iMocha"

    def __init__(self, imocha_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(http_conn_id=imocha_conn_id, **kwargs)
        self.imocha_conn_id = imocha_conn_id

    def client(
        self,
        limiter: Limiter | None = None,
        metrics: Metrics | None = None,
        report_hosts: Collection[str] = (),
    ) -> ImochaClient:
        """Make a typed client; the connection is read once.

        :param limiter: shared by all processes that use the key.
        :param metrics: counts every request and every 429.
        :param report_hosts: the only hosts that report links may lead to; empty means any.
        :raises SettingsError: there is no such connection, or it is incomplete.
        """
        return imocha_client(self._connection, limiter, metrics, report_hosts)

    @property
    def callback_secret(self) -> str | None:
        """The secret that signs callback URLs, from the extra of that name; None if it is not set."""
        return secret_extra(self._connection, "callback_secret")

    @cached_property
    def _connection(self) -> ConnectionLike:
        return find_connection(self.get_connection, self.imocha_conn_id, self.conn_type)

    def test_connection(self) -> tuple[bool, str]:
        """Check the key by reading the business units or a page of tests.

        :return: whether it works, and a text for Airflow's connection page.
        """
        return try_connection(lambda: self.client().check(), "iMocha")
