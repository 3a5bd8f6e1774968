"""The one sender: time-outs, retries by named rule, the rate limit, and answers turned into values or our errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import requests
from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import InvalidHeader, MaxRetryError, NewConnectionError, ProxyError
from urllib3.util import Retry as RetryAfter

from lever_imocha.clients.limits import Limiter
from lever_imocha.domain.metrics import Metrics, NoMetrics
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
    redact,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

TRIES = 6
LONGEST_RETRY_AFTER = 3600
"""Seconds: no vendor makes us wait longer, whatever its answer says."""
_NOTHING_SENT = (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One API call, described.

    :param name: as the client's method, for errors and logs.
    :param path: below the base URL, starting with ``/``.
    :param parse: makes the result from the answer's JSON (None for an empty answer).
    :param repeatable: sending it twice has the effect of sending it once.
    :param hidden: personal texts it sends, which a vendor's error may repeat and nobody shall read in a log.
    :param timeout: seconds, when the client's own is not enough.
    """

    name: str
    method: str
    path: str
    parse: Callable[[Any], T]
    params: Sequence[tuple[str, str]] = ()
    json: Any = None
    files: Mapping[str, Any] | None = None
    repeatable: bool = False
    hidden: Sequence[str] = field(default=(), repr=False)
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True)
class VendorError:
    """What a vendor's answer says of an error.

    :param code: the vendor's own error code.
    :param message: the vendor's words.
    :param kind: the error it means, where that is not plain from the HTTP status.
    """

    code: str = ""
    message: str = ""
    kind: type[ApiError] | None = None


