"""What the console shows to whom, and what it takes from whom: over HTTP, in Airflow's API server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lever_imocha.ledger.cache import POSTINGS, PROBLEMS
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import requests
from lever_imocha.ledger.values import CANDIDATE_WORK, NewDelivery, Work
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.attempt_sweep import AttemptSweep
from lever_imocha.workflows.comparison import CompareWorkflow
from lever_imocha.workflows.doctor.checkup import keep
from lever_imocha.workflows.doctor.findings import Finding, Level
from sqlalchemy import select, text

from dev import postgres
from tests.console.conftest import CONSOLE, LogIn
from tests.support import PYTHON, SQL, at_once
from tests.workflows.conftest import SETTINGS, Stack

pytestmark = pytest.mark.xdist_group("airflow")


NOW, DAY = datetime(2026, 7, 1, tzinfo=UTC), timedelta(days=1)
HTML = {"Accept": "text/html"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
LOOK_AGAIN = {"act": "look_again", "reason": "the address is there now"}
PAGES = ["/", "/people", "/people/x", "/flow", "/flow.csv", "/traffic", "/health", "/static/console.js"]
SCRIPT = '<script>alert("x")</script>'


def asked(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Everything that was asked for: act, opportunity, reason, who, and whether it is done."""
    c = requests.c
    query = select(c.act, c.opportunity_id, c.reason, c.actor, c.outcome.is_not(None)).order_by(c.id)
    with ledger.transaction() as connection:
        return [tuple(row) for row in connection.execute(query)]


# Rights


@pytest.mark.parametrize("page", PAGES)
def test_nobody_gets_in_who_is_not_logged_in(login: LogIn, api_server: TestClient, page: str) -> None:
    assert api_server.get(CONSOLE + page).status_code == 401
    assert login("stranger").get(CONSOLE + page).status_code == 403


def test_the_receivers_beside_it_need_no_login(login: LogIn, api_server: TestClient) -> None:
    assert api_server.post("/lever-imocha/webhooks/lever", content=b"{}").status_code == 400


