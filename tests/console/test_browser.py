"""The console in Airflow's own page, in a real browser: Chromium, without a window."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from lever_imocha.console import app as console
from lever_imocha.ledger.base import Author
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import CANDIDATE_WORK, NewDelivery
from lever_imocha.settings import parse_settings
from playwright.sync_api import Browser, Frame, FrameLocator, Locator, Page, expect
from playwright.sync_api import Error as PlaywrightError
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from include.sandbox.server import serve
from tests.airflow_versions import read_dags, synced
from tests.console.conftest import CONSOLE, LogIn, OpenPage
from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("airflow")]
PAGES = {"": "Attention", "people": "People", "flow": "Flow", "traffic": "Traffic", "health": "Health"}
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def paper(frame: Frame) -> str:
    return str(frame.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.each_airflow
@pytest.mark.parametrize("width", [1400, 375])
def test_each_page_is_shown_in_airflow_in_a_wide_and_in_a_narrow_window(
    open_page: OpenPage, stack: Stack, width: int
) -> None:
    stack.candidate(PYTHON, name=SCRIPT, emails=[])
    stack.candidate(f"iMocha: {SCRIPT} [999]", name="Uma Unknown")
    stack.candidate(PYTHON, name="Dana Done")
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    _, frame = open_page("eve", viewport={"width": width, "height": 900})
    for page, title in PAGES.items():
        frame.goto(frame.url.split("/console/")[0] + f"/console/{page}")
        expect(frame.locator("h1")).to_have_text(title)
        assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page
        assert frame.locator("nav a[aria-current]").inner_text() == title
    frame.goto(frame.url.split("/console/")[0] + "/console/people")
    frame.get_by_text("Dana Done").click()
    expect(frame.locator("h1 .standing")).to_have_text("done")
    expect(frame.locator(".timeline")).to_contain_text("Written back to Lever")


@pytest.mark.each_airflow
def test_the_questions_of_a_newcomer_are_answered_two_clicks_from_airflows_home(
    chromium: Browser, login: LogIn, stack: Stack, address: str
) -> None:
    stack.candidate(PYTHON, name="Mo Morgan", emails=[])
    for _ in range(60):
        stack.candidate(PYTHON)
    stack.run_invite()
    told = NewDelivery(vendor="lever", key="1", event="candidateStageChange", handled=True)
    stack.ledger.deliveries.record(told)
    context = chromium.new_context()
    context.add_cookies([{"name": "_token", "value": login("eve").cookies["_token"], "url": address}])
    tab = context.new_page()

    def ask(question: str) -> FrameLocator:
        tab.goto(f"{address}/")
        tab.get_by_role("link", name="Tests").click()
        frame = tab.frame_locator("iframe")
        expect(frame.locator(".now").first).to_have_text(re.compile("needs you 1.*waiting for the candidate 60"))
        frame.get_by_role("link", name=question).click()
        return frame

    frame = ask("Why was somebody not invited?")
    frame.locator("input[type=search]").fill("morgan")
    frame.locator("input[type=search]").press("Enter")
    expect(frame.locator("#list tbody tr")).to_have_count(1)
    expect(frame.locator("#list")).to_contain_text("On hold: no e-mail address. Add an e-mail address")
    assert "morgan" not in tab.url
    frame.locator("input[type=search]").fill("nobody")
    frame.locator("input[type=search]").press("Enter")
    expect(frame.locator("#list")).to_contain_text("look in Lever in which stage the candidate is")
    frame = ask("How many were invited, started, expired?")
    expect(frame.locator(".answer")).to_contain_text(
        "61 entered the stage, 1 of them on hold now. Invitations: 60; started 0"
    )
    frame = ask("Do the webhooks arrive?")
    expect(frame.locator("h2").first).to_contain_text("Lever's webhook: last delivery")
    expect(frame.locator("h2").nth(1)).to_contain_text("iMocha's callback: no delivery in 14 days")
    context.close()


@pytest.mark.each_airflow
def test_it_follows_the_theme_of_airflow_and_else_that_of_the_browser(open_page: OpenPage, address: str) -> None:
    tab, frame = open_page("eve", color_scheme="light")
    for theme, other, colour in (("dark", "light", "rgb(16, 20, 24)"), ("light", "dark", "rgb(255, 255, 255)")):
        tab.evaluate(f"document.documentElement.classList.replace('{other}', '{theme}')")
        expect(frame.locator("html")).to_have_attribute("data-theme", theme)
        assert paper(frame) == colour
    for scheme, colour in (("dark", "rgb(16, 20, 24)"), ("light", "rgb(255, 255, 255)")):
        tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        tab.goto(f"{address}{CONSOLE}/")
        assert paper(tab.main_frame) == colour


def test_a_candidate_is_found_and_worked_on_by_keyboard_alone(open_page: OpenPage, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace")
    stack.candidate(name="Grace Hopper")
    stack.run_invite()
    tab, frame = open_page("eve", "people")
    _tab_to(tab, frame.locator("input[name=q]"))
    tab.keyboard.type("lovel")
    tab.keyboard.press("Enter")
    expect(frame.locator("#list tbody tr")).to_have_count(1)
    assert "lovel" not in frame.url
    _tab_to(tab, frame.locator("#list a"))
    tab.keyboard.press("Enter")
    expect(frame.locator("h1")).to_contain_text("Ada Lovelace")
    summary = frame.locator("summary", has_text="Send the e-mail again")
    _tab_to(tab, summary)
    tab.keyboard.press("Enter")
    _tab_to(tab, frame.locator("details[open] input[name=reason]"))
    tab.keyboard.type("she says that none came")
    tab.keyboard.press("Enter")
    expect(frame.locator("#said")).to_contain_text("Asked for")
    assert len(stack.world.mails) == 1
    assert stack.run_invite(sweep=False) == ["refresh"]
    assert len(stack.world.mails) == 2
    frame.goto(f"{frame.url.split('/people')[0]}/people/{opportunity}")
    expect(frame.locator(".timeline")).to_contain_text("she says that none came")
    expect(frame.locator(".timeline")).to_contain_text("console, eve")


def test_a_filter_without_a_name_can_be_gone_back_to_and_given_to_others(open_page: OpenPage, stack: Stack) -> None:
    for _ in range(51):
        stack.candidate(name="Ada Lovelace")
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    _, frame = open_page("eve", "people")
    frame.locator("select[name=standing]").select_option("done")
    frame.locator("input[type=search]").fill("lovelace")
    frame.locator("form[role=search] button").click()
    frame.wait_for_url("**/people?standing=done")
    expect(frame.locator("#list")).not_to_contain_text("needs you")
    frame.get_by_role("button", name="Older ones").click()
    expect(frame.locator("#list tbody tr")).to_have_count(1)
    assert frame.url.endswith("/people")
    frame.evaluate("history.back()")
    frame.wait_for_url("**/people?standing=done")
    expect(frame.locator("#list tbody tr")).to_have_count(50)


@pytest.mark.each_airflow
def test_one_test_is_cancelled_and_a_request_about_many_is_watched_and_stopped(
    open_page: OpenPage, stack: Stack
) -> None:
    stack.settings = parse_settings(SETTINGS + "limits: {per_hour: 2}")
    invited = stack.candidate(PYTHON, SQL, name="Ada Lovelace")
    stack.run_invite()
    for _ in range(3):
        stack.candidate(PYTHON)
    stack.run_invite()
    _, frame = open_page("eve", f"people/{invited}")
    expect(frame.locator("section", has_text="If the candidate got no e-mail")).to_contain_text("1 e-mail")
    act = frame.locator("details.act", has_text="Cancel the invitation: SQL Basics [102]")
    act.locator("summary").click()
    act.locator("input[name=reason]").fill("the test was the wrong one")
    act.locator("button").first.click()
    expect(frame.locator("#said")).to_contain_text("Asked for")
    stack.run_invite(sweep=False)
    assert sorted(invitation.state for invitation in stack.world.invitations.values()) == ["Cancelled", "Pending"]
    frame.goto(frame.url.split("/people")[0] + "/")
    act = frame.locator("details.act", has_text="Invite above the limit: all 3")
    act.locator("summary").click()
    act.locator("input[name=reason]").fill("they start on Monday")
    act.locator("button", has_text="What would happen?").click()
    expect(frame.locator(".said li")).to_have_count(3)
    act.locator("button").first.click()
    expect(frame.locator(".said .bulk")).to_contain_text("0 of 3 done")
    workflow = stack.invite_workflow()
    workflow.act(workflow.collect(sweep=False)[0])
    expect(frame.locator(".said .bulk")).to_contain_text("1 of 3 done")
    frame.locator(".said .bulk button", has_text="Stop").click()
    expect(frame.locator(".said .bulk")).to_contain_text("2 withdrawn; stopped by eve")
    expect(frame.locator(".said .bulk button")).to_have_count(0)
    stack.run_invite(sweep=False)
    assert len(stack.world.mails) == 3
    frame.get_by_role("link", name="Look what has happened").click()
    expect(frame.locator("details.act", has_text="Invite above the limit: all 2")).to_have_count(1)


def test_who_may_only_read_is_offered_nothing_and_shown_initials(open_page: OpenPage, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    stack.run_invite()
    _, frame = open_page("ann", f"people/{opportunity}")
    expect(frame.locator("h1")).to_contain_text("A. L.")
    expect(frame.locator(".act")).to_have_count(0)
    assert "Lovelace" not in frame.content()


@pytest.mark.parametrize("evil_host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_can_ask_for_nothing(
    open_page: OpenPage, stack: Stack, address: str, evil_host: str, faults: list[str]
) -> None:
    """Of the same site, where the browser sends the cookie along, and of another one."""
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    target = f"{address}{CONSOLE}/people/{opportunity}/requests"
    form = f"""<form method="post" action="{target}"><input name="act" value="look_again">
        <input name="reason" value="forged"></form><iframe src="{address}{CONSOLE}/"></iframe>"""

    async def evil(_request: Request) -> HTMLResponse:
        return HTMLResponse(form)

    tab, _ = open_page("eve")
    with serve(Starlette(routes=[Route("/", evil)])) as evil_address:
        tab.goto(evil_address.replace("127.0.0.1", evil_host))
        assert not tab.frames[1].url.startswith(address)  # nor is it shown in a frame there
        sent = tab.evaluate(
            """async (target) => {
                const body = new URLSearchParams({act: "look_again", reason: "forged"});
                const ways = [{}, {headers: {"HX-Request": "true"}}, {mode: "no-cors"}];
                const ask = (way) => fetch(target, {method: "POST", credentials: "include", body, ...way});
                return (await Promise.allSettled(ways.map(ask))).map((one) => one.value?.ok ?? false);
            }""",
            target,
        )
        assert sent == [False, False, False]
        tab.evaluate("document.forms[0].submit()")
        tab.wait_for_url(target)
    assert not stack.ledger.queue.starting_runs(CANDIDATE_WORK)
    assert faults, "the browser has said that it was refused"
    faults.clear()


def test_evidence_opens_from_the_person_and_names_the_event_that_was_changed(open_page: OpenPage, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    stack.run_invite()
    _, frame = open_page("eve", f"people/{opportunity}", viewport={"width": 375, "height": 900})
    frame.get_by_role("link", name="evidence").click()
    expect(frame.locator("h1")).to_have_text("Evidence")
    expect(frame.locator(".verdict")).to_contain_text("unbroken since")
    assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert "Lovelace" not in frame.content()
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.events SET detail = 'no tag' WHERE kind = 'held'"))
    frame.goto(frame.url)
    expect(frame.locator(".verdict")).to_have_text("broken at event 1: it is not as it was written")
    expect(frame.locator("tr.broken")).to_have_count(1)


def test_a_delivery_is_done_again_from_the_traffic_page(open_page: OpenPage, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    told = NewDelivery(vendor="lever", key="1", event="candidateStageChange", opportunity_id=opportunity, handled=True)
    stack.ledger.deliveries.record(told)
    _, frame = open_page("bob", "traffic", viewport={"width": 375, "height": 900})
    assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    frame.get_by_text("Do it again").first.click()
    frame.locator("details[open] input[name=reason]").fill("it was lost on our side")
    frame.locator("details[open] input[name=reason]").press("Enter")
    expect(frame.locator("#said")).to_contain_text("Asked for")
    assert stack.run_invite(sweep=False) == ["ignore: already handled"]


@pytest.mark.each_airflow
def test_a_run_and_a_task_of_it_have_a_tab_for_candidates(
    open_page: OpenPage, stack: Stack, login: LogIn, address: str, ledger_url: str
) -> None:
    synced(read_dags())
    run_id = "manual__2026-11-29T15:22:27.471793+00:00"
    given = {"dag_run_id": run_id, "logical_date": None}
    assert login("bob").post("/api/v2/dags/lever_imocha_invite/dagRuns", json=given).status_code == 200
    done_by = Author(run=f"lever_imocha_invite/{run_id}", task="collect_stage_entries/-1")
    stack.ledger = Ledger(engine=engine_for(ledger_url), author=done_by)
    stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    stack.run_invite()
    tab, _ = open_page("eve")
    for page, title in (("", "Candidates"), ("/tasks/collect_stage_entries", "Ada Lovelace")):
        tab.goto(f"{address}/dags/lever_imocha_invite/runs/{run_id}{page}")
        tab.get_by_role("link", name="Candidates").click()
        expect(tab.frame_locator("iframe").locator("h1")).to_contain_text(title)
        expect(tab.frame_locator("iframe").locator("main")).to_contain_text("On hold: no e-mail address")


def test_a_test_link_is_shown_once_and_is_gone_with_the_page(open_page: OpenPage, stack: Stack, address: str) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace")
    stack.run_invite()
    tab, frame = open_page("eve", f"people/{opportunity}", viewport={"width": 375, "height": 900})
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    act = frame.locator("details.act", has=frame.locator("summary", has_text="Send the e-mail again"))
    act.locator("summary").click()
    expect(act.locator("p.fix")).to_be_hidden()
    act.locator("input[name=reason]").fill("she says that none came")
    act.locator("input[type=checkbox]").check()
    act.locator("button").first.click()
    link = frame.locator(".link")
    expect(link.locator("[role=status]")).to_contain_text("work for the candidate is in the queue")
    expect(link.locator("input")).to_be_hidden()
    stack.run_invite(sweep=False)
    expect(link.locator("input")).to_have_value(stack.invitation().url)
    link.locator("button").click()
    expect(link.locator("[role=status]")).to_have_text("Copied.")
    assert tab.evaluate("navigator.clipboard.readText()") == stack.invitation().url
    assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    frame.goto(frame.url)
    expect(frame.locator(".link")).to_have_count(0)
    expect(frame.locator(".timeline")).to_contain_text("was shown to who had asked for it")
    assert stack.invitation().url not in frame.content()


def test_without_https_the_test_link_is_not_offered(
    chromium: Browser, stack: Stack, address: str, login: LogIn
) -> None:
    opportunity, insecure = stack.candidate(PYTHON), "http://console.example"
    stack.run_invite()
    context = chromium.new_context()
    context.add_cookies([{"name": "_token", "value": login("eve").cookies["_token"], "url": address}])
    context.route(
        f"{insecure}/**",
        lambda route: route.fulfill(response=route.fetch(url=route.request.url.replace(insecure, address))),
    )
    tab = context.new_page()
    tab.goto(f"{insecure}{CONSOLE}/people/{opportunity}")
    assert tab.evaluate("window.isSecureContext") is False
    tab.locator("summary", has_text="Send the e-mail again").click()
    expect(tab.get_by_label("Show me the test link, too")).to_be_disabled()
    expect(tab.locator(".check + .fix")).to_contain_text("it takes https")
    assert Axe().run(tab).response["violations"] == []
    context.close()


def test_scripts_and_styles_are_small() -> None:
    static = Path(console.__file__).parent / "static"
    sizes = [len(gzip.compress(path.read_bytes())) for path in static.iterdir() if path.suffix in (".js", ".css")]
    assert sum(sizes) < 120_000


def _tab_to(tab: Page, wanted: Locator) -> None:
    """Press the tabulator until an element has the focus."""
    handle = wanted.element_handle()
    for _ in range(60):
        try:
            if handle.evaluate("element => element === document.activeElement"):
                return
        except PlaywrightError as error:
            raise AssertionError("the element is gone") from error
        tab.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {wanted}")
