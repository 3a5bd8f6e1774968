"""Checks of the ledger, of Airflow's DAGs, and of who else uses Lever's key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from lever_imocha.errors import LedgerError, LedgerVersionError, SettingsError
from lever_imocha.ledger.database import UPGRADE, Connections, connections
from lever_imocha.ledger.limiter import slowed_at
from lever_imocha.workflows.account import check_account
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.findings import Finding, error, ok, unknown, warning

DAGS = {
    "lever_imocha_invite": "nobody is invited",
    "lever_imocha_write_back": "no report is written back",
    "lever_imocha_retention": "what is no longer to be kept is not removed",
    "lever_imocha_compare": "nobody finds out whether somebody was missed",
    "lever_imocha_doctor": "nobody is told when something is wrong with the set-up",
}
"""The DAGs that have to be switched on, and what is so when they are not."""
_VITAL = ("lever_imocha_invite", "lever_imocha_write_back")

_A_PROCESS = 6
"""Connections that one more process of receivers may take."""
_RECENT = timedelta(days=1)


def judged_ledger(problem: LedgerError) -> Finding:
    """Say what keeps the ledger from being used."""
    if isinstance(problem, LedgerVersionError):
        return error(str(problem), f"lever_imocha_setup makes the tables (Save only, Activate), and so does {UPGRADE}")
    return error(str(problem), "Airflow, Connections > lever_imocha_ledger: correct it (docs/setup.md)")


def check_ledger(facts: Facts) -> Iterator[Finding]:
    """Look whether the ledger is there, and has this version's tables."""
    try:
        facts.engine.outcome()
    except LedgerError as problem:
        yield judged_ledger(problem)
        return
    yield ok("the ledger can be used")


def check_own_account(facts: Facts) -> Iterator[Finding]:
    """Look whether the ledger is this Lever account's."""
    try:
        check_account(facts.ledger(), [stage.id for stage in facts.stages()], remember=False)
    except SettingsError as problem:
        yield error(str(problem), "Airflow, Connections > lever_default: put back the key of the ledger's account")
        return
    yield ok("the ledger is this Lever account's")


def judged_connections(found: Connections) -> Finding:
    """Say whether PostgreSQL has connections left for another process of ours."""
    said = f"{found.used} of PostgreSQL's {found.allowed} connections are in use"
    if found.allowed - found.used >= 2 * _A_PROCESS:
        return ok(said)
    return warning(
        said, "postgresql.conf: raise max_connections; docs/runbook.md, Connections to PostgreSQL, counts them"
    )


def check_connections(facts: Facts) -> Iterator[Finding]:
    """Look whether PostgreSQL has connections left."""
    yield judged_connections(connections(facts.engine()))


def judged_paused(paused: Mapping[str, bool]) -> Iterator[Finding]:
    """Say which DAGs are paused; while they are, webhooks are kept and nothing else happens.

    :param paused: whether each of `DAGS` is; empty where Airflow cannot be asked.
    """
    if not paused:
        yield unknown("whether the DAGs are paused: Airflow can only be asked in a run of lever_imocha_doctor")
        return
    stopped = [dag for dag, is_paused in paused.items() if is_paused]
    for dag in stopped:
        level = error if dag in _VITAL else warning
        yield level(f"{dag} is paused: {DAGS[dag]}", f"Airflow, Dags: switch on {dag}")
    if not stopped:
        yield ok(f"switched on: {', '.join(paused)}")


def check_paused(facts: Facts) -> Iterator[Finding]:
    """Look whether the DAGs are paused."""
    yield from judged_paused(facts.sources.paused())


def judged_limit(vendor: str, slowed: datetime | None, now: datetime) -> Finding:
    """Say what a 429 means: we keep below the vendor's limit, so somebody else uses the key, too."""
    if slowed is None or now - slowed > _RECENT:
        return ok(f"{vendor} has not answered 429 in the last day")
    return warning(
        f"{vendor} answered 429 at {slowed:%Y-%m-%d %H:%M} UTC although we keep below its limit: another installation or"
        " program uses the same API key",
        f"give it a key of its own, or lower rate_limits.{vendor.lower()} in the settings",
    )


def check_limits(facts: Facts) -> Iterator[Finding]:
    """Look for a 429 in the last day."""
    found = slowed_at(facts.engine())
    yield from (judged_limit(vendor, found.get(vendor.lower()), facts.now()) for vendor in ("Lever", "iMocha"))
