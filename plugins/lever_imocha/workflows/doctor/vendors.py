"""Checks of the two keys, and of what Lever shows to ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from lever_imocha.domain.hosts import IMOCHA_API, LEVER_API
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import (
    CredentialsError,
    LeverImochaError,
    NotFoundError,
    NotPermittedError,
    SettingsError,
    UnexpectedAnswerError,
)
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.findings import Finding, error, ok, unknown, warning
from lever_imocha.workflows.doctor.permissions import (
    CONFIDENTIAL,
    GET_APPLICATION,
    KEYS,
    LIST_APPLICATIONS,
    known_or_none,
    tried,
)

_CLOCK = timedelta(minutes=1)


def _page(vendor: str) -> str:
    return f"Airflow, Connections > {vendor.lower()}_default"


def judged_key(vendor: str, problem: Exception | None, *, where: str, address: str) -> Finding:
    """Say what the outcome of a small call means for a key.

    :param problem: what it raised; None if nothing.
    :param where: keys are made.
    :param address: of the vendor's API.
    """
    connection = f"connection {vendor.lower()}_default"
    page = _page(vendor)
    if problem is None:
        return ok(f"{vendor} accepts the API key")
    if isinstance(problem, CredentialsError):
        return error(
            f"{vendor} does not accept the API key of {connection}",
            f"{where}: copy the key; {page}: put it into API key",
        )
    if isinstance(problem, NotFoundError | UnexpectedAnswerError):
        return error(
            f"what answers at the host of {connection} is not {vendor}'s API",
            f"{page}: correct Base URL; it is {address}",
        )
    if isinstance(problem, SettingsError):
        return error(problem.public_message, f"{page}: make it, or correct it (docs/setup.md)")
    if isinstance(problem, LeverImochaError):
        return error(problem.public_message, f"{page}: look at Base URL; or try again when {vendor} answers")
    raise problem


def check_lever_key(facts: Facts) -> Iterator[Finding]:
    """Try Lever's key."""
    yield judged_key("Lever", tried(facts.lever.outcome), where=KEYS, address=LEVER_API)


def check_imocha_key(facts: Facts) -> Iterator[Finding]:
    """Try iMocha's key."""
    yield judged_key("iMocha", tried(facts.imocha.outcome), where="iMocha, Integrations > API", address=IMOCHA_API)


def check_imocha_calls(facts: Facts) -> Iterator[Finding]:
    """Try the lists that are read at iMocha, each by its name in iMocha's documentation (imocha.md 4, 6.4)."""
    imocha, now = facts.imocha(), facts.now()
    ended = partial(imocha.list_attempts, state="completed", start_at=now - timedelta(hours=1), end_at=now)
    calls: dict[str, tuple[str, Callable[[], object]]] = {
        "List all tests": ("nobody is invited", facts.tests.outcome),
        "Retrieve Invites": ("reports are found only where iMocha calls back", ended),
    }
    tests = known_or_none(facts.tests)
    if tests and tests.listed:
        links = partial(imocha.list_test_links, tests.listed[0].id)
        calls["List all test links"] = ("rules with a link invite nobody", links)
    refused = {name: use for name, (use, call) in calls.items() if isinstance(tried(call), NotPermittedError)}
    for name, use in refused.items():
        yield error(
            f"iMocha does not let the API key call {name!r}: {use}",
            f"ask iMocha for a key that may call it; {_page('iMocha')}: put it into API key",
        )
    if len(refused) < len(calls):
        yield ok(f"the API key may call {', '.join(name for name in calls if name not in refused)}")


def judged_expand(opportunities: Sequence[Opportunity], *, rules_need_it: bool) -> Finding:
    """Say whether applications are expanded: with bare ids no rule with postings can be judged (lever.md 1.3)."""
    if any(opportunity.posting_ids for opportunity in opportunities):
        return ok("Lever says which postings candidates applied to")
    if not any(opportunity.applications for opportunity in opportunities):
        return unknown("whether Lever expands applications: no active candidate has one")
    lacking = f"{GET_APPLICATION.name} and {LIST_APPLICATIONS.name}"
    level = error if rules_need_it else warning
    return level(
        "Lever gives applications as bare ids: who has applied waits where a rule has postings",
        f"{KEYS}: make a new key with {lacking} as well",
    )


def check_expand(facts: Facts) -> Iterator[Finding]:
    """Look whether `expand=applications` expands."""
    settings = known_or_none(facts.settings)
    needed = settings is not None and any(rule.postings for rule in settings.rules)
    yield judged_expand(facts.opportunities(), rules_need_it=needed)


def check_confidential(facts: Facts) -> Iterator[Finding]:
    """Look whether the key sees what is confidential: without access it is missing, silently (lever.md 1.4)."""
    facts.opportunities()  # without it nothing about confidential ones can be told
    refused = isinstance(tried(facts.confidential.outcome), NotPermittedError)
    if not refused and facts.confidential():
        yield ok("the API key sees what is confidential")
    else:
        yield warning(
            "the API key sees no confidential opportunity or posting: there is none, or it has no access and their candidates"
            " are never invited",
            f"{KEYS}: if you have confidential ones, make a new key with {CONFIDENTIAL}; lever_imocha_doctor with Try"
            " writing on one of them tells",
        )


def judged_clock(vendor: str, ahead: timedelta, *, max_ahead: timedelta) -> Finding:
    """Say what it means that a vendor's clock is ahead of ours, or behind."""
    seconds = round(ahead.total_seconds())
    if abs(ahead) <= _CLOCK:
        return ok(f"{vendor}'s clock and ours agree")
    found = f"our clock is {abs(seconds)} s {'behind' if seconds > 0 else 'ahead of'} {vendor}'s"
    fix = "set the clock of Airflow's machines by a time server (NTP)"
    if vendor == "Lever" and ahead > max_ahead:
        return error(f"{found}: its webhooks are refused", fix)
    return warning(found, fix)


def check_clocks(facts: Facts) -> Iterator[Finding]:
    """Compare our clock with the vendors'."""
    settings = known_or_none(facts.settings)
    max_ahead = settings.webhooks.max_ahead if settings else timedelta(minutes=10)
    clocks = facts.sources.clocks()
    yield from (judged_clock(vendor, ahead, max_ahead=max_ahead) for vendor, ahead in clocks.items())
    if not clocks:
        yield unknown("no vendor has answered with its time")
