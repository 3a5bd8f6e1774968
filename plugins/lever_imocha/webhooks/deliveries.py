"""What a delivery's body says, once it is proven to come from the vendor. Nothing is acted on here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from lever_imocha.domain.imocha import AttemptStatus, Callback
from lever_imocha.domain.signatures import is_signed
from lever_imocha.errors import DeliveryRefusedError
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import WebhookSettings

LEVER_EVENTS = {"candidateStageChange", "candidateArchiveChange", "candidateHired", "candidateDeleted"}
"""Lever's events that are acted on; others are stored and not acted on."""


_WORD = r"[!-~]{1,200}"
_END_OF_TIME = 253_402_300_800_000  # the year 10000, which Python's datetime does not reach


class _LeverWebhook(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: Annotated[StrictStr, Field(pattern=f"^{_WORD}$")]
    triggered_at: Annotated[StrictInt, Field(alias="triggeredAt", gt=0, lt=_END_OF_TIME)]
    event: Annotated[StrictStr, Field(pattern=f"^{_WORD}$")]
    signature: Annotated[StrictStr, Field(max_length=200)] = ""
    data: dict[str, Any]


def _parse(model: type[_LeverWebhook] | type[Callback], body: bytes) -> Any:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        raise DeliveryRefusedError(400, "invalid body: not a delivery of this vendor") from None


def read_lever_delivery(
    body: bytes, *, signature_tokens: Sequence[str], now: datetime, limits: WebhookSettings
) -> NewDelivery | None:
    """A delivery of Lever (lever.md 11.3), or None for the test request of Lever's settings page.

    :raises DeliveryRefusedError: malformed, not signed by Lever, or too old.
    """
    if not signature_tokens:
        raise DeliveryRefusedError(
            401, "no signature token is configured: put it into the Lever connection's extra as webhook_tokens"
        )
    webhook = _parse(_LeverWebhook, body)
    if not is_signed(webhook.signature, signature_tokens, webhook.token, webhook.triggered_at):
        raise DeliveryRefusedError(401, "the signature is not by any of the configured signature tokens")
    age = now - datetime.fromtimestamp(webhook.triggered_at / 1000, tz=UTC)
    if not -limits.max_ahead <= age <= limits.max_age:
        raise DeliveryRefusedError(400, "the delivery is older, or further ahead, than settings.webhooks allow")
    if not webhook.data:
        return None
    opportunity_id = webhook.data.get("opportunityId")
    acted_on = webhook.event in LEVER_EVENTS
    if not isinstance(opportunity_id, str) or not re.fullmatch(_WORD, opportunity_id):
        if acted_on:
            raise DeliveryRefusedError(400, "the delivery names no opportunity")
        opportunity_id = None
    return NewDelivery(
        vendor="lever",
        key=webhook.token,
        event=webhook.event,
        opportunity_id=opportunity_id,
        to_stage_id=_to_stage_id(webhook),
        handled=not acted_on,
    )


def _to_stage_id(webhook: _LeverWebhook) -> str | None:
    stage_id = webhook.data.get("toStageId") if webhook.event == "candidateStageChange" else None
    return stage_id if isinstance(stage_id, str) and re.fullmatch(_WORD, stage_id) else None


def read_imocha_callback(body: bytes) -> tuple[Callback, NewDelivery]:
    """A callback of iMocha (imocha.md 6.1); one about a started attempt needs nothing done.

    :raises DeliveryRefusedError: malformed.
    """
    callback: Callback = _parse(Callback, body)
    delivery = NewDelivery(
        vendor="imocha",
        key=f"{callback.test_invitation_id}:{callback.status}:{callback.attempted_on_utc or ''}",
        event=callback.status.value,
        invitation_id=callback.test_invitation_id,
        handled=callback.status is AttemptStatus.IN_PROGRESS,
    )
    return callback, delivery
