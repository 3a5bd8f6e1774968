"""Proof that a delivery comes from the vendor: Lever signs it; iMocha posts to a URL that only it knows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def lever_signature(signature_token: str, token: str, triggered_at: int) -> str:
    """Return Lever's signature: hex HMAC-SHA256 of `token` and `triggeredAt`, nothing else (lever.md 11.4).

    :param signature_token: the webhook's secret.
    :param token: of the delivery.
    :param triggered_at: of the delivery, in milliseconds since 1970.
    """
    message = f"{token}{triggered_at}".encode()
    return hmac.new(signature_token.encode(), message, hashlib.sha256).hexdigest()


def is_signed(signature: str, signature_tokens: Sequence[str], token: str, triggered_at: int) -> bool:
    """Return whether one of the signature tokens made the signature; the time needed does not show which.

    :param signature_tokens: one for each registered webhook.
    """
    made = [lever_signature(key, token, triggered_at) for key in signature_tokens]
    matches = [hmac.compare_digest(mac.encode(), signature.encode()) for mac in made]  # compare with all of them
    return any(matches)


def _mac(assessment_id: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"callback {assessment_id}".encode(), hashlib.sha256).hexdigest()


def callback_token(assessment_id: int, secret: str) -> str:
    """Return the last part of an assessment's callback URL; iMocha itself signs nothing (imocha.md 6.2)."""
    return f"{assessment_id}-{_mac(assessment_id, secret)}"


def read_callback_token(token: str, secret: str) -> int | None:
    """Return the id of the assessment that a callback URL belongs to; None if the URL is not one of ours."""
    number, _, mac = token.partition("-")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return int(number) if hmac.compare_digest(_mac(int(number), secret).encode(), mac.encode()) else None


def callback_url(public_url: str, assessment_id: int, secret: str) -> str:
    """Return the URL for iMocha's callbacks about one assessment.

    :param public_url: of the receivers, as seen from the internet.
    :param secret: of the connection; whoever knows it can make such URLs.
    """
    return f"{public_url.rstrip('/')}/lever-imocha/webhooks/imocha/{callback_token(assessment_id, secret)}"


def webhook_url(public_url: str) -> str:
    """Return the URL for Lever's webhooks."""
    return f"{public_url.rstrip('/')}/lever-imocha/webhooks/lever"
