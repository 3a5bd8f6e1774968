"""``python -m lever_imocha.settings_check [FILE]``: whom of the last arrivals other settings would have treated otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from lever_imocha.errors import LeverImochaError
from lever_imocha.hooks.ledger import ledger_engine
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import cut_at_comments, load_settings, read_text, settings_path
from lever_imocha.workflows.settings_change import SettingsChange, decide_anew


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 365), help="How far to look back.")
def main(file: Path | None, days: int) -> None:
    """Say which of the last arrivals the settings in FILE would have decided otherwise. Asks no vendor, changes nothing.

    FILE is a changed copy of the settings file; without it, the file that is used. Needs the ledger.
    """
    path = file or settings_path()
    try:
        since = datetime.now(UTC) - timedelta(days=days)
        settings = load_settings(path)
        found = decide_anew(Ledger(engine=ledger_engine()), settings, since=since)
    except LeverImochaError as error:
        raise click.ClickException(str(error)) from None
    for line in cut_at_comments(read_text(path)):
        click.echo(line)
    click.echo(f"{path.name}: the arrivals of the last {days} days")
    for line in _lines(found):
        click.echo(line)
    if found.differences:
        done = {"leave": "left alone", "adopt": "adopted", "invite": "invited"}[settings.activation.existing]
        click.echo(f"who is in a stage already when the settings come to ask for a test is {done}: activation.existing")


def _lines(found: SettingsChange) -> Iterator[str]:
    yield f"{found.same} would be decided as they were"
    for one in found.differences:
        ids = "; ".join(one.opportunity_ids)
        yield f"{len(one.opportunity_ids)} would be {one.would}, and were {one.was}: {ids}"
    if found.not_by_settings:
        yield f"{found.not_by_settings} are not up to the settings: moved on, taken before, dropped"
    if found.unknown:
        yield f"{found.unknown} came before the facts of a decision were kept: nothing can be told"
    yield from (f"not compared: {line}" for line in found.problems)


if __name__ == "__main__":
    main()
