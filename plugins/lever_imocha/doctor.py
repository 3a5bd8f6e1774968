"""``python -m lever_imocha.doctor``: checks whether everything is set up, and prints a table; 1 when something is wrong."""

from __future__ import annotations

import logging
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lever_imocha.runtime.doctor import facts_of
from lever_imocha.workflows.doctor.checkup import examine
from lever_imocha.workflows.doctor.findings import Finding, Level, of_level

_COLOURS = {Level.OK: "green", Level.UNKNOWN: "dim", Level.WARNING: "yellow", Level.ERROR: "bold red"}


@click.command()
@click.option(
    "--try-writes-on",
    metavar="OPPORTUNITY",
    help="Also try the permissions for writing, on the opportunity of this id; nothing is left there.",
)
def main(try_writes_on: str | None) -> None:
    """Check keys, permissions, names, tags, webhooks, ledger and clocks, and say what to do. Changes nothing."""
    logging.disable(logging.ERROR)  # the table says it all
    findings = examine(facts_of(), try_writes_on=try_writes_on)
    Console().print(table_of(findings))
    sys.exit(1 if of_level(findings, Level.ERROR) else 0)


def table_of(findings: list[Finding]) -> Table:
    """Return the findings as a table."""
    table = Table("check", "state", "found", "what to do", show_lines=True)
    for finding in findings:
        cells = (finding.check, Text(finding.level, style=_COLOURS[finding.level]), finding.found, finding.fix)
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))
    return table


if __name__ == "__main__":
    main()
