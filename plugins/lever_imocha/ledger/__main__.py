"""``python -m lever_imocha.ledger upgrade | check | queue | release | drop | forget | moved | evidence``: the ledger named by LEVER_IMOCHA_LEDGER."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable

from sqlalchemy import Engine

from lever_imocha.errors import LedgerError, LeverImochaError
from lever_imocha.ledger.base import Author
from lever_imocha.ledger.cache import ACCOUNT_KEYS
from lever_imocha.ledger.database import LEDGER_VARIABLE, check_schema, engine_for, upgrade
from lever_imocha.ledger.evidence import as_json
from lever_imocha.ledger.repository import Ledger


def main() -> int:
    """Run one command; 0 when it is done and the ledger is ready."""
    options = _parser().parse_args()
    try:
        if LEDGER_VARIABLE not in os.environ:
            raise LedgerError(f"Set {LEDGER_VARIABLE} to the ledger's address, postgresql://user@host/name.")
        engine = engine_for(os.environ[LEDGER_VARIABLE])
        if options.command == "upgrade":
            upgrade(engine)
        check_schema(engine)
        sys.stdout.writelines(f"{line}\n" for line in _output(options, _ledger(engine)))
    except LeverImochaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lever_imocha.ledger", description="Look after the ledger.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("upgrade", help="bring its tables to this version")
    commands.add_parser("check", help="say whether it can be used")
    commands.add_parser("queue", help="list what is to be done, waits or is parked")
    release = commands.add_parser("release", help="have the work about opportunities tried again now")
    release.add_argument("opportunity", nargs="*", help="Lever's ids; without any, all that is parked")
    drop = commands.add_parser("drop", help="do not mask deleted opportunities at iMocha")
    drop.add_argument("opportunity", nargs="+", help="Lever's ids")
    forget = commands.add_parser("forget", help="erase everything about one opportunity, and print a receipt")
    forget.add_argument("opportunity", help="Lever's id")
    forget.add_argument("--dry-run", action="store_true", help="show what would be erased")
    forget.add_argument("--even-if-open", action="store_true", help="although it is invited, or its report unwritten")
    evidence = commands.add_parser("evidence", help="print all that is known of one opportunity, verified, as JSON")
    evidence.add_argument("opportunity", help="Lever's id")
    commands.add_parser("moved", help="say that the connections' Lever or iMocha account has changed")
    return parser


def _ledger(engine: Engine) -> Ledger:
    """Return the ledger; what is done to it is of the person who types."""
    try:
        actor: str | None = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        actor = None
    return Ledger(engine=engine, author=Author(source="command", actor=actor))


def _told(ledger: Ledger, kind: str, act: Callable[[list[str]], int], opportunity_ids: list[str]) -> int:
    """Do something about opportunities, and tell it to the timeline of those it was possible for; return how many rows."""
    done = {key: act([key]) for key in opportunity_ids}
    for key in (key for key, count in done.items() if count):
        ledger.events.record(kind, opportunity_id=key)
    return sum(done.values())


def _output(options: argparse.Namespace, ledger: Ledger) -> list[str]:
    if options.command == "queue":
        return [str(item) for item in ledger.queue.listed()]
    if options.command == "release":
        release, named = ledger.queue.release_waiting, options.opportunity
        return [f"{_told(ledger, 'released', release, named) if named else release([])} released."]
    if options.command == "drop":
        dropped = _told(ledger, "masking_dropped", ledger.queue.drop_masking, options.opportunity)
        return [f"{dropped} will not be masked; release takes it back."]
    if options.command == "forget":
        given = {"even_if_open": options.even_if_open, "dry_run": options.dry_run}
        rows = ledger.erasure.forget(options.opportunity, **given)
        return [f"{name}: {count}" for name, count in rows.items()] or ["Nothing is known of it."]
    if options.command == "evidence":
        known = ledger.evidence.of(options.opportunity)
        if known is None:
            raise LedgerError("Nothing is known of this id: it was never seen in a trigger stage, or is forgotten.")
        return [as_json(known).rstrip()]
    if options.command == "moved":
        ledger.cache.drop(*ACCOUNT_KEYS)
        return ["The next run takes the connections' accounts for the ledger's own."]
    return ["The ledger is ready."]


if __name__ == "__main__":
    sys.exit(main())
