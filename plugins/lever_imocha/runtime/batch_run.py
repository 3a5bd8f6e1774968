"""Works through a batch of candidates: goes on past one that fails, and fails at the end with those that did."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from lever_imocha.domain.decisions import Outcome
from lever_imocha.errors import CircuitBreaker, LeverImochaError, WorkFailedError, as_ours

log = logging.getLogger(__name__)


def run_batch(
    opportunity_ids: Iterable[str],
    work: Callable[[str], Outcome | str | None],
    *,
    newest: Callable[[datetime], str | None] = lambda since: None,
) -> dict[str, int]:
    """Work on each candidate and count the outcomes.

    :param work: does the work on one opportunity and says what came of it.
    :param newest: who came last, after a time, and waits. Before each candidate of the batch, one who came since the
        batch began is worked on: who comes alone during a burst does not wait for its end.
    :raises WorkFailedError: some failed; the others are done.
    :raises LeverImochaError: what would fail for all of them, see `CircuitBreaker`, at once.
    """
    outcomes: dict[str, int] = {}
    failures: dict[str, LeverImochaError] = {}
    breaker = CircuitBreaker()
    for opportunity_id in _in_turn(opportunity_ids, newest):
        try:
            outcome: Outcome | str = work(opportunity_id) or "nothing to do"
        except Exception as failure:
            error = as_ours(failure)
            if breaker.trips(error):
                raise error from None
            log.error("opportunity %s: %s", opportunity_id, error)
            if not error.is_known:
                failures[opportunity_id] = error
            outcome = "failed again" if error.is_known else "failed"
        else:
            breaker.reset()
            log.info("opportunity %s: %s", opportunity_id, outcome)
        kind = str(outcome.action) if isinstance(outcome, Outcome) else outcome.partition(":")[0]
        outcomes[kind] = outcomes.get(kind, 0) + 1
    if failures:
        raise WorkFailedError(failures)
    return outcomes


def _in_turn(opportunity_ids: Iterable[str], newest: Callable[[datetime], str | None]) -> Iterator[str]:
    began, newcomers = datetime.now(UTC), set[str]()
    for opportunity_id in opportunity_ids:
        newcomer = newest(began)
        if newcomer is not None and newcomer not in newcomers:
            newcomers.add(newcomer)
            yield newcomer
        if opportunity_id not in newcomers:
            yield opportunity_id
