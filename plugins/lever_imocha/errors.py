"""Everything that can go wrong, in one tree.

::

    LeverImochaError
    ├── SettingsError              the settings file, or a name in it that the vendor does not know
    ├── LedgerError                the ledger's database cannot be used; carries whether that is temporary
    │   └── LedgerVersionError         it has no tables yet, or those of another version
    ├── AirflowDownError           Airflow cannot look up its connections and variables at the moment
    ├── ClockError                 our clock is wrong: nothing is done that a wrong time makes wrong for good
    ├── ApiError                   a vendor call failed; carries vendor, call, status, code
    │   ├── CredentialsError       the key is wrong (401)
    │   ├── VendorRefusedError     the vendor said no; one of:
    │   │   ├── NotPermittedError      the key lacks a permission, or the operation is not allowed (403)
    │   │   ├── NotFoundError          no such object (404)
    │   │   └── RequestRejectedError   the request's content is refused (other 4xx)
    │   │       └── ReattemptNotAllowedError   iMocha gives no second attempt now
    │   ├── RateLimitedError       too many requests (429); carries retry_after
    │   ├── VendorDownError        the call had no effect: no connection, or 5xx on a call that changes nothing
    │   ├── OutcomeUnknownError    a write was sent and its answer was lost: it may have been applied
    │   └── UnexpectedAnswerError  the answer is not as the vendor documents it
    ├── ReportFileError            the report's PDF cannot be used
    ├── AssessmentError            one candidate's report cannot be written as template and settings are
    ├── BugError                   something that is no error of ours; names the place, no value
    ├── StillOpenError             somebody is not to be forgotten in the ledger yet
    ├── TagsRefusedError           Lever refused some tags of a tag sync; the others are made
    ├── ClaimLostError             another worker has taken over: stop, it does the work
    ├── WaitFailedError            waiting for ended attempts stopped: a person is needed
    ├── DeliveryRefusedError       a webhook or callback is not accepted; carries the HTTP status of the answer
    └── WorkFailedError            a batch went on past failing candidates; names them

Each error knows three things, so that nobody needs a list of classes: `retry` (when trying again helps), `scope` (whom
it concerns) and `public_message` (what may be said of it outside of the log).

Messages tell an operator what to do next and never hold a candidate's data: vendor texts are kept in
``ApiError.detail`` only after `redact` has taken out whatever looks like an address or a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from traceback import extract_tb

from lever_imocha.redaction import redact

_LISTED = 10
_LONGEST_IN_RUN = 300
"""Seconds that a run waits for one candidate."""


def listed(lines: Sequence[str]) -> str:
    """Join the first ten lines into one, and say how many more there are."""
    more = len(lines) - _LISTED
    return "; ".join([*lines[:_LISTED], *([f"and {more} more"] if more > 0 else [])])


class Retry(StrEnum):
    """When trying again helps."""

    NEVER = "never"
    """A person has to change something first."""
    LATER = "later"
    """Not within this run; the ledger sets a time, and a later run tries again."""
    SOON = "soon"
    """Within this run: Airflow's own retry may do it."""


class Scope(StrEnum):
    """Whom an error concerns."""

    ACCOUNT = "account"
    """Everybody: the next candidate's work would fail, too."""
    CANDIDATE = "candidate"
    """One candidate, as far as is known: the others' work goes on."""
    UNCLEAR = "unclear"
    """One candidate or everybody: what comes of the next candidate's work tells (`CircuitBreaker`)."""


class LeverImochaError(Exception):
    """Base of every error this package raises on purpose."""

    retry: Retry = Retry.SOON
    scope: Scope = Scope.CANDIDATE
    retry_after: float | None = None
    """Seconds to wait before trying again, when somebody said so."""
    is_known = False
    """The same work failed like this before, so that a run does not fail for it again."""

    @property
    def public_message(self) -> str:
        """What may be said outside of the log, on one line: never a vendor's own words."""
        return " ".join(str(self).split())


class SettingsError(LeverImochaError):
    """The settings cannot be used as they are.

    :param problems: one line each, naming the key, the value and the fix.
    """

    retry = Retry.NEVER
    scope = Scope.ACCOUNT

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


class LedgerError(LeverImochaError):
    """The ledger's database cannot be used; the message says what to do.

    :param temporary: trying again helps: the database was not reachable, or was too busy.
    """

    scope = Scope.ACCOUNT

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        self.retry = Retry.SOON if temporary else Retry.NEVER
        super().__init__(message)


