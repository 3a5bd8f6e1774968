"""Who gets in, what they see, and that nobody is made to ask for something: each address, each kind of answer."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from lever_imocha.console.app import create_app
from lever_imocha.console.rights import Viewer
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import CANDIDATE_WORK
from lever_imocha.workflows.doctor.checkup import keep
from lever_imocha.workflows.doctor.findings import Finding, Level

from tests.console.conftest import CONSOLE, LogIn
from tests.support import PYTHON
from tests.workflows.conftest import Stack

pytestmark = pytest.mark.xdist_group("airflow")

HTML = {"Accept": "text/html"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
ASKED = {"act": "look_again", "reason": "the address is there now"}
SCRIPT = "<script>alert(1)</script>"
ADDRESSES = [
    "/", "/people", "/people/x", "/people/x/requests", "/flow", "/flow.csv", "/traffic", "/health", "/requests",
    "/requests/1", "/requests/1/stop", "/deliveries/1/requests", "/people/x/links/1/101", "/people/x/evidence",
    "/people/x/evidence.json", "/run?dag_id=lever_imocha_invite&run_id=1", "/people?q=x", "//people", "/./people", "/people/",
    "/PEOPLE", "/people%2Fx", "/static/console.js", "/static/none", "/static/..%2Fapp.py", "/none", "/none/at/all", "/people/x/y", "/docs", "/openapi.json",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
def test_every_address_is_closed_also_one_that_is_none(
    login: LogIn, api_server: TestClient, address: str, method: str
) -> None:
    assert api_server.request(method, CONSOLE + address).status_code == 401
    assert login("stranger").request(method, CONSOLE + address).status_code == 403


def test_a_session_that_has_ended_and_one_that_was_made_up_are_none(login: LogIn) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    browser = login("eve")
    user = SimpleAuthManagerUser(username="eve", role="OP")
    old = get_auth_manager().generate_jwt(user, expiration_time_in_seconds=-60)
    for token in (old, "x.y.z", browser.cookies["_token"][:-4] + "AAAA"):
        browser.cookies.set("_token", token)
        for headers in (HTML, {}, {"Authorization": f"Bearer {token}"}):
            answer = browser.get(f"{CONSOLE}/people", headers=headers)
            assert answer.status_code == 401
            assert "Log in to Airflow" in answer.text
        posted = browser.post(
            f"{CONSOLE}/people/x/requests", data=ASKED, headers=OWN_PAGE | {"Authorization": "Bearer x"}
        )
        assert posted.status_code == 401


def test_who_may_not_see_names_sees_initials_everywhere(login: LogIn, stack: Stack) -> None:
    stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace")
    stack.run_invite()
    browser, group = login("bob"), {"kind": "held", "why": "no e-mail address"}
    answers = [
        browser.get(CONSOLE + address, headers=headers)
        for address in ("/", "/people", f"/people/{opportunity}", "/flow", "/flow.csv", "/traffic", "/health")
        for headers in (HTML, {})
    ]
    answers += [
        browser.get(f"{CONSOLE}/people?q=Lovelace"),
        browser.get(f"{CONSOLE}/people?q={opportunity}", headers=HTML),
        browser.post(f"{CONSOLE}/people/{opportunity}/requests", data=ASKED | {"act": "release"}, headers=OWN_PAGE),
        browser.post(f"{CONSOLE}/people/{opportunity}/requests", data=ASKED | {"act": "x"}, headers=OWN_PAGE),
        *(
            browser.post(f"{CONSOLE}/requests", data=ASKED | group | {"dry_run": "true"}, headers=OWN_PAGE | headers)
            for headers in (HTML, {})
        ),
    ]
    assert {answer.status_code for answer in answers} == {200, 400, 403, 409}
    assert sum("A. L." in answer.text for answer in answers) >= 7
    assert not any("Lovelace" in answer.text.replace("q=Lovelace", "") for answer in answers)


def test_no_name_is_in_a_title_or_in_an_address(login: LogIn, stack: Stack) -> None:
    """Both stay in the browser's history; an address is in the logs of proxies, too."""
    for _ in range(51):
        stack.candidate(name="Ada Lovelace")
    stack.run_invite()
    browser = login("eve")
    first = browser.get(f"{CONSOLE}/people").json()["people"][0]["opportunity_id"]
    title = browser.get(f"{CONSOLE}/people/{first}", headers=HTML).text.split("</title>")[0]
    assert first[:8] in title
    assert "Lovelace" not in title
    searched = {"q": "lovelace", "standing": "done", "test": "", "entered_from": "", "entered_to": ""}
    answer = browser.post(f"{CONSOLE}/people", data=searched, headers=OWN_PAGE | HTML)
    assert answer.text.count('<small class="id">') == 50
    assert answer.headers["HX-Push-Url"] == f"{CONSOLE}/people?standing=done"
    assert not [
        part for part in re.findall(r'(?:href|action|hx-\w+)="[^"]*"', answer.text) if "lovelace" in part.lower()
    ]
    after = browser.post(f"{CONSOLE}/people", data=searched).json()["after"]
    older = browser.post(f"{CONSOLE}/people", data=searched | {"after": after}, headers=HTML)
    assert older.text.count('<small class="id">') == 1
    by_id = browser.post(f"{CONSOLE}/people", data={"q": f"Lovelace {first}"}, headers=HTML)
    assert by_id.headers["HX-Push-Url"] == f"{CONSOLE}/people?q={first}"
    assert login("bob").post(f"{CONSOLE}/people", data=searched).status_code == 403
    assert login("stranger").post(f"{CONSOLE}/people", data=searched).status_code == 403
    assert login("ann").post(f"{CONSOLE}/people", data={"q": "", "x": "y"}).status_code == 400


