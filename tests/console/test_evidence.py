"""Evidence, what a run has done, and what the vendors have sent: over HTTP, in Airflow's API server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from lever_imocha.ledger.base import Author
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery, Work
from sqlalchemy import text

from tests.console.conftest import CONSOLE, LogIn
from tests.support import PYTHON, SQL, at_once
from tests.workflows.conftest import Stack

pytestmark = pytest.mark.xdist_group("airflow")

HTML = {"Accept": "text/html"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
RUN_ID = "scheduled__2026-07-02T00:00:00+00:00"
INVITE = Author(run=f"lever_imocha_invite/{RUN_ID}", task="invite/3")
AGAIN = {"reason": "it was lost on our side"}


def in_run(stack: Stack, ledger_url: str, author: Author = INVITE) -> None:
    """Have the workflows write as a task of a run."""
    stack.ledger = Ledger(engine=engine_for(ledger_url), author=author)


def run_page(browser: TestClient, **asked: str) -> Any:
    given = {"dag_id": "lever_imocha_invite", "run_id": RUN_ID} | asked
    return browser.get(f"{CONSOLE}/run", params=given).json()


def delivery(stack: Stack, vendor: str) -> int:
    query = text("SELECT id FROM lever_imocha.deliveries WHERE vendor = :vendor")
    with stack.ledger.transaction() as connection:
        return int(connection.execute(query, {"vendor": vendor}).scalar_one())


# Evidence


def test_evidence_tells_the_whole_story_without_the_name_and_is_unbroken(
    login: LogIn, stack: Stack, ledger_url: str
) -> None:
    in_run(stack, ledger_url)
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["ada@example.com"]
    stack.run_invite(full=True)
    stack.finish()
    stack.run_write_back()
    browser = login("eve")
    found = browser.get(f"{CONSOLE}/people/{opportunity}/evidence").json()
    assert [chain["unbroken"] for chain in found["chains"]] == [True, True]
    told = {one["kind"]: one for one in found["events"]}
    assert told["held"]["facts"]["rests_on"] == "hold: no e-mail address"
    assert told["invited"]["facts"] == {"settings_sent": {}}
    assert told["decided"]["facts"]["rests_on"] == "tests [101]"
    assert told["written_back"]["run"] == INVITE.run
    page = browser.get(f"{CONSOLE}/people/{opportunity}/evidence", headers=HTML).text
    assert "unbroken since" in page
    assert "On hold: no e-mail address" in page
    for secret in ("Lovelace", "ada@example.com"):
        assert secret not in page + json.dumps(found)


def test_a_change_afterwards_is_shown_where_it_was_made(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.events SET detail = 'no tag' WHERE kind = 'held'"))
    browser = login("ann")
    (chain,) = browser.get(f"{CONSOLE}/people/{opportunity}/evidence").json()["chains"]
    assert chain["says"] == "broken at event 1: it is not as it was written"
    assert '<tr class="broken">' in browser.get(f"{CONSOLE}/people/{opportunity}/evidence", headers=HTML).text


def test_the_file_is_what_the_page_says(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    browser = login("ann")
    file = browser.get(f"{CONSOLE}/people/{opportunity}/evidence.json")
    assert "attachment" in file.headers["content-disposition"]
    page = browser.get(f"{CONSOLE}/people/{opportunity}/evidence").json()
    assert file.json() | {"made_at": ""} == page | {"made_at": ""}


@pytest.mark.parametrize("page", ["/people/x/evidence", "/people/x/evidence.json", "/run?dag_id=a&run_id=b"])
def test_the_rights_are_those_of_every_page(login: LogIn, api_server: TestClient, page: str) -> None:
    assert api_server.get(CONSOLE + page).status_code == 401
    assert login("stranger").get(CONSOLE + page).status_code == 403
    assert login("ann").get(CONSOLE + page).status_code == (200 if page.startswith("/run") else 404)


# One person


def test_a_timeline_links_to_the_run_and_to_lever(
    login: LogIn, stack: Stack, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_run(stack, ledger_url)
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    browser = login("ann")
    run = f"/dags/lever_imocha_invite/runs/{quote(RUN_ID)}/tasks/invite/mapped/3"
    timeline = {one["kind"]: one for one in browser.get(f"{CONSOLE}/people/{opportunity}").json()["timeline"]}
    assert timeline["invited"]["run_page"] == run
    assert timeline["form_done"]["in_lever"]
    for host, page in (
        ("https://api.lever.co/v1", f"https://hire.lever.co/candidates/{opportunity}"),
        ("https://api.eu.lever.co/v1", f"https://hire.eu.lever.co/candidates/{opportunity}"),
        ("http://127.0.0.1:8000/lever/v1", f"http://127.0.0.1:8000/?open={opportunity}"),
    ):
        connection = {"conn_type": "lever", "host": host, "password": "lever-key"}
        monkeypatch.setenv("AIRFLOW_CONN_LEVER_DEFAULT", json.dumps(connection))
        html = browser.get(f"{CONSOLE}/people/{opportunity}", headers=HTML).text
        assert f'href="{page}"' in html
        assert f'href="{run}"' in html


# One run


def test_a_run_shows_its_candidates_and_a_task_its_own(login: LogIn, stack: Stack, ledger_url: str) -> None:
    in_run(stack, ledger_url)
    invited, held = stack.candidate(PYTHON, name="Ada Lovelace"), stack.candidate(SQL, emails=[])
    stack.run_invite()
    in_run(stack, ledger_url, Author(run=INVITE.run, task="invite/4"))
    other = stack.candidate(PYTHON)
    stack.run_invite()
    browser = login("ann")
    assert {one["opportunity_id"] for one in run_page(browser)["people"]} == {invited, held, other}
    people = run_page(browser, task_id="invite", map_index="3")["people"]
    assert {one["opportunity_id"]: one["done"][0]["says"] for one in people} == {
        invited: "Invited to Python Developer [101]: iMocha sends the e-mail",
        held: "On hold: no e-mail address",
    }
    assert "Lovelace" not in json.dumps(people)
    assert run_page(browser, task_id="invite", map_index="4")["person"]["opportunity_id"] == other
    assert run_page(browser, run_id="another")["people"] == []
    as_airflow_3_1_asks = browser.get(f"{CONSOLE}/run?dag_id=lever_imocha_invite&run_id={RUN_ID}")  # "+" not encoded
    assert len(as_airflow_3_1_asks.json()["people"]) == 3


def test_a_task_that_is_not_mapped_is_found_too(login: LogIn, stack: Stack, ledger_url: str) -> None:
    in_run(stack, ledger_url, Author(run=INVITE.run, task="collect_stage_entries/-1"))
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    for given in ("-1", "{MAP_INDEX}", ""):
        found = run_page(login("ann"), task_id="collect_stage_entries", map_index=given)
        assert found["person"]["opportunity_id"] == opportunity


def test_a_run_of_another_dag_is_told_kindly(login: LogIn) -> None:
    browser = login("ann")
    assert run_page(browser, dag_id="payroll") == {
        "dag_id": "payroll", "run_id": RUN_ID, "task_id": None, "ours": False, "at_most": None, "people": [],
    }  # fmt: skip
    page = browser.get(f"{CONSOLE}/run?dag_id=payroll&run_id=x", headers=HTML).text
    assert "payroll does not work on candidates" in page


# Traffic


def test_what_was_refused_is_counted_with_why(login: LogIn, stack: Stack, api_server: TestClient) -> None:
    for _ in range(2):
        stack.ledger.deliveries.count_refused("lever", "the signature is wrong", 40)
    stack.ledger.deliveries.count_refused("imocha", "unknown callback token", 1)
    refused = login("ann").get(f"{CONSOLE}/traffic").json()["refused"]
    assert {(row["vendor"], row["why"], row["count"]) for row in refused} == {
        ("lever", "the signature is wrong", 80), ("imocha", "unknown callback token", 1),
    }  # fmt: skip


def test_the_requests_of_a_minute_are_told_beside_the_limit(login: LogIn, ledger: Ledger, ledger_url: str) -> None:
    limiter = SharedLimiter(engine=engine_for(ledger_url), name="lever", rate=8, sleep=at_once)
    for _ in range(3):
        limiter.acquire()
    (row,) = login("ann").get(f"{CONSOLE}/traffic").json()["rates"]
    assert (row["name"], row["limit"]) == ("lever", 8)
    assert row["this_minute"] + row["last_minute"] == 3


def test_a_stored_delivery_is_done_again_once_for_whoever_it_is_about(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    told = NewDelivery(vendor="lever", key="1", event="candidateStageChange", opportunity_id=opportunity, handled=True)
    stack.ledger.deliveries.record(told)
    browser, page = login("bob"), f"{CONSOLE}/deliveries/{delivery(stack, 'lever')}/requests"
    for shown in ("traffic", f"people/{opportunity}"):
        assert "Do it again" in browser.get(f"{CONSOLE}/{shown}", headers=HTML).text
    assert browser.post(page, data=AGAIN | {"dry_run": "true"}, headers=OWN_PAGE).json()["count"] == 1
    assert stack.due(Work.REQUEST) == []
    for _ in range(2):
        assert browser.post(page, data=AGAIN, headers=OWN_PAGE).status_code == 202
    assert stack.run_invite(sweep=False) == ["ignore: already handled"]
    assert len(stack.world.mails) == 1
    timeline = browser.get(f"{CONSOLE}/people/{opportunity}").json()["timeline"]
    assert [(one["says"], one["actor"]) for one in timeline if one["kind"].endswith("replay")] == [
        ("To do a delivery again: due again", "bob"), (f"Asked to do a delivery again: {AGAIN['reason']}", "bob"),
    ]  # fmt: skip


def test_a_callback_is_done_again_until_its_report_is_in_lever(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    number = stack.invitation().id
    stack.ledger.deliveries.record(NewDelivery(vendor="imocha", key="1", event="complete", invitation_id=number))
    item = stack.ledger.queue.claim(opportunity, [Work.WRITE_BACK], worker="w")[Work.WRITE_BACK]
    stack.ledger.queue.finish(item)
    page = f"{CONSOLE}/deliveries/{delivery(stack, 'imocha')}/requests"
    assert login("bob").post(page, data=AGAIN, headers=OWN_PAGE).status_code == 202
    stack.run_invite(sweep=False)
    assert stack.due(Work.WRITE_BACK) == [opportunity]
    stack.finish()
    stack.run_write_back(sweep=False)
    assert login("bob").post(page, data=AGAIN, headers=OWN_PAGE).status_code == 202
    stack.run_invite(sweep=False)
    assert stack.due(Work.WRITE_BACK) == []
    assert len(stack.world.forms[opportunity]) == 1


@pytest.mark.parametrize(
    ("user", "headers", "status"), [("ann", OWN_PAGE, 403), ("bob", {}, 403), ("bob", OWN_PAGE, 409)]
)
def test_who_may_not_act_does_nothing_again_and_nobody_what_is_not_kept(
    login: LogIn, stack: Stack, user: str, headers: dict[str, str], status: int
) -> None:
    assert login(user).post(f"{CONSOLE}/deliveries/77/requests", data=AGAIN, headers=headers).status_code == status
    assert stack.due(Work.REQUEST) == []
