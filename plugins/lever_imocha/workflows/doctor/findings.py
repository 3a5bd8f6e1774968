"""What a check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    UNKNOWN = "not known"
    """It could not be looked at; the line of the check that says why has its own level."""
    WARNING = "warning"
    """Candidates are invited and reports written, but slower, or not all of them."""
    ERROR = "error"
    """Somebody is not invited, or some report not written."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    :param found: what is so, without personal data.
    :param fix: what to do, in the words of the page where it is done; empty when there is nothing to do.
    :param check: the check's name.
    """

    level: Level
    found: str
    fix: str = ""
    check: str = ""

    @property
    def line(self) -> str:
        """The finding as one line."""
        return " -> ".join(filter(None, (f"{self.check}: {self.level}: {self.found}", self.fix)))


def ok(found: str) -> Finding:
    """Make the finding that something is as it should be."""
    return Finding(Level.OK, found)


def unknown(found: str, fix: str = "") -> Finding:
    """Make the finding that something cannot be told."""
    return Finding(Level.UNKNOWN, found, fix)


def warning(found: str, fix: str) -> Finding:
    """Make the finding of something that does harm, but stops nobody."""
    return Finding(Level.WARNING, found, fix)


def error(found: str, fix: str) -> Finding:
    """Make the finding of something that stops somebody."""
    return Finding(Level.ERROR, found, fix)


def of_level(findings: Iterable[Finding], *levels: Level) -> list[Finding]:
    """Return the findings of some levels."""
    return [finding for finding in findings if finding.level in levels]


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as they are kept in the ledger."""
    return [asdict(finding) for finding in findings]


def from_json(rows: Iterable[dict[str, Any]]) -> list[Finding]:
    """Read findings that `as_json` has written."""
    return [Finding(**(row | {"level": Level(row["level"])})) for row in rows]
