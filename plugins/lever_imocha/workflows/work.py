"""Does claimed work: what is done leaves the queue, what fails waits with growing pauses or is parked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from lever_imocha.domain.clock import Clock
from lever_imocha.domain.decisions import Outcome
from lever_imocha.domain.pauses import pause_after_failure
from lever_imocha.errors import (
    ApiError,
    CircuitBreaker,
    ClaimLostError,
    LeverImochaError,
    Scope,
    VendorRefusedError,
    as_ours,
)
from lever_imocha.ledger.values import Work, WorkItem
from lever_imocha.ledger.work_queue import WorkQueue

log = logging.getLogger(__name__)

T = TypeVar("T")

Result = Outcome | str | None
"""What came of work, for the log and the counts; None when there was nothing to do."""


class NotYet(Exception):  # noqa: N818 - no error: nothing went wrong
    """The work cannot be done yet.

    :param reason: a word or two, for the queue.
    :param pause: until the next try; None parks the item.
    :param failed: whether this counts as a try that failed, so that the next pause is longer.
    """

    def __init__(self, reason: str, *, pause: timedelta | None, failed: bool = True) -> None:
        self.reason, self.pause, self.failed = reason, pause, failed
        super().__init__(reason)


def past_failures(things: Iterable[T], work: Callable[[T], object]) -> list[tuple[T, LeverImochaError]]:
    """Do work on each of several things, such as one candidate's tests, also past one that fails.

    :return: those that failed, each with its error.
    :raises LeverImochaError: what would fail for all of them, see `CircuitBreaker`, at once.
    """
    failures, breaker = [], CircuitBreaker()
    for thing in things:
        try:
            work(thing)
        except Exception as failure:
            error = as_ours(failure)
            if breaker.trips(error) or isinstance(error, ClaimLostError):
                raise error from None
            failures.append((thing, error))
        else:
            breaker.reset()
    return failures


def raise_first(failures: Sequence[tuple[Any, LeverImochaError]]) -> None:
    """Raise the error of what failed first, if anything did; log the others, of which nobody else tells."""
    for _, error in failures[1:]:
        log.error("failed as well: %s", error)
    for _, error in failures[:1]:
        raise error


class Vendor(Protocol):
    """A client that writes to a vendor."""

    def guarded(self, guard: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `guard` before every write inside; see `ApiClient.guarded`."""


class WorkRunner:
    """Does one work item after another, each for itself.

    :param vendors: before each write to one of them the worker makes sure that it still holds the item.
    """

    def __init__(self, *, queue: WorkQueue, vendors: Collection[Vendor], clock: Clock) -> None:
        self._queue, self._vendors, self._clock = queue, vendors, clock

    def do(self, item: WorkItem, work: Callable[[], Result]) -> Result:
        """Do the work of one item.

        :param work: does it, and records what belongs together.
        :return: what it returned; why it waits; or None when another worker has taken it over.
        :raises LeverImochaError: it failed, and had not failed with the same error before.
        """
        try:
            with ExitStack() as guards:
                for vendor in self._vendors:
                    guards.enter_context(vendor.guarded(partial(self._queue.check_claim, item)))
                result = work()
        except ClaimLostError as error:
            log.warning("%s", error)
            return None
        except NotYet as wait:
            return self.wait(item, wait)
        except Exception as error:
            return self.fail(item, as_ours(error))
        self._queue.finish(item)
        return result

    def do_all(
        self, items: dict[Work, WorkItem], steps: Mapping[Work, Callable[..., Result]], *given: object
    ) -> Result:
        """Do the work of all items of one candidate in the order of the steps; one that fails holds up no other.

        :param items: is emptied; a step may add to it what is done by the steps after it.
        :param given: what each step is given beside its item.
        :return: what came of the first that had something to do.
        :raises LeverImochaError: what may concern everybody, or else what failed first; it had not failed with the same
            error before.
        """
        outcomes, failures = list[Result](), list[tuple[Work, LeverImochaError]]()
        for kind, work in steps.items():
            if (item := items.pop(kind, None)) is None:
                continue
            try:
                outcomes.append(self.do(item, partial(work, item, *given)))
            except LeverImochaError as error:
                if error.scope is not Scope.CANDIDATE:
                    failures.insert(0, (kind, error))
                    break
                failures.append((kind, error))
        for other in items.values():
            self._queue.release(other)
        raise_first(failures)
        return next((outcome for outcome in outcomes if outcome is not None), None)

    def wait(self, item: WorkItem, wait: NotYet) -> str:
        """Put an item off that cannot be done yet; return why."""
        self._give_back(item, wait.reason, wait.pause, failed=wait.failed)
        return f"waits: {wait.reason}"

    def fail(self, item: WorkItem, error: LeverImochaError) -> str:
        """Put an item off because its work failed.

        What concerns the whole account says nothing about this item: it is due again at once. What may concern it puts the
        item off, so that the others come first.

        :return: that it has failed again.
        :raises LeverImochaError: the error, if it is not known to be about this candidate alone, or new: a run fails for
            what failed newly only.
        """
        if error.scope is Scope.ACCOUNT:
            self._queue.release(item)
            raise error
        name = type(error).__name__
        refused = item.kind is Work.INVITE and isinstance(error, VendorRefusedError)
        transient = isinstance(error, ApiError) and error.is_transient
        pause = pause_after_failure(item.tries, refused=refused, transient=transient)
        if pause is not None and error.retry_after is not None:
            pause = max(pause, timedelta(seconds=error.retry_after))
        self._give_back(item, name, pause)
        error.is_known = item.error == name
        if not error.is_known or error.scope is Scope.UNCLEAR:
            raise error
        log.warning("opportunity %s: %s failed again: %s", item.opportunity_id, item.kind, error)
        return f"failed again: {name}"

    def stop_all(self, items: Iterable[WorkItem], error: Exception) -> str:
        """Put off all items that one error has stopped, or that cannot be done yet; like `do`."""
        outcome, raised = "", None
        for item in items:
            try:
                outcome = self.wait(item, error) if isinstance(error, NotYet) else self.fail(item, as_ours(error))
            except LeverImochaError as failure:
                raised = failure
        if raised is not None:
            raise raised
        return outcome

    def _give_back(self, item: WorkItem, reason: str, pause: timedelta | None, *, failed: bool = True) -> None:
        not_before = None if pause is None else self._clock() + pause
        self._queue.put_off(item, error=reason, not_before=not_before, failed=failed)
