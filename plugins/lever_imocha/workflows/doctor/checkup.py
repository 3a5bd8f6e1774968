"""The doctor: runs all checks, each for itself, and remembers the last table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from lever_imocha.errors import LeverImochaError, as_ours
from lever_imocha.ledger.cache import DOCTOR, POSTINGS
from lever_imocha.ledger.repository import Ledger
from lever_imocha.workflows.doctor import machine, messages, names, permissions, tests, vendors, writes
from lever_imocha.workflows.doctor.facts import Facts, UnknownFactError
from lever_imocha.workflows.doctor.findings import Finding, Level, as_json, error, from_json, of_level, unknown

Check = Callable[[Facts], Iterable[Finding]]

WRITES = "Lever permissions to write"
CHECKS: Mapping[str, Check] = {
    "settings file": names.check_settings,
    "ledger": machine.check_ledger,
    "Lever key": vendors.check_lever_key,
    "iMocha key": vendors.check_imocha_key,
    "Lever permissions": permissions.check_reads,
    "confidential": vendors.check_confidential,
    "applications": vendors.check_expand,
    "acting user": names.check_user,
    "stages, postings": names.check_names,
    "form template": names.check_templates,
    "iMocha permissions": vendors.check_imocha_calls,
    "tests": tests.check_list,
    "tags": tests.check_tags,
    "tests without tag": tests.check_untagged,
    "test links": tests.check_links,
    "webhooks": messages.check_webhooks,
    "sweeps": messages.check_sweeps,
    "webhook tokens": messages.check_tokens,
    "callbacks": messages.check_callbacks,
    "deliveries": messages.check_deliveries,
    "our address": messages.check_address,
    "alerts": messages.check_notifier,
    "account": machine.check_own_account,
    "clocks": vendors.check_clocks,
    "connections": machine.check_connections,
    "one key, one use": machine.check_limits,
    "DAGs": machine.check_paused,
}
"""What is wrong first is looked at first: the later checks need it."""


def examine(facts: Facts, *, ask_for_writes: bool = False, try_writes_on: str | None = None) -> list[Finding]:
    """Run all checks; only reads, unless the user lets writing be asked for or tried.

    :param ask_for_writes: whether each kind of write may be asked for on an opportunity that does not exist.
    :param try_writes_on: an opportunity on which the user lets the permissions for writing be tried.
    """
    checks = dict(CHECKS)
    if ask_for_writes:
        checks[WRITES] = writes.check_refused
    if try_writes_on:
        checks[WRITES] = partial(writes.check_writes, opportunity_id=try_writes_on)
    return [found for name, check in checks.items() for found in _run(name, check, facts)]


def _run(name: str, check: Check, facts: Facts) -> Iterator[Finding]:
    """Run one check; whatever goes wrong in it is its own line, and stops no other."""
    try:
        for finding in check(facts):
            yield replace(finding, check=name)
    except UnknownFactError as problem:
        yield replace(unknown(f"{problem.what} cannot be used, see the other lines"), check=name)
    except Exception as problem:
        ours: LeverImochaError = as_ours(problem)
        yield replace(error(ours.public_message, "correct that, and run the doctor again"), check=name)


class Change(StrEnum):
    """How a line of the table differs from the table before."""

    NEW = "new"
    WORSE = "worse"
    """It was a warning, and is an error now."""


@dataclass(frozen=True)
class Kept:
    """A table of the doctor's, as it was kept.

    :param at: when the checks were run.
    :param since: for what is wrong, when it was first found; as many as findings.
    :param before: when the checks were run the time before; None for the first time.
    :param gone: what was wrong then, and is not any more.
    """

    at: datetime
    findings: list[Finding]
    since: list[datetime]
    before: datetime | None = None
    gone: list[Finding] = field(default_factory=list)
    changes: list[Change | None] = field(default_factory=list)
    """How each finding differs from the table before; as many as findings."""


def keep(ledger: Ledger, findings: list[Finding], at: datetime) -> None:
    """Keep the table as the last one, with what has changed since the one before."""
    last = last_kept(ledger)
    before = last.findings if last else []
    since = {_key(one): first.isoformat() for one, first in zip(before, last.since, strict=True)} if last else {}
    changes = [_change(one, before) if last else None for one in findings]
    still = {_words(one) for one in findings}  # better, or worse
    gone = [one for one in _corrected(_wrong(before), findings) if _words(one) not in still]
    ledger.cache.put(
        DOCTOR,
        {
            "at": at.isoformat(), "findings": as_json(findings), "before": last.at.isoformat() if last else None,
            "since": [since.get(_key(one), at.isoformat()) for one in findings], "changes": changes,
            "gone": as_json(gone),
        },
    )  # fmt: skip


def keep_names(ledger: Ledger, facts: Facts) -> None:
    """Keep the names of the postings that the checks have read, for the console; those that are gone stay known."""
    with suppress(UnknownFactError):
        known = (ledger.cache.get(POSTINGS) or {}).get("names", {})
        ledger.cache.put(POSTINGS, {"names": known | {posting.id: posting.text for posting in facts.postings()}})


def last_kept(ledger: Ledger) -> Kept | None:
    """Return the last table; None if there is none yet."""
    kept = ledger.cache.get(DOCTOR)
    return kept_table(kept) if kept else None


def kept_table(kept: Mapping[str, Any]) -> Kept:
    """Read a table that `keep` has kept."""
    at, findings = datetime.fromisoformat(kept["at"]), from_json(kept["findings"])
    if "since" not in kept:  # as 0.2.0 kept it first
        return Kept(at, findings, [at] * len(findings), changes=[None] * len(findings))
    return Kept(
        at,
        findings,
        since=[datetime.fromisoformat(first) for first in kept["since"]],
        before=datetime.fromisoformat(kept["before"]) if kept["before"] else None,
        gone=from_json(kept["gone"]),
        changes=[Change(change) if change else None for change in kept["changes"]],
    )


def _change(finding: Finding, before: Iterable[Finding]) -> Change | None:
    """Tell how something that is wrong differs from the table before; None when it is the same, or not wrong."""
    if finding.level not in (Level.WARNING, Level.ERROR):
        return None
    same = [old for old in before if _words(old) == _words(finding)]
    if any(old.level is finding.level for old in same):
        return None
    if finding.level is Level.ERROR and any(old.level is Level.WARNING for old in same):
        return Change.WORSE
    return Change.NEW


def _corrected(old: Mapping[str, Finding], now: Sequence[Finding]) -> list[Finding]:
    """Return what was wrong and is not any more; what could not be looked at now is not known to be corrected."""
    looked_at = {finding.check for finding in now if finding.level is not Level.UNKNOWN}
    new = _wrong(now)
    return [finding for key, finding in old.items() if key not in new and finding.check in looked_at]


def _wrong(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {_key(finding): finding for finding in of_level(findings, Level.ERROR, Level.WARNING)}


def _key(finding: Finding) -> str:
    return re.sub(r"\d+", "", finding.line)


def _words(finding: Finding) -> tuple[str, str]:
    return finding.check, re.sub(r"\d+", "", finding.found)
