"""Everything that can go wrong, in one tree.

::

    LeverImochaError
    ├── SettingsError              the settings file, or a name in it that the vendor does not know
    ├── LedgerError                the ledger's database: not reachable, or not migrated
    ├── ApiError                   a vendor call failed; carries vendor, call, status, code
    │   ├── CredentialsError       the key is wrong (401)
    │   ├── NotPermittedError      the key lacks a permission, or the operation is not allowed (403)
    │   ├── NotFoundError          no such object (404)
    │   ├── RequestRejectedError   the vendor refused the request's content (other 4xx)
    │   ├── RateLimitedError       too many requests (429); carries retry_after
    │   ├── VendorDownError        the call had no effect: no connection, or 5xx on a call that changes nothing
    │   ├── OutcomeUnknownError    a write was sent and its answer was lost: it may have been applied
    │   └── UnexpectedAnswerError  the answer is not what the contract says
    ├── ReportFileError            the report's PDF cannot be used
    ├── AssessmentError            one candidate's report cannot be written as template and settings are
    ├── ClaimLostError             another worker has taken over: stop, it does the work
    ├── WaitFailedError            waiting for ended attempts stopped: a person is needed
    ├── DeliveryRefusedError       a webhook or callback is not accepted; carries the HTTP status of the answer
    └── WorkFailedError            a slice went on past failing candidates; names them

Messages tell an operator what to do next and never hold a candidate's data: vendor texts are kept in
``ApiError.detail`` only after `redact` has taken out whatever looks like an address or a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_PERSONAL = re.compile(r"[^\s\"'<>,;:]+(?:@|%40)[^\s\"'<>,;]+|https?://\S+", re.IGNORECASE)


def redact(text: str, limit: int = 300, *, hidden: Iterable[str] = ()) -> str:
    """Shorten a vendor's text and take e-mail addresses and links out of it.

    :param hidden: further texts to take out, such as the values that were sent.
    """
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, "[removed]")
    return _PERSONAL.sub("[removed]", text)[:limit]


class LeverImochaError(Exception):
    """Base of every error this package raises on purpose."""


class SettingsError(LeverImochaError):
    """The settings cannot be used as they are.

    :param problems: one line each, naming the key, the value and the fix.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


class LedgerError(LeverImochaError):
    """The ledger's database cannot be used; the message says what to do.

    :param temporary: trying again helps: the database was not reachable, or was too busy.
    """

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        self.temporary = temporary
        super().__init__(message)


class ApiError(LeverImochaError):
    """A call to a vendor failed.

    :param vendor: ``Lever`` or ``iMocha``.
    :param call: the call's name in our client, e.g. ``update_stage``.
    :param status: HTTP status, or None when no answer came.
    :param code: the vendor's own error code, when it sent one.
    :param detail: the vendor's message, redacted.
    :param advice: what an operator can do about it.
    """

    advice = "See the vendor's message."

    def __init__(
        self,
        *,
        vendor: str,
        call: str,
        status: int | None = None,
        code: str = "",
        detail: str = "",
        advice: str = "",
    ) -> None:
        self.vendor, self.call, self.status, self.code = vendor, call, status, code
        self.detail = redact(detail)
        answer = f"answered {status}" if status is not None else "gave no answer"
        said = f" ({': '.join(part for part in (code, self.detail) if part)})" if code or self.detail else ""
        super().__init__(f"{vendor} {answer} to {call}{said}. {advice or self.advice}")


class CredentialsError(ApiError):
    """The API key is wrong or expired."""

    advice = "Check the API key in the Airflow connection's password."


class NotPermittedError(ApiError):
    """The key may not do this."""

    advice = "Give the API key this permission (README, Set-up); a key of Lever's cannot be edited: make a new one."


class NotFoundError(ApiError):
    """The vendor has no such object."""

    advice = "It was deleted, or an id in the settings is of another account."


class RequestRejectedError(ApiError):
    """The vendor refused the content of the request; sending it again will not help."""

    advice = "Compare the settings with what the vendor's message names."


class RateLimitedError(ApiError):
    """Too many requests.

    :param retry_after: seconds the vendor asked us to wait, when it said so.
    """

    advice = "It is tried again by itself; lower rate_limits in the settings if it stays."

    def __init__(self, *, retry_after: float | None = None, **data: object) -> None:
        self.retry_after = retry_after
        super().__init__(**data)  # type: ignore[arg-type]


class VendorDownError(ApiError):
    """The vendor could not be reached or failed, and nothing was changed there."""

    advice = "It is tried again by itself; see the vendor's status page if it stays."


class OutcomeUnknownError(ApiError):
    """A write was sent and no usable answer came back: look before sending it again."""

    advice = "It is looked up and tried again by itself."


class UnexpectedAnswerError(ApiError):
    """The vendor's answer does not fit its contract."""

    advice = "The vendor may have changed its API; report this with the call's name."


class ReportFileError(LeverImochaError):
    """The report's PDF is not a PDF, is too large, or cannot be downloaded.

    :param permanent: trying again will not help.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        self.permanent = permanent
        super().__init__(message)


class AssessmentError(LeverImochaError):
    """One candidate's report cannot be written as the form template or the settings are; others can.

    The message says what to change. It is tried again by itself, later and later.
    """


class ClaimLostError(LeverImochaError):
    """This worker counted as dead and another has taken over the candidate: stop here, the other does the work."""

    def __init__(self, opportunity_id: str) -> None:
        super().__init__(f"another worker has taken over opportunity {opportunity_id}")


class WaitFailedError(LeverImochaError):
    """The trigger that waits for ended attempts stopped; the message says what a person has to do."""


class DeliveryRefusedError(LeverImochaError):
    """A webhook or callback is not accepted.

    :param status: HTTP status of the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class WorkFailedError(LeverImochaError):
    """Some of a slice's work failed; the rest was done.

    :param failures: opportunity id -> what went wrong.
    """

    def __init__(self, failures: Mapping[str, LeverImochaError]) -> None:
        self.failures = dict(failures)
        lines = "".join(f"\n  {key}: {error}" for key, error in self.failures.items())
        super().__init__(f"{len(self.failures)} failed, the others are done:{lines}")

    @property
    def causes(self) -> list[LeverImochaError]:
        """The errors themselves."""
        return list(self.failures.values())
