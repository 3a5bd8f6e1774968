"""Deliveries for the load test: good, forged, replayed and malformed ones of both vendors."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from lever_imocha.domain.signatures import callback_token, lever_signature

LEVER_TOKEN, CALLBACK_SECRET = "a-signature-token", "the-callback-secret"
JSON = {"Content-Type": "application/json"}
Kind = Literal["good", "forged", "replayed", "malformed"]
SHARES: dict[Kind, int] = {"good": 70, "forged": 10, "replayed": 10, "malformed": 10}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One request and its expected result.

    :param what: a variant of the kind, named in the report.
    :param key: of the ledger's row that a good one must make and any other must not.
    :param accepts: lowest and highest HTTP status that is correct.
    """

    kind: Kind
    what: str
    path: str
    body: bytes
    key: str
    accepts: tuple[int, int]
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    chunked: bool = False


def lever_body(token: Any = None, at: Any = None, **changed: Any) -> dict[str, Any]:
    """Make a body with Lever's signature.

    :param at: time of the signature, in milliseconds since 1970; None for now.
    :param changed: fields to change after signing.
    """
    token = uuid.uuid4().hex if token is None else token
    at = int(time.time() * 1000) if at is None else at
    return {
        "event": "candidateStageChange",
        "data": {"opportunityId": str(uuid.uuid4()), "toStageId": "stage"},
        "token": token,
        "triggeredAt": at,
        "signature": _signature(token, at),
    } | changed


def _signature(token: Any, at: Any) -> str:
    return lever_signature(LEVER_TOKEN, str(token).encode(errors="replace").decode(), at)


def _signed(token: Any = None, **changed: Any) -> bytes:
    return json.dumps(lever_body(token, **changed)).encode()


def _about(opportunity: Any) -> bytes:
    return _signed(data={"opportunityId": opportunity})


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in lever_body().items() if key != name}).encode()


def _padded(size: int, body: bytes) -> bytes:
    return body + b" " * (size - len(body))


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "not JSON": lambda: b"{'event': 1}",
    "cut off": lambda: _signed()[:-9],
    "array": lambda: b"[" + _signed() + b"]",
    "null": lambda: b"null",
    "text": lambda: b'"text"',
    "deep": lambda: b"[" * 60_000,
    "invalid UTF-8": lambda: _signed(event="x").replace(b'"x"', b'"\xff\xfe"'),
    "UTF-16": lambda: _signed().decode().encode("utf-16"),
    "64 KB and one": lambda: _padded(64 * 1024 + 1, _signed()),
    "2 MB": lambda: _padded(2 * 1024 * 1024, _signed()),
}

BROKEN_LEVER = BROKEN | {
    "deep data": lambda: _signed(data="?").replace(b'"?"', b'{"opportunityId":' + b"[" * 9000 + b"]" * 9000 + b"}"),
    "NaN": lambda: _signed(at=float("nan")),
    "infinity": lambda: _signed(at=float("inf")),
    "1e400": lambda: _signed(triggeredAt="?").replace(b'"?"', b"1e400"),
    "huge number": lambda: _signed(at=10**40),
    "thousands of digits": lambda: _signed(triggeredAt="?").replace(b'"?"', b"9" * 5000),
    "negative": lambda: _signed(at=-1),
    "year 30000": lambda: _signed(at=2**50 - 1),
    "too old": lambda: _signed(at=1),
    "time is a float": lambda: _signed(at=time.time() * 1000),
    "time is a text": lambda: _signed(at=str(int(time.time() * 1000))),
    "time is true": lambda: _signed(at=True),
    "token is a number": lambda: _signed(7),
    "token is empty": lambda: _signed(""),
    "token with a newline": lambda: _signed(f"{uuid.uuid4()}\n"),
    "token with NUL": lambda: _signed(f"{uuid.uuid4()}\0"),
    "token with a lone surrogate": lambda: _signed("\ud800"),
    "token too long": lambda: _signed("x" * 201),
    "signature is null": lambda: _signed(signature=None),
    "signature with a lone surrogate": lambda: _signed(signature="\udc00" * 64),
    "signature not ASCII": lambda: _signed(signature="é" * 64),
    "no signature": lambda: _without("signature"),
    "no token": lambda: _without("token"),
    "no time": lambda: _without("triggeredAt"),
    "no event": lambda: _without("event"),
    "no data": lambda: _without("data"),
    "data is a list": lambda: _signed(data=[]),
    "event is a list": lambda: _signed(event=[]),
    "event with NUL": lambda: _signed(event="candidate\0"),
    "no opportunity": lambda: _signed(data={"contactId": "x"}),
    "opportunity is null": lambda: _about(None),
    "opportunity is a number": lambda: _about(1),
    "opportunity with a newline": lambda: _about(f"{uuid.uuid4()}\n"),
    "opportunity with NUL": lambda: _about("\0"),
    "opportunity with a lone surrogate": lambda: _about("\ud83d"),
}


def _called(invitation: Any, status: Any = "Complete", **changed: Any) -> bytes:
    return json.dumps({"TestInvitationId": invitation, "Status": status, "AttemptedOnUtc": "x"} | changed).encode()


