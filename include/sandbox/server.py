"""An HTTP server for the sandbox, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serve(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve on a free loopback port in a thread.

    :param options: of uvicorn.
    :return: a context manager that gives the base URL and stops the server at its end.
    """
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup()
            ready.set()

    given: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "log_level": "error"} | options
    server = Server(uvicorn.Config(app, **given))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ready.wait(10)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
