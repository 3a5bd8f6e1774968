"""The connections under a client's session: answers end at a deadline, and report links lead to public addresses only.

requests limits the time between two parts of an answer, not the whole: one byte every few seconds would hold a worker
for hours.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lever_imocha.errors import ReportFileError


class Deadline:
    """When an answer must have been read.

    :param seconds: from now.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; negative when it has passed."""
        return self._end - self._clock()

    @property
    def has_passed(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def ending_at(deadline: Deadline) -> Iterator[None]:
    """Let the answers to requests sent inside end at a deadline; they may be read outside."""
    before = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(before)


class _Reader(io.RawIOBase):
    """Reads a socket until the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._file = sock.makefile("rb", buffering=0)
        self._timeout = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline.left
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left if self._timeout is None else min(self._timeout, left))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        deadline = _deadline.get()
        if deadline is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_Reader(sock, deadline))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class BoundedAdapter(HTTPAdapter):
    """Ends answers at the deadline of `ending_at`, also through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections of our own."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make connections of our own to a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def is_public(address: str) -> bool:
    """Return whether an IP address can belong to a machine on the internet that is not ours."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour is not None or ip.teredo is not None or ip in _TRANSLATED:
            return False  # these lead to an IPv4 address, which may be any
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


def _public(sock: socket.socket) -> socket.socket:
    """Check the address that is really connected to: a name may mean another one each time it is looked up."""
    if is_public(sock.getpeername()[0]):
        return sock
    sock.close()
    raise ReportFileError("iMocha's report link leads to an address inside our own network; it is not followed.")


class _PublicConnection(_Connection):
    def _new_conn(self) -> socket.socket:
        return _public(super()._new_conn())


class _PublicSecureConnection(_SecureConnection):
    def _new_conn(self) -> socket.socket:
        return _public(super()._new_conn())


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicSecurePool(HTTPSConnectionPool):
    ConnectionCls = _PublicSecureConnection


class PublicAdapter(BoundedAdapter):
    """Also connects to public addresses only. Through a proxy, which looks names up itself, it is the proxy's task."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections of our own."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicSecurePool}
