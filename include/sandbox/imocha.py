"""iMocha's REST API v3, as imocha.md describes it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from include.sandbox.callbacks import ENDED, has_report
from include.sandbox.errors import RefusedError, add_refusals
from include.sandbox.gate import Gate, too_many
from include.sandbox.pdf import report_pdf
from include.sandbox.world import Invitation, World

_REPORT_WORDS = {"Test Left": "TestLeft"}
_OPEN = ("Pending", "Cancelled", "Expired")
_PageNo = Annotated[int, Query(alias="pageNo")]
_PageSize = Annotated[int, Query(alias="pageSize")]
_Labels = Annotated[str, Query(alias="labelsFilter")]
_STATES = {"completed": ENDED, "cancelled": ("Cancelled",), "expired": ("Expired",)}


def _lower(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with its keys in lower case: iMocha accepts any case (imocha.md 1)."""
    return {key.lower(): value for key, value in body.items()}


def _time(value: Any) -> datetime | None:
    """Read an ISO 8601 time; no zone means UTC (imocha.md 1)."""
    if not value:
        return None
    moment = datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def create_imocha(world: World) -> FastAPI:
    """Make the API as an application to be mounted."""
    app = FastAPI(title="iMocha (sandbox)")
    _add_errors(app)

    def check(request: Request) -> Response | None:
        open_path = "/pdfreport/" in request.url.path
        key = request.headers.get("x-api-key", "")
        if not open_path and not secrets.compare_digest(key.encode(), world.imocha_key.encode()):
            text = (
                "Access denied due to invalid subscription key. "
                "Make sure to provide a valid key for an active subscription."
            )
            return JSONResponse({"statusCode": 401, "message": text}, 401)
        limit = int(world.switches["imocha_calls_a_minute"])
        if limit and not world.take_token("imocha", a_second=limit / 60, burst=limit):
            seconds = -(-60 // limit)
            text = f"Rate limit is exceeded. Try again in {seconds} seconds."
            return too_many(world, {"statusCode": 429, "message": text}, seconds=seconds)
        world.expire()
        return None

    app.add_middleware(Gate, check=check)
    _test_routes(app, world)
    _invitation_routes(app, world)
    _result_routes(app, world)
    _account_routes(app, world)
    return app


def _add_errors(app: FastAPI) -> None:
    """Answer errors of the framework: 404 for unknown, 400 for malformed, which no source documents (imocha.md 11)."""
    add_refusals(app)

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        where = error.errors()[0]["loc"]
        return JSONResponse({"errors": [f"{where[-1]} is invalid"]}, 404 if where[0] == "path" else 400)

    @app.exception_handler(HTTPException)
    def _unknown(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"statusCode": error.status_code, "message": str(error.detail)}, error.status_code)


def _number(world: World, value: Any) -> Any:
    """Give an id as a number or as text."""
    return str(value) if world.switches["numbers_as_text"] and value is not None else value


def _score(world: World, value: float) -> Any:
    """Give a score as 34, 34.0 or text."""
    return _number(world, float(value) if world.switches["scores_as_floats"] else value)


def _test(world: World, test_id: int) -> dict[str, Any]:
    if test_id not in world.tests:
        raise RefusedError(404, {"errors": ["test not found"]})
    return world.tests[test_id]


def _test_routes(app: FastAPI, world: World) -> None:
    @app.get("/tests")
    def list_tests(page_no: _PageNo = 1, page_size: _PageSize = 100, labels_filter: _Labels = "") -> Any:
        found = [test for test in world.tests.values() if labels_filter in ("", *test["labels"])]
        page = found[(page_no - 1) * page_size : page_no * page_size]
        return {"tests": [test | {"testId": _number(world, test["testId"])} for test in page], "count": len(found)}

    @app.get("/tests/{test_id}/testlinks")
    def list_links(test_id: int) -> Any:
        return {"testLinks": world.links_of(_test(world, test_id)["testId"])}


def _link(world: World, invitation: Invitation) -> dict[str, Any]:
    """Find the link of an invitation."""
    return next(link for link in world.links_of(invitation.test_id) if link["testLinkId"] == invitation.link_id)


def _take_window(world: World, invitation: Invitation, body: dict[str, Any]) -> None:
    """Set access time and zone: the request's, else the link's present ones (imocha.md 5.1, 5.3)."""
    details = _link(world, invitation)["invitationSchedule"]["scheduleDetails"]
    now, days = world.now(), int(details.get("invitationValidityInDays") or 7)
    try:
        start = _time(body.get("startdatetime")) or _time(details.get("startDateTime")) or now
        end = _time(body.get("enddatetime")) or _time(details.get("endDateTime")) or now + timedelta(days=days)
    except ValueError:
        raise RefusedError(400, {"errors": ["startDateTime or endDateTime is invalid"]}) from None
    invitation.start, invitation.end = start, end
    invitation.time_zone_id = body.get("timezoneid") or details.get("timeZoneId")
    invitation.callback_url = body.get("callbackurl") or invitation.callback_url
    invitation.redirect_url = body.get("redirecturl") or invitation.redirect_url


