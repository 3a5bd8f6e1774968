"""What a delivery's body says, once it is proven to come from the vendor. Nothing is acted on here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from lever_imocha.domain.imocha import Callback
from lever_imocha.domain.lever import WEBHOOK_EVENTS
from lever_imocha.domain.signatures import is_signed
from lever_imocha.errors import DeliveryRefusedError
from lever_imocha.ledger.values import Assessment, NewDelivery
from lever_imocha.settings import WebhookSettings

_WORD = r"[!-~]{1,200}"
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")  # a UUID, but stages also have words (lever.md)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_TIME = 253_402_300_800_000  # the year 10000, which Python's datetime does not reach


class _LeverWebhook(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: Annotated[StrictStr, Field(pattern=f"^{_WORD}$")]
    triggered_at: Annotated[StrictInt, Field(alias="triggeredAt", gt=0, lt=_END_OF_TIME)]
    event: Annotated[StrictStr, Field(pattern=f"^{_WORD}$")]
    signature: Annotated[StrictStr, Field(max_length=200)] = ""
    data: Any = None


def _parse(model: type[_LeverWebhook] | type[Callback], body: bytes) -> Any:
    try:
        return model.model_validate_json(body.removeprefix(_BYTE_ORDER_MARK))
    except ValidationError:
        raise DeliveryRefusedError(400, "invalid body: not a delivery of this vendor") from None


def read_lever_delivery(
    body: bytes,
    *,
    signature_tokens: Sequence[str],
    now: datetime,
    limits: WebhookSettings,
    no_tokens: str | None = None,
) -> tuple[NewDelivery, str | None]:
    """Read a delivery of Lever (lever.md 11.3).

    The signature covers the token and the time, nothing else: whoever saw one delivery could send another with the same
    token. So a token counts once, also that of a test request, or of a delivery whose content cannot be used.

    :param no_tokens: why there are no signature tokens, for the log.
    :return: what to keep, and why it is refused all the same; None when it is not.
    :raises DeliveryRefusedError: malformed, not signed by Lever, or too old.
    """
    webhook = _parse(_LeverWebhook, body)
    if not is_signed(webhook.signature, signature_tokens, webhook.token, webhook.triggered_at):
        why = "the signature is not by any of the configured signature tokens"
        raise DeliveryRefusedError(401, why if signature_tokens else no_tokens or why)
    age = now - datetime.fromtimestamp(webhook.triggered_at / 1000, tz=UTC)
    if not -limits.max_ahead <= age <= limits.max_age:
        raise DeliveryRefusedError(400, f"the delivery is {_distance(age)}, more than settings.webhooks allow")
    problem = _problem(webhook)
    acted_on = webhook.event in WEBHOOK_EVENTS and bool(webhook.data) and problem is None
    data = webhook.data if problem is None else {}
    return NewDelivery(
        vendor="lever",
        key=webhook.token,
        event=webhook.event,
        opportunity_id=_id(data, "opportunityId"),
        to_stage_id=_id(data, "toStageId") if webhook.event == "candidateStageChange" else None,
        handled=not acted_on,
    ), problem


def _distance(age: timedelta) -> str:
    """Say roughly how old something is: a reason for refusing is one of few texts."""
    hours = abs(age).total_seconds() / 3600
    rough = "minutes" if hours < 1 else "hours" if hours < 48 else "days"
    return f"{rough} {'old' if age > timedelta(0) else 'ahead of our clock'}"


def _problem(webhook: _LeverWebhook) -> str | None:
    data = webhook.data
    if not isinstance(data, dict):
        return "the delivery has no data"
    if data and webhook.event in WEBHOOK_EVENTS:  # a test request has no data (lever.md 11.3)
        if _id(data, "opportunityId") is None:
            return "the delivery names no opportunity"
        if data.get("toStageId") is not None and _id(data, "toStageId") is None:
            return "the delivery names a stage that has no id"
    return None


def _id(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def read_imocha_callback(body: bytes) -> Callback:
    """Read a callback of iMocha (imocha.md 6.1).

    :raises DeliveryRefusedError: malformed.
    """
    callback: Callback = _parse(Callback, body)
    return callback


def imocha_delivery(callback: Callback) -> NewDelivery:
    """Return what to keep of a callback: one of each status, whatever else it says.

    One about a start is acted on, too: the report is read and decides.
    """
    return NewDelivery(
        vendor="imocha",
        key=f"{callback.test_invitation_id}:{callback.status}",
        event=callback.status.value,
        invitation_id=callback.test_invitation_id,
    )


def early_callback_delivery(callback: Callback, assessment: Assessment) -> NewDelivery:
    """Return what to keep of a callback that came before the invitation's number was recorded.

    One of a kind is kept for an assessment, whatever number it names. It is not acted on: as soon as the number is
    recorded, the report is looked at in any case.
    """
    return NewDelivery(
        vendor="imocha",
        key=f"early:{assessment.id}:{callback.status}",
        event=callback.status.value,
        opportunity_id=assessment.opportunity_id,
        handled=True,
    )
