"""Both vendors, the admin calls and the page as one application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from include.sandbox.admin import (
    add_candidate_routes,
    add_delivery_routes,
    add_recruiter_routes,
    add_tool_routes,
)
from include.sandbox.errors import RefusedError
from include.sandbox.faults import Faults
from include.sandbox.imocha import create_imocha
from include.sandbox.lever import create_lever
from include.sandbox.world import World


def create_app(world: World | None = None) -> FastAPI:
    """Make the application: Lever at ``/lever/v1``, iMocha at ``/imocha/v3``, admin calls at ``/admin``."""
    world = world or World()
    if not world.stages:
        world.seed()

    @asynccontextmanager
    async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        world.outbox.close()

    app = FastAPI(title="Lever and iMocha sandbox", lifespan=_lifespan)
    app.mount("/lever/v1", Faults(create_lever(world), world, "lever"))
    app.mount("/imocha/v3", Faults(create_imocha(world), world, "imocha"))
    app.state.world = world
    add_recruiter_routes(app, world)
    add_candidate_routes(app, world)
    add_delivery_routes(app, world)
    add_tool_routes(app, world)

    @app.exception_handler(KeyError)
    def _unknown_key(_request: Request, error: KeyError) -> JSONResponse:
        return JSONResponse({"detail": f"unknown id, or a field is missing: {error.args[0]}"}, 404)

    @app.exception_handler(RefusedError)
    def _refused(_request: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"detail": error.body["message"]}, error.status)

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return (Path(__file__).parent / "page.html").read_text(encoding="utf-8")

    return app
