"""The one sender: time-outs, retries by named rule, the rate limit, and answers turned into values or our errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import requests
from pydantic import BaseModel
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ProxyError

from lever_imocha.clients.answers import (
    MAX_ANSWER_BYTES,
    MISFITS,
    TooLargeError,
    json_of,
    loads,
    misfit,
    moved_to,
    name_of,
    read_body,
    retry_after,
)
from lever_imocha.clients.connections import BoundedAdapter, Deadline, ending_at
from lever_imocha.clients.limits import Limiter
from lever_imocha.clients.server_clock import ServerClock
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
)
from lever_imocha.redaction import redact

log = logging.getLogger(__name__)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

TRIES = 6
_MAX_WAIT = 30
"""Seconds before a retry in this process; when a vendor asks for more, `RateLimitedError` tells to come back later."""
MAX_PAGES = 1000
"""More pages than any list has: a list that goes on is one that never ends."""
_DEADLINE = 60.0
_MOVES = 5
_TOO_SLOW = (408, 425)
BROKEN = (requests.RequestException, HTTPError, ValueError)
"""What requests raises; the last for a redirect to what is no address, even if it is not to follow it."""
_NOTHING_SENT = (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One API call, described.

    :param name: as the client's method, for errors and logs.
    :param path: below the base URL, starting with ``/``.
    :param parse: makes the result from the answer's JSON (None for an empty answer).
    :param repeatable: sending it twice has the effect of sending it once.
    :param answer_needed: the answer says something that is needed: an id, or that it was done at all. Without it, 2xx is
        success, and the result is None where the answer cannot be read.
    :param hidden: personal texts it sends, which a vendor's error may repeat and nobody shall read in a log.
    :param timeout: seconds, when the client's own is not enough.
    :param deadline: seconds in which the whole answer must be there; 60, or `timeout` if this is longer.
    """

    name: str
    method: str
    path: str
    parse: Callable[[Any], T]
    params: Sequence[tuple[str, str]] = ()
    json: Any = None
    files: Mapping[str, Any] | None = None
    repeatable: bool = False
    answer_needed: bool = True
    hidden: Sequence[str] = field(default=(), repr=False)
    timeout: float | None = None
    deadline: float | None = None


@dataclass(frozen=True, kw_only=True)
class VendorError:
    """What a vendor's answer says of an error.

    :param code: the vendor's own error code.
    :param message: the vendor's words.
    :param kind: the error it means, where that is not plain from the HTTP status.
    :param retry_after: for `RateLimitedError`, the seconds to wait that the vendor's words name.
    :param advice: what an operator can do about it, where this kind's own advice does not fit.
    """

    code: str = ""
    message: str = ""
    kind: type[ApiError] | None = None
    retry_after: float | None = None
    advice: str = ""


