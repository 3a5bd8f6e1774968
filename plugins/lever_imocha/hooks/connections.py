"""What both hooks read from an Airflow connection, by name and nothing else."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from requests.adapters import HTTPAdapter

from lever_imocha.clients.limits import InProcessLimiter, Limiter
from lever_imocha.clients.transport import ApiClient
from lever_imocha.domain.metrics import Metrics
from lever_imocha.errors import SettingsError


class ConnectionLike(Protocol):
    """An Airflow connection, from a task or from a trigger."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


def find_connection(read: Callable[[str], Any], conn_id: str, conn_type: str) -> ConnectionLike:
    """An Airflow connection.

    :raises SettingsError: there is none of that name.
    """
    try:
        connection: ConnectionLike = read(conn_id)
    except AirflowNotFoundException:
        raise SettingsError([f"connection {conn_id}: does not exist; make it in Airflow, type {conn_type}"]) from None
    return connection


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def base_url(connection: ConnectionLike, default: str) -> str:
    """The API's base URL: the connection's host, which may be a whole URL.

    :raises SettingsError: plain http to another machine, which would show the key to everyone on the way.
    """
    host = (connection.host or default).strip().rstrip("/")
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    parts = urlsplit(url)
    if connection.port and parts.port is None:
        url = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise SettingsError([f"connection {connection.conn_id}: host must start with https://, e.g. {default}"])
    return url


def api_key(connection: ConnectionLike) -> str:
    """The key, from the connection's password.

    :raises SettingsError: there is none.
    """
    key = (connection.password or "").strip()
    if not key:
        raise SettingsError([f"connection {connection.conn_id}: password is empty; put the API key there"])
    mask_secret(key)
    return key


def secret_extras(connection: ConnectionLike, name: str) -> list[str]:
    """Secrets in the connection's extra: a list, or text with commas between; masked in logs."""
    value = connection.extra_dejson.get(name) or []
    parts = value.split(",") if isinstance(value, str) else [str(part) for part in value]
    secrets = [part.strip() for part in parts if part.strip()]
    for secret in secrets:
        mask_secret(secret)
    return secrets


def secret_extra(connection: ConnectionLike, name: str) -> str | None:
    """One secret in the connection's extra."""
    value = str(connection.extra_dejson.get(name) or "").strip()
    mask_secret(value)
    return value or None


def session_for(connection: ConnectionLike) -> requests.Session:
    """A session with the connection's TLS and proxy options, without authentication."""
    logging.getLogger("urllib3").setLevel(logging.INFO)  # below that it logs addresses, which may be a report's
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
) -> ApiClient:
    """The sender for a connection; without a shared limiter one request at a time, five a second."""
    timeout = connection.extra_dejson.get("timeout")
    return ApiClient(
        vendor=vendor,
        base_url=base_url(connection, default),
        session=session,
        limiter=limiter or InProcessLimiter(5),
        timeout=float(timeout) if timeout else 20,
        metrics=metrics,
    )
