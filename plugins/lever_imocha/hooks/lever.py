"""The Airflow hook for Lever, connection type ``lever``."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from airflow.sdk.log import mask_secret

from lever_imocha.clients.lever import LeverClient, read_error
from lever_imocha.clients.limits import Limiter
from lever_imocha.clients.transport import VendorError
from lever_imocha.domain.hosts import LEVER_API
from lever_imocha.domain.metrics import Metrics
from lever_imocha.hooks.base import VendorHook
from lever_imocha.hooks.connections import long_enough, secret_extras
from lever_imocha.hooks.stored_secrets import TOKENS, stored_tokens


class LeverHook(VendorHook):
    """Make clients and sessions for Lever from an Airflow connection.

    .. code-block:: python

        @task
        def count(stage_id: str) -> int:
            lever = LeverHook("lever_default").client()
            return sum(1 for _ in lever.list_opportunities(stage_ids=[stage_id], archived=False))

    Return ids and counts from a task, not the client's objects: XCom stores what it gets, names and addresses too.

    :param lever_conn_id: a connection of type ``lever``: base URL in host, API key in password.
    :param kwargs: of `HttpHook`: `method` counts for `run`; authentication is always Lever's.
    """

    conn_name_attr = "lever_conn_id"
    default_conn_name = "lever_default"
    conn_type = "lever"
    hook_name = "Lever"
    vendor = "Lever"
    default_url = LEVER_API

    def __init__(self, lever_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(lever_conn_id, **kwargs)
        self.lever_conn_id = lever_conn_id

    def client(self, limiter: Limiter | None = None, metrics: Metrics | None = None) -> LeverClient:
        """Make a typed client; the connection is read once.

        :param limiter: None for the ledger's, or this process's own where there is no ledger.
        :param metrics: counts every request and every 429.
        :raises SettingsError: there is no such connection, or it is incomplete.
        """
        return LeverClient(self.api_client(limiter, metrics))

    def key_header(self, key: str) -> tuple[str, str]:
        """Return the API key as the user name of Basic authentication (lever.md 1.2)."""
        encoded = b64encode(f"{key}:".encode()).decode()
        mask_secret(encoded)
        return "Authorization", f"Basic {encoded}"

    def read_error(self, status: int, body: Any) -> VendorError:
        """Read Lever's error answers."""
        return read_error(status, body)

    @property
    def webhook_tokens(self) -> list[str]:
        """The webhooks' signature tokens, from the extra `webhook_tokens`: a list, an object, or text separated by commas.

        Also those of the webhooks that `lever_imocha_setup` has made; they are in an Airflow variable.

        :raises SettingsError: one is so short that it could be guessed.
        """
        stored = [long_enough(token, f"a token in the variable {TOKENS}") for token in stored_tokens().values()]
        return [*self.own_webhook_tokens, *stored]

    @property
    def own_webhook_tokens(self) -> list[str]:
        """The webhooks' signature tokens that the connection has."""
        return secret_extras(self._connection, "webhook_tokens")

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the connection form's behaviour, for Airflow 3.1, which looks for this method in this very class."""
        return cls.form_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields, likewise."""
        return cls.form_fields()

    def test_connection(self) -> tuple[bool, str]:
        """Check the key by reading one stage.

        :return: whether it works, and a text for Airflow's connection page.
        """

        def check(limiter: Limiter) -> None:
            _ = self.webhook_tokens  # a wrong one would only be noticed by the receivers
            self.client(limiter).check()

        return self._tested(check)
