"""The console as a FastAPI application: pages for people, the same data as JSON for programs.

Airflow's API server mounts it, and Airflow's page shows it in a frame. Who asks is found out before any route runs
(`rights`); everything that is shown is read from the ledger, and no vendor is ever called. A GET cannot write: the
database refuses it. A write is a request in the ledger, which a run of the DAG that invites carries out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from lever_imocha.console.context import lever_page, open_ledger
from lever_imocha.console.rendering import page
from lever_imocha.console.rights import DAG_ID, Viewer, airflow_viewer
from lever_imocha.console.routes import PageContext, router
from lever_imocha.domain.clock import Clock, utc_now
from lever_imocha.errors import LedgerError
from lever_imocha.ledger.repository import Ledger

log = logging.getLogger(__name__)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SECONDS = 5
"""So long a page is waited for: a database that hangs holds up nobody's browser."""
_PARAMETERS = 50
"""FastAPI takes seconds for thousands, in which Airflow's API server answers nobody."""
_TOO_SLOW = (
    f"The ledger's database has not answered within {_SECONDS} s. Does its server run, and is it not overloaded? Then open"
    " this page again. What was asked for may have been recorded: the timeline says so."
)
_TITLES = {
    400: "This cannot be asked",
    401: "Log in to Airflow",
    403: "You may not see or do this",
    404: "There is no such page",
    409: "This is not possible any more",
    410: "It is gone",
    422: "This cannot be asked",
    503: "The ledger cannot be used",
}


def create_app(
    *,
    open_ledger: Callable[..., Ledger] = open_ledger,
    viewer: Callable[[Request], Awaitable[Viewer]] = airflow_viewer,
    lever_page: Callable[[str], str] = lever_page,
    clock: Clock = utc_now,
) -> FastAPI:
    """Return the application.

    :param open_ledger: opens the ledger, read-only unless it is called with `write`.
    :param viewer: finds out who asks, for every route; raises for those who may not read.
    :param lever_page: returns the address of an opportunity's page in Lever.
    """

    async def identify(request: Request) -> None:
        request.state.viewer = await viewer(request)
        if request.scope["query_string"].count(b"&") >= _PARAMETERS:
            raise HTTPException(400, "The address has too many parameters.")

    app = FastAPI(
        title="Lever and iMocha console",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(identify)],  # before every route: what is added is not open by mistake
        redirect_slashes=False,
    )
    app.state.context = PageContext(open_ledger, lever_page, clock)
    app.include_router(router)
    app.add_api_route("/{path:path}", _nothing, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    _add_errors(app)

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await asyncio.wait_for(call_next(request), _SECONDS)
        except TimeoutError:
            response = _problem(request, 503, _TOO_SLOW)
        except Exception:
            log.exception("the console has no page for this")
            response = _problem(
                request, 500, "This is a mistake in the console. The API server's log says more: report it."
            )
        if b"q=" in request.scope["query_string"]:
            request.scope["query_string"] = b"q=hidden"  # it may be a name, and servers log the address afterwards
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


def _nothing() -> Response:
    """Say that there is no such page, to those only who may read."""
    raise HTTPException(404, "There is no such page.")


def _add_errors(app: FastAPI) -> None:
    """Have whatever goes wrong answered by a page that says what to do."""

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        said = str(error.detail)
        if error.status_code == 401:
            said = "Log in to Airflow in this browser, then open this page again."
        elif error.status_code == 403 and said == "Forbidden":
            said = f"The console is for who may read the DAG {DAG_ID}."
        return _problem(request, error.status_code, said)

    @app.exception_handler(RequestValidationError)
    def not_understood(request: Request, error: RequestValidationError) -> Response:
        wrong = error.errors()[0]
        return _problem(request, 400, f"{wrong['loc'][-1]}: {wrong['msg']}")

    @app.exception_handler(DataError)
    def no_such_value(request: Request, error: DataError) -> Response:
        return _problem(
            request, 400, "A value in this address cannot be: a number is too large, or a text has odd signs."
        )

    @app.exception_handler(LedgerError)
    def no_ledger(request: Request, error: LedgerError) -> Response:
        return _problem(request, 503, str(error))


def _problem(request: Request, status: int, said: str) -> Response:
    data = {"title": _TITLES.get(status, "This did not work"), "said": said}
    response = page(request, "problem.html", data, status=status)
    response.headers["HX-Reselect"] = ".problem"  # whatever part of the page htmx has asked for
    return response


app = create_app()
