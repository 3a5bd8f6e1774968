"""The Airflow hook for iMocha, connection type ``imocha``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lever_imocha.clients.imocha import ImochaClient, read_error
from lever_imocha.clients.limits import Limiter
from lever_imocha.clients.transport import VendorError
from lever_imocha.domain.hosts import IMOCHA_API
from lever_imocha.domain.metrics import Metrics
from lever_imocha.hooks.base import VendorHook
from lever_imocha.hooks.connections import secret_extra, session_for
from lever_imocha.hooks.stored_secrets import stored_callback_secret


class ImochaHook(VendorHook):
    """Make clients and sessions for iMocha from an Airflow connection.

    .. code-block:: python

        @task
        def active_tests() -> list[int]:
            return [test.id for test in ImochaHook("imocha_default").client().list_tests() if test.is_active]

    Return ids from a task, not the client's objects: XCom stores what it gets, addresses and scores too.

    :param imocha_conn_id: a connection of type ``imocha``: base URL in host, API key in password.
    :param kwargs: of `HttpHook`: `method` counts for `run`; authentication is always iMocha's.
    """

    conn_name_attr = "imocha_conn_id"
    default_conn_name = "imocha_default"
    conn_type = "imocha"
    hook_name = "iMocha"
    vendor = "iMocha"
    default_url = IMOCHA_API

    def __init__(self, imocha_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(imocha_conn_id, **kwargs)
        self.imocha_conn_id = imocha_conn_id

    def client(
        self,
        limiter: Limiter | None = None,
        metrics: Metrics | None = None,
        report_hosts: Collection[str] = (),
    ) -> ImochaClient:
        """Make a typed client; report links outside the API are fetched without the key (imocha.md 7.2).

        :param limiter: None for the ledger's, or this process's own where there is no ledger.
        :param metrics: counts every request and every 429.
        :param report_hosts: the only hosts that report links may lead to; empty means any.
        :raises SettingsError: there is no such connection, or it is incomplete.
        """
        return ImochaClient(self.api_client(limiter, metrics), session_for(self._connection), report_hosts)

    def key_header(self, key: str) -> tuple[str, str]:
        """Return the API key as a header of its own (imocha.md 1)."""
        return "X-API-KEY", key

    def read_error(self, status: int, body: Any) -> VendorError:
        """Read iMocha's error answers."""
        return read_error(status, body)

    @property
    def callback_secret(self) -> str | None:
        """The secret that signs callback URLs, from the extra of that name, else the one that `lever_imocha_setup` has made.

        The latter is in an Airflow variable. None if there is neither.
        """
        return secret_extra(self._connection, "callback_secret") or stored_callback_secret()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the connection form's behaviour, for Airflow 3.1, which looks for this method in this very class."""
        return cls.form_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields, likewise."""
        return cls.form_fields()

    def test_connection(self) -> tuple[bool, str]:
        """Check the key by reading the business units or a page of tests.

        :return: whether it works, and a text for Airflow's connection page.
        """

        def check(limiter: Limiter) -> None:
            _ = self.callback_secret  # a wrong one would only be noticed by the receivers
            self.client(limiter).check()

        return self._tested(check)
