"""The rules of sending: what is tried again, what is not, and what an operator reads."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from socket import gaierror
from typing import Any

import pytest
import requests
from lever_imocha.clients.answers import MAX_ANSWER_BYTES
from lever_imocha.clients.lever import read_error
from lever_imocha.clients.limits import InProcessLimiter
from lever_imocha.clients.transport import TRIES, ApiClient, Call
from lever_imocha.errors import (
    ApiError,
    CredentialsError,
    NotFoundError,
    NotPermittedError,
    OutcomeUnknownError,
    RateLimitedError,
    RequestRejectedError,
    UnexpectedAnswerError,
    VendorDownError,
)
from pydantic import BaseModel
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError, ProxyError

from tests.clients.conftest import Vendor
from tests.support import Unlimited, at_once


class Thing(BaseModel):
    id: str


def client(vendor: Vendor, slept: list[float] | None = None) -> ApiClient:
    return ApiClient(
        vendor="Lever", base_url=vendor.url, session=requests.Session(), limiter=Unlimited(),
        read_error=read_error, sleep=(slept if slept is not None else []).append,
    )  # fmt: skip


def call(*, repeatable: bool) -> Call[Thing]:
    method = "GET" if repeatable else "POST"
    return Call(name="do_it", method=method, path="/x", parse=Thing.model_validate, repeatable=repeatable)


def error(status: int, body: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
    return status, {key.replace("_", "-"): value for key, value in headers.items()}, json.dumps(body)


@pytest.mark.parametrize("repeatable", [True, False])
def test_too_many_requests_is_always_tried_again_after_the_time_given(vendor: Vendor, repeatable: bool) -> None:
    vendor.answers = [error(429, Retry_After="7"), error(429)]
    slept: list[float] = []
    assert client(vendor, slept).send(call(repeatable=repeatable)).id == "1"
    assert slept[0] == 7
    assert 0 <= slept[1] <= 30
    assert len(vendor.received) == 3


class CountingLimiter:
    def __init__(self) -> None:
        self.turns = self.slowed = 0
        self.answers: list[tuple[str, int]] = []

    def acquire(self) -> None:
        self.turns += 1

    def slow_down(self) -> None:
        self.slowed += 1

    def note_answer(self, call: str, status: int) -> None:
        self.answers.append((call, status))


def test_the_limiter_hears_of_each_answer_and_of_each_refusal_for_too_many_requests(vendor: Vendor) -> None:
    vendor.answers = [error(429), error(500), error(429)]
    limiter = CountingLimiter()
    session = requests.Session()
    client = ApiClient(
        vendor="Lever", base_url=vendor.url, session=session, limiter=limiter, read_error=read_error, sleep=at_once
    )
    client.send(call(repeatable=True))
    assert (limiter.turns, limiter.slowed) == (4, 2)
    assert limiter.answers == [("do_it", status) for status in (429, 500, 429, 200)]


def test_a_long_wait_is_left_to_the_caller(vendor: Vendor) -> None:
    vendor.answers = [error(429, Retry_After="3600")]
    with pytest.raises(RateLimitedError) as caught:
        client(vendor).send(call(repeatable=True))
    assert caught.value.retry_after == 3600
    assert len(vendor.received) == 1


@pytest.mark.parametrize(
    ("says", "seconds"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        (" 40 ", 40),
        *((nonsense, None) for nonsense in ("9" * 5000, "soon", "-5", "1e9", "inf", "nan", "1.5", "Fri, 31 Dec 99999")),
        ("\u00b2", None),
    ],
    ids=lambda value: str(value)[:12],
)
def test_retry_after_is_seconds_or_a_date_an_hour_at_most_and_nonsense_is_none(
    vendor: Vendor, says: str, seconds: float | None
) -> None:
    vendor.answers = [error(429, Retry_After=says)] * TRIES
    slept: list[float] = []
    with pytest.raises(RateLimitedError) as caught:
        client(vendor, slept).send(call(repeatable=True))
    assert caught.value.retry_after == seconds
    assert all(wait <= 30 for wait in slept)


def test_what_may_be_repeated_is(vendor: Vendor) -> None:
    vendor.answers = [error(500), None, error(503)]
    assert client(vendor).send(call(repeatable=True)).id == "1"
    vendor.answers = [error(500)] * TRIES
    with pytest.raises(VendorDownError):
        client(vendor).send(call(repeatable=True))


@pytest.mark.parametrize("answer", [error(500), error(408), None, (200, {}, "not json"), (200, {}, '{"other": 1}')])
def test_what_may_not_be_repeated_is_sent_once(vendor: Vendor, answer: Any) -> None:
    vendor.answers = [answer]
    with pytest.raises(OutcomeUnknownError):
        client(vendor).send(call(repeatable=False))
    assert len(vendor.received) == 1


def test_without_a_connection_nothing_was_sent(vendor: Vendor) -> None:
    vendor.url = "http://127.0.0.1:1"
    slept: list[float] = []
    with pytest.raises(VendorDownError):
        client(vendor, slept).send(call(repeatable=False))
    assert len(slept) == TRIES - 1


class Broken(HTTPAdapter):
    """A line that breaks in a chosen way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, *_: Any, **__: Any) -> requests.Response:
        raise self.error


