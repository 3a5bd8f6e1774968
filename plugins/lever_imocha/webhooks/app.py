"""The two receivers as a FastAPI application, mounted by Airflow's API server below ``/lever-imocha``.

No login: Lever proves itself by its signature, iMocha by an address nobody else knows. An answer of 2xx means that
the delivery is in the ledger; whatever keeps it from there is a 503, so that the vendor sends it again.
"""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from anyio import CapacityLimiter, Lock, fail_after, to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from lever_imocha.domain.imocha import AttemptStatus, Callback
from lever_imocha.domain.signatures import read_callback_token
from lever_imocha.errors import DeliveryRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.webhooks.context import ReceiverContext, open_context
from lever_imocha.webhooks.deliveries import read_imocha_callback, read_lever_delivery

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
_LEDGER_SECONDS = 5.0
"""Seconds the ledger has to take a delivery; then it counts as away, and the vendor shall send again."""
_AT_ONCE = 6  # as many as the ledger's pool has connections
_CONTEXT_SECONDS = 30.0


@asynccontextmanager
async def _ready(_app: FastAPI) -> AsyncIterator[None]:
    """Have the garbage collector leave alone what the server has loaded.

    It is 300 MB of objects that stay; walking through them again and again takes half the time in a storm of
    deliveries, and every answer waits meanwhile.
    """
    gc.collect()
    gc.freeze()
    yield


class DatabaseGate:
    """Caches the receivers' context for 30 s, and limits concurrent database work to 6.

    It uses threads of its own, so that the receivers cannot block Airflow's API. A delivery's signature is checked
    before it waits for a turn: a forged one takes no turn from a good one.
    """

    def __init__(self, open_context: Callable[[], ReceiverContext]) -> None:
        self._open, self._good_until = open_context, 0.0
        self._context: ReceiverContext | None = None
        self._lock, self._turn, self._threads = Lock(), CapacityLimiter(_AT_ONCE), CapacityLimiter(math.inf)

    async def context(self) -> ReceiverContext:
        """Return what the receivers work with, at most 30 s old."""
        async with self._lock:
            if self._context is None or time.monotonic() >= self._good_until:
                with fail_after(2 * _LEDGER_SECONDS):
                    self._context = await to_thread.run_sync(self._open, abandon_on_cancel=True, limiter=self._threads)
                self._good_until = time.monotonic() + _CONTEXT_SECONDS
            return self._context

    async def run(self, work: Callable[[], None]) -> None:
        """Run database work in a thread; it fails when the database takes longer than 5 s."""
        async with self._turn:
            with fail_after(_LEDGER_SECONDS):
                await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)


def create_app(context: Callable[[], ReceiverContext] = open_context) -> FastAPI:
    """Return the application.

    :param context: looks up the ledger and the secrets, at most every 30 s.
    """
    app = FastAPI(title="Lever and iMocha webhooks", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_ready)
    gate = DatabaseGate(context)

    @app.post("/webhooks/lever")
    async def lever(request: Request) -> JSONResponse:
        return await _answer("Lever", partial(_take_lever, gate), request)

    @app.post("/webhooks/imocha/{token}")
    async def imocha(token: str, request: Request) -> JSONResponse:
        # Airflow logs the path of every request when it is answered, and this one holds the secret.
        request.scope["path"] = request.scope["path"].replace(token, "***")
        return await _answer("iMocha", partial(_take_imocha, gate, token), request)

    return app


async def _take_lever(gate: DatabaseGate, body: bytes) -> str:
    at = await gate.context()
    delivery = read_lever_delivery(body, signature_tokens=at.webhook_tokens, now=datetime.now(UTC), limits=at.limits)
    if delivery is None:
        return "test request received"
    await gate.run(partial(_keep_lever, at.ledger, delivery))
    return "received"


def _keep_lever(ledger: Ledger, delivery: NewDelivery) -> None:
    if not ledger.deliveries.record(delivery):
        raise DeliveryRefusedError(409, "this delivery was received before")


async def _take_imocha(gate: DatabaseGate, token: str, body: bytes) -> str:
    at = await gate.context()
    if not at.callback_secret or read_callback_token(token, at.callback_secret) is None:
        raise DeliveryRefusedError(404, "unknown callback token")
    callback, delivery = read_imocha_callback(body)
    await gate.run(partial(_keep_imocha, at, callback, delivery))
    return "received"


def _keep_imocha(at: ReceiverContext, callback: Callback, delivery: NewDelivery) -> None:
    number = callback.test_invitation_id
    if not at.ledger.deliveries.record(delivery) and at.ledger.invitations.status(number) is None:
        raise DeliveryRefusedError(404, "the invitation is not known here")
    if callback.status is AttemptStatus.IN_PROGRESS:
        at.ledger.invitations.set_status({number: callback.status}, show=at.shows_status)


async def _answer(vendor: str, take: Callable[[bytes], Awaitable[str]], request: Request) -> JSONResponse:
    try:
        return JSONResponse({"message": await take(await _body(request))})
    except DeliveryRefusedError as error:
        log.warning("a delivery in the name of %s was refused: %s", vendor, error)
        return JSONResponse({"message": str(error)}, status_code=error.status)
    except Exception as error:  # whatever it is, the vendor shall send the delivery again
        log.error("a delivery of %s could not be stored (%s); the vendor sends it again", vendor, type(error).__name__)
        return JSONResponse({"message": "temporarily unavailable, please retry"}, status_code=503)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise DeliveryRefusedError(413, f"the body is larger than {MAX_BODY // 1024} KB")
    return bytes(body)


app = create_app()
