"""Every page of the console on a ledger with 100,000 assessments and a million events: how long, and how many statements.

``python -m benchmarks.console``: about a minute. Calls each page through the application, without Airflow's server
around it, and, where there is a Chromium, says when it first paints. Exits 1 when a page takes longer than 100 ms at the
95th percentile, or a first paint longer than a second. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from statistics import quantiles

from fastapi import Request
from fastapi.testclient import TestClient
from lever_imocha.console.app import create_app
from lever_imocha.console.rights import Viewer
from lever_imocha.ledger.cache import NAMES, TESTS
from lever_imocha.ledger.database import engine_for, upgrade
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.routing import Mount

from benchmarks.ledger_million import recorded
from benchmarks.ledger_rows import Rows, fill
from dev import postgres
from dev.environment import RUN
from include.sandbox.server import serve

LIMIT, PAINT_LIMIT = 0.1, 1.0
BASE = "/lever-imocha/console"
_MORE_EVENTS = """
    INSERT INTO lever_imocha.events (at, kind, opportunity_id, invitation_id, test_id)
    SELECT at + nth * interval '1 minute', more, opportunity_id, invitation_id, test_id
    FROM unnest(ARRAY['form_done', 'file_done', 'note_done', 'held', 'status_in_progress'])
             WITH ORDINALITY AS given (more, nth), lever_imocha.events old
    WHERE old.kind = 'invited'
"""


def pages(rows: Rows) -> Iterator[str]:
    """Return the address of each page, with the filters that people use."""
    day = f"{rows.now - timedelta(days=30):%Y-%m-%d}"
    yield from ("/", "/?kind=parked&why=RequestRejectedError", "/people", f"/people?after={day}T00:00:00Z~1")
    yield from (
        f"/people?standing={word}" for word in ("needs+you", "we+are+working", "waiting+for+the+candidate", "done")
    )
    yield from (
        "/people?q=number+77",
        "/people?q=cand",
        "/people?test=101",
        f"/people?entered_from={day}&standing=done",
    )
    yield from (f"/people/{rows.key(rows.written[-1])}", "/flow?weeks=4", "/flow?weeks=52", "/traffic", "/health")


def application(engine: Engine) -> Starlette:
    """Return the console where Airflow mounts it, for somebody who may do everything."""

    async def viewer(_request: Request) -> Viewer:
        return Viewer(name="benchmark", may_act=True, may_see_names=True)

    ledger = Ledger(engine=engine)
    return Starlette(routes=[Mount(BASE, create_app(open_ledger=lambda **_: ledger, viewer=viewer))])


def first_paints(app: Starlette, paths: list[str]) -> dict[str, float]:
    """Return after how many seconds Chromium paints each page; nothing without a Chromium."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        return {}
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    found = {}
    with serve(app) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        tab = browser.new_page(bypass_csp=True)  # the page allows no script but its own files, so none of ours
        for path in paths:
            tab.goto(f"{url}{BASE}{path}")
            tab.wait_for_function(f"{paint} !== undefined")
            found[path] = float(tab.evaluate(paint)) / 1000
        browser.close()
    return found


def _timed(client: TestClient, path: str) -> float:
    begin = time.perf_counter()
    client.get(BASE + path)
    return time.perf_counter() - begin


def main() -> None:
    """Run on a ledger of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--opportunities", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    rows = Rows(options.opportunities)
    base_url = postgres.start(RUN / "postgres")
    postgres.drop_database(base_url, "console")
    engine = engine_for(postgres.create_database(base_url, "console"))
    console, table, slow = Console(width=120), Table(), list[str]()
    for name in ("page", "statements", "p50 ms", "p95 ms", "first paint ms"):
        table.add_column(name, justify="left" if name == "page" else "right")
    try:
        upgrade(engine)
        fill(engine_for(postgres.superuser_url(base_url, "console")), rows)
        with engine.begin() as connection:
            connection.execute(text(_MORE_EVENTS))
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))
            count = connection.scalar(text(f"SELECT count(*) FROM {SCHEMA}.events"))  # noqa: S608
        Ledger(engine=engine).cache.put(TESTS, {"names": {"101": "Python Developer"}})
        Ledger(engine=engine).cache.put(NAMES, {"stages": {"Assessment": ["lead-new"]}})
        console.print(f"{rows.count:,} assessments, {count:,} events")
        app = application(engine)
        client, paths = TestClient(app, headers={"Accept": "text/html"}), list(pages(rows))
        paints = first_paints(app, paths)
        for path in paths:
            with recorded(engine) as statements:
                client.get(BASE + path).raise_for_status()
            times = [_timed(client, path) for _ in range(options.rounds)]
            p50, p95 = (quantiles(times, n=20)[at] for at in (9, 18))
            paint = paints.get(path, 0)
            if p95 > LIMIT or paint > PAINT_LIMIT:
                slow.append(path)
            table.add_row(
                path, str(len(statements)), *(f"{seconds * 1000:.0f}" for seconds in (p50, p95, paint)),
                style="bold red" if path in slow else None,
            )  # fmt: skip
    finally:
        engine.dispose()
        postgres.drop_database(base_url, "console")
        postgres.stop(RUN / "postgres")
    console.print(table)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