def test_names_are_for_those_who_may_read_the_connection_to_lever(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    stack.run_invite()
    for user, name in (("ann", "A. L."), ("bob", "A. L."), ("eve", "Ada Lovelace")):
        browser = login(user)
        for page in ("/", "/people", f"/people/{opportunity}"):
            for headers in ({}, HTML):
                answer = browser.get(CONSOLE + page, headers=headers).text
                assert name in answer
                assert ("Lovelace" in answer) == (user == "eve")


def test_names_are_searched_by_those_only_who_may_see_them(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace")
    stack.candidate(PYTHON, name="Grace Hopper")
    stack.run_invite()
    assert login("bob").get(f"{CONSOLE}/people?q=Lovelace").status_code == 403
    for text_ in ("love", "ada LOVE", "Lovelace'", f"https://hire.lever.co/candidates/{opportunity}"):
        found = login("eve").get(f"{CONSOLE}/people", params={"q": text_}).json()["people"]
        assert [one["opportunity_id"] for one in found] == [opportunity]
    assert login("eve").get(f"{CONSOLE}/people?q=nobody").json()["people"] == []
    assert login("eve").get(f"{CONSOLE}/people?q=%7C%26!").status_code == 400


@pytest.mark.parametrize(
    ("user", "headers", "status"),
    [
        ("bob", OWN_PAGE, 202),
        ("ann", OWN_PAGE, 403),
        ("stranger", OWN_PAGE, 403),
        ("bob", {}, 403),
        ("bob", {"HX-Request": "true"}, 403),
        ("bob", {"Sec-Fetch-Site": "same-origin"}, 403),
        ("bob", OWN_PAGE | {"Sec-Fetch-Site": "cross-site"}, 403),
        ("bob", OWN_PAGE | {"Sec-Fetch-Site": "same-site"}, 403),
        ("bob", OWN_PAGE | {"Sec-Fetch-Site": "none"}, 403),
    ],
)
def test_only_who_may_trigger_the_dag_asks_and_only_on_a_page_of_the_console(
    login: LogIn, stack: Stack, user: str, headers: dict[str, str], status: int
) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    browser, group = login(user), {"kind": "held", "why": "no e-mail address"}
    for address, body in ((f"/people/{opportunity}/requests", LOOK_AGAIN), ("/requests", LOOK_AGAIN | group)):
        assert browser.post(CONSOLE + address, data=body, headers=headers).status_code == status
    expected = [("look_again", opportunity, LOOK_AGAIN["reason"], user, False)] if status == 202 else []
    assert asked(stack.ledger) == expected


def test_a_program_asks_with_its_token(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    browser = login("bob")
    token = browser.cookies["_token"]
    browser.cookies.clear()
    answer = browser.post(
        f"{CONSOLE}/people/{opportunity}/requests", json=LOOK_AGAIN, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 202
    assert len(asked(stack.ledger)) == 1


def test_reading_writes_nothing(login: LogIn, stack: Stack, ledger_url: str) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    browser = login("eve")
    from lever_imocha.console.context import open_ledger
    from lever_imocha.errors import LedgerError

    with pytest.raises(LedgerError, match="takes no writes"):
        open_ledger().events.record("x", opportunity_id=opportunity)
    assert browser.get(f"{CONSOLE}/people/{opportunity}/requests").status_code == 404


# What is shown


def test_each_hold_says_why_and_what_to_do(login: LogIn, stack: Stack) -> None:
    unmailed = stack.candidate(PYTHON, emails=[])
    unknown = stack.candidate("iMocha: Gone [999]")
    stack.run_invite()
    groups = {group["why"]: group for group in login("ann").get(f"{CONSOLE}/").json()["groups"]}
    assert {why: [one["opportunity_id"] for one in group["people"]] for why, group in groups.items()} == {
        "no e-mail address": [unmailed],
        "unknown test": [unknown],
    }
    assert "Add an e-mail address" in groups["no e-mail address"]["fix"]
    assert groups["unknown test"]["people"][0]["detail"] == "iMocha: Gone [999]"


def test_what_failed_is_shown_until_it_is_done(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/invite", status=400)
    with pytest.raises(Exception, match="400"):
        stack.run_invite()
    browser = login("ann")
    (group,) = browser.get(f"{CONSOLE}/").json()["groups"]
    assert (group["kind"], group["why"]) == ("failing", "RequestRejectedError")
    (one,) = browser.get(f"{CONSOLE}/people?standing=we+are+working").json()["people"]
    assert one["opportunity_id"] == opportunity
    stack.run_invite(force=True)
    assert browser.get(f"{CONSOLE}/").json()["groups"] == []


def test_everybody_stands_where_a_person_would_say(login: LogIn, stack: Stack) -> None:
    taken = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    held, invited, untagged = stack.candidate(PYTHON, emails=[]), stack.candidate(SQL), stack.candidate()
    stack.run_invite()
    browser = login("ann")
    for standing, expected in (
        ("needs you", {held}),
        ("waiting for the candidate", {invited}),
        ("we are working", set()),
        ("done", {taken, untagged}),
        ("", {held, invited, taken, untagged}),
    ):
        found = browser.get(f"{CONSOLE}/people", params={"standing": standing}).json()["people"]
        assert {one["opportunity_id"] for one in found} == expected
    attention = browser.get(f"{CONSOLE}/").json()
    assert attention["standings"] == {"needs you": 1, "we are working": 0, "waiting for the candidate": 1}
    assert attention["standings_of"] is None
    found = browser.get(f"{CONSOLE}/people?test=102").json()["people"]
    assert [one["opportunity_id"] for one in found] == [invited]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert browser.get(f"{CONSOLE}/people?entered_from={tomorrow}").json()["people"] == []


def test_a_timeline_tells_what_was_decided_and_done(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["ada@example.com"]
    stack.run_invite(full=True)
    stack.finish()
    stack.run_write_back()
    answer = login("ann").get(f"{CONSOLE}/people/{opportunity}").json()
    kinds = [moment["kind"] for moment in reversed(answer["timeline"])]
    assert [kind for kind in kinds if kind in ("entered", "held", "invited", "status_complete", "written_back")] == [
        "entered", "held", "invited", "status_complete", "written_back",
    ]  # fmt: skip
    assert answer["person"]["facts"] == "tests [101]"
    assert answer["person"]["why"].startswith("Python Developer [101]: finished")


def test_nobody_is_held_who_has_left_the_stage(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    stack.world.move(opportunity, "Recruiter screen")
    login("bob").post(f"{CONSOLE}/people/{opportunity}/requests", data=LOOK_AGAIN, headers=OWN_PAGE)
    stack.run_invite(sweep=False)
    assert login("ann").get(f"{CONSOLE}/").json()["groups"] == []
    assert "moved on" in login("ann").get(f"{CONSOLE}/people/{opportunity}").json()["person"]["why"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("/", "Nobody waits for you"),
        ("/people", "Nobody is known yet: a run of lever_imocha_invite reads who is there."),
        ("/people?standing=done", "Nobody is like this."),
        ("/flow", "Nobody has entered a trigger stage in these weeks"),
        ("/traffic", "Nothing is queued."),
        ("/health", "not yet: is lever_imocha_invite unpaused?"),
    ],
)
def test_a_page_of_which_there_is_nothing_yet_says_so(login: LogIn, page: str, said: str) -> None:
    html = login("eve").get(CONSOLE + page, headers=HTML).text
    assert said in html
    assert "<tbody></tbody>" not in html


def test_pages_follow_each_other_and_leave_nobody_out(login: LogIn, stack: Stack) -> None:
    everybody = {stack.candidate() for _ in range(120)}
    stack.run_invite()
    browser, query, seen = login("ann"), "", list[str]()
    while query is not None:
        answer = browser.get(f"{CONSOLE}/people?{query}").json()
        seen += [one["opportunity_id"] for one in answer["people"]]
        query = answer["next"]
    assert len(seen) == 120
    assert set(seen) == everybody


@pytest.mark.parametrize(
    "query",
    [
        "people?after=x", "people?after=2026-01-01~x", "people?after=2026-01-01~99999999999999999999", "people?test=x",
        "people?test=9999999999999999999", "people?standing=x", "people?entered_from=x",
        "people?entered_from=2026-99-99", "people/%00", "?kind=held&why=%00", "?kind=x", "?skip=-1",
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused(login: LogIn, query: str) -> None:
    assert login("ann").get(f"{CONSOLE}/{query}").status_code == 400


def test_a_name_that_is_searched_is_in_no_log(login: LogIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert login("eve").get(f"{CONSOLE}/people?q=Lovelace&standing=done").status_code == 200
    logged = "".join(capsys.readouterr())
    if "/console/people" not in logged:
        pytest.skip("this version of Airflow leaves the log of requests to its server")
    assert "Lovelace" not in logged


def test_what_others_have_written_is_never_a_script(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(f"iMocha: {SCRIPT} [999]", name=SCRIPT)
    other = stack.candidate(PYTHON, name=SCRIPT, emails=[])
    stack.world.tests[101]["testName"] = SCRIPT
    stack.run_invite()
    browser = login("eve")
    reason = LOOK_AGAIN | {"reason": SCRIPT}
    browser.post(f"{CONSOLE}/people/{other}/requests", data=reason, headers=OWN_PAGE)
    for page in (
        "/",
        "/people",
        f"/people/{opportunity}",
        f"/people/{other}",
        f"/people?q={SCRIPT}",
        f"/?why={SCRIPT}",
    ):
        answer = browser.get(CONSOLE + page, headers=HTML)
        assert answer.status_code in (200, 400)
        assert "<script>alert" not in answer.text
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "&lt;script&gt;" in browser.get(f"{CONSOLE}/people/{other}", headers=HTML).text


def test_the_flow_counts_how_far_people_have_come(login: LogIn, stack: Stack) -> None:
    stack.world.tests[101]["testName"] = "=HYPERLINK(1);=2"
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.candidate(PYTHON, SQL)
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    browser = login("ann")
    answer = browser.get(f"{CONSOLE}/flow").json()
    names = ("entered", "held", "invited", "started", "ended", "written")
    assert [answer["all"][name] for name in names] == [3, 1, 3, 1, 1, 1]
    by_test = {row["of"]: [row[name] for name in names] for row in answer["by_test"]}
    assert by_test == {
        "=HYPERLINK(1);=2 [101]": [2, 0, 2, 1, 1, 1],
        "SQL Basics [102]": [1, 0, 1, 0, 0, 0],
        "not invited to any test": [1, 1, 0, 0, 0, 0],
    }
    assert answer["all"]["move_to_invitation"]["p95"] >= answer["all"]["move_to_invitation"]["p50"] > 0
    file = browser.get(f"{CONSOLE}/flow.csv")
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "test,'=HYPERLINK(1);'=2 [101],2,0,2,1" in file.text
    assert browser.get(f"{CONSOLE}/flow?weeks=1000").status_code == 400


def test_the_flow_is_told_by_posting_and_by_rule_with_who_was_lost_before_the_start(login: LogIn, stack: Stack) -> None:
    posting = stack.world.postings[0]
    application = {"id": "a", "type": "posting", "posting": posting["id"]}
    stack.candidate(PYTHON, applications=[application])
    stack.candidate(PYTHON, applications=[application])
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    for invitation in list(stack.world.invitations.values())[:1]:
        stack.imocha.cancel(invitation.id)
    AttemptSweep(imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings).poll()
    browser = login("ann")
    answer = browser.get(f"{CONSOLE}/flow").json()
    names = ("of", "entered", "invited", "started", "lost")
    assert [[row[name] for name in names] for row in answer["by_posting"]] == [
        [f"posting {posting['id']}", 2, 2, 0, 1], ["no posting known", 1, 0, 0, 0],
    ]  # fmt: skip
    assert [[row[name] for name in names] for row in answer["by_rule"]] == [
        ["Assessment to Assessment Complete, iMocha Assessment", 2, 2, 0, 1], ["Assessment: not invited", 1, 0, 0, 0],
    ]  # fmt: skip
    stack.ledger.cache.put(POSTINGS, {"names": {posting["id"]: posting["text"]}})
    page = browser.get(f"{CONSOLE}/flow", headers=HTML).text
    assert f'<th scope="row">{posting["text"]}</th>' in page
    assert "1 (50 %)" in page
    assert f"posting,{posting['text']},2,0,2,0,0,0,0,1,1" in browser.get(f"{CONSOLE}/flow.csv").text


def test_traffic_says_what_the_vendors_have_sent_and_what_waits(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    browser = login("ann")
    before = browser.get(f"{CONSOLE}/traffic").json()
    assert (before["by_day"], before["queue"], [row["at"] for row in before["last"]]) == ([], [], [None, None])
    told = NewDelivery(vendor="lever", key="k", event="candidateStageChange", opportunity_id=opportunity)
    stack.ledger.deliveries.record(told)
    answer = browser.get(f"{CONSOLE}/traffic").json()
    assert [(row["lever"], row["imocha"]) for row in answer["by_day"]] == [(1, 0)]
    assert [(row["kind"], row["state"], row["count"]) for row in answer["queue"]] == [("invite", "due", 1)]
    assert [row["at"] is None for row in answer["last"]] == [False, True]
    assert [row["refused"] for row in answer["last"]] == [None, None]
    stack.ledger.deliveries.count_refused("lever", "bad signature", 1)
    (lever, _) = browser.get(f"{CONSOLE}/traffic").json()["last"]
    assert lever["refused"]["why"] == "bad signature"
    page = browser.get(f"{CONSOLE}/traffic", headers=HTML).text
    assert "Since then deliveries in its name were refused" in page


def test_traffic_says_what_the_vendors_have_answered(login: LogIn, stack: Stack, ledger_url: str) -> None:
    limiter = SharedLimiter(engine=engine_for(ledger_url), name="imocha", rate=10, sleep=at_once)
    limiter.acquire()
    limiter.note_answer("invite_by_link", 429)
    limiter.slow_down()
    limiter.acquire()
    (row,) = login("ann").get(f"{CONSOLE}/traffic").json()["rates"]
    assert (row["answered_call"], row["answer_status"], row["refused_today"]) == ("invite_by_link", 429, 1)
    assert "invite_by_link" in login("ann").get(f"{CONSOLE}/traffic", headers=HTML).text


def test_health_shows_what_the_last_sweep_and_the_last_check_have_found(login: LogIn, stack: Stack) -> None:
    browser = login("ann")
    empty = browser.get(f"{CONSOLE}/health").json()
    assert (empty["activated_at"], empty["problems"], empty["checks"]) == (None, [], None)
    stack.run_invite()
    stack.ledger.cache.put(PROBLEMS, {"lines": [SCRIPT]})
    bad = Finding(Level.WARNING, SCRIPT, "correct it", check="Lever key")
    slow = Finding(Level.WARNING, "2 tests are gone", "look", check="tests")
    keep(stack.ledger, [bad, slow], NOW)
    paused = Finding(Level.ERROR, "lever_imocha_invite is paused", "unpause it", check="DAGs")
    keep(stack.ledger, [replace(bad, level=Level.ERROR), Finding(Level.OK, "fine", check="tests"), paused], NOW + DAY)
    answer = browser.get(f"{CONSOLE}/health").json()
    checks = answer["checks"]
    assert [(row["check"], row["level"], row["change"]) for row in checks["rows"]] == [
        ("Lever key", "error", "worse"), ("tests", "ok", None), ("DAGs", "error", "new"),
    ]  # fmt: skip
    assert checks["gone"] == [{"check": "tests", "found": "2 tests are gone"}]
    assert datetime.fromisoformat(checks["before"]) == NOW
    assert answer["dags"] == ["lever_imocha_invite is paused"]
    page = browser.get(f"{CONSOLE}/health", headers=HTML).text
    assert page.count("&lt;script&gt;") == 2
    assert SCRIPT not in page
    keep(stack.ledger, [replace(bad, level=Level.ERROR)], NOW + 2 * DAY)
    (row,) = browser.get(f"{CONSOLE}/health").json()["checks"]["rows"]
    assert (row["change"], datetime.fromisoformat(row["since"])) == (None, NOW + DAY)


def test_health_says_what_comparing_the_lists_has_found(login: LogIn, stack: Stack) -> None:
    browser = login("ann")
    assert browser.get(f"{CONSOLE}/health").json()["compared"] is None
    assert "lever_imocha_compare" in browser.get(f"{CONSOLE}/health", headers=HTML).text
    stack.candidate(PYTHON)
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    stack.world.switches["reports_left_out"] = 1
    CompareWorkflow(lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings).run()
    answer = browser.get(f"{CONSOLE}/health").json()["compared"]
    assert (answer["healed"], answer["explained"], answer["unexplained"]) == (0, 1, 0)
    assert answer["lists"][0]["explained"] == {"hold: no e-mail address": 1}
    page = browser.get(f"{CONSOLE}/health", headers=HTML).text
    assert "0 healed, 1 explained, 0 unexplained" in page
    assert "Not known whether this is all: iMocha lists fewer reports than it says" in page


# Acts


def test_looking_again_is_done_by_a_run_and_audited(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/invite", status=400)
    with pytest.raises(Exception, match="400"):
        stack.run_invite()
    assert stack.run_invite(sweep=False) == []
    browser = login("bob")
    address = f"{CONSOLE}/people/{opportunity}/requests"
    assert browser.post(address, data=LOOK_AGAIN | {"dry_run": "true"}, headers=OWN_PAGE).status_code == 200
    assert asked(stack.ledger) == []
    assert not stack.ledger.queue.starting_runs(CANDIDATE_WORK)
    assert browser.post(address, data=LOOK_AGAIN, headers=OWN_PAGE).status_code == 202
    assert browser.post(address, data=LOOK_AGAIN, headers=OWN_PAGE).status_code == 202
    assert stack.world.mails == []
    assert stack.ledger.queue.starting_runs(CANDIDATE_WORK)
    assert stack.run_invite(sweep=False) == ["invite"]
    assert not stack.ledger.queue.starting_runs(CANDIDATE_WORK)
    assert asked(stack.ledger) == [("look_again", opportunity, LOOK_AGAIN["reason"], "bob", True)]
    moments = {m["kind"]: m for m in browser.get(f"{CONSOLE}/people/{opportunity}").json()["timeline"]}
    assert moments["asked_look_again"]["actor"] == "bob"
    assert LOOK_AGAIN["reason"] in moments["asked_look_again"]["says"]
    assert moments["asked_look_again"]["source"] == "console"


def test_looking_again_masks_nobody_whom_a_person_has_kept_from_it(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    later = datetime.now(UTC) + timedelta(days=1)
    stack.ledger.queue.enqueue_later(opportunity, Work.MASK, not_before=later)
    browser, address = login("bob"), f"{CONSOLE}/people/{opportunity}"
    assert browser.get(address).json()["person"]["standing"] == "needs you"
    stack.ledger.queue.drop_masking([opportunity])
    assert [group["kind"] for group in browser.get(f"{CONSOLE}/").json()["groups"]] == ["held"]
    assert not browser.get(address).json()["person"]["parked"]
    browser.post(f"{address}/requests", data=LOOK_AGAIN, headers=OWN_PAGE)
    stack.run_invite(sweep=False)
    (left,) = stack.ledger.queue.listed()
    assert (left.kind, left.error, left.parked_at is not None) == (Work.MASK, "dropped by a person", True)


def test_whom_a_limit_holds_is_invited_when_a_person_says_so(login: LogIn, stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 1}}")
    for _ in range(3):
        stack.candidate(PYTHON)
    stack.run_invite()
    browser = login("bob")
    (group,) = browser.get(f"{CONSOLE}/").json()["groups"]
    assert (group["kind"], group["total"]) == ("waits", 2)
    address = f"{CONSOLE}/people/{group['people'][0]['opportunity_id']}/requests"
    body = {"act": "release", "reason": "starts on Monday"}
    assert browser.post(address, data=body, headers=OWN_PAGE).status_code == 202
    assert len(stack.world.mails) == 1
    stack.run_invite(sweep=False)
    assert len(stack.world.mails) == 2
    assert browser.post(address, data=body, headers=OWN_PAGE).status_code == 409


def test_of_whom_a_limit_holds_it_is_said_that_what_was_asked_for_fails(login: LogIn, stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 1}}")
    stack.candidate(PYTHON)
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    browser, address = login("bob"), f"{CONSOLE}/people/{opportunity}"
    assert browser.get(address).json()["person"]["why"] == "On hold: limit of e-mails an hour."
    browser.post(f"{address}/requests", data={"act": "release", "reason": "starts on Monday"}, headers=OWN_PAGE)
    del stack.world.opportunities[opportunity]
    stack.run_invite(sweep=False)
    person = browser.get(address).json()["person"]
    assert (person["standing"], person["why"].split(";")[0]) == (
        "we are working",
        "The last try failed: not found in Lever",
    )


def test_the_e_mail_is_sent_again_while_the_candidate_has_not_begun(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    browser, address = login("bob"), f"{CONSOLE}/people/{opportunity}/requests"
    body = {"act": "send_again", "reason": "the candidate got no e-mail"}
    assert browser.post(address, data=body, headers=OWN_PAGE).status_code == 202
    assert stack.run_invite(sweep=False) == ["refresh"]
    assert (len(stack.world.mails), len(stack.world.invitations)) == (2, 1)
    assert browser.post(address, data=body, headers=OWN_PAGE).status_code == 202
    stack.invitation().state = "In Progress"
    assert stack.run_invite(sweep=False) == ["ignore: attempt in progress"]
    why = browser.get(f"{CONSOLE}/people/{opportunity}").json()["person"]["why"]
    assert why == "Not invited again: attempt in progress. Python Developer [101]: has begun."
    assert len(stack.world.mails) == 2
    assert browser.post(address, data=body, headers=OWN_PAGE).status_code == 409


def test_all_who_have_the_same_problem_are_asked_about_at_once(login: LogIn, stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 1}}")
    for _ in range(4):
        stack.candidate(PYTHON)
    unmailed = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    browser = login("bob")
    body = {"kind": "waits", "why": "limit of e-mails an hour", "reason": "starts on Monday"}
    refused = browser.post(f"{CONSOLE}/requests", data=body | {"act": "send_again"}, headers=OWN_PAGE)
    assert refused.status_code == 409
    answer = browser.post(
        f"{CONSOLE}/requests", data=body | {"act": "release", "dry_run": "true"}, headers=OWN_PAGE
    ).json()
    assert (answer["count"], answer["total"], len(answer["sample"])) == (3, 3, 3)
    assert asked(stack.ledger) == []
    assert browser.post(f"{CONSOLE}/requests", data=body | {"act": "release"}, headers=OWN_PAGE).status_code == 202
    assert len(stack.world.mails) == 1
    stack.run_invite(sweep=False)
    assert len(stack.world.mails) == 4
    assert {(act, reason, actor, done) for act, _, reason, actor, done in asked(stack.ledger)} == {
        ("release", "starts on Monday", "bob", True)
    }
    assert unmailed not in {one for _, one, *_ in asked(stack.ledger)}


def test_whom_a_limit_holds_is_not_invited_when_a_person_says_so(login: LogIn, stack: Stack) -> None:
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 1}}")
    for _ in range(2):
        stack.candidate(PYTHON)
    stack.run_invite()
    body = {"act": "drop", "kind": "waits", "why": "limit of e-mails an hour", "reason": "moved by mistake"}
    assert login("bob").post(f"{CONSOLE}/requests", data=body, headers=OWN_PAGE).status_code == 202
    assert stack.run_invite(sweep=False) == ["ignore: dropped by a person"]
    assert len(stack.world.mails) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"act": "look_again"},
        {"act": "look_again", "reason": " "},
        {"act": "look_again", "reason": "x" * 301},
        {"act": "delete", "reason": "because"},
        LOOK_AGAIN | {"more": "x"},
        LOOK_AGAIN | {"reason": "a\x00b"},
        LOOK_AGAIN | {"reason": "x" * 9000},
    ],
)
def test_a_request_that_is_not_one_is_refused(login: LogIn, stack: Stack, body: dict[str, str]) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    address = f"{CONSOLE}/people/{opportunity}/requests"
    assert login("bob").post(address, data=body, headers=OWN_PAGE).status_code == 400
    assert asked(stack.ledger) == []


def test_nothing_is_asked_about_somebody_nobody_knows(login: LogIn) -> None:
    answer = login("bob").post(f"{CONSOLE}/people/unknown/requests", data=LOOK_AGAIN, headers=OWN_PAGE)
    assert answer.status_code == 404


def test_attention_says_how_many_of_the_activation_are_invited(login: LogIn, stack: Stack) -> None:
    for _ in range(5):
        stack.candidate(PYTHON)
    stack.settings = parse_settings(SETTINGS + "limits: {per_hour: 2}")
    assert login("ann").get(f"{CONSOLE}/").json()["activation"] is None
    stack.run_invite()
    told = login("ann").get(f"{CONSOLE}/").json()["activation"]
    assert (told["sent"], told["waiting"]) == (2, 3)
    shown = login("ann").get(f"{CONSOLE}/", headers=HTML).text
    assert "in the stage before the activation, 2 of 5 are invited or adopted; 3 wait for their turn" in shown


# The ledger


def test_a_ledger_that_cannot_be_used_is_said_with_what_to_do(
    login: LogIn, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = login("ann")
    for url, said in (
        (postgres_url, "python -m lever_imocha.ledger upgrade"),
        ("postgresql://nobody@127.0.0.1:1/none", "that the server runs"),
        ("sqlite:///x", "needs PostgreSQL"),
    ):
        monkeypatch.setenv("LEVER_IMOCHA_LEDGER", url)
        for page in ("/", "/people", "/people/x"):
            answer = browser.get(CONSOLE + page, headers=HTML)
            assert answer.status_code == 503
            assert said in answer.text


def test_a_ledger_that_takes_no_writes_can_still_be_read(
    login: LogIn, stack: Stack, ledger_url: str, postgres_url: str
) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    owner = engine_for(ledger_url)
    with owner.begin() as connection:
        connection.execute(text("ALTER DATABASE ledger SET default_transaction_read_only = on"))
    try:
        postgres.disconnect(postgres_url, "ledger")  # only a new connection is read-only
        owner.dispose()
        browser = login("bob")
        assert browser.get(f"{CONSOLE}/people/{opportunity}").status_code == 200
        answer = browser.post(f"{CONSOLE}/people/{opportunity}/requests", data=LOOK_AGAIN, headers=OWN_PAGE)
        assert answer.status_code == 503
        assert "takes no writes" in answer.text
    finally:
        with owner.begin() as connection:
            connection.execute(text("SET TRANSACTION READ WRITE"))
            connection.execute(text("ALTER DATABASE ledger RESET default_transaction_read_only"))
        postgres.disconnect(postgres_url, "ledger")
