"""A server of the receivers' own: uvicorn, with a limit for a request's head."""

from __future__ import annotations

import asyncio
import resource

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class BoundedProtocol(H11Protocol):
    """Ends a connection that does not go on; uvicorn would wait for ever.

    It ends when the next request's head is not complete in time, also where the body of a request that is answered
    already goes on and on, and when an answer is not taken.
    """

    seconds = 10.0
    """For a head."""
    answer_seconds = 30.0
    """For a request whose head is there: its body, the wait for the database, and the answer."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect_head()

    def on_response_complete(self) -> None:
        """Expect another request."""
        super().on_response_complete()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._look_after(self.seconds, None)

    def _look_after(self, seconds: float, answered: RequestResponseCycle | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._end_or_wait, answered)

    def _end_or_wait(self, answered: RequestResponseCycle | None) -> None:
        """Give the request that is being answered its time once."""
        if self.cycle is None or self.cycle.response_complete or self.cycle is answered:
            self.transport.abort()  # to close it would wait for what was sent to be taken
        else:
            self._look_after(self.answer_seconds, self.cycle)


def server_config(app: ASGIApp, *, host: str, port: int) -> uvicorn.Config:
    """Return how uvicorn serves the receivers.

    It logs errors only. Its access log, and a line for every request that is no HTTP, would let strangers fill a disk.
    """
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        host=host,
        port=port,
    )


def allow_many_connections() -> None:
    """Raise this process's limit of open files to what the system allows: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