class ApiClient:
    """Sends calls to one vendor.

    :param read_error: reads the vendor's error answers, from the HTTP status and the JSON (None: it is no JSON).
    :param session: carries authentication, proxies and TLS options.
    :param limiter: asked before every request, retries included.
    :param timeout: seconds to wait for a connection and for each part of an answer.
    :param sleep: waits between tries.
    :param metrics: told of every request, every 429 and every record that is skipped.
    :param clock: measures how long an answer takes, in seconds.
    :param tries: how often a call is sent at most.
    :param server_clock: reads the vendor's clock from all answers.
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
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        tries: int = TRIES,
        server_clock: ServerClock | None = None,
    ) -> None:
        self._metrics = metrics or NoMetrics()
        self.vendor, self.base_url, self.session = vendor, base_url.rstrip("/"), session
        for scheme in ("https://", "http://"):
            session.mount(scheme, BoundedAdapter(pool_maxsize=4))
        self._clock, self._tries = clock, tries
        self.server_clock = server_clock or ServerClock()
        self.server_clock.watch(session)
        self._read_error = read_error
        self._limiter, self._timeout, self._sleep = limiter, timeout, sleep
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
            stop=stop_after_attempt(self._tries),
            sleep=self._sleep,
            reraise=True,
        )
        result: T = retrying(self._send_once, call)
        return result

    def open(self, call: Call[Any], *, session: requests.Session | None = None, url: str = "") -> requests.Response:
        """One GET whose body is read by the caller in pieces (a download). No retries.

        A redirect is not followed: it may lead to another host, and an `X-API-KEY` header would be sent along.

        :param session: for an address outside the API, one without the key.
        """
        self._await_turn()
        try:
            with ending_at(self._deadline_of(call)):
                response = (session or self.session).get(
                    url or f"{self.base_url}{call.path}",
                    timeout=call.timeout or self._timeout,
                    stream=True,
                    allow_redirects=False,
                )
        except BROKEN:
            raise self._failure(VendorDownError, call) from None
        if session is None:
            self._limiter.note_answer(call.name, response.status_code)
        if response.status_code >= 400:
            body = json_of(response) if session is None else None
            response.close()
            if session is not None and response.status_code == 401:
                raise self._failure(NotPermittedError, call, 401)  # no key was sent, so that it says nothing of it
            raise self._error_of(call, response.status_code, body, response.headers, of_api=session is None)
        return response

    def error_in(self, name: str, response: requests.Response) -> ApiError:
        """Return the error that an answer of 400 or more means, for a request that was sent without a `Call`.

        :param name: of the call, for the error's text.
        """
        method = response.request.method or ""
        call: Call[None] = Call(
            name=name, method=method, path="", parse=lambda body: None, repeatable=method in ("GET", "HEAD")
        )
        return self._error_of(call, response.status_code, json_of(response), response.headers)

    def _deadline_of(self, call: Call[Any]) -> Deadline:
        return Deadline(call.deadline or max(_DEADLINE, call.timeout or self._timeout), self._clock)

    def _may_retry(self, error: BaseException) -> bool:
        return isinstance(error, ApiError) and error.may_be_resent and (error.retry_after or 0) <= _MAX_WAIT

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ApiError) and error.retry_after is not None:
            return error.retry_after
        return float(wait_random_exponential(multiplier=1, max=_MAX_WAIT)(state))

    def _send_once(self, call: Call[T]) -> T:
        for part in (call.files or {}).values():
            part[1].seek(0)
        self._await_turn()
        if self._guard is not None and call.method != "GET":
            self._guard()
        deadline = self._deadline_of(call)
        try:
            with ending_at(deadline), self._request(call) as response:
                if not 200 <= response.status_code < 300:
                    raise self._error_of(call, response.status_code, json_of(response), response.headers)
                if not call.answer_needed:
                    return self._if_readable(call, response)
                content = read_body(response)
        except TooLargeError:
            limit = f"the answer is larger than {MAX_ANSWER_BYTES // 2**20} MB"
            raise self._failure(_lost(call), call, detail=limit) from None
        except BROKEN as error:
            raise self._broken(call, error, deadline) from None
        return self._parsed(call, response, content)

    def _request(self, call: Call[Any]) -> requests.Response:
        """Send; a GET that has moved on the same host is followed."""
        url = f"{self.base_url}{call.path}"
        params = list(call.params)
        for _ in range(_MOVES):
            response = self.session.request(
                call.method,
                url,
                params=params,
                json=call.json,
                files=call.files,
                timeout=call.timeout or self._timeout,
                allow_redirects=False,
                stream=True,
            )
            self._limiter.note_answer(call.name, response.status_code)
            target = moved_to(response)
            if call.method != "GET" or target is None:
                break
            response.close()
            url, params = target, []  # the new address has them already
            self._await_turn()
        return response

    def _await_turn(self) -> None:
        self._limiter.acquire()
        self._metrics.count(f"calls.{self.vendor.lower()}")

    def _parsed(self, call: Call[T], response: requests.Response, content: bytes) -> T:
        body = None
        if content:
            try:
                body = loads(content, response.encoding)
            except (ValueError, LookupError, RecursionError):
                detail = "the answer is not JSON"
                raise self._failure(_lost(call), call, response.status_code, detail=detail) from None
        try:
            return call.parse(body)
        except MISFITS as error:
            detail = misfit(error)
        raise self._failure(_lost(call), call, response.status_code, detail=detail)

    def _if_readable(self, call: Call[T], response: requests.Response) -> T:
        try:
            return self._parsed(call, response, read_body(response))
        except (ApiError, TooLargeError, requests.RequestException) as error:
            log.info("%s, %s: done, but the answer cannot be read (%s)", self.vendor, call.name, type(error).__name__)
            return None  # type: ignore[return-value]  # as the call says

    def parse_items(
        self, name: str, model: type[M], items: Iterable[Any], *, skipped: Callable[[Any], object] = lambda item: None
    ) -> list[M]:
        """Return the records of a list as values.

        A record that is not as documented is left out, counted, and named in the log: it must not harm the
        others. So the list is complete only if it has as many values as there are items.

        :param skipped: told of each record that is left out.
        """
        values = []
        for number, item in enumerate(items, 1):
            try:
                values.append(model.model_validate(item))
            except MISFITS as error:
                self._metrics.count(f"skipped_records.{self.vendor.lower()}")
                log.warning("%s, %s: %s is skipped: %s", self.vendor, name, name_of(item, number), misfit(error))
                skipped(item)
        return values

    def unexpected(self, name: str, detail: str) -> UnexpectedAnswerError:
        """Make the error for an answer of status 200 that is not as documented.

        :param name: the call's.
        """
        return UnexpectedAnswerError(vendor=self.vendor, call=name, status=200, detail=detail)

    def _broken(self, call: Call[T], error: Exception, deadline: Deadline) -> ApiError:
        kind = VendorDownError if call.repeatable or _nothing_sent(error) else OutcomeUnknownError
        if not deadline.has_passed:
            return self._failure(kind, call, detail=type(error).__name__)
        late = self._failure(kind, call, detail=f"the answer was not complete after {deadline.seconds:g} s")
        late.may_be_resent = False  # it would take as long again
        return late

    def _error_of(
        self, call: Call[T], status: int, body: Any, headers: Mapping[str, str], *, of_api: bool = True
    ) -> ApiError:
        """Return what an answer means; too many requests at another host than the API's slow down none to the API."""
        said = self._read_error(status, body)
        code, detail = redact(said.code, hidden=call.hidden), redact(said.message, hidden=call.hidden)
        if status == 429 or said.kind is RateLimitedError:
            if of_api:
                self._limiter.slow_down()
                self._metrics.count(f"rate_limited.{self.vendor.lower()}")
            asked = retry_after(headers.get("Retry-After"))
            return RateLimitedError(
                vendor=self.vendor,
                call=call.name,
                status=status,
                code=code,
                detail=detail,
                advice=said.advice,
                retry_after=said.retry_after if asked is None else asked,
            )
        if status >= 500 or status in _TOO_SLOW:
            return self._failure(
                VendorDownError if call.repeatable else OutcomeUnknownError, call, status, code, detail
            )
        if 300 <= status < 400:
            detail = "it leads to another address: check the connection's host"
        kinds: dict[int, type[ApiError]] = {401: CredentialsError, 403: NotPermittedError, 404: NotFoundError}
        fallback = RequestRejectedError if status >= 400 else UnexpectedAnswerError
        return self._failure(said.kind or kinds.get(status, fallback), call, status, code, detail)

    def _failure(
        self, kind: type[ApiError], call: Call[T], status: int | None = None, code: str = "", detail: str = ""
    ) -> ApiError:
        return kind(vendor=self.vendor, call=call.name, status=status, code=code, detail=detail)


def _lost(call: Call[Any]) -> type[ApiError]:
    return UnexpectedAnswerError if call.repeatable else OutcomeUnknownError


def _nothing_sent(error: Exception) -> bool:
    """Return whether the request did not leave: there was no connection to the vendor, or to the proxy before it."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, ProxyError):
        reason = reason.original_error
    return isinstance(error, _NOTHING_SENT) or isinstance(reason, NewConnectionError)
