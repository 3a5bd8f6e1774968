"""iMocha's callbacks: when they are sent, what they say and where they go (imocha.md 6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from include.sandbox.outbox import Delivery
from include.sandbox.world import Invitation, World

ENDED = ("Complete", "Test Left", "Terminated")
_ZONES = {1200: timedelta(0), 1720: timedelta(hours=5, minutes=30)}


def has_report(invitation: Invitation) -> bool:
    """Return whether the attempt has ended and its report exists."""
    return invitation.state in ENDED and invitation.report_ready


def call_back(world: World, invitation: Invitation, base: str) -> None:
    """Post to the invitation's callback URL (imocha.md 6.1), if it has one and the attempt has started or has a report.

    :param base: URL of the sandbox's iMocha API, for the report's link.
    """
    if not invitation.callback_url or not (invitation.state == "In Progress" or has_report(invitation)):
        return
    delivery = Delivery(
        vendor="imocha",
        event=invitation.state,
        url=invitation.callback_url,
        body=_body(world, invitation, base),
        gaps=world.switches["callback_retry_gaps"],
        late_seconds=world.switches["late_seconds"],
    )
    world.outbox.put(delivery, world.switches["callback_delivery"])


def _body(world: World, invitation: Invitation, base: str) -> dict[str, Any]:
    """Make the body: no test, no percentage, no signature; `AttemptedOn` is local time without a zone."""
    at, final = invitation.attempted_on or world.now(), invitation.state in ENDED
    local = at + _ZONES.get(invitation.time_zone_id or 1200, timedelta(0))
    body = {
        "CandidateEmailId": invitation.email,
        "AttemptedOn": f"{local:%d-%b-%Y %I:%M %p}",
        "TotalScore": float(invitation.total or 0) if final else 0,
        "CandidateScore": float(invitation.points or 0) if final else 0,
        "ReportPDFUrl": f"{base}/pdfreport/{invitation.id}.pdf" if final else None,
        "TestInvitationId": invitation.id,
        "Status": invitation.state,
        "AttemptedOnUtc": f"{at:%Y-%m-%dT%H:%M:%S}",
        "PerformanceCategory": "Proficient" if final else None,
    }
    return body | ({"BaseImgUrl": f"{base}/images/"} if world.switches["callback_base_img_url"] else {})
