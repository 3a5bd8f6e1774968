"""The rules of sending: what is tried again, what is not, and what an operator reads."""

from __future__ import annotations

import json
from socket import gaierror
from typing import Any

import pytest
import requests
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
from tests.support import at_once


class Thing(BaseModel):
    id: str


def client(vendor: Vendor, slept: list[float] | None = None) -> ApiClient:
    return ApiClient(
        vendor="Lever", base_url=vendor.url, session=requests.Session(), limiter=InProcessLimiter(1000),
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

    def acquire(self) -> None:
        self.turns += 1

    def slow_down(self) -> None:
        self.slowed += 1


def test_the_limiter_hears_of_each_refusal_for_too_many_requests(vendor: Vendor) -> None:
    vendor.answers = [error(429), error(500), error(429)]
    limiter = CountingLimiter()
    session = requests.Session()
    client = ApiClient(
        vendor="Lever", base_url=vendor.url, session=session, limiter=limiter, read_error=read_error, sleep=at_once
    )
    client.send(call(repeatable=True))
    assert (limiter.turns, limiter.slowed) == (4, 2)


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


@pytest.mark.parametrize("answer", [error(500), None, (200, {}, "not json"), (200, {}, '{"other": 1}')])
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
        (error(404, {"code": "ResourceNotFound", "message": "gone"}), NotFoundError),
        (error(400, {"errors": ["bad"]}), RequestRejectedError),
        ((404, {}, "<html>"), NotFoundError),
        (error(302), UnexpectedAnswerError),
        ((200, {}, "<html>"), UnexpectedAnswerError),
        ((200, {}, "[]"), UnexpectedAnswerError),
    ],
)
def test_each_answer_is_one_kind_of_error(vendor: Vendor, answer: Any, kind: type[ApiError]) -> None:
    vendor.answers = [answer]
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