def _take_settings(world: World, invitation: Invitation, body: dict[str, Any]) -> None:
    """Set proctoring and stakeholders: the request's, else the link's; "disable" means no stakeholders."""
    link = _link(world, invitation)
    invitation.proctoring = body.get("proctoringmode") or link["proctoringSettings"]["proctoringMode"]
    stakeholders = body.get("stakeholderemails", link["stakeholderEmails"])
    invitation.stakeholders = "" if stakeholders == "disable" else stakeholders


def _mail(world: World, invitation: Invitation, body: dict[str, Any]) -> None:
    if str(body.get("sendemail", "no")).lower() == "yes":
        world.mails.append(
            {
                "to": invitation.email,
                "invitation": invitation.id,
                "at": world.now().isoformat(),
                "proctoring": invitation.proctoring,
                "end": invitation.end.isoformat() if invitation.end else None,
            }
        )


def _invited(world: World, invitation: Invitation) -> dict[str, Any]:
    finished = invitation.state in ENDED and world.switches["invite_says_pending"]
    return {
        "testInvitationId": _number(world, invitation.id),
        "testUrl": invitation.url,
        "status": "Pending" if finished else invitation.state,
    }


def _candidate(given: dict[str, Any]) -> tuple[str, str]:
    """Read e-mail address, in lower case, and name; make them up if they are optional (imocha.md 5.1)."""
    email, name = str(given.get("email") or "").strip().lower(), str(given.get("name") or "")
    if str(given.get("disablemandatoryfields")) == "1":
        random = secrets.token_hex(8)
        return email or f"{random}@random.example", name or random
    if not name or "@" not in email:
        raise RefusedError(400, {"errors": ["email and name are required"]})
    return email, name


