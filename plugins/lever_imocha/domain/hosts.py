"""What is known of a host by its name or address alone."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

LEVER_API, IMOCHA_API = "https://api.lever.co/v1", "https://apiv3.imocha.io/v3"


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine itself, which needs no encryption."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def candidate_page(api_address: str, opportunity_id: str) -> str:
    """Return the address of a candidate's page in Lever, or in the sandbox (lever.md 1.1, 4.2).

    :param api_address: where Lever's API is.
    """
    address, key = urlsplit(api_address), quote(opportunity_id, safe="")
    api = address.hostname or ""
    if is_loopback(api):  # the sandbox
        return f"{address.scheme}://{address.netloc}/?open={key}"
    site = api.replace("api.", "hire.", 1) if api.endswith(".lever.co") else "hire.lever.co"
    return f"https://{site}/candidates/{key}"
