"""A middleware before each vendor's API: logs the calls and applies the faults that a tester asked for."""

from __future__ import annotations

import json
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.sandbox.world import Fault, World


class Faults:
    """Logs every call and applies the world's faults, before or after the call takes effect."""

    def __init__(self, app: ASGIApp, world: World, vendor: str) -> None:
        self._app, self._world, self._vendor = app, world, vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        call = {"vendor": self._vendor, "method": scope["method"], "path": path, "status": None, "at": time.time()}
        self._world.calls.append(call)
        target = f"{path}?{scope['query_string'].decode()}"
        fault = self._world.fault_for(self._vendor, scope["method"], target)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                call["status"] = message["status"]
            if fault is None:
                await send(message)

        if fault is None or fault.apply:
            await self._app(scope, receive, answer)
        if fault is None:
            return
        if fault.mode == "drop":
            call["status"] = 0
            _transport_of(send).close()
            return
        call["status"] = fault.status
        headers = [(b"content-type", b"application/json")]
        if fault.retry_after is not None:
            headers.append((b"retry-after", f"{fault.retry_after:g}".encode()))
        await send({"type": "http.response.start", "status": fault.status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(self._body(fault)).encode()})

    def _body(self, fault: Fault) -> Any:
        """Return what is answered: an error in the vendor's format if nothing else is asked for."""
        if fault.body is not None:
            return fault.body
        if self._vendor == "lever":
            return {"code": "Fault", "message": fault.message}
        return {"statusCode": fault.status, "message": fault.message}


def _transport_of(send: Any) -> Any:
    """Return Uvicorn's transport, to close the connection without an answer.

    Uvicorn's `send` is a method of the request cycle; frameworks may have wrapped it in closures.
    """
    seen = send
    while not hasattr(seen, "__self__"):
        cells = [cell.cell_contents for cell in seen.__closure__ or ()]
        seen = next(
            item for item in cells if callable(item) and getattr(item, "__name__", "") in ("send", "_send", "sender")
        )
    return seen.__self__.transport
