"""iMocha's REST API v3 as its contract describes it (sections refer to imocha.md)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from include.sandbox.pdf import report_pdf
from include.sandbox.world import Invitation, World

ENDED = ("Complete", "Test Left", "Terminated")
_REPORT_WORDS = {"Test Left": "TestLeft"}


class Refused(Exception):
    """An answer that is an error, in one of the three envelopes (2.3)."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(status))
        self.status, self.body = status, body


def _lower(body: dict[str, Any]) -> dict[str, Any]:
    """Input keys are read without regard to case (1)."""
    return {key.lower(): value for key, value in body.items()}


def _time(value: Any) -> datetime | None:
    if not value:
        return None
    moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def create_imocha(world: World) -> FastAPI:
    """The API, to be mounted where the connection's host points."""
    app = FastAPI(title="iMocha (sandbox)")

    @app.exception_handler(Refused)
    def _refused(_request: Request, error: Refused) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.middleware("http")
    async def _authenticate(request: Request, call_next: Any) -> Response:
        open_path = "/pdfreport/" in request.url.path
        if not open_path and not secrets.compare_digest(request.headers.get("x-api-key", ""), world.imocha_key):
            text = "Access denied due to invalid subscription key. Make sure to provide a valid key."
            return JSONResponse({"statusCode": 401, "message": text}, 401)
        world.expire()
        response: Response = await call_next(request)
        return response

    _test_routes(app, world)
    _invitation_routes(app, world)
    _result_routes(app, world)
    return app


def _number(world: World, value: Any) -> Any:
    return str(value) if world.switches["numbers_as_text"] and value is not None else value


def _test_routes(app: FastAPI, world: World) -> None:
    @app.get("/tests")
    def list_tests(pageNo: int = 1, pageSize: int = 100) -> Any:
        page = list(world.tests.values())[(pageNo - 1) * pageSize : pageNo * pageSize]
        tests = [test | {"testId": _number(world, test["testId"])} for test in page]
        return {"tests": tests, "count": len(world.tests)}

    @app.get("/tests/{test_id}/testlinks")
    def list_links(test_id: int) -> Any:
        if test_id not in world.tests:
            raise Refused(404, {"errors": ["test not found"]})
        return {"testLinks": [world.links[test_id]] if test_id in world.links else []}

    @app.get("/accounts/business-units")
    def business_units() -> Any:
        return {"businessUnits": [{"businessUnitId": 1, "businessUnitName": "Main"}], "count": 1}


def _take_settings(world: World, invitation: Invitation, body: dict[str, Any]) -> None:
    """The link's settings as they are now, then whatever the request says itself (5.1)."""
    link = world.links[invitation.test_id]
    details = link["invitationSchedule"]["scheduleDetails"]
    now, days = world.now(), details.get("invitationValidityInDays")
    invitation.start = _time(body.get("startdatetime")) or _time(details.get("startDateTime")) or now
    invitation.end = (
        _time(body.get("enddatetime")) or _time(details.get("endDateTime")) or now + timedelta(days=int(days or 7))
    )
    invitation.time_zone_id = body.get("timezoneid") or details.get("timeZoneId")
    invitation.proctoring = body.get("proctoringmode") or link["proctoringSettings"]["proctoringMode"]
    invitation.stakeholders = body.get("stakeholderemails", link["stakeholderEmails"])
    invitation.callback_url = body.get("callbackurl") or invitation.callback_url


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


def _new(world: World, **given: Any) -> Invitation:
    world.last_invitation += 1
    invitation = Invitation(id=world.last_invitation, changed_at=world.now(), **given)
    world.invitations[invitation.id] = invitation
    return invitation


def _invited(world: World, invitation: Invitation) -> dict[str, Any]:
    finished = invitation.state in ENDED and world.switches["invite_says_pending"]
    return {
        "testInvitationId": _number(world, invitation.id),
        "testUrl": f"https://test.imocha.io/IMInstructions?{secrets.token_hex(8)}",
        "status": "Pending" if finished else invitation.state,
    }


def _invitation_routes(app: FastAPI, world: World) -> None:
    def upsert(test_id: int, body: dict[str, Any]) -> Any:
        with world.lock:
            given = _lower(body)
            if test_id not in world.tests:
                raise Refused(404, {"errors": ["test not found"]})
            email, name = str(given.get("email") or "").strip().lower(), str(given.get("name") or "")
            if not name or "@" not in email:
                raise Refused(400, {"errors": ["email and name are required"]})
            known = [i for i in world.invitations.values() if (i.test_id, i.email) == (test_id, email)]
            invitation = known[-1] if known else _new(world, test_id=test_id, email=email, name=name)
            if invitation.state in ("Pending", "Cancelled", "Expired"):
                _take_settings(world, invitation, given)
                invitation.state = "Pending"
                _mail(world, invitation, given)
            return _invited(world, invitation)

    @app.post("/tests/{test_id}/invite")
    def invite(test_id: int, body: dict[str, Any]) -> Any:
        return upsert(test_id, body)

    @app.post("/tests/{test_id}/testlinks/{link_id}/invite")
    def invite_by_link(test_id: int, link_id: int, body: dict[str, Any]) -> Any:
        if world.links.get(test_id, {}).get("testLinkId") != link_id:
            raise Refused(404, {"errors": ["test link not found"]})
        return upsert(test_id, body)

    @app.post("/invitations/{invitation_id}/reattempt")
    def reattempt(invitation_id: int, body: dict[str, Any]) -> Any:
        with world.lock:
            invitation, given = _known(world, invitation_id), _lower(body)
            state = invitation.state.replace(" ", "").lower()
            open_states = ("Pending", "Cancelled", "Expired")
            if state == "inprogress" or (world.switches["strict_reattempt"] and invitation.state in open_states):
                text = f"Reattempt is not allowed on Test invitation id: {invitation_id} which is in {state} state."
                raise Refused(int(world.switches["refused_reattempt"]), {"errors": [text]})
            if invitation.state in ENDED:
                again = [i for i in world.invitations.values() if i.retake_of == invitation_id and i.state == "Pending"]
                invitation = (
                    again[-1]
                    if again
                    else _new(
                        world, test_id=invitation.test_id, email=invitation.email, name=invitation.name,
                        retake_of=invitation_id, callback_url=invitation.callback_url,
                    )
                )  # fmt: skip
            _take_settings(world, invitation, given)
            invitation.state = "Pending"
            _mail(world, invitation, given)
            return {key: value for key, value in _invited(world, invitation).items() if key != "status"}

    @app.post("/invitations/{invitation_id}/cancel")
    def cancel(invitation_id: int) -> Any:
        with world.lock:
            invitation = _known(world, invitation_id)
            if invitation.state != "Pending":
                text = "Testinvitation state in inprogress, complete, and expired can not be cancelled."
                raise Refused(400, {"statusCode": 400, "message": text})
            invitation.state, invitation.changed_at = "Cancelled", world.now()
            return {"testInvitationId": invitation_id, "status": "cancelled"}


