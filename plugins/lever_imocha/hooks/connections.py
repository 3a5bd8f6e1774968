"""Reads the vendors' Airflow connections; only the fields and extras named here are used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from requests.adapters import HTTPAdapter

from lever_imocha.clients.limits import InProcessLimiter, Limiter
from lever_imocha.clients.transport import ApiClient, VendorError
from lever_imocha.domain.metrics import Metrics
from lever_imocha.errors import SettingsError
from lever_imocha.settings import is_loopback

_SHORTEST_SECRET = 16


class ConnectionLike(Protocol):
    """An Airflow connection, from a task or from a trigger."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra field, read as JSON."""


def find_connection(read: Callable[[str], Any], conn_id: str, conn_type: str) -> ConnectionLike:
    """Read an Airflow connection.

    :param read: returns the connection of an id, in a task or in a trigger.
    :param conn_type: named in the error text.
    :raises SettingsError: there is no connection of this id.
    """
    try:
        connection: ConnectionLike = read(conn_id)
    except AirflowNotFoundException:
        raise SettingsError([f"connection {conn_id}: does not exist; make it in Airflow, type {conn_type}"]) from None
    return connection


def base_url(connection: ConnectionLike, default: str) -> str:
    """Return the API's base URL: the connection's host, which may be a whole URL.

    :param default: used if the connection has no host.
    :raises SettingsError: plain http to another machine, which would send the key unencrypted.
    """
    host = (connection.host or default).strip().rstrip("/")
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    parts = urlsplit(url)
    if connection.port and parts.port is None:
        url = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise SettingsError([f"connection {connection.conn_id}: host must start with https://, e.g. {default}"])
    return url


def api_key(connection: ConnectionLike) -> str:
    """Return the API key, which is the connection's password; it is masked in logs.

    :raises SettingsError: the password is empty.
    """
    key = (connection.password or "").strip()
    if not key:
        raise SettingsError([f"connection {connection.conn_id}: password is empty; put the API key there"])
    mask_secret(key)
    return key


def _long_enough(connection: ConnectionLike, name: str, secret: str) -> str:
    mask_secret(secret)
    if len(secret) < _SHORTEST_SECRET:
        problem = f"{name} in the extra is shorter than {_SHORTEST_SECRET} characters and could be guessed"
        raise SettingsError([f"connection {connection.conn_id}: {problem}; use a longer one"])
    return secret


def secret_extras(connection: ConnectionLike, name: str) -> list[str]:
    """Return secrets from one of the connection's extras: a list, or text separated by commas; masked in logs.

    :raises SettingsError: one is so short that it could be guessed.
    """
    value = connection.extra_dejson.get(name) or []
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    return [_long_enough(connection, name, secret) for part in parts if (secret := str(part).strip())]


def secret_extra(connection: ConnectionLike, name: str) -> str | None:
    """Return a secret from one of the connection's extras, masked in logs; None if it is empty.

    :raises SettingsError: it is so short that it could be guessed.
    """
    secret = str(connection.extra_dejson.get(name) or "").strip()
    return _long_enough(connection, name, secret) if secret else None


def session_for(connection: ConnectionLike) -> requests.Session:
    """Make a session with the connection's extras `verify` and `proxies`, without authentication."""
    logging.getLogger("urllib3").setLevel(logging.INFO)  # DEBUG would log URLs, among them those of reports
    extra = connection.extra_dejson
    session = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=4)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if extra.get("verify") not in (None, ""):
        session.verify = extra["verify"]
    if isinstance(extra.get("proxies"), dict):
        session.proxies.update(extra["proxies"])
    return session


def api_client(
    connection: ConnectionLike,
    *,
    vendor: str,
    default: str,
    session: requests.Session,
    limiter: Limiter | None,
    metrics: Metrics | None,
    read_error: Callable[[int, Any], VendorError],
) -> ApiClient:
    """Make the client that sends a vendor's calls.

    :param vendor: named in errors.
    :param default: base URL if the connection has no host.
    :param limiter: shared by all processes that use the key; without one, five requests per second, one at a time.
    :param read_error: reads the vendor's error answers.
    """
    timeout = connection.extra_dejson.get("timeout")
    return ApiClient(
        vendor=vendor,
        base_url=base_url(connection, default),
        session=session,
        limiter=limiter or InProcessLimiter(5),
        timeout=float(timeout) if timeout else 20,
        metrics=metrics,
        read_error=read_error,
    )
