"""Calls that neither vendor has: what a recruiter, a candidate or a tester does in the sandbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response

from include.sandbox import switches, webhooks
from include.sandbox.callbacks import ENDED, call_back
from include.sandbox.lever_rules import find
from include.sandbox.world import Fault, Invitation, World, new_id

_DONE = {"ok": True}


def add_recruiter_routes(app: FastAPI, world: World) -> None:
    """Add what a recruiter does in Lever's pages."""

    @app.post("/admin/candidates")
    def add_candidate(body: dict[str, Any]) -> dict[str, str]:
        with world.lock:
            given, posting = dict(body), body.get("posting")
            if given.pop("posting", None):
                given["applications"] = [{"id": new_id(), "posting": posting}]
            return {"id": world.add_opportunity(stage=given.pop("stage", "New applicant"), **given)["id"]}

    @app.patch("/admin/candidates/{key}")
    def change_candidate(key: str, body: dict[str, Any]) -> dict[str, bool]:
        with world.lock:
            world.opportunities[key].update(body)
        return _DONE

    @app.post("/admin/candidates/{key}/move")
    def move(key: str, body: dict[str, str]) -> dict[str, bool]:
        world.move(key, body["stage"])
        return _DONE

    @app.post("/admin/candidates/{key}/archive")
    def archive(key: str, body: dict[str, str | None]) -> dict[str, bool]:
        """Archive with a reason, given by text or id; null un-archives."""
        world.archive(key, body["reason"])
        return _DONE

    @app.post("/admin/candidates/{key}/anonymise")
    def anonymise(key: str) -> dict[str, bool]:
        try:
            world.anonymise(key)
        except ValueError as error:
            raise HTTPException(409, str(error)) from None
        return _DONE

    @app.delete("/admin/candidates/{key}")
    def delete(key: str) -> dict[str, bool]:
        world.delete(key)
        return _DONE

    @app.get("/admin/opportunities")
    def stages_of_opportunities() -> list[dict[str, str]]:
        with world.lock:
            names = {stage["id"]: stage["text"] for stage in world.stages}
            return [{"id": key, "stageText": names[item["stage"]]} for key, item in world.opportunities.items()]

    @app.get("/admin/opportunities/{key}")
    def opportunity(key: str) -> dict[str, Any]:
        with world.lock:
            files = [{k: v for k, v in file.items() if k != "content"} for file in world.files.get(key, [])]
            return world.opportunities[key] | {
                "stageText": next(s["text"] for s in world.stages if s["id"] == world.opportunities[key]["stage"]),
                "forms": world.forms.get(key, []),
                "files": files,
                "notes": world.notes.get(key, []),
            }

    @app.get("/admin/overview")
    def overview() -> dict[str, Any]:
        with world.lock:
            return {
                "stages": world.stages,
                "candidates": [opportunity(key) for key in world.opportunities],
                "mails": world.mails[::-1],
                "tests": [_as_json(invitation) for invitation in world.invitations.values()],
            }

    @app.get("/admin/files/{key}/{file}")
    def show_file(key: str, file: str) -> Response:
        return Response(find("files", world.files[key], file)["content"], media_type="application/pdf")