class LedgerVersionError(LedgerError):
    """The ledger has no tables yet, or those of another version."""


class AirflowDownError(LeverImochaError):
    """Airflow cannot look up its connections and variables: whether one is there is not known."""

    scope = Scope.ACCOUNT

    def __init__(self) -> None:
        super().__init__(
            "Airflow cannot look up its connections and variables at the moment: see that its database and its API server"
            " run. It is tried again by itself."
        )


class ClockError(LeverImochaError):
    """Our clock and another differ by so much that nothing may be done that a wrong time makes wrong for good."""

    retry = Retry.NEVER
    scope = Scope.ACCOUNT


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
    may_be_resent = False
    """Whether the same call may be sent again at once: it had no effect, and may have one the next time."""
    is_transient = False
    """Whether the vendor has an outage or too much to do, which ends by itself."""

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
        self.vendor, self.call, self.status = vendor, call, status
        self.code, self.detail = redact(code, 60), redact(detail)
        self.advice = advice or self.advice
        super().__init__(self._line(": ".join(part for part in (self.code, self.detail) if part)))

    def _line(self, said: str) -> str:
        answer = f"answered {self.status}" if self.status is not None else "gave no answer"
        return f"{self.vendor} {answer} to {self.call}{f' ({said})' if said else ''}. {self.advice}"

    @property
    def public_message(self) -> str:
        """The error without the vendor's words: however well redacted, they may repeat what was sent."""
        return self._line("the vendor's words are in the task's log" if self.code or self.detail else "")


class CredentialsError(ApiError):
    """The API key is wrong or expired."""

    retry = Retry.NEVER
    scope = Scope.ACCOUNT
    advice = "Check the API key in the Airflow connection's password."


class VendorRefusedError(ApiError):
    """The vendor understood the call and said no; nothing was changed there."""

    retry = Retry.LATER


class NotPermittedError(VendorRefusedError):
    """The key may not do this: at all, or with this candidate."""

    retry = Retry.NEVER
    advice = "Run the doctor, which names the missing box of the key (docs/setup.md); a key of Lever's cannot be edited: make a new one."


class NotFoundError(VendorRefusedError):
    """The vendor has no such object."""

    advice = "It was deleted, or an id in the settings is of another account."


class RequestRejectedError(VendorRefusedError):
    """The vendor refused the content of the request; sending it again at once will not help."""

    advice = "Compare the settings with what the vendor's message names."


class ReattemptNotAllowedError(RequestRejectedError):
    """iMocha gives no second attempt because of the state of the first, which may still be running."""

    advice = "Nothing: iMocha allows it when the running attempt has ended."


class RateLimitedError(ApiError):
    """Too many requests; a vendor may say so of one candidate only, for ever.

    :param retry_after: seconds the vendor asked us to wait, when it said so.
    """

    scope = Scope.UNCLEAR
    may_be_resent = True
    is_transient = True
    advice = "It is tried again by itself; lower rate_limits in the settings if it stays."

    def __init__(self, *, retry_after: float | None = None, **data: object) -> None:
        self.retry_after = retry_after
        super().__init__(**data)  # type: ignore[arg-type]


class VendorDownError(ApiError):
    """The vendor could not be reached or failed, and nothing was changed there."""

    may_be_resent = True
    is_transient = True
    advice = "It is tried again by itself; see the vendor's status page if it stays."


class OutcomeUnknownError(ApiError):
    """A write was sent and no usable answer came back: look before sending it again."""

    is_transient = True
    advice = "It is looked up and tried again by itself."


class UnexpectedAnswerError(ApiError):
    """The vendor's answer is not as it is documented."""

    advice = "The vendor may have changed its API; report this with the call's name."


