"""iMocha's REST API v3: every call that the workflow, or a DAG of your own, needs, described once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar

import requests

from lever_imocha.clients.answers import LONGEST_RETRY_AFTER, NoFactError
from lever_imocha.clients.imocha_answers import (
    NAMES_ERRORS,
    SMALLER_PAGE_SIZE,
    ListedReports,
    ListedTests,
    ReportsPage,
    check_errors,
    items_of,
    one,
    pdf_link,
    reports_page,
    said_count,
)
from lever_imocha.clients.report_files import ReportFiles, pdf_call, spool
from lever_imocha.clients.transport import ApiClient, Call, VendorError
from lever_imocha.domain.imocha import Attempt, Invitation, InviteSettings, Report, TestLink
from lever_imocha.errors import (
    ApiError,
    NotFoundError,
    RateLimitedError,
    ReattemptNotAllowedError,
    ReportFileError,
    RequestRejectedError,
    Retry,
    UnexpectedAnswerError,
    VendorRefusedError,
)

T = TypeVar("T")

QUOTA_PAUSE = 900
"""Seconds to wait when a quota is spent and iMocha does not say for how long."""
MAX_PDF_BYTES = 30 * 1024 * 1024
"""Lever takes no larger file (lever.md 8)."""
_SMALLEST_WINDOW = timedelta(hours=1)
_INVITE_SECONDS = 60.0
"""How long an answer is waited for that comes after an e-mail was sent: to ask again may send another."""


def read_error(status: int, body: Any) -> VendorError:
    """Read an error in any of iMocha's three envelopes (imocha.md 2.3).

    iMocha labels validation failures 401, too; only a body with `message`, or none at all, is about the key.
    """
    if not isinstance(body, dict):
        return VendorError()
    errors = body.get("errors")
    message = "; ".join(map(str, errors)) if isinstance(errors, list) else str(body.get("message") or errors or "")
    if status == 429 or (status == 403 and "quota" in message.casefold()):
        return _spent(message)
    is_validation = status == 401 and "errors" in body and "message" not in body
    return VendorError(message=message, kind=RequestRejectedError if is_validation else None)


def _spent(message: str) -> VendorError:
    """Read what iMocha's gateway says when there were too many calls, or a quota of them is spent (imocha.md 2.3)."""
    named = re.search(r"in (\d{1,9}) seconds|in (\d{1,4}):(\d\d):(\d\d)", message)
    seconds, *parts = (int(part or 0) for part in named.groups()) if named else (0,)
    wait = seconds + sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if "quota" not in message.casefold():
        return VendorError(message=message, retry_after=min(wait, LONGEST_RETRY_AFTER) if named else None)
    return VendorError(
        message=message,
        kind=RateLimitedError,
        retry_after=min(wait or QUOTA_PAUSE, LONGEST_RETRY_AFTER),
        advice="The account's quota of calls is spent; work goes on by itself when there is a new one. If this"
        " happens often, ask iMocha for a larger quota.",
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _personal(email: str, name: str) -> list[str]:
    """Return what an error may not repeat: also parts of a name, unless these are also parts of other words."""
    return [email, name, *(part for part in name.split() if len(part) > 2)]


def _settings_body(settings: InviteSettings) -> dict[str, Any]:
    body = {
        "startDateTime": _time(settings.start_at) if settings.start_at else None,
        "endDateTime": _time(settings.end_at) if settings.end_at else None,
        "timeZoneId": settings.time_zone_id,
        "ProctoringMode": settings.proctoring_mode,
        "stakeholderEmails": settings.stakeholder_emails,
    }
    return {key: value for key, value in body.items() if value is not None}


class ImochaClient:
    """Typed calls to iMocha. Every method can raise the subclasses of `ApiError`.

    :param client: sends the calls.
    :param files: a session without the API key, for report links outside the API.
    :param report_hosts: the only hosts that report links may lead to; empty means any.
    """

    def __init__(self, client: ApiClient, files: requests.Session, report_hosts: Collection[str] = ()) -> None:
        self._client, self._files = client, ReportFiles(client, files, report_hosts)

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

    def _get(self, name: str, path: str, parse: Callable[[Any], T]) -> T:
        return self._client.send(Call(name=name, method="GET", path=path, parse=parse, repeatable=True))

    def _post(
        self,
        name: str,
        path: str,
        body: Any,
        parse: Callable[[Any], T],
        *,
        answer_needed: bool = True,
        hidden: Sequence[str] = (),
        timeout: float | None = None,
    ) -> T:
        return self._client.send(
            Call(
                name=name,
                method="POST",
                path=path,
                json=body,
                parse=parse,
                answer_needed=answer_needed,
                hidden=hidden,
                timeout=timeout,
            )
        )

    # Tests and links (imocha.md 4)

    def _tests_page(self, number: int, size: int) -> tuple[list[Any], int]:
        """Return one page's records, and how many there are in all."""
        call: Call[tuple[list[Any], int]] = Call(
            name="list_tests",
            method="GET",
            path="/tests",
            parse=lambda body: (items_of("tests")(body), said_count(body)),
            repeatable=True,
            timeout=120,
            params=[("pageNo", str(number)), ("pageSize", str(size))],
        )
        return self._client.send(call)

    def list_tests(self) -> ListedTests:
        """List all tests, each once, until a page brings nothing new.

        A short page is not the end: iMocha may give fewer tests a page than were asked for (imocha.md 2.2, 4.1).

        :return: see `ListedTests.complete`.
        """
        return ListedTests(self._client, self._tests_page)

    def list_test_links(self, test_id: int) -> list[TestLink]:
        """List a test's links with their settings (imocha.md 4.4)."""
        items = self._get("list_test_links", f"/tests/{test_id}/testlinks", items_of("testLinks"))
        return self._client.parse_items("list_test_links", TestLink, items)

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
        return self._invite("invite", f"/tests/{test_id}", email, name, send_email, callback_url, settings)

    def invite_by_link(
        self,
        test_id: int,
        link_id: int,
        *,
        email: str,
        name: str,
        send_email: bool,
        callback_url: str | None = None,
        settings: InviteSettings | None = None,
    ) -> Invitation:
        """Invite on a given link; what a repeat does, is as with `invite` (imocha.md 5.2, 5.3).

        :param settings: iMocha may ignore them here and use the link's: only a program is known that sends them.
        """
        link = f"/tests/{test_id}/testlinks/{link_id}"
        return self._invite("invite_by_link", link, email, name, send_email, callback_url, settings)

    def _invite(
        self,
        call: str,
        path: str,
        email: str,
        name: str,
        send_email: bool,
        callback_url: str | None,
        settings: InviteSettings | None,
    ) -> Invitation:
        body = {"email": email, "name": name, "sendEmail": "yes" if send_email else "no"}
        body |= {"callbackUrl": callback_url} if callback_url else {}
        body |= _settings_body(settings or InviteSettings())
        hidden = _personal(email, name)
        return self._post(call, f"{path}/invite", body, one(Invitation), hidden=hidden, timeout=_INVITE_SECONDS)

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
            return self._post(
                "reattempt", f"/invitations/{invitation_id}/reattempt", body, one(Invitation), timeout=_INVITE_SECONDS
            )
        except VendorRefusedError as error:
            if "reattempt is not allowed" not in error.detail.casefold():
                raise
            raise ReattemptNotAllowedError(
                vendor=error.vendor, call=error.call, status=error.status, code=error.code, detail=error.detail
            ) from None

    def cancel(self, invitation_id: int) -> None:
        """Cancel a pending invitation (imocha.md 5.5).

        :raises RequestRejectedError: the invitation is not pending.
        """
        self._post("cancel", f"/invitations/{invitation_id}/cancel", None, check_errors)

    # Results (imocha.md 6, 7)

    def get_report(self, invitation_id: int) -> Report:
        """Read the report of an attempt (imocha.md 7.3).

        :return: check `is_final`: the report may not be ready.
        :raises NotFoundError: or RequestRejectedError; the report may not be ready.
        :raises UnexpectedAnswerError: the answer is another attempt's report, say from a cache on the way.
        """

        def parse(body: Any) -> Report:
            report = one(Report)(body)
            if report.test_invitation_id not in (None, invitation_id):
                raise NoFactError("the answer is the report of another attempt")
            return report

        return self._get("get_report", f"/reports/{invitation_id}", parse)

    def open_report_pdf(self, invitation_id: int, report: Report, *, max_bytes: int = MAX_PDF_BYTES) -> BinaryIO:
        """Download the report as PDF, from the report's link or else the PDF endpoint (imocha.md 7.2).

        :return: a temporary file, positioned at its start; the caller closes it.

        :raises ReportFileError: neither gives a PDF, or it is larger than `max_bytes`.
        """
        if report.pdf_report_url:
            try:
                return self._files.download(report.pdf_report_url, max_bytes)
            except (ApiError, ReportFileError) as error:
                if error.retry is Retry.LATER and isinstance(error, ReportFileError):
                    raise  # too large: the PDF endpoint would give the same file
        try:
            response = self._client.open(pdf_call(f"/reports/{invitation_id}/pdf"))
            if response.is_redirect or "json" in response.headers.get("Content-Type", ""):
                with response:
                    link = pdf_link(response)
                return self._files.download(link, max_bytes)
            return spool(response, max_bytes)
        except VendorRefusedError as error:
            raise ReportFileError(
                f"iMocha does not give the report's PDF (answered {error.status}); it is tried again later."
            ) from None

    def list_attempts(self, *, state: str, start_at: datetime, end_at: datetime) -> list[Attempt]:
        """List the attempts that ended in a window (Retrieve Invites, imocha.md 6.4).

        The greatest permitted window is not documented: a refused one is halved, down to one hour, whatever status the
        refusal has.

        :param state: ``completed``, ``cancelled`` or ``expired``.
        :param start_at: timezone-aware, like `end_at`.
        """
        call: Call[list[Any]] = Call(
            name="list_attempts",
            method="POST",
            path="/candidates/testattempts",
            params=[("state", state)],
            json={"StartDateTime": _time(start_at), "EndDateTime": _time(end_at)},
            parse=items_of("testAttempts"),
            repeatable=True,
            timeout=60,
        )
        try:
            items = self._client.send(call)
        except NotFoundError:
            return []
        except (RequestRejectedError, UnexpectedAnswerError) as error:
            is_refusal = isinstance(error, RequestRejectedError) or error.detail == NAMES_ERRORS
            if not is_refusal or end_at - start_at <= _SMALLEST_WINDOW:
                raise
            middle = start_at + (end_at - start_at) / 2
            halves = [(start_at, middle), (middle, end_at)]
            return [row for a, b in halves for row in self.list_attempts(state=state, start_at=a, end_at=b)]
        return self._client.parse_items("list_attempts", Attempt, items)

    def list_reports(self, *, start_at: datetime, end_at: datetime) -> ListedReports:
        """List the reports of a window (imocha.md 7.4).

        :param start_at: timezone-aware, like `end_at`.
        :return: see `ListedReports.complete`.
        :raises VendorRefusedError: when the first is asked for: the account may not call this.
        """

        def read_page(number: int) -> ReportsPage:
            window = [("startDate", _time(start_at)), ("endDate", _time(end_at))]
            page = [("PageNo", str(number)), ("PageSize", str(SMALLER_PAGE_SIZE)), ("includeSections", "false")]
            call: Call[ReportsPage] = Call(
                name="list_reports",
                method="GET",
                path="/reports",
                params=page + window,
                parse=reports_page,
                repeatable=True,
                timeout=60,
            )
            return self._client.send(call)

        return ListedReports(self._client, read_page)

    # The account (imocha.md 8)

    def create_gdpr_request(self, email: str, *, invitation_id: int | None = None) -> bool:
        """Request the erasure of a candidate's records; iMocha does it later (imocha.md 8).

        :param invitation_id: erase only this invitation's; None erases all in the account.
        :return: False when iMocha has no records of this address.
        :raises RequestRejectedError: it refuses for another reason.
        """
        body: dict[str, Any] = {"CandidateEmail": email}
        if invitation_id is not None:
            body["testinvitationId"] = invitation_id
        try:
            self._post("create_gdpr_request", "/gdpr/requests", body, check_errors, hidden=(email,))
        except RequestRejectedError as error:
            if "no records found" not in error.detail.casefold():
                raise
            return False
        return True

    def list_business_units(self) -> list[Any]:
        """List the account's business units (imocha.md 8)."""
        return self._get("list_business_units", "/accounts/business-units", items_of("businessUnits"))