def add_candidate_routes(app: FastAPI, world: World) -> None:
    """Add what a candidate does, and what iMocha's administrator changes."""

    def base(request: Request) -> str:
        return f"{request.base_url}imocha/v3"

    def begin(invitation: Invitation, request: Request) -> None:
        invitation.state, invitation.attempted_on = "In Progress", world.now()
        invitation.changed_at, invitation.attempts = invitation.attempted_on, invitation.attempts + 1
        call_back(world, invitation, base(request))

    @app.get("/admin/invitations")
    def invitations() -> list[dict[str, Any]]:
        with world.lock:
            return [_as_json(invitation) for invitation in world.invitations.values()]

    @app.post("/admin/invitations/{key}/start")
    def start(key: int, request: Request) -> dict[str, bool]:
        with world.lock:
            world.expire()
            _allow(world.invitations[key], "start", "Pending")
            begin(world.invitations[key], request)
        return _DONE

    @app.post("/admin/invitations/{key}/finish")
    def finish(key: int, body: dict[str, Any], request: Request) -> dict[str, bool]:
        """End the test; one that is not started yet is started first."""
        with world.lock:
            world.expire()
            invitation, status = world.invitations[key], body.get("status", "Complete")
            _allow(invitation, "finish", "Pending", "In Progress")
            if status not in ENDED:
                raise HTTPException(400, f"A test ends as one of: {', '.join(ENDED)}.")
            if invitation.state == "Pending":
                begin(invitation, request)
            invitation.state, invitation.changed_at = status, world.now()
            invitation.points, invitation.total = body.get("score", 34), body.get("total", 50)
            invitation.report_ready = body.get("report_ready", True)
            call_back(world, invitation, base(request))
        return _DONE

    @app.post("/admin/invitations/{key}/report")
    def release_report(key: int, request: Request) -> dict[str, bool]:
        """Make the report of an attempt that ended without one."""
        with world.lock:
            invitation = world.invitations[key]
            if not invitation.report_ready:
                invitation.report_ready = True
                call_back(world, invitation, base(request))
        return _DONE

    @app.post("/admin/invitations/{key}/expire")
    def expire(key: int) -> dict[str, bool]:
        with world.lock:
            _allow(world.invitations[key], "let expire", "Pending")
            world.invitations[key].state, world.invitations[key].changed_at = "Expired", world.now()
        return _DONE

    @app.post("/admin/tests")
    def add_test(body: dict[str, Any]) -> dict[str, bool]:
        """Add a test, with a Default link unless `defaultLink` is false."""
        with world.lock:
            world.add_test(body["testId"], body["testName"], status=body.get("status", "Active"))
            if not body.get("defaultLink", True):
                del world.links[body["testId"]]
        return _DONE

    @app.post("/admin/links")
    def add_link(body: dict[str, Any]) -> dict[str, Any]:
        """Add another link to a test."""
        with world.lock:
            link = world.new_link(body["testId"], 800000 + len(world.other_links), body.get("name", "Second"))
            world.other_links.append(link)
            return link

    @app.patch("/admin/links/{test_id}")
    def change_link(test_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """Change the Default link's settings."""
        with world.lock:
            link = world.links[test_id]
            if "proctoringMode" in body:
                link["proctoringSettings"]["proctoringMode"] = body["proctoringMode"]
            if "validityDays" in body:
                link["invitationSchedule"]["scheduleDetails"]["invitationValidityInDays"] = body["validityDays"]
            if "stakeholderEmails" in body:
                link["stakeholderEmails"] = body["stakeholderEmails"]
            return link

    @app.get("/admin/mails")
    def mails() -> list[dict[str, Any]]:
        return world.mails


def _allow(invitation: Invitation, what: str, *states: str) -> None:
    if invitation.state not in states:
        raise HTTPException(409, f"You cannot {what}: the invitation is {invitation.state}.")


def _as_json(invitation: Invitation) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, datetime) else value for key, value in vars(invitation).items()}


def add_delivery_routes(app: FastAPI, world: World) -> None:
    """Add calls for webhooks and callbacks."""

    @app.get("/admin/deliveries")
    def deliveries(vendor: str = "", wait: float = 0) -> list[dict[str, Any]]:
        """List webhooks and callbacks, oldest first.

        :param wait: wait until none is to be sent within a minute, for at most so many seconds.
        """
        return [one.shown() for one in world.outbox.deliveries(wait) if vendor in ("", one.vendor)]

    @app.post("/admin/deliveries/{number}/rerun")
    def rerun(number: int) -> dict[str, bool]:
        world.outbox.rerun(number)
        return _DONE

    @app.post("/admin/webhooks")
    def register(body: dict[str, Any]) -> dict[str, Any]:
        """Register a webhook as in Lever's own pages: the body names the signature token; null means none."""
        with world.lock:
            problem = webhooks.problem_with(body)
            if problem:
                raise HTTPException(400, problem)
            webhook = world.webhooks.register(body, token=body.get("signatureToken"))
            return webhooks.shown(webhook, token=True)

    @app.post("/admin/webhooks/{key}/test")
    def send_test(key: str) -> dict[str, bool]:
        """Send the test request: signed, without data (lever.md 11.5)."""
        with world.lock:
            world.webhooks.send_test(find("webhooks", world.webhooks.entries, key))
        return _DONE


def add_tool_routes(app: FastAPI, world: World) -> None:
    """Add calls for switches, faults, the clock and the log of calls."""

    @app.get("/admin/switches")
    def show_switches() -> dict[str, Any]:
        return world.switches

    @app.post("/admin/switches")
    def switch(body: dict[str, Any]) -> dict[str, Any]:
        problem = switches.problem_with(body)
        if problem:
            raise HTTPException(400, problem)
        world.switches.update(body)
        return world.switches

    @app.post("/admin/faults")
    def add_fault(fault: Fault) -> dict[str, bool]:
        world.faults.append(fault)
        return _DONE

    @app.delete("/admin/faults")
    def clear_faults() -> dict[str, bool]:
        world.faults.clear()
        return _DONE

    @app.get("/admin/calls")
    def calls() -> list[dict[str, Any]]:
        return world.calls

    @app.delete("/admin/calls")
    def clear_calls() -> dict[str, bool]:
        world.calls.clear()
        return _DONE

    @app.post("/admin/clock/advance")
    def advance(body: dict[str, float]) -> dict[str, bool]:
        with world.lock:
            world.shift += timedelta(seconds=body["seconds"])
            world.expire()
        world.outbox.wake()
        return _DONE