class ReportFileError(LeverImochaError):
    """The report's PDF is not a PDF, is too large, or cannot be downloaded.

    :param permanent: trying again within the run will not help.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        self.retry = Retry.LATER if permanent else Retry.SOON
        super().__init__(message)


class AssessmentError(LeverImochaError):
    """One candidate's report cannot be written as the form template or the settings are; others can.

    The message says what to change. It is tried again by itself, later and later.

    :param by_settings: the settings are the cause, and others of the same rule have it, too.
    """

    retry = Retry.LATER

    def __init__(self, message: str, *, by_settings: bool = False) -> None:
        self.by_settings = by_settings
        super().__init__(message)


class BugError(LeverImochaError):
    """Something happened that this package does not expect: a mistake of its own, or of a library.

    The message names the kind of error and where it happened. It holds no value: that could be a candidate's.
    """

    retry = Retry.LATER

    def __init__(self, error: BaseException) -> None:
        calls = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)
        ]
        place = " < ".join(reversed(calls[-_LISTED:])) or "an unknown place"
        super().__init__(f"{type(error).__name__} at {place}. This is a bug: report this line.")


def as_ours(error: Exception) -> LeverImochaError:
    """Return the error itself if it is one of ours, else a `BugError` about it."""
    return error if isinstance(error, LeverImochaError) else BugError(error)


class CircuitBreaker:
    """Stops a batch at an error that concerns everybody: it says so, or two candidates in a row met one of unclear scope.

    One answer that both rest on, such as that of a list which was read once, counts once.
    """

    def __init__(self) -> None:
        self._unclear: LeverImochaError | None = None

    def trips(self, error: LeverImochaError) -> bool:
        """Record one candidate's error; return whether it concerns everybody."""
        before, self._unclear = self._unclear, error if error.scope is Scope.UNCLEAR else None
        return error.scope is Scope.ACCOUNT or (self._unclear is not None and before not in (None, error))

    def reset(self) -> None:
        """Record that a candidate's work was done."""
        self._unclear = None


class TagsRefusedError(LeverImochaError):
    """Lever refused some tags of a tag sync; the others are made.

    :param refused: tag -> what Lever said.
    """

    retry = Retry.NEVER
    scope = Scope.ACCOUNT

    def __init__(self, refused: Mapping[str, str]) -> None:
        self.refused = dict(refused)
        super().__init__(self._line([f"{tag!r}: {said}" for tag, said in self.refused.items()]))

    def _line(self, lines: Sequence[str]) -> str:
        return (
            f"Lever refused {len(lines)} tags, the others are made. Rename their tests at iMocha, or write other tags"
            f" into tags.map: {listed(lines)}"
        )

    @property
    def public_message(self) -> str:
        """The tags without what Lever said about them."""
        return self._line([repr(tag) for tag in self.refused])


class StillOpenError(LeverImochaError):
    """Something of an opportunity is open, so that it is not to be forgotten yet.

    :param reasons: what is open, in words.
    """

    retry = Retry.NEVER

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            f"Nothing was erased: {'; '.join(reasons)}. Wait until it is over (python -m lever_imocha.ledger queue shows"
            " work), or add --even-if-open, which does not help while a worker is at it."
        )


class ClaimLostError(LeverImochaError):
    """This worker counted as ended and another has taken over the candidate: stop here, the other does the work."""

    def __init__(self, opportunity_id: str) -> None:
        super().__init__(f"another worker has taken over opportunity {opportunity_id}")


class WaitFailedError(LeverImochaError):
    """The trigger that waits for ended attempts stopped; the message says what a person has to do."""

    retry = Retry.NEVER
    scope = Scope.ACCOUNT


class DeliveryRefusedError(LeverImochaError):
    """A webhook or callback is not accepted.

    :param status: HTTP status of the answer.
    """

    retry = Retry.NEVER

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class WorkFailedError(LeverImochaError):
    """Some of a batch's work failed; the rest was done.

    It is tried again for those whom it helps, after the longest wait that one of them needs. Who needs more than five
    minutes is left to a later run: one that waits stands in the way of the runs after it.

    :param failures: opportunity id -> what went wrong.
    """

    def __init__(self, failures: Mapping[str, LeverImochaError]) -> None:
        self.failures = dict(failures)
        soon = [error for error in self.causes if (error.retry_after or 0) <= _LONGEST_IN_RUN]
        retries = {error.retry for error in soon} | ({Retry.LATER} if len(soon) < len(self.causes) else set())
        self.retry = next((retry for retry in (Retry.SOON, Retry.LATER) if retry in retries), Retry.NEVER)
        self.retry_after = max((error.retry_after for error in soon if error.retry_after), default=None)
        lines = "".join(f"\n  {key}: {error}" for key, error in self.failures.items())
        super().__init__(f"{len(self.failures)} failed, the others are done:{lines}")

    @property
    def causes(self) -> list[LeverImochaError]:
        """The errors themselves."""
        return list(self.failures.values())

    @property
    def public_message(self) -> str:
        """What failed of the first ten, and how many more did."""
        failures = [f"opportunity {key}: {error.public_message}" for key, error in self.failures.items()]
        return f"{len(failures)} failed, the others are done: {listed(failures)}"