def _upsert(world: World, test_id: int, link: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Invite; a repeated invite on one link returns the same invitation, pending again unless started (imocha.md 5.3)."""
    given = _lower(body)
    email, name = _candidate(given)
    if (status := world.switches["refused_mail"]) and given.get("sendemail") == "yes":
        raise RefusedError(status, {"errors": ["the e-mail is refused"]})
    key = (test_id, link["testLinkId"], email)
    known = [one for one in world.invitations.values() if (one.test_id, one.link_id, one.email) == key]
    invitation = known[-1] if known else Invitation(0, test_id, email, name, link_id=link["testLinkId"])
    if invitation.state in _OPEN:
        _take_window(world, invitation, given)
        _take_settings(world, invitation, given)
        _make_pending(world, invitation, given)
    return _invited(world, invitation)


def _short(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the page about inviting by link does not name (imocha.md 5.2)."""
    more = {"startdatetime", "enddatetime", "timezoneid", "proctoringmode", "stakeholderemails"}
    return {key: value for key, value in body.items() if key.lower() not in more}


def _make_pending(world: World, invitation: Invitation, given: dict[str, Any]) -> None:
    if invitation.state in ("Cancelled", "Expired"):
        world.former_invitations.append(replace(invitation))
    invitation.state, invitation.changed_at = "Pending", world.now()
    if not invitation.id:
        world.last_invitation += 1
        invitation.id = world.last_invitation
        world.invitations[invitation.id] = invitation
    _mail(world, invitation, given)


def _refuse_reattempt(world: World, invitation: Invitation) -> None:
    """Refuse while the attempt runs; older servers refuse open invitations too (imocha.md 5.4)."""
    strict = world.switches["strict_reattempt"] and invitation.state in _OPEN
    if strict or invitation.state == "In Progress":
        state = invitation.state.replace(" ", "").lower()
        text = f"Reattempt is not allowed on Test invitation id: {invitation.id} which is in {state} state."
        raise RefusedError(int(world.switches["refused_reattempt"]), {"errors": [text]})


def _retake(world: World, invitation: Invitation) -> Invitation:
    """Return the open reattempt of an ended attempt, or make one with the original's settings (imocha.md 5.4)."""
    for other in reversed(world.invitations.values()):
        if other.retake_of == invitation.id and other.state not in ENDED:
            if other.state == "In Progress":
                _refuse_reattempt(world, other)
            return other
    return Invitation(
        0, invitation.test_id, invitation.email, invitation.name, link_id=invitation.link_id,
        proctoring=invitation.proctoring, stakeholders=invitation.stakeholders, retake_of=invitation.id,
        callback_url=invitation.callback_url, redirect_url=invitation.redirect_url,
    )  # fmt: skip


def _invitation_routes(app: FastAPI, world: World) -> None:
    @app.post("/tests/{test_id}/invite")
    def invite(test_id: int, body: dict[str, Any]) -> Any:
        """Invite on the Default link, which is made when it is missing."""
        with world.lock:
            _test(world, test_id)
            if test_id not in world.links:
                world.links[test_id] = world.new_link(test_id, 900000 + test_id, "Default")
            return _upsert(world, test_id, world.links[test_id], body)

    @app.post("/tests/{test_id}/testlinks/{link_id}/invite")
    def invite_by_link(test_id: int, link_id: int, body: dict[str, Any]) -> Any:
        """Invite on a given link: another link is another invitation (imocha.md 5.3)."""
        with world.lock:
            links = [link for link in world.links_of(test_id) if link["testLinkId"] == link_id]
            if not links:
                raise RefusedError(404, {"errors": ["test link not found"]})
            return _upsert(
                world, test_id, links[0], body if world.switches["link_invite_takes_settings"] else _short(body)
            )

    @app.post("/invitations/{invitation_id}/reattempt")
    def reattempt(invitation_id: int, body: dict[str, Any]) -> Any:
        with world.lock:
            invitation, given = _known(world, invitation_id), _lower(body)
            _refuse_reattempt(world, invitation)
            if invitation.state in ENDED:
                invitation = _retake(world, invitation)
            _take_window(world, invitation, given)
            _make_pending(world, invitation, given)
            answer = _invited(world, invitation)
            del answer["status"]
            return answer | {
                "callbackUrlRegistered": invitation.callback_url,
                "redirectUrlRegistered": invitation.redirect_url,
            }

    @app.post("/invitations/{invitation_id}/cancel")
    def cancel(invitation_id: int) -> Any:
        with world.lock:
            invitation = _known(world, invitation_id)
            if invitation.state != "Pending":
                text = "Testinvitation state in inprogress, complete, and expired can not be cancelled."
                raise RefusedError(400, {"statusCode": 400, "message": text})
            invitation.state, invitation.changed_at = "Cancelled", world.now()
            return {"testInvitationId": _number(world, invitation_id), "status": "cancelled"}


def _known(world: World, invitation_id: int) -> Invitation:
    if invitation_id not in world.invitations:
        raise RefusedError(404, {"errors": ["invitation not found"]})
    return world.invitations[invitation_id]


def _report(world: World, invitation: Invitation, base: str) -> dict[str, Any]:
    points, total = invitation.points or 0, invitation.total or 0
    section = {
        "sectionName": "All", "candidateScore": _score(world, points), "sectionScore": _score(world, total),
        "sectionTimeTaken": 1234,
    }  # fmt: skip
    return {
        "testInvitationId": _number(world, invitation.id),
        "testId": _number(world, invitation.test_id),
        "testName": world.tests[invitation.test_id]["testName"],
        "candidateEmail": invitation.email,
        "candidateName": invitation.name,
        "attemptedOn": f"{invitation.attempted_on:%Y-%m-%dT%H:%M:%S.%fZ}" if invitation.attempted_on else None,
        "status": _REPORT_WORDS.get(invitation.state, invitation.state),
        "score": _score(world, points),
        "candidatePoints": _score(world, points),
        "totalTestPoints": _score(world, total),
        "scorePercentage": _score(world, round(points * 100 / total) if total else 0),
        "performanceCategory": "Proficient",
        "timeTaken": 1234,
        "pdfReportUrl": f"{base}/pdfreport/{invitation.id}.pdf",
        "sections": [section],
    } | invitation.said


def _not_ready(world: World, invitation: Invitation) -> dict[str, Any]:
    how = world.switches["report_not_ready"]
    if how == 404:
        raise RefusedError(404, {"statusCode": 404, "message": "Resource not found"})
    if how == "errors":
        raise RefusedError(400, {"errors": ["report is not available"]})
    state = "In Progress" if invitation.state in ENDED else invitation.state
    numbers = {"testInvitationId": _number(world, invitation.id), "testId": _number(world, invitation.test_id)}
    whose = {"candidateEmail": invitation.email} if world.switches["open_report_names_email"] else {}
    return numbers | whose | {"status": state}


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}"


