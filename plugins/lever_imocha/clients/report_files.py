"""Downloads of a report's PDF from wherever iMocha says that it is (imocha.md 7.2)."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import requests

from lever_imocha.clients.answers import target_of
from lever_imocha.clients.connections import BoundedAdapter, PublicAdapter, is_public
from lever_imocha.clients.transport import ApiClient, Call
from lever_imocha.domain.hosts import is_loopback
from lever_imocha.errors import ReportFileError

_REDIRECTS = 5
_SECONDS = 300
_MARK, _END = b"%PDF-", b"%%EOF"
_MARGIN = 1024
"""Bytes: how far from a file's beginning the one and from its end the other mark may stand, as readers of PDF do it."""


def pdf_call(path: str) -> Call[None]:
    """Describe a download."""
    return Call(
        name="get_report_pdf",
        method="GET",
        path=path,
        parse=lambda body: None,
        repeatable=True,
        timeout=60,
        deadline=_SECONDS,
    )


class ReportFiles:
    """Downloads from report links, which are a vendor's text: they must not lead to our own network.

    Links lead to public addresses and by https only, unless the API itself is on this machine, as in a test.

    :param client: of the API.
    :param session: without the API key.
    :param hosts: the only hosts that links may lead to; empty means any.
    """

    def __init__(self, client: ApiClient, session: requests.Session, hosts: Collection[str] = ()) -> None:
        self._client, self._session = client, session
        self._hosts = {urlsplit(_as_sent(f"https://{host}")).hostname for host in hosts}
        self._local = is_loopback(urlsplit(client.base_url).hostname)
        for scheme in ("https://", "http://"):
            session.mount(scheme, BoundedAdapter() if self._local else PublicAdapter())

    def download(self, url: str, max_bytes: int) -> BinaryIO:
        """Download, following redirects.

        :return: a temporary file, positioned at its start; the caller closes it.
        :raises ReportFileError: the link may not be followed, or gives no whole PDF.
        """
        for _ in range(_REDIRECTS + 1):
            url = self._checked(url)
            response = self._client.open(pdf_call(""), session=self._session, url=url)
            if not response.is_redirect:
                return spool(response, max_bytes)
            response.close()
            url = target_of(response) or ""
        raise ReportFileError(f"iMocha's report link redirects more than {_REDIRECTS} times; it is tried again later.")

    def _checked(self, url: str) -> str:
        """Return a link as it is asked for: what is checked and what is connected to must be read alike."""
        url = _as_sent(url)
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme != "https" and not (parts.scheme == "http" and self._local):
            raise ReportFileError("iMocha's report link does not begin with https://; it is tried again later.")
        if self._hosts and host not in self._hosts:
            raise ReportFileError(
                "iMocha's report link leads to a host that write_back.report_hosts does not name; add it if it is iMocha's."
            )
        if not self._local and _names_local(host):
            raise ReportFileError(
                "iMocha's report link leads to an address inside our own network; it is not followed."
            )
        return url


def _as_sent(url: str) -> str:
    """Return an address as requests sends it; empty if it cannot be one.

    Two parsers may find two hosts in one text, as in ``https://a\\@b/``, and a digit may be written as ``%31``.
    """
    request = requests.PreparedRequest()
    try:
        request.prepare_url(url, None)
        urlsplit(request.url)
    except (requests.RequestException, ValueError):
        return ""
    return request.url or ""


def _names_local(host: str) -> bool:
    """Return whether this can be seen without looking the name up, which a proxy does for us."""
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))  # also 127.1, 2130706433 and 0x7f000001
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def broke_off() -> ReportFileError:
    """Make the error for a file of which only a part came."""
    return ReportFileError("The download of the report's PDF broke off; it is tried again later.")


def spool(response: requests.Response, max_bytes: int) -> BinaryIO:
    """Copy a download into a temporary file, on disk when it is large, and check that it is a whole PDF.

    What stands before the PDF, such as a blank line or a byte order mark, is left out.
    """
    content = cast(BinaryIO, SpooledTemporaryFile(max_size=1024 * 1024))  # noqa: SIM115 - the caller closes it
    try:
        with response:
            _copy(response, content, max_bytes)
        content.seek(max(0, content.tell() - _MARGIN))
        if _END not in content.read():
            raise ReportFileError("The report's PDF is cut short; it is read again later.")
    except requests.RequestException:
        content.close()
        raise broke_off() from None
    except ReportFileError:
        content.close()
        raise
    content.seek(0)
    return content


def _copy(response: requests.Response, content: BinaryIO, max_bytes: int) -> None:
    """Copy from the mark on."""
    head: bytes | None = b""
    for chunk in response.iter_content(64 * 1024):
        if head is None:
            content.write(chunk)
        else:
            head += chunk
            if len(head) >= _MARGIN:
                content.write(_from_mark(head))
                head = None
        if content.tell() > max_bytes:
            raise ReportFileError(
                f"The report's PDF is larger than {max_bytes // 2**20} MB, Lever's limit.", permanent=True
            )
    if head is not None:
        content.write(_from_mark(head))


def _from_mark(head: bytes) -> bytes:
    start = head[:_MARGIN].find(_MARK)
    if start < 0:
        raise ReportFileError("What iMocha gave as the report is not a PDF; it is tried again later.")
    return head[start:]