HOST = HTTPConnection("vendor.example")
POOL = HTTPConnectionPool("vendor.example")
REFUSED = NewConnectionError(HOST, "refused")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError(MaxRetryError(POOL, "/", REFUSED)), VendorDownError),
        (
            requests.ConnectionError(MaxRetryError(POOL, "/", NameResolutionError("h", HOST, gaierror()))),
            VendorDownError,
        ),
        (requests.exceptions.ProxyError(MaxRetryError(POOL, "/", ProxyError("no proxy", REFUSED))), VendorDownError),
        (requests.ConnectTimeout(), VendorDownError),
        (requests.ReadTimeout(), OutcomeUnknownError),
        (requests.ConnectionError(ProtocolError("broke off, after NewConnectionError")), OutcomeUnknownError),
        (requests.exceptions.ProxyError(MaxRetryError(POOL, "/", ProxyError("?", OSError()))), OutcomeUnknownError),
    ],
    ids=["refused", "no such name", "no proxy", "connect timeout", "read timeout", "broke off", "proxy broke off"],
)
def test_a_write_counts_as_not_sent_only_when_there_was_no_connection(
    vendor: Vendor, error: Exception, kind: type[ApiError]
) -> None:
    broken = client(vendor)
    broken.session.mount("http://", Broken(error))
    with pytest.raises(kind):
        broken.send(call(repeatable=False))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(401, {"code": "Unauthorized", "message": "no"}), CredentialsError),
        (error(401), CredentialsError),
        (error(403, {"statusCode": 403, "message": "Out of call volume quota"}), NotPermittedError),
        (error(408), VendorDownError),
        (error(404, {"code": "ResourceNotFound", "message": "gone"}), NotFoundError),
        (error(400, {"errors": ["bad"]}), RequestRejectedError),
        ((404, {}, "<html>"), NotFoundError),
        (error(302), UnexpectedAnswerError),
        ((200, {}, "<html>"), UnexpectedAnswerError),
        ((200, {}, "[]"), UnexpectedAnswerError),
        ((200, {}, "[" * 200_000), UnexpectedAnswerError),
        ((200, {}, '{"id": NaN}'), UnexpectedAnswerError),
        ((200, {"Content-Type": "text/html; charset=no-such"}, b"\xff"), UnexpectedAnswerError),
    ],
)
def test_each_answer_is_one_kind_of_error(vendor: Vendor, answer: Any, kind: type[ApiError]) -> None:
    vendor.answers = [answer] * TRIES
    with pytest.raises(kind) as caught:
        client(vendor).send(call(repeatable=True))
    assert type(caught.value) is kind
    assert "do_it" in str(caught.value)


def test_errors_hold_no_addresses_and_no_links(vendor: Vendor) -> None:
    vendor.answers = [error(400, {"message": "ann@example.com is bad, see https://x.example/secret"})]
    with pytest.raises(RequestRejectedError) as caught:
        client(vendor).send(call(repeatable=True))
    assert "ann@" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_misfit_names_the_field_and_not_the_value(vendor: Vendor) -> None:
    vendor.answers = [(200, {}, '{"id": ["ann@example.com"]}')]
    with pytest.raises(UnexpectedAnswerError, match="fields not as expected: id") as caught:
        client(vendor).send(call(repeatable=True))
    assert "ann@" not in str(caught.value)


# Bounds of an answer


