"""Reads the vendors' Airflow connections; only the fields and extras named here are used."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from lever_imocha.clients.limits import InProcessLimiter, Limiter
from lever_imocha.clients.report_files import is_loopback
from lever_imocha.clients.transport import TRIES, ApiClient, VendorError
from lever_imocha.domain.metrics import Metrics
from lever_imocha.errors import LeverImochaError, SettingsError, UnexpectedAnswerError


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
        raise SettingsError(
            [
                f"connection {conn_id}: does not exist, or cannot be read (its port must be a number); make it in"
                f" Airflow, type {conn_type}"
            ]
        ) from None
    except ValueError:
        raise SettingsError([f"connection {conn_id}: cannot be read; its port must be a number"]) from None
    _check_extra(connection)
    return connection


def _check_extra(connection: ConnectionLike) -> None:
    try:
        is_object = isinstance(json.loads(getattr(connection, "extra", None) or "{}"), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise SettingsError([f'connection {connection.conn_id}: extra must be JSON, e.g. {{"timeout": 20}}'])


def base_url(connection: ConnectionLike, default: str) -> str:
    """Return the API's base URL: the connection's host, which may be a whole URL.

    :param default: used if the connection has no host.
    :raises SettingsError: plain http to another machine, which would send the key unencrypted.
    """
    host = (connection.host or default).strip().rstrip("/")
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    try:
        parts, port = urlsplit(url), urlsplit(url).port
    except ValueError:
        raise _bad_host(connection, default) from None
    if (
        not _HOST.fullmatch(parts.hostname or "")
        or "@" in parts.netloc
        or parts.netloc.endswith(":")
        or re.search(r"[\s?#]", url)
    ):
        raise _bad_host(connection, default)
    if connection.port and port is None:
        url = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise _bad_host(connection, default)
    return url


_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,250}[a-z0-9_])?|[0-9a-f:.]+", re.IGNORECASE)


def _bad_host(connection: ConnectionLike, default: str) -> SettingsError:
    return SettingsError(
        [f"connection {connection.conn_id}: host must start with https:// and be a web address, e.g. {default}"]
    )


def api_key(connection: ConnectionLike) -> str:
    """Return the API key, which is the connection's password; it is masked in logs.

    :raises SettingsError: the password is empty.
    """
    key = (connection.password or "").strip()
    if not key:
        raise SettingsError([f"connection {connection.conn_id}: password is empty; put the API key there"])
    mask_secret(key)
    if not re.fullmatch(r"[!-~]+", key):
        raise SettingsError(
            [f"connection {connection.conn_id}: password is no API key: it has blanks, line ends or unusual letters"]
        )
    return key


def secret_extras(connection: ConnectionLike, name: str) -> list[str]:
    """Return secrets from one of the connection's extras: a list, or text separated by commas; masked in logs."""
    value = connection.extra_dejson.get(name) or []
    parts = value.split(",") if isinstance(value, str) else [str(part) for part in value]
    secrets = [part.strip() for part in parts if part.strip()]
    for secret in secrets:
        mask_secret(secret)
    return secrets


def secret_extra(connection: ConnectionLike, name: str) -> str | None:
    """Return a secret from one of the connection's extras, masked in logs; None if it is empty."""
    value = str(connection.extra_dejson.get(name) or "").strip()
    mask_secret(value)
    return value or None


def session_for(connection: ConnectionLike) -> requests.Session:
    """Make a session with the connection's extras `verify` and `proxies`, without authentication.

    :raises SettingsError: `verify` names no file.
    """
    logging.getLogger("urllib3").setLevel(logging.INFO)  # DEBUG would log URLs, among them those of reports
    extra = connection.extra_dejson
    session = _Session()
    session.verify = _verify(connection)
    if isinstance(extra.get("proxies"), dict):
        session.proxies.update(extra["proxies"])
    return session


class _Session(requests.Session):
    """Lets the connection's own settings win: in requests, those of the environment do."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, {**self.proxies, **(proxies or {})}, stream, own, cert)


def _verify(connection: ConnectionLike) -> bool | str:
    """Return whether TLS certificates are checked, or the CA bundle that they are checked with."""
    given = connection.extra_dejson.get("verify")
    if given in (None, ""):
        return True
    word = str(given).strip()
    if word.casefold() in _WORDS:
        return _WORDS[word.casefold()]
    if not Path(word).exists():
        raise SettingsError([f"connection {connection.conn_id}: verify: there is no CA bundle {word}"])
    return word


_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _timeout(connection: ConnectionLike) -> float:
    given = connection.extra_dejson.get("timeout")
    if given in (None, ""):
        return 20
    try:
        seconds = float(str(given))
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= 300:
        raise SettingsError([f"connection {connection.conn_id}: timeout must be 1 to 300 seconds"])
    return seconds


def try_connection(check: Callable[[], None], vendor: str) -> tuple[bool, str]:
    """Test a connection for Airflow's page.

    :return: whether it works, and one sentence; whatever was typed into the form, it is no error.
    """
    try:
        check()
    except UnexpectedAnswerError as error:
        return False, f"{error.vendor} does not seem to be there: {error} Check the connection's host."
    except LeverImochaError as error:
        return False, " ".join(str(error).split())
    except Exception as error:  # a form may hold anything, and Airflow shows a trace for an error
        return False, f"The connection cannot be used ({type(error).__name__}); check host, port, password and extra."
    return True, f"{vendor} accepts the API key."


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
    :param limiter: shared by all processes that use the key; without one, as for a test, five requests a second and no
        retries.
    :param read_error: reads the vendor's error answers.
    """
    return ApiClient(
        vendor=vendor,
        base_url=base_url(connection, default),
        session=session,
        limiter=limiter or InProcessLimiter(5),
        timeout=_timeout(connection),
        tries=TRIES if limiter else 1,
        metrics=metrics,
        read_error=read_error,
    )