def _known(world: World, invitation_id: int) -> Invitation:
    if invitation_id not in world.invitations:
        raise Refused(404, {"errors": ["invitation not found"]})
    return world.invitations[invitation_id]


def _report(world: World, invitation: Invitation, base: str) -> dict[str, Any]:
    points, total = invitation.points or 0, invitation.total or 0
    section = {"sectionName": "All", "candidateScore": points, "sectionScore": total, "sectionTimeTaken": 1234}
    return {
        "testInvitationId": _number(world, invitation.id),
        "testId": _number(world, invitation.test_id),
        "testName": world.tests[invitation.test_id]["testName"],
        "candidateEmail": invitation.email,
        "candidateName": invitation.name,
        "attemptedOn": f"{invitation.attempted_on:%Y-%m-%dT%H:%M:%S.%fZ}" if invitation.attempted_on else None,
        "status": _REPORT_WORDS.get(invitation.state, invitation.state),
        "score": _number(world, points),
        "candidatePoints": _number(world, points),
        "totalTestPoints": _number(world, total),
        "scorePercentage": _number(world, round(points * 100 / total) if total else 0),
        "performanceCategory": "Proficient",
        "timeTaken": 1234,
        "pdfReportUrl": f"{base}/pdfreport/{invitation.id}.pdf",
        "sections": [section],
    }


def _not_ready(world: World, invitation: Invitation) -> dict[str, Any]:
    how = world.switches["report_not_ready"]
    if how == 404:
        raise Refused(404, {"statusCode": 404, "message": "Resource not found"})
    if how == "errors":
        raise Refused(400, {"errors": ["report is not available"]})
    state = "In Progress" if invitation.state in ENDED else invitation.state
    return {"testInvitationId": invitation.id, "testId": invitation.test_id, "status": state}


def _base(request: Request) -> str:
    return str(request.url).partition("/reports/")[0]


def _result_routes(app: FastAPI, world: World) -> None:
    @app.get("/reports/{invitation_id}")
    def report(invitation_id: int, request: Request) -> Any:
        invitation = _known(world, invitation_id)
        if invitation.state not in ENDED or not invitation.report_ready:
            return _not_ready(world, invitation)
        return _report(world, invitation, _base(request))

    @app.get("/reports/{invitation_id}/pdf")
    def report_as_pdf(invitation_id: int, request: Request) -> Any:
        invitation = _known(world, invitation_id)
        if invitation.state not in ENDED:
            return _not_ready(world, invitation)
        if world.switches["pdf_as"] == "bytes":
            return pdf(invitation_id)
        return {"pdfReport": f"{_base(request)}/pdfreport/{invitation_id}.pdf"}

    @app.get("/pdfreport/{invitation_id}.pdf")
    def pdf(invitation_id: int) -> Response:
        return Response(report_pdf(f"Report of invitation {invitation_id}"), media_type="application/pdf")

    @app.post("/candidates/testattempts")
    def attempts(body: dict[str, Any], state: str) -> Any:
        given = _lower(body)
        start, end = _time(given.get("startdatetime")), _time(given.get("enddatetime"))
        limit = int(world.switches["sweep_limit_days"])
        if start is None or end is None or (limit and end - start > timedelta(days=limit)):
            raise Refused(401, {"result": None, "errors": ["Date & time is not valid"]})
        states = {"completed": ENDED, "cancelled": ("Cancelled",), "expired": ("Expired",)}[state]
        with world.lock:
            rows = [
                _attempt(world, invitation)
                for invitation in world.invitations.values()
                if invitation.state in states and invitation.changed_at and start <= invitation.changed_at <= end
            ]
        if not rows and world.switches["empty_sweep_is_404"]:
            raise Refused(404, {"result": None, "errors": ["no records found"]})
        return {"result": {"testAttempts": rows}, "errors": None}

    @app.post("/callbacks/process")
    def process_callbacks(body: dict[str, Any]) -> Any:
        ids = _lower(body).get("testinvitationids") or []
        unknown = [str(number) for number in ids if number not in world.invitations]
        if unknown or len(ids) > 100:
            text = "testinvitationIds does not belong to account or not found"
            raise Refused(401, {"result": None, "errors": [text, *unknown]})
        return {"result": {"testinvitationIds": {"successful": ids, "failed": []}}, "errors": None}


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
