"""Working through a slice: on past a failing candidate, failing at the end with the names of those that did."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from lever_imocha.domain.decisions import Outcome
from lever_imocha.errors import CredentialsError, LedgerError, LeverImochaError, SettingsError, WorkFailedError

log = logging.getLogger(__name__)


def run_batch(items: Iterable[tuple[str, Callable[[], Outcome | str | None]]]) -> dict[str, int]:
    """Do each piece of work and count the outcomes.

    :param items: an opportunity id and what to do about it.
    :raises WorkFailedError: some failed; the others are done.
    :raises LeverImochaError: what would fail for all of them (key, settings, ledger), at once.
    """
    outcomes: dict[str, int] = {}
    failures: dict[str, LeverImochaError] = {}
    for opportunity_id, act in items:
        try:
            outcome: Outcome | str = act() or "nothing to do"
        except (CredentialsError, SettingsError, LedgerError):
            raise
        except LeverImochaError as error:
            log.error("opportunity %s: %s", opportunity_id, error)
            failures[opportunity_id] = error
            outcome = "failed"
        else:
            log.info("opportunity %s: %s", opportunity_id, outcome)
        kind = str(outcome.action) if isinstance(outcome, Outcome) else outcome
        outcomes[kind] = outcomes.get(kind, 0) + 1
    if failures:
        raise WorkFailedError(failures)
    return outcomes
