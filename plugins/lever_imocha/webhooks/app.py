"""The two receivers as a FastAPI application.

`python -m lever_imocha.webhooks` serves it alone; Airflow's API server mounts it as well, below ``/lever-imocha``.
No login: Lever proves itself by its signature, iMocha by an address nobody else knows. An answer of 2xx means that
the delivery is in the ledger; whatever keeps it from there is a 503, so that the vendor sends it again.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from anyio import fail_after
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import Mount

from lever_imocha.domain.imocha import AttemptStatus, Callback
from lever_imocha.domain.signatures import read_callback_token
from lever_imocha.errors import DeliveryRefusedError
from lever_imocha.ledger.cache import REFUSED
from lever_imocha.ledger.repository import Ledger
from lever_imocha.webhooks.callback_paths import HideCallbackTokens, token_of
from lever_imocha.webhooks.context import ReceiverContext, open_context
from lever_imocha.webhooks.deliveries import (
    early_callback_delivery,
    imocha_delivery,
    read_imocha_callback,
    read_lever_delivery,
)
from lever_imocha.webhooks.gate import DatabaseGate
from lever_imocha.webhooks.refusals import LastRefusals, RefusalLog

PREFIX = "/lever-imocha"
MAX_BODY = 64 * 1024
_BODY_SECONDS = 10.0
_SAID = {
    400: "not a delivery of this vendor, or too old",
    401: "not signed by a webhook known here",
    404: "not found",
    408: "the body took too long",
    413: "the body is too large",
}
"""What a stranger is told; why it is so, and what an operator can do about it, is in the log."""


@asynccontextmanager
async def _ready(_app: Starlette) -> AsyncIterator[None]:
    """Have the garbage collector leave alone what the server has loaded.

    It is 300 MB of objects that stay; walking through them again and again takes half the time in a storm of
    deliveries, and every answer waits meanwhile.
    """
    gc.collect()
    gc.freeze()
    yield


def create_app(
    context: Callable[[], ReceiverContext] = open_context,
    *,
    body_seconds: float = _BODY_SECONDS,
    patience: float = 3.0,
) -> FastAPI:
    """Return the application.

    :param context: looks up the ledger and the secrets, at most every 30 s.
    :param body_seconds: how long a body may take to arrive.
    :param patience: as for `DatabaseGate`.
    """
    app = FastAPI(
        title="Lever and iMocha webhooks",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_ready,
        redirect_slashes=False,  # a redirect would repeat the callback's token
    )
    app.add_middleware(HideCallbackTokens)
    gate = DatabaseGate(context, patience=patience)
    refusals, last_refusals = RefusalLog(), LastRefusals(partial(_keep_refusal, gate))
    read = partial(_body, seconds=body_seconds)

    @app.post("/webhooks/lever")
    async def lever(request: Request) -> JSONResponse:
        return await _answer("Lever", _take_lever(gate, partial(read, request)), refusals, last_refusals)

    @app.post("/webhooks/imocha/{token}")
    async def imocha(token: str, request: Request) -> JSONResponse:
        token = token_of(request.scope, token)
        return await _answer(
            "iMocha", _take_imocha(gate, token, partial(read, request), refusals), refusals, last_refusals
        )

    return app


def create_server_app(app: FastAPI) -> Starlette:
    """Return what a server of its own serves: the application at the same addresses as in Airflow's API server."""
    server_app = Starlette(routes=[Mount(PREFIX, app)], lifespan=_ready)
    server_app.router.redirect_slashes = False
    server_app.add_middleware(HideCallbackTokens)
    return server_app


async def _take_lever(gate: DatabaseGate, body: Callable[[], Awaitable[bytes]]) -> str:
    content = await body()
    at = await gate.context()
    delivery, problem = read_lever_delivery(
        content,
        signature_tokens=at.webhook_tokens,
        now=datetime.now(UTC),
        limits=at.limits,
        no_tokens=at.problems.get("lever"),
    )
    new = await gate.run(partial(at.ledger.deliveries.record, delivery))
    if new and problem:
        raise DeliveryRefusedError(400, problem)
    return "received" if new else "received before"


async def _take_imocha(gate: DatabaseGate, token: str, body: Callable[[], Awaitable[bytes]], odd: RefusalLog) -> str:
    at = await gate.context()
    assessment_id = read_callback_token(token, at.callback_secret) if at.callback_secret else None
    if assessment_id is None:
        raise DeliveryRefusedError(404, at.problems.get("imocha", "unknown callback token"))
    callback = read_imocha_callback(await body())
    if callback.status is AttemptStatus.UNKNOWN:
        odd.note("a callback of iMocha names no status that is known here; the report decides")
    new = await gate.run(partial(_keep_callback, at.ledger, assessment_id, callback))
    return "received" if new else "received before"


def _keep_callback(ledger: Ledger, assessment_id: int, callback: Callback) -> bool:
    assessment = ledger.assessments.get(assessment_id)
    if assessment is None:
        raise DeliveryRefusedError(404, "the callback address belongs to an assessment that is not known any more")
    if assessment.invitation_id == callback.test_invitation_id:
        return ledger.deliveries.record(imocha_delivery(callback))
    if assessment.invitation_id is None or assessment.intended_at is not None:
        # It may well be ours: iMocha's answer to the invite, which names the invitation, is not recorded yet.
        return ledger.deliveries.record(early_callback_delivery(callback, assessment))
    raise DeliveryRefusedError(404, "the invitation is not the one that the callback address belongs to")


async def _keep_refusal(gate: DatabaseGate, vendor: str, reason: str, count: int) -> None:
    """Keep the last refusal of a vendor for the doctor, and how many there were for the console."""
    at = await gate.context()

    def keep() -> None:
        at.ledger.cache.put(f"{REFUSED}.{vendor.lower()}", {"at": datetime.now(UTC).isoformat(), "why": reason})
        at.ledger.deliveries.count_refused(vendor.lower(), reason, count)

    await gate.run(keep)


async def _answer(
    vendor: str, taken: Awaitable[str], refusals: RefusalLog, last_refusals: LastRefusals
) -> JSONResponse:
    try:
        return JSONResponse({"message": await taken})
    except DeliveryRefusedError as error:
        refusals.note(f"a delivery in the name of {vendor} was refused: {error}")
        await last_refusals.note(vendor, str(error))
        status, said = error.status, _SAID[error.status]
    except ClientDisconnect:
        refusals.note(f"a client that sent a delivery in the name of {vendor} hung up", level=logging.INFO)
        status, said = 400, _SAID[400]  # nobody reads it
    except Exception as error:  # whatever it is, the vendor shall send the delivery again
        reason = f"a delivery of {vendor} could not be stored ({type(error).__name__}); the vendor sends it again"
        refusals.note(reason, level=logging.ERROR)
        status, said = 503, "temporarily unavailable, please retry"
    # The body may not have been read to its end: what else comes over the connection is not waited for.
    return JSONResponse({"message": said}, status_code=status, headers={"Connection": "close"})


async def _body(request: Request, *, seconds: float) -> bytes:
    body = bytearray()
    try:
        with fail_after(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise DeliveryRefusedError(413, f"the body is larger than {MAX_BODY // 1024} KB")
    except TimeoutError:
        raise DeliveryRefusedError(408, f"the body was not complete after {seconds:g} s") from None
    return bytes(body)


app = create_app()
