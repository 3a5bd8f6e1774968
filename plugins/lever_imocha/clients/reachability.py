"""Asks our own receivers' address, as a vendor would find it."""

from __future__ import annotations

import requests

_SECONDS = 5.0


def receiver_problem(url: str) -> str | None:
    """Return what is wrong with a receiver's address; None if something there answers as a receiver does.

    A receiver takes POST only and says so to a GET; a proxy in front may refuse it.
    """
    try:
        with requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True) as answer:
            status = answer.status_code
    except requests.exceptions.SSLError:
        return "its certificate is not accepted; the vendors accept only one of a public authority"
    except (requests.RequestException, ValueError) as error:
        return f"cannot be reached ({type(error).__name__})"
    if status in (403, 405):
        return None
    if status == 404:
        return "there is something, but no receiver (404)"
    return f"answers {status}, which no receiver does: a login page or another program is there"