BROKEN_IMOCHA = BROKEN | {
    "invitation is a text": lambda: _called("seven"),
    "invitation is a list": lambda: _called([1]),
    "invitation is null": lambda: _called(None),
    "invitation is NaN": lambda: _called(float("nan")),
    "invitation is huge": lambda: _called(2**63),
    "thousands of digits": lambda: _called("?").replace(b'"?"', b"9" * 5000),
    "invitation is negative": lambda: _called(-1),
    "invitation is a fraction": lambda: _called(1.5),
    "invitation is unknown": lambda: _called(2**62),
    "no status": lambda: json.dumps({"TestInvitationId": 1}).encode(),
}


class Lever:
    """Makes Lever's deliveries."""

    path = "/lever-imocha/webhooks/lever"
    vendor = "lever"

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def good(self) -> Delivery:
        """Make a signed delivery; event, content type and chunking vary."""
        chance, body = self._chance, lever_body()
        if chance.random() < 0.2:
            body |= {"event": "interviewCreated", "data": {"interviewId": "x"}}
        return Delivery(
            kind="good", what="signed", path=self.path, body=json.dumps(body).encode(), key=body["token"],
            accepts=(200, 299), chunked=chance.random() < 0.1,
            headers=JSON if chance.random() < 0.9 else {"Content-Type": "text/plain"},
        )  # fmt: skip

    def forged(self) -> Delivery:
        """Make a delivery with a wrong signature."""
        body = lever_body()
        token, at = body["token"], body["triggeredAt"]
        what, signature = self._chance.choice(
            [
                ("another key", lever_signature("another", token, at)),
                ("another time", lever_signature(LEVER_TOKEN, token, at - 1)),
                ("another token", lever_signature(LEVER_TOKEN, "x", at)),
                ("empty", ""),
                ("upper case", body["signature"].upper()),
            ]
        )
        body["signature"] = signature
        return Delivery(
            kind="forged", what=what, path=self.path, body=json.dumps(body).encode(), key=token, accepts=(401, 401)
        )

    def replayed(self, kept: Delivery) -> Delivery:
        """Make a copy of a stored delivery, in half of the cases with other data, which Lever does not sign."""
        body = json.loads(kept.body)
        if self._chance.random() < 0.5:
            body["data"] = {"opportunityId": str(uuid.uuid4())}
        return Delivery(
            kind="replayed", what="token", path=self.path, body=json.dumps(body).encode(), key=kept.key,
            accepts=(200, 200),
        )  # fmt: skip

    def malformed(self) -> Delivery:
        """Make a signed delivery with a malformed body."""
        what, body = self._chance.choice(list(BROKEN_LEVER.items()))
        return _broken(what, self.path, body(), self._chance)


class Imocha:
    """Makes iMocha's callbacks.

    :param invitations: ids that the ledger knows, one for each good callback.
    """

    vendor = "imocha"

    def __init__(self, chance: random.Random, invitations: list[int]) -> None:
        self._chance, self._invitations = chance, invitations

    @staticmethod
    def _path(token: str) -> str:
        return f"/lever-imocha/webhooks/imocha/{token}"

    def good(self) -> Delivery:
        """Make a callback about a known invitation, to its own URL."""
        invitation = self._invitations.pop()
        status, word = self._chance.choice(
            [("Complete", "complete"), ("Test Left", "test_left"), ("In Progress", "in_progress")]
        )
        body = _called(invitation, status, CandidateEmailId="a@example.com", CandidateScore=1)
        return Delivery(
            kind="good", what=status, path=self._path(callback_token(invitation, CALLBACK_SECRET)), body=body,
            key=f"{invitation}:{word}:x", accepts=(200, 299), chunked=self._chance.random() < 0.1,
        )  # fmt: skip

    def forged(self) -> Delivery:
        """Make a callback to a URL that is not one of ours."""
        what, token = self._chance.choice(
            [
                ("another secret", callback_token(1, "another")),
                ("another number", "2" + callback_token(1, CALLBACK_SECRET)),
                ("no signature", "1-"),
                ("huge number", "9" * 300),
                ("NUL", "1%00"),
                ("not ASCII", "%F0%9F%92%A9-x"),
                ("invalid UTF-8", "1-%FF"),
                ("newline", callback_token(1, CALLBACK_SECRET) + "%0A"),
            ]
        )
        return Delivery(
            kind="forged", what=what, path=self._path(token), body=_called(1), key="1:complete:x", accepts=(404, 404)
        )

    def replayed(self, kept: Delivery) -> Delivery:
        """Make the same callback again, as iMocha does when our answer was lost."""
        return Delivery(
            kind="replayed", what="callback", path=kept.path, body=kept.body, key=kept.key, accepts=(200, 299)
        )

    def malformed(self) -> Delivery:
        """Make a malformed callback to a real URL."""
        what, body = self._chance.choice(list(BROKEN_IMOCHA.items()))
        return _broken(what, self._path(callback_token(1, CALLBACK_SECRET)), body(), self._chance)


def _broken(what: str, path: str, body: bytes, chance: random.Random) -> Delivery:
    types = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";;")
    return Delivery(
        kind="malformed", what=what, path=path, body=body, key="", accepts=(400, 499),
        chunked=chance.random() < 0.3, headers={"Content-Type": chance.choice(types)},
    )  # fmt: skip
