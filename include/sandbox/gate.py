"""What is checked of each request before a route of a vendor's API sees it: the key, the rate limit, permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from include.sandbox.world import World


class Gate:
    """A middleware that lets a request through, or answers it.

    :param check: returns the answer to a request that is refused.
    """

    def __init__(self, app: ASGIApp, check: Callable[[Request], Response | None]) -> None:
        self._app, self._check = app, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refusal = self._check(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)


def too_many(world: World, body: dict[str, Any], *, seconds: int) -> Response:
    """Make a 429.

    Whether it has a Retry-After header and a JSON body are switches.

    :param seconds: for Retry-After.
    """
    headers = {"Retry-After": str(seconds)} if world.switches["retry_after"] else {}
    if not world.switches["error_json"]:
        return Response(status_code=429, headers=headers)
    return JSONResponse(body, 429, headers)