class ApiClient:
    """Sends calls to one vendor.

    :param read_error: reads the vendor's error answers, from the HTTP status and the JSON (None: it is no JSON).
    :param session: carries authentication, proxies and TLS options.
    :param limiter: asked before every request, retries included.
    :param timeout: seconds to wait for a connection and for each part of an answer.
    :param sleep: waits between tries.
    :param max_wait: the longest wait, in seconds, before a retry in this process; when a vendor asks for more,
        `RateLimitedError` tells the caller to come back later.
    :param metrics: told of every request, and of every 429.
    """

    def __init__(
        self,
        *,
        vendor: str,
        base_url: str,
        session: requests.Session,
        limiter: Limiter,
        read_error: Callable[[int, Any], VendorError],
        timeout: float = 20,
        sleep: Callable[[float], None] = time.sleep,
        max_wait: float = 30,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or NoMetrics()
        self.vendor, self.base_url, self.session = vendor, base_url.rstrip("/"), session
        self._read_error = read_error
        self._limiter, self._timeout, self._sleep, self._max_wait = limiter, timeout, sleep, max_wait
        self._guard: Callable[[], object] | None = None

    @contextmanager
    def guarded(self, guard: Callable[[], object]) -> Iterator[None]:
        """Call `guard` before every write inside, when the rate limit has given the turn and nothing is sent yet.

        The wait for a turn may be long: what was true before it is checked again after it. What the guard raises stops
        the call.
        """
        outer, self._guard = self._guard, guard
        try:
            yield
        finally:
            self._guard = outer

    def send(self, call: Call[T]) -> T:
        """Send a call, again where the rules allow it, and return what its `parse` makes of the answer.

        Rules: 429 always, after the time the vendor names; no connection always, since nothing was sent; 5xx and
        broken connections only for calls that may be repeated.

        :raises ApiError: one of its kinds, see `lever_imocha.errors`.
        """
        retrying = Retrying(
            retry=retry_if_exception(self._may_retry),
            wait=self._wait,
            stop=stop_after_attempt(TRIES),
            sleep=self._sleep,
            reraise=True,
        )
        result: T = retrying(self._send_once, call)
        return result

    def open(self, call: Call[Any], *, session: requests.Session | None = None, url: str = "") -> requests.Response:
        """One GET whose body is read by the caller in pieces (a download). No retries.

        A redirect is followed only without the key: it may lead to another host, and an `X-API-KEY` header would be
        sent along.

        :param session: for an address outside the API, one without the key.
        """
        self._await_turn()
        try:
            response = (session or self.session).get(
                url or f"{self.base_url}{call.path}",
                timeout=call.timeout or self._timeout,
                stream=True,
                allow_redirects=session is not None,
            )
        except (requests.RequestException, UnicodeError):
            raise self._failure(VendorDownError, call) from None
        if response.status_code >= 400:
            with response:
                body = _json(response) if session is None else None
            if session is not None and response.status_code == 401:
                raise self._failure(NotPermittedError, call, 401)  # no key was sent, so that it says nothing of it
            raise self._error_of(call, response.status_code, body, response.headers)
        return response

    def error_in(self, name: str, response: requests.Response) -> ApiError:
        """Return the error that an answer of 400 or more means, for a request that was sent without a `Call`.

        :param name: of the call, for the error's text.
        """
        method = response.request.method or ""
        call: Call[None] = Call(
            name=name, method=method, path="", parse=lambda body: None, repeatable=method in ("GET", "HEAD")
        )
        return self._error_of(call, response.status_code, _json(response), response.headers)

    def _may_retry(self, error: BaseException) -> bool:
        return isinstance(error, ApiError) and error.may_be_resent and (error.retry_after or 0) <= self._max_wait

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ApiError) and error.retry_after is not None:
            return error.retry_after
        return float(wait_random_exponential(multiplier=1, max=self._max_wait)(state))

    def _send_once(self, call: Call[T]) -> T:
        for part in (call.files or {}).values():
            part[1].seek(0)
        self._await_turn()
        if self._guard is not None and call.method != "GET":
            self._guard()
        try:
            response = self.session.request(
                call.method,
                f"{self.base_url}{call.path}",
                params=list(call.params),
                json=call.json,
                files=call.files,
                timeout=call.timeout or self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._broken(call, error) from None
        if not 200 <= response.status_code < 300:
            raise self._error_of(call, response.status_code, _json(response), response.headers)
        return self._parsed(call, response)

    def _await_turn(self) -> None:
        self._limiter.acquire()
        self._metrics.count(f"calls.{self.vendor.lower()}")

    def _parsed(self, call: Call[T], response: requests.Response) -> T:
        lost: type[ApiError] = UnexpectedAnswerError if call.repeatable else OutcomeUnknownError
        body = None
        if response.content:
            try:
                body = response.json()
            except ValueError:
                raise self._failure(lost, call, response.status_code, detail="the answer is not JSON") from None
        try:
            return call.parse(body)
        except (ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
            detail = _misfit(error)
        raise self._failure(lost, call, response.status_code, detail=detail)

    def parse_items(self, name: str, model: type[M], items: Iterable[Any]) -> Iterator[M]:
        """The items of a page as values, one by one.

        :raises UnexpectedAnswerError: an item lacks what every item must have.
        """
        for item in items:
            try:
                value = model.model_validate(item)
            except ValidationError as error:
                detail = _misfit(error)
            else:
                yield value
                continue
            raise UnexpectedAnswerError(vendor=self.vendor, call=name, status=200, detail=detail)

    def _broken(self, call: Call[T], error: requests.RequestException) -> ApiError:
        kind = VendorDownError if call.repeatable or _nothing_sent(error) else OutcomeUnknownError
        return self._failure(kind, call, detail=type(error).__name__)

    def _error_of(self, call: Call[T], status: int, body: Any, headers: Mapping[str, str]) -> ApiError:
        said = self._read_error(status, body)
        code, detail = redact(said.code, hidden=call.hidden), redact(said.message, hidden=call.hidden)
        if status == 429:
            self._limiter.slow_down()
            self._metrics.count(f"rate_limited.{self.vendor.lower()}")
            return RateLimitedError(
                vendor=self.vendor,
                call=call.name,
                status=status,
                code=code,
                detail=detail,
                retry_after=_retry_after(headers.get("Retry-After")),
            )
        if status >= 500:
            return self._failure(
                VendorDownError if call.repeatable else OutcomeUnknownError, call, status, code, detail
            )
        kinds: dict[int, type[ApiError]] = {401: CredentialsError, 403: NotPermittedError, 404: NotFoundError}
        fallback = RequestRejectedError if status >= 400 else UnexpectedAnswerError
        return self._failure(said.kind or kinds.get(status, fallback), call, status, code, detail)

    def _failure(
        self, kind: type[ApiError], call: Call[T], status: int | None = None, code: str = "", detail: str = ""
    ) -> ApiError:
        return kind(vendor=self.vendor, call=call.name, status=status, code=code, detail=detail)


def _misfit(error: Exception) -> str:
    """Where an answer does not fit, without the values, which may be personal."""
    if isinstance(error, ValidationError):
        places = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
        return f"fields not as expected: {', '.join(places)}"
    return f"the answer has another shape ({type(error).__name__})"


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except (ValueError, requests.RequestException):
        return None


def _nothing_sent(error: requests.RequestException) -> bool:
    """Return whether the request did not leave: there was no connection to the vendor, or to the proxy before it."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, ProxyError):
        reason = reason.original_error
    return isinstance(error, _NOTHING_SENT) or isinstance(reason, NewConnectionError)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header in either of its two forms; None for anything else."""
    try:
        return float(min(RetryAfter().parse_retry_after(value or ""), LONGEST_RETRY_AFTER))
    except (InvalidHeader, ValueError, OverflowError):
        return None
