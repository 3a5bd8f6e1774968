"""The two receivers as a FastAPI application, mounted by Airflow's API server below ``/lever-imocha``.

No login: Lever proves itself by its signature, iMocha by an address nobody else knows. An answer of 2xx means that
the delivery is in the ledger; whatever keeps it from there is a 503, so that the vendor sends it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from lever_imocha.domain.attempts import AttemptStatus
from lever_imocha.domain.signatures import read_callback_token
from lever_imocha.hooks.desk import Desk, open_desk
from lever_imocha.webhooks.deliveries import DeliveryRefusedError, read_imocha_callback, read_lever_delivery

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024


def create_app(desk: Callable[[], Desk] = open_desk) -> FastAPI:
    """The application.

    :param desk: asked for every delivery.
    """
    app = FastAPI(title="Lever and iMocha webhooks", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/webhooks/lever")
    async def lever(request: Request) -> JSONResponse:
        return await _answer("Lever", partial(_take_lever, desk), request)

    @app.post("/webhooks/imocha/{token}")
    async def imocha(token: str, request: Request) -> JSONResponse:
        return await _answer("iMocha", partial(_take_imocha, desk, token), request)

    return app


def _take_lever(desk: Callable[[], Desk], body: bytes) -> str:
    at = desk()
    delivery = read_lever_delivery(body, signature_tokens=at.webhook_tokens, now=datetime.now(UTC), limits=at.limits)
    if delivery is None:
        return "test request received"
    if not at.ledger.record_delivery(delivery):
        raise DeliveryRefusedError(409, "this delivery was received before")
    return "received"


def _take_imocha(desk: Callable[[], Desk], token: str, body: bytes) -> str:
    at = desk()
    if not at.callback_secret or read_callback_token(token, at.callback_secret) is None:
        raise DeliveryRefusedError(404, "there is no such address")
    callback, delivery = read_imocha_callback(body)
    if at.ledger.invitation_status(callback.test_invitation_id) is None:
        raise DeliveryRefusedError(404, "the invitation is not known here")
    at.ledger.record_delivery(delivery)
    if callback.status is AttemptStatus.IN_PROGRESS:
        at.ledger.set_status({callback.test_invitation_id: callback.status.value})
    return "received"


async def _answer(vendor: str, take: Callable[[bytes], str], request: Request) -> JSONResponse:
    try:
        body = await _body(request)
        return JSONResponse({"message": await run_in_threadpool(take, body)})
    except DeliveryRefusedError as error:
        log.warning("a delivery in the name of %s is refused: %s", vendor, error)
        return JSONResponse({"message": str(error)}, status_code=error.status)
    except Exception as error:  # whatever it is, the vendor shall send the delivery again
        log.error("a delivery of %s could not be kept (%s); it will be sent again", vendor, type(error).__name__)
        return JSONResponse({"message": "not now, please send it again"}, status_code=503)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise DeliveryRefusedError(413, f"the body is larger than {MAX_BODY // 1024} KB")
    return bytes(body)


app = create_app()
