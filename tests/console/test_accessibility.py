"""Each page by the rules of axe, in both themes, in a wide and in a narrow window; and what the browser has to say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.comparison import CompareWorkflow
from lever_imocha.workflows.doctor.checkup import keep
from lever_imocha.workflows.doctor.findings import Finding, Level
from playwright.sync_api import Browser

from tests.console.conftest import CONSOLE, LogIn
from tests.support import PYTHON, SQL, at_once
from tests.workflows.conftest import SETTINGS, Stack

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("airflow")]

PAGES = ["/", "/people", "/flow", "/traffic", "/health", "/people?standing=none"]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_from_reading_a_page(
    chromium: Browser, address: str, login: LogIn, stack: Stack, ledger_url: str, width: int, scheme: str
) -> None:
    opportunity = _everything(stack, ledger_url)
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    context.add_cookies([{"name": "_token", "value": login("eve").cookies["_token"], "url": address}])
    tab, complaints = context.new_page(), list[str]()
    tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    found = {}
    for page in (*PAGES, f"/people/{opportunity}"):
        tab.goto(f"{address}{CONSOLE}{page}")
        for details in tab.locator("details").all():
            details.evaluate("element => element.open = true")
        response = Axe().run(tab).response
        violations = response["violations"]
        assert "color-contrast" in {one["id"] for one in response["passes"]}
        found[page] = [
            f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
            for one in violations
            for node in one["nodes"]
        ]
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page
        for chart in tab.locator("canvas").all():
            table = tab.locator(f"#{chart.get_attribute('data-chart')}")
            assert table.locator("tbody tr").count() > 0
            assert chart.get_attribute("aria-label")
    context.close()
    assert {page: lines for page, lines in found.items() if lines} == {}
    assert [line for line in complaints if "400 (Bad Request)" not in line] == []


def _everything(stack: Stack, ledger_url: str) -> str:
    """Have something of every kind on the pages; return who has a timeline."""
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 3}}")
    taken = stack.candidate(PYTHON, name="Ada Lovelace")
    stack.candidate(SQL, name="Grace Hopper")
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.candidate(PYTHON, emails=[])
    stack.candidate("iMocha: Gone [999]")
    stack.candidate(PYTHON)
    stack.candidate(PYTHON, SQL)
    stack.run_invite()
    stack.fault(vendor="imocha", path_contains="/invite", status=400, times=5)
    failing = stack.candidate(SQL)
    stack.settings = parse_settings(SETTINGS)
    with pytest.raises(Exception, match="400"):
        stack.run_invite()
    ledger: Ledger = stack.ledger
    ledger.deliveries.record(NewDelivery(vendor="lever", key="k", event="candidateStageChange", opportunity_id=failing))
    limiter = SharedLimiter(engine=engine_for(ledger_url), name="imocha", rate=10, sleep=at_once)
    limiter.note_answer("invite", 400)
    limiter.acquire()
    CompareWorkflow(lever=stack.lever, imocha=stack.imocha, ledger=ledger, settings=stack.settings).run()
    for level in (Level.WARNING, Level.ERROR):
        keep(ledger, [Finding(level, "a key lacks a right", "make a new key", check="Lever key")], datetime.now(UTC))
    return taken
