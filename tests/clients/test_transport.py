"""The rules of sending: what is tried again, what is not, and what an operator reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
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

from tests.clients.conftest import Vendor


class Thing(BaseModel):
    id: str


def client(vendor: Vendor, slept: list[float] | None = None) -> ApiClient:
    return ApiClient(
        vendor="Lever", base_url=vendor.url, session=requests.Session(), limiter=InProcessLimiter(1000),
        sleep=(slept if slept is not None else []).append,
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
    client = ApiClient(vendor="Lever", base_url=vendor.url, session=session, limiter=limiter, sleep=lambda _: None)
    client.send(call(repeatable=True))
    assert (limiter.turns, limiter.slowed) == (4, 2)


def test_a_long_wait_is_left_to_the_caller(vendor: Vendor) -> None:
    vendor.answers = [error(429, Retry_After="3600")]
    with pytest.raises(RateLimitedError) as caught:
        client(vendor).send(call(repeatable=True))
    assert caught.value.retry_after == 3600
    assert len(vendor.received) == 1


def test_retry_after_may_be_a_date_or_nonsense(vendor: Vendor) -> None:
    vendor.answers = [error(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), error(429, Retry_After="soon")]
    slept: list[float] = []
    client(vendor, slept).send(call(repeatable=True))
    assert slept[0] == 0


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


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(401, {"code": "Unauthorized", "message": "no"}), CredentialsError),
        (error(401), CredentialsError),
        (error(401, {"result": None, "errors": ["Date & time is not valid"]}), RequestRejectedError),
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
