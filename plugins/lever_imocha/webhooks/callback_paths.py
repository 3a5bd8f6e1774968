"""Keeps callback tokens out of logs: whoever knows such an address can speak in iMocha's name."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOKEN = "lever_imocha.callback_token"
_HIDDEN = "hidden"
# As in an address of ours, also cut short, in capitals, or with its hyphen encoded once more. A number is looked at once,
# from its first digit: a stranger's path is as long as the server takes, and each digit as a beginning would stop it.
_TEXT = re.compile(r"(?<!\d)\d++(?:-|%2d)[0-9a-f]{32,}", re.IGNORECASE)
_BYTES = re.compile(_TEXT.pattern.encode(), re.IGNORECASE)


class HideCallbackTokens:
    """ASGI middleware that moves the callback token from the path into the request's scope.

    Servers log the path of every request, whether it leads anywhere or not. So the token is taken out before anything
    else looks at the path, whatever the method and however the path is written. A path that cannot lead here is left as
    it is until it is answered, since it may mean something else to whom it leads; a proxy may have changed it on the way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the token out, and pass the request on."""
        if scope["type"] not in ("http", "websocket") or not _names_token(scope):
            await self._app(scope, receive, send)
            return

        async def hide_and_send(message: Message) -> None:
            _hide(scope)
            await send(message)

        if "imocha" in scope["path"].lower():
            _hide(scope)
        try:
            await self._app(scope, receive, hide_and_send)
        finally:
            _hide(scope)


def _names_token(scope: Scope) -> bool:
    return bool(_TEXT.search(scope["path"]) or _BYTES.search(scope["query_string"]))


def _hide(scope: Scope) -> None:
    """Change the scope itself: whoever logs the request afterwards has no other."""
    path = scope["path"]
    if found := _TEXT.search(path):
        scope[_TOKEN] = found.group()
        scope["path"] = _TEXT.sub(_HIDDEN, path)
        scope["raw_path"] = scope["path"].encode()
    scope["query_string"] = _BYTES.sub(_HIDDEN.encode(), scope["query_string"])


def token_of(scope: Scope, shown: str) -> str:
    """Return the token of a callback's address.

    :param shown: the last part of the path as it is now; what was more than a token is none of ours.
    """
    token: str = scope.get(_TOKEN, shown) if shown == _HIDDEN else shown
    return token
