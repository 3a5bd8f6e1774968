"""Tests the workflow with many random schedules of actions, faults, crashes and overlapping workers.

``python -m benchmarks.model --examples 500``: the state machine of tests/model, with new schedules each time.
A failure is printed as the shortest schedule that causes it.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
import time
from pathlib import Path

from lever_imocha.ledger.database import engine_for, upgrade

from dev import postgres
from tests.model.harness import open_harness
from tests.model.machine import play


def main() -> None:
    """Start PostgreSQL and the sandbox, run the schedules, stop them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model", description=__doc__)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--steps", type=int, default=50, help="of one example, at most")
    options = parser.parse_args()
    logging.disable()
    directory = Path(tempfile.mkdtemp(prefix="pg")) / "d"
    try:
        ledger = postgres.create_database(postgres.start(directory), "ledger_model")
        upgrade(engine_for(ledger))
        started = time.monotonic()
        with open_harness(ledger) as harness:
            count = play(harness, examples=options.examples, steps=options.steps, derandomize=False)
        took = time.monotonic() - started
        print(
            f"{count['examples']} examples, {count['steps']} steps, {took:.0f} s: {count['steps'] / took:.1f} steps/s;"
            " nothing lost, nothing twice"
        )
    finally:
        postgres.stop(directory)
        shutil.rmtree(directory.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
