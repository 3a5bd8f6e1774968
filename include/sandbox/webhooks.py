"""Lever's webhooks: the registry's entries, the signed body, and what is sent for an event (lever.md 11)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from include.sandbox.outbox import Delivery

if TYPE_CHECKING:
    from include.sandbox.world import World

ORIGINS = ["applied", "sourced", "referred", "university", "internal", "agency"]
ABOUT_ORIGINS = ("applicationCreated", "candidateArchiveChange", "candidateHired", "candidateStageChange")
EVENTS = (
    *ABOUT_ORIGINS, "candidateDeleted", "interviewCreated", "interviewUpdated", "interviewDeleted",
    "contactCreated", "contactUpdated",
)  # fmt: skip


def shown(webhook: dict[str, Any], *, token: bool = False) -> dict[str, Any]:
    """A registered webhook; its signature token is told only once, in the answer that creates it (11.1)."""
    configuration = {"conditions": {"origins": webhook["origins"]} if webhook["origins"] else {}}
    if token and webhook["token"]:
        configuration["signatureToken"] = webhook["token"]
    names = ("id", "event", "url", "createdAt", "updatedAt")
    return {name: webhook[name] for name in names} | {"configuration": configuration}


def signature(key: str, token: str, triggered_at: int) -> str:
    """Over token and time only: neither event nor data is signed (11.4)."""
    return hmac.new(key.encode(), f"{token}{triggered_at}".encode(), hashlib.sha256).hexdigest()


def body_for(world: World, webhook: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """What one request says (11.3)."""
    now, token = world.now_ms(), secrets.token_hex(24)
    body = {"triggeredAt": now, "event": webhook["event"], "data": data, "token": token}
    if webhook["token"]:
        body["signature"] = signature(webhook["token"], token, now)
    if world.switches["webhook_event_id"]:
        body["id"] = str(uuid.uuid4())
    return body


def delivery_to(world: World, webhook: dict[str, Any], data: dict[str, Any]) -> Delivery:
    """One delivery; without data it is the test request (11.5)."""
    again = (lambda: body_for(world, webhook, data)) if world.switches["webhook_new_token"] else None
    return Delivery(
        vendor="lever",
        event=webhook["event"],
        url=webhook["url"],
        body=body_for(world, webhook, data),
        gaps=world.switches["webhook_retry_gaps"],
        late_seconds=world.switches["late_seconds"],
        headers={"User-Agent": "Lever-Webhooks"},
        renewed=again,
    )


def deliveries_of(world: World, event: str, opportunity: dict[str, Any], data: dict[str, Any]) -> list[Delivery]:
    """What an event on an opportunity makes go out."""
    ids = {"opportunityId": opportunity["id"], "candidateId": opportunity["id"], "contactId": opportunity["contact"]}
    return [
        delivery_to(world, webhook, ids | data)
        for webhook in world.webhooks
        if webhook["event"] == event and (not webhook["origins"] or opportunity["origin"] in webhook["origins"])
    ]


def problem_with(body: dict[str, Any]) -> str | None:
    """Why a webhook cannot be registered; loopback may do without TLS here, nothing else."""
    url = str(body.get("url"))
    conditions = (body.get("configuration") or {}).get("conditions") or {}
    if body.get("event") not in EVENTS:
        return "Unknown event at /event"
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return "URL must be https at /url"
    if conditions.get("origins") and body["event"] not in ABOUT_ORIGINS:
        return "Origins are not allowed for this event at /configuration"
    return None


def register(world: World, body: dict[str, Any], *, token: str | None) -> dict[str, Any]:
    """A new entry; the same URL and event may be there already (11.1)."""
    now = world.now_ms()
    conditions = (body.get("configuration") or {}).get("conditions") or {}
    webhook = {
        "id": str(uuid.uuid4()), "event": body["event"], "url": body["url"], "token": token,
        "origins": conditions.get("origins") or (ORIGINS if body["event"] in ABOUT_ORIGINS else []),
        "createdAt": now, "updatedAt": now,
    }  # fmt: skip
    world.webhooks.append(webhook)
    return webhook
