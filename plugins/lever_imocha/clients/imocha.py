"""iMocha's REST API v3: every call that the workflow needs, described once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urljoin

import requests
from pydantic import BaseModel

from lever_imocha.clients.transport import ApiClient, Call, VendorError
from lever_imocha.domain.imocha import Attempt, ImochaTest, Invitation, InviteSettings, Report, TestLink
from lever_imocha.domain.types import fold_key
from lever_imocha.errors import (
    ApiError,
    NotFoundError,
    ReattemptNotAllowedError,
    ReportFileError,
    RequestRejectedError,
    Retry,
    UnexpectedAnswerError,
    VendorRefusedError,
)

M = TypeVar("M", bound=BaseModel)

PAGE_SIZE = 100
MAX_PDF_BYTES = 30 * 1024 * 1024
CALLBACKS_AT_ONCE = 100
_SMALLEST_WINDOW = timedelta(hours=1)


def read_error(status: int, body: Any) -> VendorError:
    """Read an error in any of iMocha's three envelopes (imocha.md 2.3).

    iMocha labels validation failures 401, too; only a body with `message`, or none at all, is about the key.
    """
    if not isinstance(body, dict):
        return VendorError()
    errors = body.get("errors")
    message = "; ".join(map(str, errors)) if isinstance(errors, list) else str(body.get("message") or errors or "")
    is_validation = status == 401 and "errors" in body and "message" not in body
    return VendorError(message=message, kind=RequestRejectedError if is_validation else None)


def _inner(body: Any) -> Any:
    """Return the object itself: some answers wrap it in ``result`` or ``data``."""
    while isinstance(body, dict):
        inner = next((body[key] for key in body if fold_key(key) in ("result", "data")), None)
        if not isinstance(inner, dict):
            return body
        body = inner
    return body


def _one(model: type[M]) -> Callable[[Any], M]:
    return lambda body: model.model_validate(_inner(body))


def _items(key: str) -> Callable[[Any], list[Any]]:
    """Make a parser for a list, bare or under a key of any spelling; null and absent are an empty list."""

    names = (fold_key(key), "result", "data")

    def parse(body: Any) -> list[Any]:
        inner = _inner(body)
        if isinstance(inner, list):
            return inner
        return next((value for name, value in inner.items() if fold_key(name) in names and isinstance(value, list)), [])

    return parse


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_INVITE_SECONDS = 60.0
"""How long an answer is waited for that comes after an e-mail was sent: to ask again may send another."""


class ImochaClient:
    """Typed calls to iMocha. Every method can raise the subclasses of `ApiError`.

    :param client: sends the calls.
    :param files: a session without the API key, for report links outside the API.
    """

    def __init__(self, client: ApiClient, files: requests.Session) -> None:
        self._client, self._files = client, files

    def guarded(self, guard: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `guard` before every write inside, after the turn was given; see `ApiClient.guarded`."""
        return self._client.guarded(guard)

    def check(self) -> None:
        """Check the key by reading the business units, or a test where these are not permitted (imocha.md 8).

        :raises CredentialsError: iMocha does not accept the key.
        """
        try:
            self.list_business_units()
        except VendorRefusedError:
            self._tests_page(1, 1)

    def _get(self, name: str, path: str, parse: Callable[[Any], Any], timeout: float | None = None) -> Any:
        return self._client.send(
            Call(name=name, method="GET", path=path, parse=parse, repeatable=True, timeout=timeout)
        )

    def _post(
        self,
        name: str,
        path: str,
        body: Any,
        parse: Callable[[Any], Any],
        *,
        hidden: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Any:
        return self._client.send(
            Call(name=name, method="POST", path=path, json=body, parse=parse, hidden=hidden, timeout=timeout)
        )

    # Tests and links (imocha.md 4)

    def _tests_page(self, number: int, size: int) -> list[ImochaTest]:
        call: Call[list[Any]] = Call(
            name="list_tests",
            method="GET",
            path="/tests",
            parse=_items("tests"),
            repeatable=True,
            timeout=120,
            params=[("pageNo", str(number)), ("pageSize", str(size))],
        )
        items = self._client.send(call)
        return list(self._client.parse_items("list_tests", ImochaTest, items))

    def list_tests(self) -> Iterator[ImochaTest]:
        """List all tests, each once, until a page brings nothing new.

        A short page is not the end: iMocha may give fewer tests a page than were asked for (imocha.md 2.2, 4.1).
        """
        seen: set[int] = set()
        number = 1
        while True:
            page = self._tests_page(number, PAGE_SIZE)
            new = [test for test in page if test.id not in seen]
            yield from new
            seen.update(test.id for test in new)
            if not new:
                return
            number += 1

    def list_test_links(self, test_id: int) -> list[TestLink]:
        """List a test's links with their settings (imocha.md 4.4)."""
        items = self._get("list_test_links", f"/tests/{test_id}/testlinks", _items("testLinks"))
        return list(self._client.parse_items("list_test_links", TestLink, items))

    # Invitations (imocha.md 5)

    def invite(
        self,
        test_id: int,
        *,
        email: str,
        name: str,
        send_email: bool,
        callback_url: str | None = None,
        settings: InviteSettings | None = None,
    ) -> Invitation:
        """Invite on the test's default link (imocha.md 5.1).

        If the candidate was invited before, a pending, cancelled or expired invitation keeps its id, gets the new
        settings and is pending; a running or finished one is returned unchanged (imocha.md 5.3).

        :param send_email: whether iMocha sends the candidate an e-mail.
        :param callback_url: where iMocha posts when the attempt starts or ends.
        :param settings: None leaves all to the link.
        """
        body = self._candidate(email, name, send_email, callback_url) | _settings_body(settings or InviteSettings())
        path, parse = f"/tests/{test_id}/invite", _one(Invitation)
        invitation: Invitation = self._post("invite", path, body, parse, hidden=(email, name), timeout=_INVITE_SECONDS)
        return invitation

    def invite_by_link(
        self,
        test_id: int,
        link_id: int,
        *,
        email: str,
        name: str,
        send_email: bool,
        callback_url: str | None = None,
    ) -> Invitation:
        """Invite on a given link (imocha.md 5.2)."""
        path = f"/tests/{test_id}/testlinks/{link_id}/invite"
        body = self._candidate(email, name, send_email, callback_url)
        invitation: Invitation = self._post("invite_by_link", path, body, _one(Invitation), hidden=(email, name))
        return invitation

    @staticmethod
    def _candidate(email: str, name: str, send_email: bool, callback_url: str | None) -> dict[str, Any]:
        body = {"email": email, "name": name, "sendEmail": "yes" if send_email else "no"}
        return body | ({"callbackUrl": callback_url} if callback_url else {})

    def reattempt(
        self,
        invitation_id: int,
        *,
        start_at: datetime,
        end_at: datetime,
        time_zone_id: int,
        send_email: bool,
        callback_url: str | None = None,
    ) -> Invitation:
        """Invite to a second attempt after a finished one (imocha.md 5.4).

        :param start_at: from when the test can be taken; timezone-aware.
        :param end_at: until when; timezone-aware.
        :param time_zone_id: iMocha's id of the candidate's zone (imocha.md 1).
        :return: a new invitation, or the open second attempt if there is one already.
        :raises ReattemptNotAllowedError: the first attempt is in no state for a second one.
        """
        body: dict[str, Any] = {
            "StartDateTime": _time(start_at),
            "EndDateTime": _time(end_at),
            "TimeZoneId": time_zone_id,
            "sendEmail": "yes" if send_email else "no",
        }
        if callback_url:
            body["CallbackUrl"] = callback_url
        try:
            invitation: Invitation = self._post(
                "reattempt", f"/invitations/{invitation_id}/reattempt", body, _one(Invitation), timeout=_INVITE_SECONDS
            )
        except VendorRefusedError as error:
            if "reattempt is not allowed" not in error.detail.casefold():
                raise
            raise ReattemptNotAllowedError(
                vendor=error.vendor, call=error.call, status=error.status, code=error.code, detail=error.detail
            ) from None
        return invitation

    def cancel(self, invitation_id: int) -> None:
        """Cancel a pending invitation (imocha.md 5.5).

        :raises RequestRejectedError: the invitation is not pending.
        """
        self._post("cancel", f"/invitations/{invitation_id}/cancel", None, lambda body: None)

    # Results (imocha.md 6, 7)

    def get_report(self, invitation_id: int) -> Report:
        """Read the report of an attempt (imocha.md 7.3).

        :return: check `is_final`: the report may not be ready.
        :raises NotFoundError: or RequestRejectedError; the report may not be ready.
        """
        report: Report = self._get("get_report", f"/reports/{invitation_id}", _one(Report))
        return report

    def open_report_pdf(self, invitation_id: int, report: Report, *, max_bytes: int = MAX_PDF_BYTES) -> BinaryIO:
        """Download the report as PDF, from the report's link or else the PDF endpoint (imocha.md 7.2).

        :return: a temporary file, positioned at its start; the caller closes it.

        :raises ReportFileError: neither gives a PDF, or it is larger than `max_bytes`.
        """
        if report.pdf_report_url:
            try:
                return self._download(report.pdf_report_url, max_bytes)
            except (ApiError, ReportFileError) as error:
                if error.retry is Retry.LATER and isinstance(error, ReportFileError):
                    raise  # too large: the PDF endpoint would give the same file
        try:
            response = self._client.open(self._pdf_call(f"/reports/{invitation_id}/pdf"))
            if response.is_redirect or "json" in response.headers.get("Content-Type", ""):
                return self._download(_pdf_link(response), max_bytes)
            return _spool(response, max_bytes)
        except VendorRefusedError as error:
            raise ReportFileError(
                f"iMocha does not give the report's PDF (answered {error.status}); it is tried again later."
            ) from None

    @staticmethod
    def _pdf_call(path: str) -> Call[None]:
        return Call(
            name="get_report_pdf", method="GET", path=path, parse=lambda body: None, repeatable=True, timeout=60
        )

    def _download(self, url: str, max_bytes: int) -> BinaryIO:
        if not url.lower().startswith(("http://", "https://")):
            raise ReportFileError("iMocha's report link is not a web address; it is tried again later.")
        return _spool(self._client.open(self._pdf_call(""), session=self._files, url=url), max_bytes)

    def list_attempts(self, *, state: str, start_at: datetime, end_at: datetime) -> list[Attempt]:
        """List the attempts that ended in a window (Retrieve Invites, imocha.md 6.4).

        The greatest permitted window is not documented: a refused one is halved, down to one hour.

        :param state: ``completed``, ``cancelled`` or ``expired``.
        :param start_at: timezone-aware, like `end_at`.
        """
        call: Call[list[Any]] = Call(
            name="list_attempts",
            method="POST",
            path="/candidates/testattempts",
            params=[("state", state)],
            json={"StartDateTime": _time(start_at), "EndDateTime": _time(end_at)},
            parse=_items("testAttempts"),
            repeatable=True,
            timeout=60,
        )
        try:
            items: list[Any] = self._client.send(call)
        except NotFoundError:
            return []
        except RequestRejectedError:
            if end_at - start_at <= _SMALLEST_WINDOW:
                raise
            middle = start_at + (end_at - start_at) / 2
            halves = [(start_at, middle), (middle, end_at)]
            return [row for a, b in halves for row in self.list_attempts(state=state, start_at=a, end_at=b)]
        return list(self._client.parse_items("list_attempts", Attempt, items))

    def process_callbacks(self, invitation_ids: Sequence[int]) -> None:
        """Let iMocha send callbacks again, 100 per call; ids that it names as unknown are left out (imocha.md 6.3)."""
        for start in range(0, len(invitation_ids), CALLBACKS_AT_ONCE):
            batch = list(invitation_ids[start : start + CALLBACKS_AT_ONCE])
            while batch:
                try:
                    self._post("process_callbacks", "/callbacks/process", {"testinvitationIds": batch}, _inner)
                    break
                except RequestRejectedError as error:
                    refused = re.findall(r"\d+", error.detail)
                    rest = [number for number in batch if str(number) not in refused]
                    if len(rest) == len(batch):
                        raise
                    batch = rest

    # The account (imocha.md 8)

    def create_gdpr_request(self, email: str, *, invitation_id: int | None = None) -> None:
        """Request the erasure of a candidate's records; iMocha does it later (imocha.md 8).

        :param invitation_id: erase only this invitation's; None erases all in the account.
        """
        body: dict[str, Any] = {"CandidateEmail": email}
        if invitation_id is not None:
            body["testinvitationId"] = invitation_id
        self._post("create_gdpr_request", "/gdpr/requests", body, lambda body: None, hidden=(email,))

    def list_business_units(self) -> list[Any]:
        """List the account's business units (imocha.md 8)."""
        units: list[Any] = self._get("list_business_units", "/accounts/business-units", _items("businessUnits"))
        return units


def _settings_body(settings: InviteSettings) -> dict[str, Any]:
    body = {
        "startDateTime": _time(settings.start_at) if settings.start_at else None,
        "endDateTime": _time(settings.end_at) if settings.end_at else None,
        "timeZoneId": settings.time_zone_id,
        "ProctoringMode": settings.proctoring_mode,
        "stakeholderEmails": settings.stakeholder_emails,
    }
    return {key: value for key, value in body.items() if value is not None}


def _pdf_link(response: requests.Response) -> str:
    """Return the URL in an answer of the PDF endpoint: a redirect, or JSON with a link (imocha.md 7.2)."""
    if response.is_redirect:
        return urljoin(response.url, response.headers["Location"])
    try:
        body = _inner(response.json())
        links = [body] if isinstance(body, str) else list(body.values())
    except (ValueError, AttributeError):
        links = []
    except requests.RequestException:
        raise _broke_off() from None
    link = next((value for value in links if isinstance(value, str) and value.startswith("http")), None)
    if link is None:
        raise UnexpectedAnswerError(vendor="iMocha", call="get_report_pdf", status=200, detail="no link to a PDF")
    return link


def _broke_off() -> ReportFileError:
    return ReportFileError("The download of the report's PDF broke off; it is tried again later.")


def _spool(response: requests.Response, max_bytes: int) -> BinaryIO:
    """Copy a download into a temporary file, on disk when it is large, and check that it is a PDF."""
    content = cast(BinaryIO, SpooledTemporaryFile(max_size=1024 * 1024))  # noqa: SIM115 - the caller closes it
    try:
        with response:
            for chunk in response.iter_content(64 * 1024):
                content.write(chunk)
                if content.tell() > max_bytes:
                    raise ReportFileError(
                        f"The report's PDF is larger than {max_bytes // 2**20} MB, Lever's limit.", permanent=True
                    )
        content.seek(0)
        if content.read(5) != b"%PDF-":
            raise ReportFileError("What iMocha gave as the report is not a PDF; it is tried again later.")
    except requests.RequestException:
        content.close()
        raise _broke_off() from None
    except ReportFileError:
        content.close()
        raise
    content.seek(0)
    return content
