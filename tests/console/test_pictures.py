"""The pictures of docs/console.md, from a story of some weeks.

``PICTURES=docs .venv/bin/pytest -n 0 -m "" tests/console/test_pictures.py`` takes them anew.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.watermarks import ACTIVATED
from playwright.sync_api import Frame, Page, expect

from tests.console.conftest import OpenPage
from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("airflow")]

MAX_BYTES = 80 * 1024
FIRST = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia"]
LAST = ["Lima", "Meyer", "Okoye", "Silva", "Tanaka"]


@pytest.fixture
def story(stack: Stack, ledger_url: str) -> str:
    """Five weeks of candidates; return one who waits for the second e-mail."""
    world = stack.world
    world.shift, stack.clock = timedelta(days=-35), world.now
    stack.ledger = Ledger(engine=engine_for(ledger_url), clock=world.now)
    stack.ledger.watermarks.put(ACTIVATED, world.now())
    names = (f"{first} {last}" for last in LAST * 2 for first in FIRST)
    for number in (5, 9, 7, 11, 8):
        people = [stack.candidate(*((PYTHON, SQL) if one % 4 else (SQL,)), name=next(names)) for one in range(number)]
        stack.run_invite(full=True)
        world.shift += timedelta(hours=30)
        for invitation in list(world.invitations.values())[: -number // 3]:
            if invitation.state == "Pending":
                world.finish(invitation, "Complete")
        stack.run_write_back()
        for opportunity in people[-number // 3 :]:
            world.archive(opportunity, "Withdrew")
        stack.run_invite(full=True)
        world.shift += timedelta(days=5, hours=18)
    world.shift = timedelta(hours=-20)
    waits = stack.candidate(PYTHON, name="Robin Rivera")
    for name in ("Mo Morgan", "Nat Novak"):
        stack.candidate(PYTHON, name=name, emails=[])
    stack.candidate("iMocha: Retired test [999]", name="Uma Usman")
    stack.run_invite(full=True)
    world.shift = timedelta(0)
    stack.ledger.assessments.send_again(waits)
    stack.run_invite(sweep=False)
    return waits


def take(tab: Page, frame: Frame, name: str, tmp_path: Path) -> None:
    path = Path(os.environ.get("PICTURES") or tmp_path) / f"console-{name}.png"
    tab.screenshot(path=path)
    assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert 10 * 1024 < path.stat().st_size < MAX_BYTES, name


def test_the_pictures_of_the_pages_are_small_and_nothing_sticks_out(
    open_page: OpenPage, story: str, tmp_path: Path
) -> None:
    tab, frame = open_page("eve", viewport={"width": 1080, "height": 520})
    act = frame.locator("details.act", has_text="Look again now: all 2")
    act.locator("summary").click()
    act.locator("input[name=reason]").fill("the addresses are there now")
    take(tab, frame, "attention", tmp_path)
    tab, frame = open_page("eve", "flow", viewport={"width": 1080, "height": 700})
    expect(frame.locator("#weeks tbody tr").last).to_be_visible()
    take(tab, frame, "flow", tmp_path)
    tab, frame = open_page("eve", f"people/{story}", viewport={"width": 1080, "height": 500}, color_scheme="dark")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    expect(frame.locator("section", has_text="If the candidate got no e-mail")).to_contain_text("2 e-mails")
    take(tab, frame, "person", tmp_path)


def test_the_picture_of_a_test_link(open_page: OpenPage, stack: Stack, tmp_path: Path) -> None:
    opportunity = stack.candidate(PYTHON, name="Robin Rivera")
    stack.run_invite()
    stack.invitation().url = "https://test.imocha.io/IMInstructions?sandbox"
    tab, frame = open_page("eve", f"people/{opportunity}", viewport={"width": 1080, "height": 560})
    act = frame.locator("details.act", has=frame.locator("summary", has_text="Send the e-mail again"))
    act.locator("summary").click()
    act.locator("input[name=reason]").fill("no e-mail came")
    act.locator("input[type=checkbox]").check()
    act.locator("button").first.click()
    expect(frame.locator(".link [role=status]")).not_to_be_empty()
    stack.run_invite(sweep=False)
    expect(frame.locator(".link input")).to_be_visible()
    act.evaluate("element => element.scrollIntoView()")
    take(tab, frame, "link", tmp_path)
