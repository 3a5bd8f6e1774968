"""Both vendors, the admin calls and the page as one application."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, Response

from include.sandbox.faults import Faults
from include.sandbox.imocha import ENDED, create_imocha
from include.sandbox.lever import create_lever
from include.sandbox.world import SWITCHES, Fault, World, new_id


def create_app(world: World | None = None) -> FastAPI:
    """The sandbox: Lever below ``/lever/v1``, iMocha below ``/imocha/v3``, admin calls below ``/admin``."""
    world = world or World()
    if not world.stages:
        world.seed()
    app = FastAPI(title="Lever and iMocha sandbox")
    app.mount("/lever/v1", Faults(create_lever(world), world, "lever"))
    app.mount("/imocha/v3", Faults(create_imocha(world), world, "imocha"))
    app.state.world = world
    _candidate_routes(app, world)
    _test_routes(app, world)
    _tool_routes(app, world)
    return app


def _candidate_routes(app: FastAPI, world: World) -> None:
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
        return {"ok": True}

    @app.post("/admin/candidates/{key}/move")
    def move(key: str, body: dict[str, str]) -> dict[str, bool]:
        with world.lock:
            world.move(key, body["stage"])
        return {"ok": True}

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
            candidates = [opportunity(key) for key in world.opportunities]
            return {
                "stages": world.stages,
                "candidates": candidates,
                "mails": world.mails[::-1],
                "tests": invitations(),
            }

    @app.get("/admin/invitations")
    def invitations() -> list[dict[str, Any]]:
        with world.lock:
            return [
                {k: str(v) if isinstance(v, datetime) else v for k, v in vars(i).items()}
                for i in world.invitations.values()
            ]

    @app.get("/admin/mails")
    def mails() -> list[dict[str, Any]]:
        return world.mails


def _test_routes(app: FastAPI, world: World) -> None:
    @app.post("/admin/invitations/{key}/start")
    def start(key: int) -> dict[str, bool]:
        with world.lock:
            invitation = world.invitations[key]
            if invitation.state != "Pending":
                raise HTTPException(409, f"You cannot start: the invitation is {invitation.state}.")
            invitation.state, invitation.attempted_on = "In Progress", world.now()
        return {"ok": True}

    @app.post("/admin/invitations/{key}/finish")
    def finish(key: int, body: dict[str, Any]) -> dict[str, bool]:
        with world.lock:
            invitation, status = world.invitations[key], body.get("status", "Complete")
            if invitation.state not in ("Pending", "In Progress") or status not in ENDED:
                raise HTTPException(409, f"You cannot finish: the invitation is {invitation.state}.")
            invitation.attempted_on = invitation.attempted_on or world.now()
            invitation.state, invitation.changed_at = status, world.now()
            invitation.points, invitation.total = body.get("score", 34), body.get("total", 50)
            invitation.report_ready = body.get("report_ready", True)
        return {"ok": True}

    @app.post("/admin/invitations/{key}/report")
    def release_report(key: int) -> dict[str, bool]:
        world.invitations[key].report_ready = True
        return {"ok": True}

    @app.post("/admin/invitations/{key}/expire")
    def expire(key: int) -> dict[str, bool]:
        with world.lock:
            world.invitations[key].state, world.invitations[key].changed_at = "Expired", world.now()
        return {"ok": True}

    @app.patch("/admin/links/{test_id}")
    def change_link(test_id: int, body: dict[str, Any]) -> dict[str, Any]:
        with world.lock:
            link = world.links[test_id]
            if "proctoringMode" in body:
                link["proctoringSettings"]["proctoringMode"] = body["proctoringMode"]
            if "validityDays" in body:
                link["invitationSchedule"]["scheduleDetails"]["invitationValidityInDays"] = body["validityDays"]
            return link


def _tool_routes(app: FastAPI, world: World) -> None:
    @app.get("/admin/switches")
    def switches() -> dict[str, Any]:
        return world.switches

    @app.post("/admin/switches")
    def switch(body: dict[str, Any]) -> dict[str, Any]:
        unknown = set(body) - set(SWITCHES)
        if unknown:
            raise HTTPException(400, f"no such switch: {', '.join(sorted(unknown))}; there are: {', '.join(SWITCHES)}")
        world.switches.update(body)
        return world.switches

    @app.post("/admin/faults")
    def add_fault(fault: Fault) -> dict[str, bool]:
        world.faults.append(fault)
        return {"ok": True}

    @app.get("/admin/calls")
    def calls() -> list[dict[str, Any]]:
        return world.calls

    @app.delete("/admin/calls")
    def forget_calls() -> dict[str, bool]:
        world.calls.clear()
        return {"ok": True}

    @app.post("/admin/clock/advance")
    def advance(body: dict[str, float]) -> dict[str, bool]:
        with world.lock:
            world.shift += timedelta(seconds=body["seconds"])
            world.expire()
        return {"ok": True}

    @app.get("/admin/files/{key}/{file}")
    def show_file(key: str, file: str) -> Response:
        found = next(item for item in world.files[key] if item["id"] == file)
        return Response(found["content"], media_type="application/pdf")

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