class Clock:
    """Each look takes some seconds."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def late_client(vendor: Vendor, step: float) -> ApiClient:
    return ApiClient(
        vendor="Lever", base_url=vendor.url, session=requests.Session(), limiter=InProcessLimiter(1000),
        read_error=read_error, sleep=at_once, clock=Clock(step),
    )  # fmt: skip


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


LONG = json.dumps({"id": "1", "more": "x" * 1_000_000}).encode()
UNENDING: dict[str, Any] = {
    "body": (200, {}, LONG),
    "chunk": (200, {"Content-Length": "", "Transfer-Encoding": "chunked"}, chunked(LONG)),
    "packed": (200, {"Content-Encoding": "gzip"}, gzip.compress(random.Random(1).randbytes(500_000))),
    "headers": (200, {f"X-{number}": "x" * 1000 for number in range(90)}, '{"id": "1"}'),
}


@pytest.mark.parametrize("answer", UNENDING.values(), ids=UNENDING)
@pytest.mark.parametrize(("repeatable", "kind"), [(True, VendorDownError), (False, OutcomeUnknownError)])
def test_an_answer_that_trickles_is_ended_and_not_asked_for_again_at_once(
    vendor: Vendor, answer: Any, repeatable: bool, kind: type[ApiError]
) -> None:
    vendor.answers = [answer]
    with pytest.raises(kind, match="not complete after 60 s"):
        late_client(vendor, step=13).send(call(repeatable=repeatable))
    assert len(vendor.received) == 1


def test_an_error_that_trickles_is_still_that_error(vendor: Vendor) -> None:
    vendor.answers = [(404, {}, LONG)]
    with pytest.raises(NotFoundError):
        late_client(vendor, step=13).send(call(repeatable=True))


def test_a_call_that_takes_long_has_a_deadline_of_its_own(vendor: Vendor) -> None:
    vendor.answers = [(200, {}, '{"id": "1"}')]
    slow = replace(call(repeatable=True), timeout=120)
    assert late_client(vendor, step=25).send(slow).id == "1"


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("repeatable", "kind"), [(True, UnexpectedAnswerError), (False, OutcomeUnknownError)])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    vendor: Vendor, packed: bool, repeatable: bool, kind: type[ApiError]
) -> None:
    large = b'{"id": "1"}'.ljust(MAX_ANSWER_BYTES + 1)
    vendor.answers = [(200, {"Content-Encoding": "gzip"}, gzip.compress(large)) if packed else (200, {}, large)]
    with pytest.raises(kind, match="larger than 16 MB"):
        client(vendor).send(call(repeatable=repeatable))


def test_the_largest_answer_is_read(vendor: Vendor) -> None:
    vendor.answers = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"id": "1"}'.ljust(MAX_ANSWER_BYTES)))]
    assert client(vendor).send(call(repeatable=True)).id == "1"


def test_an_error_that_is_too_large_is_still_that_error(vendor: Vendor) -> None:
    vendor.answers = [error(404, "x" * MAX_ANSWER_BYTES)]
    with pytest.raises(NotFoundError):
        client(vendor).send(call(repeatable=True))


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_has_moved_on_the_same_host_is_read_there(vendor: Vendor, status: int) -> None:
    vendor.answers = [error(status, Location="/new?a=1"), error(status, Location=f"{vendor.url}/newer")]
    assert client(vendor).send(replace(call(repeatable=True), params=[("b", "2")])).id == "1"
    assert [sent.target for sent in vendor.received] == ["/x?b=2", "/new?a=1", "/newer"]


def test_redirects_to_the_same_address_end_after_a_few(vendor: Vendor) -> None:
    vendor.answers = [error(301, Location="/x")] * 9
    with pytest.raises(UnexpectedAnswerError, match="check the connection's host"):
        client(vendor).send(call(repeatable=True))
    assert len(vendor.received) == 5


@pytest.mark.parametrize("status", [301, 308, 302, 307])
def test_the_key_does_not_follow_to_another_host(vendor: Vendor, elsewhere: Vendor, status: int) -> None:
    vendor.answers = [error(status, Location=f"{elsewhere.url}/x")]
    with pytest.raises(UnexpectedAnswerError, match="check the connection's host"):
        client(vendor).send(call(repeatable=True))
    assert not elsewhere.received


@pytest.mark.parametrize("target", ["http://[", "//[::1", "/\xff"])
@pytest.mark.parametrize(("repeatable", "kind"), [(True, VendorDownError), (False, OutcomeUnknownError)])
def test_a_redirect_to_what_is_no_address_is_an_answer_that_is_lost(
    vendor: Vendor, target: str, repeatable: bool, kind: type[ApiError]
) -> None:
    vendor.answers = [error(302, Location=target)] * TRIES
    with pytest.raises(kind):
        client(vendor).send(call(repeatable=repeatable))


def test_a_write_is_not_sent_to_another_address(vendor: Vendor) -> None:
    vendor.answers = [error(301, Location="/new")]
    with pytest.raises(UnexpectedAnswerError):
        client(vendor).send(call(repeatable=False))
    assert len(vendor.received) == 1
