"""A candidate's test link is shown once, to who asked for it, and is readable nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import metadata
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.retention import Retention
from sqlalchemy import select, text

from include.sandbox.world import Invitation
from tests.console.conftest import CONSOLE, LogIn
from tests.console.test_console import OWN_PAGE
from tests.support import PYTHON, SQL, KeyPair, event_kinds
from tests.workflows.conftest import SETTINGS, Stack

pytestmark = pytest.mark.xdist_group("airflow")

KEYS = KeyPair(3072)
ASKED = {"act": "send_again", "reason": "no e-mail came", "public_key": KEYS.public}


@pytest.fixture
def invited(stack: Stack) -> str:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    return opportunity


@pytest.fixture
def browser(login: LogIn) -> TestClient:
    return login("eve")


def ask(browser: TestClient, opportunity: str, **given: Any) -> Any:
    return browser.post(f"{CONSOLE}/people/{opportunity}/requests", data=ASKED | given, headers=OWN_PAGE)


def paths(answer: Response) -> list[str]:
    assert answer.status_code == 202, answer.text
    return [link["path"] for link in answer.json()["links"]]


def take(browser: TestClient, path: str) -> Any:
    return browser.post(CONSOLE + path, headers=OWN_PAGE)


def of_test(stack: Stack, test_id: int) -> Invitation:
    (found,) = (one for one in stack.world.invitations.values() if one.test_id == test_id)
    return found


def kinds(stack: Stack, opportunity: str) -> list[str]:
    return [kind for kind in event_kinds(stack.ledger, opportunity) if kind.startswith("link_")]


def test_the_link_is_that_of_the_invitation_and_is_shown_once(stack: Stack, browser: TestClient, invited: str) -> None:
    answer = ask(browser, invited)
    (path,) = paths(answer)
    waits = take(browser, path)
    assert (waits.status_code, "work for the candidate is in the queue" in waits.json()["said"]) == (202, True)
    assert stack.run_invite(sweep=False) == ["refresh"]
    assert len(stack.world.mails) == 2, "the call is the one that sends the e-mail again"
    assert stack.invitation().url not in str(everything(stack))
    shown = take(browser, path)
    assert shown.status_code == 200
    assert KEYS.open(shown.json()["sealed"]) == stack.invitation().url
    assert shown.headers["Cache-Control"] == "no-store"
    again = take(browser, path)
    assert (again.status_code, "shown already" in again.json()["said"]) == (410, True)
    assert kinds(stack, invited) == ["link_asked", "link_shown"]
    timeline = browser.get(f"{CONSOLE}/people/{invited}").json()["timeline"]
    said = {one["kind"]: (one["says"], one["actor"], one["source"]) for one in timeline}
    assert said["link_asked"] == ("Asked to be shown the test link once", "eve", "console")
    assert said["link_shown"] == (
        "The link of Python Developer [101] was shown to who had asked for it", "eve", "console",
    )  # fmt: skip
    evidence = browser.get(f"{CONSOLE}/people/{invited}/evidence.json")
    assert "IMInstructions" not in evidence.text
    assert all(chain["unbroken"] for chain in evidence.json()["chains"])


def everything(stack: Stack) -> list[Any]:
    with stack.ledger.transaction() as connection:
        return [tuple(row) for table in metadata.sorted_tables for row in connection.execute(select(table))]


def test_each_of_several_tests_has_its_link(stack: Stack, browser: TestClient) -> None:
    opportunity = stack.candidate(PYTHON, SQL)
    stack.run_invite()
    python, sql = paths(ask(browser, opportunity))
    stack.run_invite(sweep=False)
    assert KEYS.open(take(browser, sql).json()["sealed"]) == of_test(stack, 102).url
    assert KEYS.open(take(browser, python).json()["sealed"]) == of_test(stack, 101).url
    assert kinds(stack, opportunity) == ["link_asked", "link_shown", "link_shown"]


def test_a_program_asks_and_reads_with_a_token(stack: Stack, browser: TestClient, invited: str) -> None:
    token = browser.cookies["_token"]
    browser.cookies.clear()
    headers = {"Authorization": f"Bearer {token}"}
    asked = browser.post(f"{CONSOLE}/people/{invited}/requests", json=ASKED, headers=headers)
    (path,) = paths(asked)
    stack.run_invite(sweep=False)
    assert KEYS.open(browser.post(CONSOLE + path, headers=headers).json()["sealed"]) == stack.invitation().url


def test_who_may_not_see_names_or_not_act_gets_no_link(stack: Stack, login: LogIn, invited: str) -> None:
    acts = login("bob").get(f"{CONSOLE}/people/{invited}").json()["acts"]
    assert {act["act"]: act["links_of"] for act in acts}["send_again"] == []
    page = login("bob").get(f"{CONSOLE}/people/{invited}", headers={"Accept": "text/html"}).text
    assert "Show me the test link, too" not in page
    refused = ask(login("bob"), invited)
    assert (refused.status_code, "lever_default" in refused.json()["said"]) == (403, True)
    assert ask(login("ann"), invited).status_code == 403
    assert stack.run_invite(sweep=False) == []
    (path,) = paths(ask(login("eve"), invited))
    stack.run_invite(sweep=False)
    assert take(login("bob"), path).status_code == 403
    assert take(login("ann"), path).status_code == 403
    assert take(login("stranger"), path).status_code == 403
    assert take(login("eva"), path).status_code == 410, "another person has not asked for it"
    assert take(login("eve"), path.replace(invited, "another")).status_code == 410
    assert take(login("eve"), path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site", "HX-Request": "true"}, {"Sec-Fetch-Site": "same-origin"}],
)
def test_a_page_of_another_site_neither_asks_nor_takes(
    stack: Stack, browser: TestClient, invited: str, headers: dict[str, str]
) -> None:
    address = f"{CONSOLE}/people/{invited}/requests"
    assert browser.post(address, data=ASKED, headers=headers).status_code == 403
    (path,) = paths(ask(browser, invited))
    stack.run_invite(sweep=False)
    assert browser.post(CONSOLE + path, headers=headers).status_code == 403
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert browser.request(method, CONSOLE + path, headers=OWN_PAGE).status_code in (404, 405)
    assert take(browser, path).status_code == 200


def test_after_a_quarter_of_an_hour_it_is_gone(
    stack: Stack, browser: TestClient, invited: str, ledger_url: str
) -> None:
    (path,) = paths(ask(browser, invited))
    stack.run_invite(sweep=False)
    later(stack, 14)
    assert remove(stack, ledger_url) == 0
    later(stack, 2)
    assert take(browser, path).status_code == 410
    assert kinds(stack, invited) == ["link_asked"]
    assert remove(stack, ledger_url) == 1
    assert "sealed" not in str(everything(stack))


def test_an_e_mail_that_is_sent_too_late_seals_nothing(stack: Stack, browser: TestClient, invited: str) -> None:
    (path,) = paths(ask(browser, invited))
    later(stack, 16)
    assert stack.run_invite(sweep=False) == ["refresh"]
    assert stack.ledger.sealed_links.waiting(invited, 101) == {}
    assert take(browser, path).status_code == 410


def later(stack: Stack, minutes: int) -> None:
    with stack.ledger.transaction() as connection:
        moved = "UPDATE lever_imocha.sealed_links SET asked_at = asked_at - make_interval(mins => :minutes)"
        connection.execute(text(moved), {"minutes": minutes})


def remove(stack: Stack, ledger_url: str) -> int:
    ledger = Ledger(engine=engine_for(ledger_url))
    return Retention(ledger=ledger, settings=stack.settings.retention, clock=stack.clock).run()["sealed_links"]


def test_who_has_begun_meanwhile_is_sent_nothing_and_no_link_comes(
    stack: Stack, browser: TestClient, invited: str
) -> None:
    (path,) = paths(ask(browser, invited))
    stack.invitation().state = "In Progress"
    assert stack.run_invite(sweep=False) == ["ignore: attempt in progress"]
    waits = take(browser, path)
    assert (waits.status_code, "attempt in progress" in waits.json()["said"]) == (202, True)
    assert len(stack.world.mails) == 1
    assert ask(browser, invited).status_code == 409


def test_a_limit_of_e_mails_keeps_the_link_waiting(stack: Stack, browser: TestClient, invited: str) -> None:
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 1}}")
    (path,) = paths(ask(browser, invited))
    stack.run_invite(sweep=False)
    assert "On hold: limit of e-mails an hour" in take(browser, path).json()["said"]
    stack.settings = parse_settings(SETTINGS)
    stack.run_invite(sweep=False, force=True)
    assert KEYS.open(take(browser, path).json()["sealed"]) == stack.invitation().url


def test_a_try_that_failed_is_made_up_for(stack: Stack, browser: TestClient, invited: str) -> None:
    (path,) = paths(ask(browser, invited))
    stack.fault(vendor="imocha", path_contains="/invite", status=503, times=50)
    with pytest.raises(Exception, match="503"):
        stack.run_invite(sweep=False)
    assert take(browser, path).status_code == 202
    stack.world.faults.clear()
    stack.run_invite(sweep=False, force=True)
    assert KEYS.open(take(browser, path).json()["sealed"]) == stack.invitation().url


@pytest.mark.parametrize(
    ("url", "why"), [("https://test.imocha.io/" + "x" * 400, "longer than the key takes"), (None, "has none"), ("", "none")]
)  # fmt: skip
def test_a_link_that_cannot_be_sealed_is_said_in_the_timeline(
    stack: Stack, browser: TestClient, invited: str, url: Any, why: str
) -> None:
    (path,) = paths(ask(browser, invited))
    stack.invitation().url = url
    assert stack.run_invite(sweep=False) == ["refresh"]
    gone = take(browser, path)
    assert (gone.status_code, "the timeline says why" in gone.json()["said"]) == (410, True)
    timeline = browser.get(f"{CONSOLE}/people/{invited}").json()["timeline"]
    (said,) = (moment["says"] for moment in timeline if moment["kind"] == "link_not_shown")
    assert why in said


def test_what_is_asked_for_already_or_shows_no_link_is_refused(stack: Stack, browser: TestClient, invited: str) -> None:
    dry = ask(browser, invited, dry_run="true")
    assert (dry.status_code, dry.json()["links"]) == (200, [])
    assert ask(browser, invited, act="look_again").status_code == 409
    assert ask(browser, invited, public_key="AAAA").status_code == 400
    assert ask(browser, invited, public_key="").status_code == 400
    assert kinds(stack, invited) == []
    plain = {name: value for name, value in ASKED.items() if name != "public_key"}
    posted = browser.post(f"{CONSOLE}/people/{invited}/requests", data=plain, headers=OWN_PAGE)
    assert posted.json()["links"] == []
    assert ask(browser, invited).status_code == 409
    listed = browser.post(f"{CONSOLE}/people/requests", data=ASKED, headers=OWN_PAGE)
    assert listed.status_code == 400, "of many there are none"


def test_who_is_forgotten_leaves_no_sealed_link(stack: Stack, browser: TestClient, invited: str) -> None:
    paths(ask(browser, invited))
    stack.run_invite(sweep=False)
    assert stack.ledger.erasure.forget(invited, even_if_open=True)["sealed_links"] == 1
    assert invited not in str(everything(stack))
