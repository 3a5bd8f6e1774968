"""Reads the vendors' Airflow connections; only the fields and extras named here are used."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import requests
from airflow.sdk.log import mask_secret
from requests.adapters import HTTPAdapter

from lever_imocha.airflow_compat import AirflowNotFoundException, ensure_found_nothing
from lever_imocha.clients.limits import Limiter
from lever_imocha.domain.hosts import is_loopback
from lever_imocha.errors import (
    LeverImochaError,
    NotFoundError,
    SettingsError,
    UnexpectedAnswerError,
    VendorDownError,
)

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
    :raises AirflowDownError: whether there is one is not known.
    """
    try:
        connection: ConnectionLike = read(conn_id)
    except AirflowNotFoundException:
        ensure_found_nothing()
        raise SettingsError(
            [
                f"connection {conn_id}: does not exist, or cannot be read (its port must be a number, its extra must"
                f" be JSON); make it in Airflow, type {conn_type}"
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

    In a URI, ``lever://:key@api.lever.co/v1``, Airflow reads the path as the connection's schema.

    :param default: used if the connection has no host.
    :raises SettingsError: plain http to another machine, which would send the key unencrypted.
    """
    url = _whole_url(connection, default)
    try:
        parts, port = urlsplit(url), urlsplit(url).port
    except ValueError:
        raise _bad_host(connection, default) from None
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    if not (encrypted and _is_address(parts) and not re.search(r"[\s?#]", url)):
        raise _bad_host(connection, default)
    if connection.port and port is None:
        return parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    return url


def _whole_url(connection: ConnectionLike, default: str) -> str:
    """Put the host behind its scheme; a schema that is none is the path of a connection that is written as a URI."""
    host, scheme = (connection.host or default).strip().rstrip("/"), (connection.schema or "https").strip(" /")
    if connection.host and scheme.casefold() not in ("http", "https"):
        host, scheme = f"{host}/{scheme}", "https"
    return host if "://" in host else f"{scheme}://{host}"


def _is_address(parts: SplitResult) -> bool:
    """Tell whether a URL names a host, and neither a user nor an empty port."""
    has_user_or_empty_port = "@" in parts.netloc or parts.netloc.endswith(":")
    return bool(_HOST.fullmatch(parts.hostname or "")) and not has_user_or_empty_port


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
        raise SettingsError(
            [f"connection {connection.conn_id}: password is empty; put the API key into its field API key"]
        )
    mask_secret(key)
    if not re.fullmatch(r"[!-~]+", key):
        raise SettingsError(
            [f"connection {connection.conn_id}: password is no API key: it has blanks, line ends or unusual letters"]
        )
    return key


def long_enough(secret: str, where: str) -> str:
    """Return a secret; it is masked in logs.

    :param where: where it comes from, for the error's text.
    :raises SettingsError: it is so short that it could be guessed.
    """
    mask_secret(secret)
    if len(secret) < _SHORTEST_SECRET:
        raise SettingsError(
            [f"{where} is shorter than {_SHORTEST_SECRET} characters and could be guessed; use a longer one"]
        )
    return secret


def _texts(value: Any) -> list[str]:
    """Return the texts in a list, in an object such as ``{"webhook's id": "token"}``, in their JSON, or in a text of several."""
    if isinstance(value, str) and value.strip().startswith(("[", "{")):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [text for text in re.split(r"[\s,;]+", str(value)) if text]


def secret_extras(connection: ConnectionLike, name: str) -> list[str]:
    """Return secrets from one of the connection's extras: a list, an object, or text separated by commas; masked in logs.

    :raises SettingsError: one is so short that it could be guessed.
    """
    where = f"connection {connection.conn_id}: {name} in the extra"
    return [long_enough(secret, where) for secret in _texts(connection.extra_dejson.get(name) or "")]


def secret_extra(connection: ConnectionLike, name: str) -> str | None:
    """Return a secret from one of the connection's extras: text, or a list of one; masked in logs, None if it is empty.

    :raises SettingsError: it is so short that it could be guessed.
    """
    value = connection.extra_dejson.get(name) or ""
    secret = str(next(iter(value), "") if isinstance(value, list) else value).strip()
    return long_enough(secret, f"connection {connection.conn_id}: {name} in the extra") if secret else None


class ApiSession(requests.Session):
    """A session that sends its API key to the API's own host only, and lets its own settings win."""

    _key_header = ""

    def send_key(self, base_url: str, header: str, value: str) -> None:
        """Send a header with each request to the API's host; a report's link, say, may lead to another one."""

        def add_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if not self.should_strip_auth(base_url, request.url or ""):  # type: ignore[no-untyped-call]
                request.headers[header] = value
            return request

        self.auth, self._key_header = add_key, header

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take the key out of a request that a redirect sends to another host; `requests` knows one header only."""
        old, new = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(old, new):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop(self._key_header, None)
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Prefer the session's `verify` and proxies: in requests, those of the environment win.

        :raises SettingsError: the environment names a CA bundle that is not there.
        """
        own = self.verify if verify is None else verify
        merged = super().merge_environment_settings(url, {**self.proxies, **(proxies or {})}, stream, own, cert)
        if isinstance(merged["verify"], str):
            _check_bundle(merged["verify"], "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE of the environment")
        return merged


class _LimitedAdapter(HTTPAdapter):
    """Sends a request when the rate limit allows it."""

    def __init__(self, limiter: Limiter) -> None:
        super().__init__(pool_maxsize=4)
        self._limiter = limiter

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Wait for the turn, then send."""
        self._limiter.acquire()
        return super().send(*args, **kwargs)


def session_for(connection: ConnectionLike, limiter: Limiter | None = None) -> ApiSession:
    """Make a session with the connection's extras `verify` and `proxies`, without authentication.

    :param limiter: asked before every request; not for a session of `ApiClient`, which asks by itself.
    :raises SettingsError: `verify` names no file, or `proxies` are none.
    """
    logging.getLogger("urllib3").setLevel(logging.INFO)  # DEBUG would log URLs, among them those of reports
    session = ApiSession()
    adapter = _LimitedAdapter(limiter) if limiter else HTTPAdapter(pool_maxsize=4)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.verify = _verify(connection)
    session.proxies.update(_proxies(connection))
    return session


def _proxies(connection: ConnectionLike) -> dict[str, str]:
    """Return the extra `proxies`, an object or its JSON. What cannot be used is no reason to go around a proxy."""
    given = connection.extra_dejson.get("proxies") or {}
    if isinstance(given, str):
        with suppress(ValueError, RecursionError):
            given = json.loads(given)
    if not isinstance(given, dict) or not all(re.fullmatch(r"\S*", str(proxy)) for proxy in given.values()):
        example = '{"https": "http://proxy.example.com:3128"}'
        raise SettingsError([f"connection {connection.conn_id}: proxies must be an object such as {example}"])
    return {str(scheme).casefold(): str(proxy or "") for scheme, proxy in given.items()}


def _verify(connection: ConnectionLike) -> bool | str:
    """Return whether TLS certificates are checked, or the CA bundle that they are checked with."""
    given = connection.extra_dejson.get("verify")
    if given in (None, ""):
        return True
    word = str(given).strip()
    if word.casefold() in _WORDS:
        return _WORDS[word.casefold()]
    _check_bundle(word, f"connection {connection.conn_id}: verify")
    return word


def _check_bundle(path: str, where: str) -> None:
    with suppress(OSError):  # the name is too long for one
        if Path(path).exists():
            return
    raise SettingsError([f"{where}: there is no CA bundle {path[:200]}"])


_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def timeout_of(connection: ConnectionLike) -> float:
    """Return the connection's extra `timeout`, in seconds; 20 if it is not set.

    :raises SettingsError: it is no number of seconds that makes sense.
    """
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


def try_connection(check: Callable[[], None], conn_id: str, vendor: str, default_url: str) -> tuple[bool, str]:
    """Test a connection for Airflow's page.

    :param conn_id: left out of what is said: Airflow tests what a form says under a name that nobody knows.
    :param default_url: named where the host may be wrong.
    :return: whether it works, and one sentence; whatever was typed into the form, it is no error.
    """
    try:
        check()
    except (NotFoundError, UnexpectedAnswerError, VendorDownError) as error:
        is_down = isinstance(error, VendorDownError) and error.status
        advice = (
            "See the vendor's status page." if is_down else f"Check the connection's host; it is usually {default_url}."
        )
        return False, str(error).removesuffix(error.advice) + advice  # in place of the advice for a task
    except LeverImochaError as error:
        return False, " ".join(str(error).replace(f"connection {conn_id}: ", "").split())
    except Exception as error:  # a form may hold anything, and Airflow shows a trace for an error
        return False, f"The connection cannot be used ({type(error).__name__}); check host, port, password and extra."
    return True, f"{vendor} accepts the API key."