def _result_routes(app: FastAPI, world: World) -> None:
    @app.get("/reports")
    def reports(request: Request) -> Any:
        """List the reports whose attempt was begun or ended in a window, by pages of at most 50 (imocha.md 7.4)."""
        if not world.switches["reports_listed"]:
            raise RefusedError(403, {"message": "You are not authorized"})
        given = _lower(dict(request.query_params))
        start, end = _window(world, {"startdatetime": given.get("startdate"), "enddatetime": given.get("enddate")})
        number, size = int(given.get("pageno") or 1), int(given.get("pagesize") or 50)
        if size > 50:
            raise RefusedError(400, {"errors": ["pageSize must not be more than 50"]})
        with world.lock:
            found = [
                _report(world, invitation, _base(request))
                for invitation in world.invitations.values()
                if has_report(invitation) and invitation.changed_at and start <= invitation.changed_at <= end
            ]
        first = (number - 1) * size
        more = len(found) > first + size
        return {
            "reports": found[first : first + size], "pageNumber": number, "hasNextPage": more,
            "totalCount": len(found) + int(world.switches["reports_left_out"]),
        }  # fmt: skip

    @app.get("/reports/{invitation_id}")
    def report(invitation_id: int, request: Request) -> Any:
        with world.lock:
            invitation = _known(world, invitation_id)
            if not has_report(invitation):
                return _not_ready(world, invitation)
            return _report(world, invitation, _base(request))

    @app.get("/reports/{invitation_id}/pdf")
    def report_as_pdf(invitation_id: int, request: Request) -> Any:
        invitation = _known(world, invitation_id)
        if not has_report(invitation):
            return _not_ready(world, invitation)
        if world.switches["pdf_as"] == "bytes":
            return pdf(invitation_id)
        return {"pdfReport": f"{_base(request)}/pdfreport/{invitation_id}.pdf"}

    @app.get("/pdfreport/{invitation_id}.pdf")
    def pdf(invitation_id: int) -> Response:
        """Return the PDF; no key is needed (imocha.md 7.2)."""
        if not has_report(_known(world, invitation_id)):
            raise RefusedError(404, {"errors": ["report not found"]})
        return Response(report_pdf(f"Report of invitation {invitation_id}"), media_type="application/pdf")

    @app.post("/candidates/testattempts")
    def attempts(body: dict[str, Any], state: str = "") -> Any:
        """List invitations in a group of states whose last change lies in a window; there are no pages (imocha.md 6.4)."""
        given = _lower(body)
        start, end = _window(world, given)
        if state not in _STATES:
            raise RefusedError(401, {"result": None, "errors": ["state is not valid"]})
        with world.lock:
            former = world.former_invitations if world.switches["attempts_keep_history"] else []
            rows = [
                _attempt(world, invitation)
                for invitation in (*former, *world.invitations.values())
                if invitation.state in _STATES[state]
                and invitation.changed_at
                and start <= invitation.changed_at <= end
                and str(given.get("testid") or invitation.test_id) == str(invitation.test_id)
            ]
        if not rows and world.switches["empty_sweep_is_404"]:
            raise RefusedError(404, {"result": None, "errors": ["no records found"]})
        return {"result": {"testAttempts": rows}, "errors": None}


def _window(world: World, given: dict[str, Any]) -> tuple[datetime, datetime]:
    """Read the window, of which both ends are required; its greatest length is a switch (imocha.md 6.4)."""
    try:
        start, end = _time(given.get("startdatetime")), _time(given.get("enddatetime"))
    except ValueError:
        start = end = None
    limit = int(world.switches["sweep_limit_days"])
    if start is None or end is None or (limit and end - start > timedelta(days=limit)):
        raise RefusedError(401, {"result": None, "errors": ["Date & time is not valid"]})
    refused = int(world.switches["future_sweep"])
    if refused and end > world.now():
        raise RefusedError(refused, {"result": None, "errors": ["Date & time is not valid"]})
    return start, end


def _attempt(world: World, invitation: Invitation) -> dict[str, Any]:
    legacy = world.switches["legacy_attempt_keys"]
    word = invitation.state if legacy or invitation.state != "Complete" else "Completed"
    return {
        "testInvitationId": _number(world, invitation.id),
        "testId": _number(world, invitation.test_id),
        "name": invitation.name,
        "email": invitation.email,
        "invitationtype": "api",
        "teststatus" if legacy else "testStatus": word,
    }


def _account_routes(app: FastAPI, world: World) -> None:
    @app.get("/accounts/business-units")
    def business_units() -> Any:
        unit = {"businessUnitId": 1, "businessUnitName": "Main", "createdOn": "2024-07-12T06:37:04.14"}
        return {"businessUnits": [unit], "count": 1}

    @app.post("/gdpr/requests")
    def erase(body: dict[str, Any]) -> Any:
        """Erase a person's records, or one invitation (imocha.md 8)."""
        with world.lock:
            given = _lower(body)
            email, one = str(given.get("candidateemail") or "").strip().lower(), given.get("testinvitationid")
            found = [item.id for item in world.invitations.values() if item.email == email and one in (None, item.id)]
            if not found:
                raise RefusedError(400, {"errors": [f"No records found for given Email address: {email}"]})
            for number in found:
                del world.invitations[number]
            world.former_invitations[:] = [one for one in world.former_invitations if one.id not in found]
            world.mails[:] = [mail for mail in world.mails if mail["invitation"] not in found]
            return {"result": "Request accepted for processing"}
