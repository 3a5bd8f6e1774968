"""Lever's Data API v1, as lever.md describes it."""

from __future__ import annotations

import base64
import secrets

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from include.sandbox.errors import add_refusals
from include.sandbox.gate import Gate, too_many
from include.sandbox.lever_opportunities import add_opportunity_routes
from include.sandbox.lever_permissions import permission_for
from include.sandbox.lever_profile import (
    add_file_routes,
    add_form_routes,
    add_note_routes,
    add_template_routes,
)
from include.sandbox.lever_reference import add_reference_routes, add_webhook_routes
from include.sandbox.world import World


def create_lever(world: World) -> FastAPI:
    """Make the API as an application to be mounted."""
    app = FastAPI(title="Lever (sandbox)")
    _add_errors(app)

    def check(request: Request) -> Response | None:
        if not _is_known(world, request):
            return JSONResponse({"code": "Unauthorized", "message": "Invalid API key"}, 401)
        if world.switches["rate_limit"] and not world.take_token("lever", a_second=10, burst=20):
            return too_many(world, {"code": "TooManyRequests", "message": "slow down"}, seconds=1)
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if permission_for(request.method, path) in world.lacking_permissions:
            return JSONResponse({"code": "Forbidden", "message": "API key lacks permission"}, 403)
        return None

    app.add_middleware(Gate, check=check)
    add_opportunity_routes(app, world)
    add_template_routes(app, world)
    add_form_routes(app, world)
    add_file_routes(app, world)
    add_note_routes(app, world)
    add_reference_routes(app, world)
    add_webhook_routes(app, world)
    return app


def _is_known(world: World, request: Request) -> bool:
    """Check Basic authentication: the key is the user name, the password is empty (lever.md 1.2)."""
    expected = "Basic " + base64.b64encode(f"{world.lever_key}:".encode()).decode()
    return secrets.compare_digest(request.headers.get("authorization", "").encode(), expected.encode())


def _add_errors(app: FastAPI) -> None:
    """Answer every error with a code and a message (lever.md 2.3)."""
    add_refusals(app)

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        where = "/".join(str(part) for part in error.errors()[0]["loc"][1:])
        return JSONResponse({"code": "BadRequestError", "message": f"missing or malformed at /{where}"}, 400)

    @app.exception_handler(HTTPException)
    def _unknown(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"code": "ResourceNotFound", "message": str(error.detail)}, error.status_code)
