"""What both vendors' hooks have in common: a connection becomes a session or a client."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from typing import Any, ClassVar

import requests
from airflow.providers.http.hooks.http import HttpHook

from lever_imocha.airflow_compat import form_widgets
from lever_imocha.clients.limits import Limiter
from lever_imocha.clients.transport import BROKEN, TRIES, ApiClient, VendorError
from lever_imocha.domain.metrics import Metrics
from lever_imocha.errors import OutcomeUnknownError, VendorDownError
from lever_imocha.hooks.connections import (
    ConnectionLike,
    api_key,
    base_url,
    find_connection,
    session_for,
    timeout_of,
    try_connection,
)
from lever_imocha.hooks.limits import limiter_for, process_limiter
from lever_imocha.provider_info import connection_form

_READS = ("GET", "HEAD")


class VendorHook(HttpHook):
    """An `HttpHook` that sends the API key of its connection, and never one of the connection's extras.

    `HttpHook` sends every extra that it does not know as a header; ours are secrets. So the session is made here.

    :param conn_id: base URL in host, API key in password.
    :param kwargs: of `HttpHook`: `method` counts for `run`; authentication is always the vendor's.
    """

    vendor: ClassVar[str]
    default_url: ClassVar[str]

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(http_conn_id=conn_id, **kwargs)
        self._tries = TRIES

    def key_header(self, key: str) -> tuple[str, str]:
        """Return name and value of the header that carries the API key, as the vendor expects it."""
        raise NotImplementedError

    def read_error(self, status: int, body: Any) -> VendorError:
        """Read the vendor's error answers."""
        raise NotImplementedError

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Make a session that keeps the shared rate limit; `url_from_endpoint` makes its addresses.

        It sends the API key to the host of the connection, and to no other.

        :param headers: sent with every request.
        :param extra_options: `verify`, `cert`, `proxies`, `stream` for the session; the others are for `run`.
        :raises SettingsError: there is no such connection, or it is incomplete.
        """
        options = extra_options or {}
        self.base_url = self.base_address
        self._base_url_initialized = True
        self.merged_extra = {"timeout": timeout_of(self._connection)} | options
        session = self._session(limiter_for(self.conn_type))
        for name in ("verify", "cert", "proxies", "stream"):
            if name in options:
                setattr(session, name, options[name])
        session.headers.update(headers or {})
        return session

    def run_and_check(
        self, session: requests.Session, prepped_request: requests.PreparedRequest, extra_options: dict[Any, Any]
    ) -> requests.Response:
        """Send what `run` has prepared.

        :raises ApiError: one of its kinds; neither a log line nor the error has what was sent.
        """
        settings = session.merge_environment_settings(
            prepped_request.url, session.proxies, session.stream, session.verify, session.cert
        )
        try:
            response = session.send(
                prepped_request,
                timeout=extra_options.get("timeout"),
                allow_redirects=extra_options.get("allow_redirects", True),
                **settings,
            )
        except BROKEN as error:
            kind = VendorDownError if prepped_request.method in _READS else OutcomeUnknownError
            raise kind(vendor=self.vendor, call="run", detail=type(error).__name__) from None
        if extra_options.get("check_response", True):
            self.check_response(response)
        return response

    def check_response(self, response: requests.Response) -> None:
        """Raise our error for an answer of 400 or more; `HttpHook` would log the whole answer."""
        if response.status_code >= 400:
            raise self.api_client(limiter_for(self.conn_type)).error_in("run", response)

    def api_client(self, limiter: Limiter | None = None, metrics: Metrics | None = None) -> ApiClient:
        """Make the client that sends a vendor's calls.

        :param limiter: None for the ledger's, or this process's own where there is no ledger.
        :param metrics: counts every request and every 429.
        :raises SettingsError: there is no such connection, or it is incomplete.
        """
        return ApiClient(
            vendor=self.vendor,
            base_url=self.base_address,
            session=self._session(),
            limiter=limiter or limiter_for(self.conn_type),
            timeout=timeout_of(self._connection),
            tries=self._tries,
            metrics=metrics,
            read_error=self.read_error,
        )

    def _session(self, limiter: Limiter | None = None) -> requests.Session:
        session = session_for(self._connection, limiter)
        session.send_key(self.base_address, *self.key_header(api_key(self._connection)))
        return session

    @property
    def key_mark(self) -> str:
        """What another API key is told by; the key itself cannot be told from it.

        :raises SettingsError: there is no connection, or no key.
        """
        return sha256(api_key(self._connection).encode()).hexdigest()[:16]

    @property
    def base_address(self) -> str:
        """The API's base URL."""
        return base_url(self._connection, self.default_url)

    @cached_property
    def _connection(self) -> ConnectionLike:
        return find_connection(self.get_connection, self.http_conn_id, self.conn_type)

    @classmethod
    def form_behaviour(cls) -> dict[str, Any]:
        """Return the connection form's behaviour from the metadata."""
        form = connection_form(cls.conn_type)["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in form.items()}

    @classmethod
    def form_fields(cls) -> dict[str, Any]:
        """Return the connection form's own fields from the metadata."""
        return form_widgets(connection_form(cls.conn_type)["conn-fields"])

    def _tested(self, check: Callable[[Limiter], None]) -> tuple[bool, str]:
        """Check the key without the ledger, whose outage says nothing of the key."""
        self._tries = 1
        limiter = process_limiter(self.conn_type)
        return try_connection(lambda: check(limiter), self.http_conn_id, self.vendor, self.default_url)