def test_an_address_with_thousands_of_parameters_keeps_no_one_waiting(login: LogIn, api_server: TestClient) -> None:
    many = "&".join(map(str, range(10_000)))
    assert api_server.get(f"{CONSOLE}/people?{many}").status_code == 401
    begin = time.monotonic()
    assert login("ann").get(f"{CONSOLE}/people?{many}").status_code == 400
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example", "HX-Request": "true"},
        *({"Sec-Fetch-Site": site, "HX-Request": "true"} for site in ("cross-site", "same-site", "none", "SAME-ORIGIN", "")),
        {"Sec-Fetch-Site": "same-origin"},
        {"Authorization": "Basic YTpi"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", "act=look_again&reason=forged"),
        ("text/plain", '{"act": "look_again", "reason": "forged"}'),
        ("application/json", '{"act": "look_again", "reason": "forged"}'),
        (
            "multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="act"\r\n\r\nlook_again\r\n--x--',
        ),
        ("", ""),
    ],
)
def test_nothing_is_asked_for_by_a_page_of_another_site(
    login: LogIn, stack: Stack, headers: dict[str, str], content_type: str, body: str
) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    sent = headers | {"Content-Type": content_type}
    answer = login("eve").post(f"{CONSOLE}/people/{opportunity}/requests", content=body, headers=sent)
    assert answer.status_code in (401, 403)
    assert not stack.ledger.queue.starting_runs(CANDIDATE_WORK)


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "text/plain", "application/xml", ""])
def test_a_body_of_another_kind_is_no_request(login: LogIn, stack: Stack, content_type: str) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    headers = OWN_PAGE | {"Content-Type": content_type}
    address = f"{CONSOLE}/people/{opportunity}/requests"
    assert login("eve").post(address, content='{"act": "look_again"}', headers=headers).status_code == 400
    assert not stack.ledger.queue.starting_runs(CANDIDATE_WORK)


def test_a_get_never_asks_for_anything(login: LogIn, stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    browser = login("eve")
    for address in (f"/people/{opportunity}/requests", f"/people/{opportunity}", "/requests", "/", "/people"):
        browser.get(CONSOLE + address, params=ASKED, headers=OWN_PAGE)
    assert not stack.ledger.queue.starting_runs(CANDIDATE_WORK)


def test_a_script_in_what_others_write_is_shown_as_text(login: LogIn, stack: Stack) -> None:
    """Tags, names of tests and stages, reasons, and the doctor's lines."""
    stack.world.tests[101]["testName"] = SCRIPT
    for stage in stack.world.stages:
        if stage["text"] == "Assessment":
            stage["id"] = f"stage{SCRIPT}"
    opportunity = stack.candidate(f"iMocha: {SCRIPT} [999]", name=SCRIPT)
    stack.candidate(PYTHON, name=f'" onmouseover="alert(1)" {SCRIPT}')
    stack.run_invite()
    keep(stack.ledger, [Finding(Level.ERROR, SCRIPT, SCRIPT, check=SCRIPT)], datetime.now(UTC))
    keep(stack.ledger, [Finding(Level.OK, SCRIPT, check=SCRIPT)], datetime.now(UTC))
    browser = login("eve")
    asked = browser.post(
        f"{CONSOLE}/people/{opportunity}/requests", data=ASKED | {"reason": SCRIPT}, headers=OWN_PAGE | HTML
    )
    assert asked.status_code == 202
    refused = browser.post(
        f"{CONSOLE}/people/{SCRIPT}/requests", data=ASKED | {SCRIPT: SCRIPT}, headers=OWN_PAGE | HTML
    )
    pages = [
        browser.get(CONSOLE + address, headers=HTML)
        for address in (
            "/", "/people", f"/people/{opportunity}", "/flow", "/traffic", "/health", f"/people?q={SCRIPT}",
            f"/people?standing={SCRIPT}", f"/?kind={SCRIPT}", f"/?kind=held&why={SCRIPT}", f"/static/{SCRIPT}", f"/{SCRIPT}",
        )
    ]  # fmt: skip
    for page in (asked, refused, *pages):
        assert SCRIPT not in page.text
        assert 'onmouseover="alert' not in page.text
    for page in pages[:6]:
        assert page.status_code == 200
    assert all("&lt;script&gt;" in page.text for page in (*pages[:4], pages[5]))


def test_every_answer_has_a_content_security_policy(login: LogIn, stack: Stack, api_server: TestClient) -> None:
    answers = [api_server.get(f"{CONSOLE}/", headers=HTML)]
    answers.append(login("stranger").get(f"{CONSOLE}/", headers=HTML))
    browser = login("eve")
    for address in (*ADDRESSES, "/?skip=-1", "/people?standing=x"):
        answers += [browser.get(CONSOLE + address), browser.put(CONSOLE + address)]
    answers += [browser.post(f"{CONSOLE}/people/x/requests", data=ASKED, headers=headers) for headers in ({}, OWN_PAGE)]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 403, 404}
    for answer in answers:
        _has_policy(answer)


def test_a_mistake_of_ours_is_said_without_its_details() -> None:
    def broken(**_: bool) -> Ledger:
        raise RuntimeError("a secret")

    async def viewer(_request: Request) -> Viewer:
        return Viewer(name="ann", may_act=True, may_see_names=True)

    app: FastAPI = create_app(open_ledger=broken, viewer=viewer)
    answer = TestClient(app).get("/", headers=HTML)
    assert answer.status_code == 500
    assert "report it" in answer.text
    assert "secret" not in answer.text
    _has_policy(answer)


def _has_policy(answer: object) -> None:
    headers = answer.headers  # type: ignore[attr-defined]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
