"""Answers that are errors, for both vendors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


class RefusedError(Exception):
    """Raised inside a route: the answer is an error.

    :param status: HTTP status.
    :param body: the vendor's error body, sent as JSON.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(status))
        self.status, self.body = status, body


def add_refusals(app: FastAPI) -> None:
    """Have an application answer `RefusedError` with its status and body."""

    @app.exception_handler(RefusedError)
    def _refused(_request: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse(error.body, error.status)
