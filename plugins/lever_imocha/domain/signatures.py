"""What proves that a delivery is the vendor's: Lever signs, and iMocha is given an address nobody can guess."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def lever_signature(signature_token: str, token: str, triggered_at: int) -> str:
    """Lever's signature: hex HMAC-SHA256 of `token` and `triggeredAt`; the rest is not signed (lever.md 11.4)."""
    message = f"{token}{triggered_at}".encode()
    return hmac.new(signature_token.encode(), message, hashlib.sha256).hexdigest()


def is_signed(signature: str, signature_tokens: Sequence[str], token: str, triggered_at: int) -> bool:
    """One of the tokens made the signature; every webhook has its own. Takes the same time whichever fits."""
    made = [lever_signature(key, token, triggered_at) for key in signature_tokens]
    return any([hmac.compare_digest(mac.encode(), signature.encode()) for mac in made])


def _mac(assessment_id: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"callback {assessment_id}".encode(), hashlib.sha256).hexdigest()


def callback_token(assessment_id: int, secret: str) -> str:
    """The last part of the address iMocha calls about one assessment; iMocha signs nothing itself (imocha.md 6.2)."""
    return f"{assessment_id}-{_mac(assessment_id, secret)}"


def read_callback_token(token: str, secret: str) -> int | None:
    """The assessment a callback's address is about; None when we never gave that address away."""
    number, _, mac = token.partition("-")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return int(number) if hmac.compare_digest(_mac(int(number), secret).encode(), mac.encode()) else None


def callback_url(public_url: str, assessment_id: int, secret: str) -> str:
    """The address for iMocha's callbacks about one assessment."""
    return f"{public_url.rstrip('/')}/lever-imocha/webhooks/imocha/{callback_token(assessment_id, secret)}"
