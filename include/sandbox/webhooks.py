"""Lever's webhooks: the registry, the signed body, and the deliveries for an event (lever.md 11)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from include.sandbox.outbox import Delivery, Outbox

ORIGINS = ["applied", "sourced", "referred", "university", "internal", "agency"]
EVENTS_WITH_ORIGINS = ("applicationCreated", "candidateArchiveChange", "candidateHired", "candidateStageChange")
EVENTS = (
    *EVENTS_WITH_ORIGINS, "candidateDeleted", "interviewCreated", "interviewUpdated", "interviewDeleted",
    "contactCreated", "contactUpdated",
)  # fmt: skip


def shown(webhook: dict[str, Any], *, token: bool = False) -> dict[str, Any]:
    """Return a registered webhook as the API shows it.

    :param token: show the signature token, as only the answer that creates the webhook does (lever.md 11.1).
    """
    configuration = {"conditions": {"origins": webhook["origins"]} if webhook["origins"] else {}}
    if token and webhook["token"]:
        configuration["signatureToken"] = webhook["token"]
    names = ("id", "event", "url", "createdAt", "updatedAt")
    return {name: webhook[name] for name in names} | {"configuration": configuration}


def signature(key: str, token: str, triggered_at: int) -> str:
    """Sign token and time; event and data are not signed (lever.md 11.4)."""
    return hmac.new(key.encode(), f"{token}{triggered_at}".encode(), hashlib.sha256).hexdigest()


def problem_with(body: dict[str, Any]) -> str | None:
    """Return why a webhook cannot be registered; only loopback URLs may be plain http, for local use."""
    url = str(body.get("url"))
    conditions = (body.get("configuration") or {}).get("conditions") or {}
    if body.get("event") not in EVENTS:
        return "Unknown event at /event"
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return "URL must be https at /url"
    if conditions.get("origins") and body["event"] not in EVENTS_WITH_ORIGINS:
        return "Origins are not allowed for this event at /configuration"
    return None


class WebhookRegistry:
    """The registered webhooks, and what is sent to them.

    :param now_ms: the sandbox's time in milliseconds since 1970.
    :param switches: the sandbox's switches; their positions may change later.
    :param outbox: sends the deliveries.
    """

    def __init__(self, now_ms: Callable[[], int], switches: Mapping[str, Any], outbox: Outbox) -> None:
        self._now_ms, self._switches, self._outbox = now_ms, switches, outbox
        self.entries: list[dict[str, Any]] = []

    def register(self, body: dict[str, Any], *, token: str | None) -> dict[str, Any]:
        """Add a webhook; the same URL and event may be registered already (lever.md 11.1).

        :param token: the signature token; None leaves deliveries unsigned.
        """
        now = self._now_ms()
        conditions = (body.get("configuration") or {}).get("conditions") or {}
        webhook = {
            "id": str(uuid.uuid4()), "event": body["event"], "url": body["url"], "token": token,
            "origins": conditions.get("origins") or (ORIGINS if body["event"] in EVENTS_WITH_ORIGINS else []),
            "createdAt": now, "updatedAt": now,
        }  # fmt: skip
        self.entries.append(webhook)
        return webhook

    def announce(self, event: str, opportunity: dict[str, Any], data: dict[str, Any]) -> None:
        """Send an event on an opportunity to every webhook registered for it and for the opportunity's origin."""
        key = opportunity["id"]
        ids = {"opportunityId": key, "candidateId": key, "contactId": opportunity["contact"]}
        for webhook in self.entries:
            if webhook["event"] == event and (not webhook["origins"] or opportunity["origin"] in webhook["origins"]):
                self._outbox.put(self._delivery(webhook, ids | data), self._switches["webhook_delivery"])

    def send_test(self, webhook: dict[str, Any]) -> None:
        """Send the test request: signed, without data (lever.md 11.5)."""
        self._outbox.put(self._delivery(webhook, {}))

    def _delivery(self, webhook: dict[str, Any], data: dict[str, Any]) -> Delivery:
        return Delivery(
            vendor="lever",
            event=webhook["event"],
            url=webhook["url"],
            body=self._body(webhook, data),
            gaps=self._switches["webhook_retry_gaps"],
            late_seconds=self._switches["late_seconds"],
            headers={"User-Agent": "Lever-Webhooks"},
            renewed=(lambda: self._body(webhook, data)) if self._switches["webhook_new_token"] else None,
        )

    def _body(self, webhook: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Make the body of one request (lever.md 11.3)."""
        now, token = self._now_ms(), secrets.token_hex(24)
        body = {"triggeredAt": now, "event": webhook["event"], "data": data, "token": token}
        if webhook["token"]:
            body["signature"] = signature(webhook["token"], token, now)
        if self._switches["webhook_event_id"]:
            body["id"] = str(uuid.uuid4())
        return body
