"""The doctor: runs all checks, each for itself, and remembers the last table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from lever_imocha.errors import LeverImochaError, as_ours
from lever_imocha.ledger.repository import Ledger
from lever_imocha.workflows.doctor import machine, messages, names, permissions, tests, vendors, writes
from lever_imocha.workflows.doctor.facts import Facts, UnknownFactError
from lever_imocha.workflows.doctor.findings import Finding, Level, as_json, error, from_json, of_level, unknown

Check = Callable[[Facts], Iterable[Finding]]

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
    "tests": tests.check_list,
    "tags": tests.check_tags,
    "tests without tag": tests.check_untagged,
    "test links": tests.check_links,
    "webhooks": messages.check_webhooks,
    "webhook tokens": messages.check_tokens,
    "callbacks": messages.check_callbacks,
    "deliveries": messages.check_deliveries,
    "our address": messages.check_address,
    "account": machine.check_own_account,
    "clocks": vendors.check_clocks,
    "connections": machine.check_connections,
    "one key, one use": machine.check_limits,
    "DAGs": machine.check_paused,
}
"""What is wrong first is looked at first: the later checks need it."""

_KEPT = "doctor"


def examine(facts: Facts, *, try_writes_on: str | None = None) -> list[Finding]:
    """Run all checks; reads only, unless writing is to be tried.

    :param try_writes_on: an opportunity on which the user lets the permissions for writing be tried.
    """
    checks = dict(CHECKS)
    if try_writes_on:
        checks["Lever permissions to write"] = partial(writes.check_writes, opportunity_id=try_writes_on)
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
        yield replace(error(ours.public_message, "mend that, and run the doctor again"), check=name)


@dataclass(frozen=True)
class Kept:
    """A table of the doctor's, as it was kept.

    :param at: when the checks were run.
    """

    at: datetime
    findings: list[Finding]


def keep(ledger: Ledger, findings: list[Finding], at: datetime) -> None:
    """Keep the table as the last one."""
    ledger.cache.put(_KEPT, {"at": at.isoformat(), "findings": as_json(findings)})


def last_kept(ledger: Ledger) -> Kept | None:
    """Return the last table; None if there is none yet."""
    kept = ledger.cache.get(_KEPT)
    return Kept(datetime.fromisoformat(kept["at"]), from_json(kept["findings"])) if kept else None


def news(before: Sequence[Finding], now: Sequence[Finding]) -> str | None:
    """Return what somebody has to be told: what is newly wrong, what is mended, and that all is well again.

    :return: None when nothing changed; a number or a time in a line is no change.
    """
    old, new = _wrong(before), _wrong(now)
    lines = [f"new: {new[key].line}" for key in new if key not in old]
    looked_at = {finding.check for finding in now if finding.level is not Level.UNKNOWN}
    lines += [f"mended: {old[key].line}" for key in old if key not in new and old[key].check in looked_at]
    if not lines:
        return None
    if of_level(old.values(), Level.ERROR) and not of_level(new.values(), Level.ERROR):
        lines.append("nothing stops anybody any more")
    return f"doctor: {'; '.join(lines)}"


def _wrong(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {re.sub(r"\d+", "", finding.line): finding for finding in of_level(findings, Level.ERROR, Level.WARNING)}
