"""What is asked for about one test of one candidate: on the page, in the ledger, and at both vendors after the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lever_imocha.domain.acts import Act
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.errors import OutcomeUnknownError, VendorDownError
from lever_imocha.settings import parse_settings

from tests.console.conftest import CONSOLE, LogIn
from tests.console.test_console import OWN_PAGE
from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

pytestmark = pytest.mark.xdist_group("airflow")
WHY = "the candidate has told us so"
Ask = Callable[..., Any]


@pytest.fixture
def browser(login: LogIn) -> TestClient:
    return login("bob")


@pytest.fixture
def ask(browser: TestClient) -> Ask:
    """Ask for something about the first test, and return the status of the answer."""

    def ask_(opportunity: str, act: Act, test_id: int | None = 101, **more: str) -> int:
        body = {"act": act.value, "reason": WHY, **more} | ({"test_id": str(test_id)} if test_id else {})
        return int(browser.post(f"{CONSOLE}/people/{opportunity}/requests", data=body, headers=OWN_PAGE).status_code)

    return ask_


def offered(browser: TestClient, opportunity: str) -> set[tuple[str, int | None]]:
    acts = browser.get(f"{CONSOLE}/people/{opportunity}").json()["acts"]
    return {(act["act"], act["test_id"]) for act in acts} - {("look_again", None), ("send_again", None)}


def outcome(browser: TestClient, opportunity: str) -> str:
    """What came of the last request, as the timeline says."""
    timeline = browser.get(f"{CONSOLE}/people/{opportunity}").json()["timeline"]
    done = next(moment for moment in timeline if moment["kind"].startswith("done_"))
    assert done["actor"] == "bob"
    return str(done["detail"])


def written(stack: Stack, *tags: str) -> str:
    """Return a candidate whose report is in Lever."""
    opportunity = stack.candidate(*(tags or (PYTHON,)))
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    return opportunity


def states(stack: Stack) -> list[str]:
    return [invitation.state for invitation in stack.world.invitations.values()]


def to(stack: Stack) -> list[str]:
    return [mail["to"] for mail in stack.world.mails]


def form(stack: Stack, opportunity: str, number: int = -1) -> dict[str, object]:
    return {field["text"]: field["value"] for field in stack.world.forms[opportunity][number]["fields"]}


# Cancel


def test_a_cancelled_invitation_stays_cancelled_until_the_candidate_is_moved_in_again(
    stack: Stack, browser: TestClient, ask: Ask
) -> None:
    stack.settings = parse_settings(SETTINGS + "explain: {status_tags: true, notes: true}")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    assert offered(browser, opportunity) == {("cancel", 101), ("extend", 101), ("correct_address", 101)}
    assert ask(opportunity, Act.CANCEL, dry_run="true") == 200
    assert ask(opportunity, Act.CANCEL, 102) == 409
    assert ask(opportunity, Act.CANCEL, None) == 409
    assert ask(opportunity, Act.CANCEL) == 202
    assert states(stack) == ["Pending"]
    assert stack.run_invite(sweep=False) == ["cancel: cancelled at iMocha"]
    assert states(stack) == ["Cancelled"]
    assert outcome(browser, opportunity) == "cancelled at iMocha"
    assert stack.world.opportunities[opportunity]["tags"] == [PYTHON, "iMocha: cancelled"]
    assert "the invitation was cancelled" in str(stack.world.notes[opportunity])
    stack.run_invite(full=True)
    stack.world.opportunities[opportunity]["tags"].append(SQL)  # decided again: about the other test only
    stack.run_invite(full=True)
    assert states(stack) == ["Cancelled", "Pending"]
    stack.again(opportunity)
    stack.run_invite()
    assert states(stack) == ["Pending", "Pending"]


def test_an_invitation_that_is_begun_is_not_cancelled(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    assert ask(opportunity, Act.CANCEL) == 202
    stack.invitation().state = "In Progress"
    stack.run_invite(sweep=False)
    assert states(stack) == ["In Progress"]
    assert "iMocha does not cancel it" in outcome(browser, opportunity)
    stack.run_write_back()
    assert offered(browser, opportunity) == set()
    assert ask(opportunity, Act.CANCEL) == 409


def test_a_cancellation_that_imocha_cannot_answer_is_tried_again(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    ask(opportunity, Act.CANCEL)
    stack.fault(vendor="imocha", path_contains="/cancel", status=503, times=50)
    with pytest.raises(Exception, match="503"):
        stack.run_invite(sweep=False)
    stack.world.faults.clear()
    assert stack.run_invite(sweep=False) == []
    stack.run_invite(sweep=False, force=True)
    assert states(stack) == ["Cancelled"]
    assert outcome(browser, opportunity) == "cancelled at iMocha"


# Write the report again


def test_a_corrected_score_is_a_new_form_that_says_so(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = written(stack)
    assert offered(browser, opportunity) == {("reattempt", 101), ("write_again", 101)}
    number = stack.invitation().id
    stack.invitation().points = 40
    stack.world.move(opportunity, "Offer")
    assert ask(opportunity, Act.WRITE_AGAIN) == 202
    stack.run_write_back(sweep=False)
    assert (form(stack, opportunity, 0)["Score"], form(stack, opportunity)["Score"]) == ("34 / 50", "40 / 50")
    assert form(stack, opportunity)["Invitation"] == f"{number}, corrected report 2"
    assert [file["name"] for file in stack.world.files[opportunity]] == [
        f"iMocha report {number}.pdf",
        f"iMocha report {number} corrected 2.pdf",
    ]
    assert stack.stage(opportunity) == "Offer"
    assert outcome(browser, opportunity) == "written again: there is a new form and a new file"
    stack.invitation().points = 41
    ask(opportunity, Act.WRITE_AGAIN)
    stack.run_write_back(sweep=False)
    assert form(stack, opportunity)["Invitation"] == f"{number}, corrected report 3"


def test_a_report_that_says_the_same_is_not_written_again(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = written(stack)
    ask(opportunity, Act.WRITE_AGAIN)
    (said,) = stack.run_write_back(sweep=False)
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 1
    assert outcome(browser, opportunity) == said == "nothing written: the report says what the form in Lever says"
    stack.world.forms[opportunity].clear()  # a recruiter has deleted it
    ask(opportunity, Act.WRITE_AGAIN)
    stack.run_write_back(sweep=False)
    assert form(stack, opportunity)["Score"] == "34 / 50"


def test_who_was_anonymised_gets_no_corrected_report(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = written(stack)
    stack.invitation().points = 40
    stack.world.archive(opportunity, "Withdrew")
    stack.world.anonymise(opportunity)
    forms = len(stack.world.forms[opportunity])
    ask(opportunity, Act.WRITE_AGAIN)
    stack.run_write_back(sweep=False)
    assert len(stack.world.forms[opportunity]) == forms
    assert outcome(browser, opportunity) == "nothing done: the candidate was anonymised in Lever"


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("path", ["/forms", "/files"])
def test_what_is_written_again_is_written_once_whatever_is_lost(
    stack: Stack, browser: TestClient, ask: Ask, path: str, apply: bool
) -> None:
    opportunity = written(stack)
    stack.invitation().points = 40
    ask(opportunity, Act.WRITE_AGAIN)
    stack.fault(vendor="lever", method="POST", path_contains=path, status=503, times=3, apply=apply)
    with suppress(VendorDownError, OutcomeUnknownError):  # what is found to be there is no failure
        stack.run_write_back(sweep=False)
    stack.world.faults.clear()
    stack.run_write_back(force=True)
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 2
    assert outcome(browser, opportunity).startswith("written again")


# The corrected address


@pytest.mark.parametrize("told", [True, False])
def test_a_corrected_address_is_invited_and_never_two_are_open(
    stack: Stack, browser: TestClient, ask: Ask, told: bool
) -> None:
    stack.world.switches["open_report_names_email"] = told
    opportunity = stack.candidate(PYTHON, emails=["old@example.com"])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    assert ask(opportunity, Act.CORRECT_ADDRESS) == 202
    stack.world.calls.clear()
    stack.run_invite(sweep=False)
    assert states(stack) == ["Cancelled", "Pending"]
    assert to(stack) == ["old@example.com", "new@example.com"]
    order = [call.rsplit("/", 1)[1] for call in stack.writes() if call.startswith("imocha")]
    assert order[:2] == ["cancel", "invite"]
    assert outcome(browser, opportunity) == "the former invitation is cancelled; the e-mail is asked for"
    stack.finish()
    stack.run_write_back()
    assert stack.stage(opportunity) == "Assessment Complete"


def test_the_address_that_imocha_names_is_not_invited_twice(stack: Stack, browser: TestClient, ask: Ask) -> None:
    stack.world.switches["open_report_names_email"] = True
    opportunity = stack.candidate(PYTHON, emails=["Ann@Example.com"])
    stack.run_invite()
    ask(opportunity, Act.CORRECT_ADDRESS)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Pending"]
    assert len(to(stack)) == 1
    assert outcome(browser, opportunity) == "nothing done: the invitation went to the address that Lever shows"


def test_where_imocha_names_no_address_the_same_one_is_invited_again(stack: Stack, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    ask(opportunity, Act.CORRECT_ADDRESS)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Pending"]
    assert to(stack) == ["ann@example.com"] * 2


def test_a_corrected_address_keeps_to_the_limits_and_leaves_who_has_begun(
    stack: Stack, browser: TestClient, ask: Ask
) -> None:
    stack.settings = parse_settings(SETTINGS + "limits: {per_candidate: 1}")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    ask(opportunity, Act.CORRECT_ADDRESS)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Pending"]
    assert outcome(browser, opportunity) == "nothing done: limit of e-mails to one candidate"
    stack.settings = parse_settings(SETTINGS)
    ask(opportunity, Act.CORRECT_ADDRESS)
    stack.invitation().state = "In Progress"
    stack.run_invite(sweep=False)
    assert states(stack) == ["In Progress"]
    assert len(to(stack)) == 1
    assert outcome(browser, opportunity) == "nothing done: the attempt is in progress"


def test_an_invitation_that_two_opportunities_share_is_not_taken_from_the_other(
    stack: Stack, browser: TestClient, ask: Ask
) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    ask(opportunity, Act.CORRECT_ADDRESS)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Pending"]
    assert "another opportunity of the same person" in outcome(browser, opportunity)


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("path", ["/cancel", "/invite"])
def test_an_answer_that_is_lost_leaves_one_open_invitation(stack: Stack, ask: Ask, path: str, apply: bool) -> None:
    stack.world.switches["open_report_names_email"] = True
    opportunity = stack.candidate(PYTHON, emails=["old@example.com"])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    ask(opportunity, Act.CORRECT_ADDRESS)
    stack.fault(vendor="imocha", path_contains=path, status=503, apply=apply)
    stack.run_invite(sweep=False)
    stack.run_invite(sweep=False, force=True)
    assert states(stack).count("Pending") == 1
    assert "old@example.com" not in [one.email for one in stack.world.invitations.values() if one.state == "Pending"]


@pytest.fixture(params=["status", 404])
def not_ready(request: pytest.FixtureRequest, stack: Stack) -> None:
    """What iMocha says of an invitation that is not taken yet."""
    stack.world.switches["report_not_ready"] = request.param


def lose(stack: Stack, path: str, *, apply: bool) -> None:
    """Let a run do what was asked for, and lose all answers to one call."""
    stack.fault(vendor="imocha", path_contains=path, mode="drop", apply=apply, times=1000)
    with pytest.raises(OutcomeUnknownError):
        stack.run_invite(sweep=False)
    stack.world.faults.clear()


@pytest.mark.usefixtures("not_ready")
@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("comes_again", [False, True])
def test_a_cancelling_whose_answer_was_lost_is_told_as_done(
    stack: Stack, browser: TestClient, ask: Ask, apply: bool, comes_again: bool
) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    ask(opportunity, Act.CANCEL)
    lose(stack, "/cancel", apply=apply)
    if comes_again:
        stack.again(opportunity)
    stack.run_invite(full=True, force=True)
    assert outcome(browser, opportunity) == "cancelled at iMocha"
    stack.run_invite(full=True, force=True)
    assert states(stack) == (["Pending"] if comes_again else ["Cancelled"])
    assert len(to(stack)) == 1 + comes_again


@pytest.mark.usefixtures("not_ready")
def test_a_cancelling_that_comes_to_nothing_leaves_what_is_known(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    ask(opportunity, Act.CANCEL)
    lose(stack, "/cancel", apply=False)
    stack.invitation().state = "In Progress"
    stack.run_invite(full=True, force=True)
    assert outcome(browser, opportunity).startswith("nothing done: iMocha does not cancel it")
    assert stack.ledger.invitations.status(stack.invitation().id) in (AttemptStatus.PENDING, AttemptStatus.IN_PROGRESS)


@pytest.mark.usefixtures("not_ready")
@pytest.mark.parametrize("path", ["/cancel", "/invite"])
def test_who_leaves_and_comes_back_while_the_address_is_corrected_is_invited_there(
    stack: Stack, browser: TestClient, ask: Ask, path: str
) -> None:
    opportunity = stack.candidate(PYTHON, emails=["old@example.com"])
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    ask(opportunity, Act.CORRECT_ADDRESS)
    lose(stack, path, apply=True)
    stack.world.archive(opportunity, "Withdrew")
    stack.run_invite(full=True, force=True)
    stack.run_invite(full=True, force=True)
    assert "Pending" not in states(stack)
    assert outcome(browser, opportunity).endswith("archived")
    stack.world.archive(opportunity, None)
    stack.run_invite(full=True, force=True)
    assert [one.email for one in stack.world.invitations.values() if one.state == "Pending"] == ["new@example.com"]


# Another attempt, another window


def test_who_leaves_while_it_is_unknown_whether_another_attempt_is_given_cannot_take_it(
    stack: Stack, browser: TestClient, ask: Ask
) -> None:
    opportunity = written(stack)
    ask(opportunity, Act.REATTEMPT)
    lose(stack, "/reattempt", apply=True)
    stack.world.archive(opportunity, "Withdrew")
    stack.run_invite(full=True, force=True)
    stack.run_invite(full=True, force=True)
    assert states(stack) == ["Complete", "Cancelled"]
    assert outcome(browser, opportunity) == (
        "an earlier try was cut off, which may have sent the e-mail; not tried again: archived"
    )


def test_another_attempt_that_is_over_before_its_answer_came_is_not_given_again(
    stack: Stack, browser: TestClient, ask: Ask
) -> None:
    opportunity = written(stack)
    ask(opportunity, Act.REATTEMPT)
    lose(stack, "/reattempt", apply=True)
    stack.finish()
    stack.run_invite(full=True, force=True)
    stack.run_write_back()
    assert states(stack) == ["Complete", "Complete"]
    assert outcome(browser, opportunity) == "the e-mail is asked for"
    assert len(stack.world.forms[opportunity]) == 2


def test_another_attempt_is_given_without_a_move_and_its_report_is_written_too(
    stack: Stack, browser: TestClient, ask: Ask
) -> None:
    opportunity = written(stack)
    assert stack.stage(opportunity) == "Assessment Complete"
    assert ask(opportunity, Act.REATTEMPT) == 202
    stack.run_invite(sweep=False)
    assert states(stack) == ["Complete", "Pending"]
    assert len(to(stack)) == 2
    assert outcome(browser, opportunity) == "the e-mail is asked for"
    stack.run_invite(full=True)
    assert states(stack) == ["Complete", "Pending"], "no sweep takes it away"
    stack.finish()
    stack.run_write_back()
    assert len(stack.world.forms[opportunity]) == len(stack.world.files[opportunity]) == 2
    assert stack.stage(opportunity) == "Assessment Complete"


@pytest.mark.parametrize(
    ("settings", "change", "said"),
    [
        ("cancel_when: {stage_left: true}", lambda stack, key: None, "cancel_when.stage_left cancels"),
        ("", lambda stack, key: stack.world.archive(key, "Withdrew"), "nothing done: archived"),
        ("", lambda stack, key: stack.world.opportunities[key].update(emails=[]), "nothing done: no e-mail address"),
        (
            "",
            lambda stack, key: stack.world.opportunities[key].update(dataProtection={"contact": {"allowed": False}}),
            "nothing done: may not be contacted",
        ),
    ],
    ids=["cancelled again", "archived", "no address", "no consent"],
)
def test_nobody_is_given_another_attempt_who_may_not_be_invited(
    stack: Stack,
    browser: TestClient,
    ask: Ask,
    settings: str,
    change: Callable[[Stack, str], object],
    said: str,
) -> None:
    opportunity = written(stack)
    stack.settings = parse_settings(SETTINGS + settings)
    ask(opportunity, Act.REATTEMPT)
    change(stack, opportunity)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Complete"]
    assert said in outcome(browser, opportunity)


def test_above_the_limit_of_the_hour_a_request_waits_for_its_room(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = written(stack)
    stack.settings = parse_settings(SETTINGS + "limits: {per_hour: 1}")
    ask(opportunity, Act.REATTEMPT)
    assert stack.run_invite(sweep=False) == ["waits: limit of e-mails an hour"]
    assert browser.get(f"{CONSOLE}/people/{opportunity}").json()["person"]["standing"] == "we are working"
    stack.settings = parse_settings(SETTINGS)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Complete", "Pending"]


def test_a_window_is_extended_without_an_e_mail(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.shift += timedelta(days=3)
    before = stack.invitation().end
    assert ask(opportunity, Act.EXTEND) == 202
    stack.clock = stack.world.now
    stack.run_invite(sweep=False)
    after = stack.invitation().end
    assert before is not None
    assert after is not None
    assert after - before > timedelta(days=2)
    assert len(to(stack)) == 1
    assert outcome(browser, opportunity) == "a new window, without an e-mail"
    (known,) = stack.ledger.assessments.of(opportunity)
    assert known.expires_at is not None
    assert abs(known.expires_at - after) < timedelta(seconds=2)


def test_a_window_is_not_extended_at_another_address(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.opportunities[opportunity]["emails"] = ["new@example.com"]
    ask(opportunity, Act.EXTEND)
    stack.run_invite(sweep=False)
    assert states(stack) == ["Pending", "Cancelled"]
    assert "invite at the corrected address" in outcome(browser, opportunity)


# "I got no e-mail"


def test_the_page_answers_who_says_that_no_e_mail_came(stack: Stack, browser: TestClient, ask: Ask) -> None:
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    ask(opportunity, Act.SEND_AGAIN, None)
    stack.run_invite(sweep=False)
    answer = browser.get(f"{CONSOLE}/people/{opportunity}")
    (mail,) = answer.json()["mails"]
    assert (mail["test_id"], mail["count"], mail["says"], mail["unanswered"]) == (101, 2, "invited", False)
    assert mail["asked_at"] <= mail["accepted_at"]
    assert mail["begun_at"] is None
    page = browser.get(f"{CONSOLE}/people/{opportunity}", headers={"Accept": "text/html"}).text
    section = page.split("If the candidate got no e-mail")[1].split("</section>")[0]
    assert "2 e-mails" in section
    assert "@" not in section
    assert "invite at the corrected address" in section
    stack.ledger.invitations.set_status({stack.invitation().id: AttemptStatus.IN_PROGRESS})
    (mail,) = browser.get(f"{CONSOLE}/people/{opportunity}").json()["mails"]
    assert (mail["says"], mail["begun"], mail["begun_at"] is None) == ("has begun", True, False)
    page = browser.get(f"{CONSOLE}/people/{opportunity}", headers={"Accept": "text/html"}).text
    assert "the candidate has begun every test" in page
    assert "invite at the corrected address" not in page


# Under a rule that names a test link


PROCTORED, OTHER = 555, 556
NAMED = parse_settings(SETTINGS + "rules: [{link: proctored}]")


@pytest.fixture
def linked(stack: Stack) -> str:
    """A candidate who is invited through the link of the rule."""
    for number, name in ((PROCTORED, "Proctored"), (OTHER, "Other")):
        stack.world.other_links.append(stack.world.new_link(101, number, name))
    stack.settings = NAMED
    opportunity = stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.run_invite()
    return opportunity


def used(stack: Stack) -> list[tuple[int | None, str]]:
    return [(one.link_id, one.state) for one in stack.world.invitations.values()]


def without_link(stack: Stack) -> None:
    """Delete the link that the rule names, at iMocha."""
    stack.world.other_links = [link for link in stack.world.other_links if link["testLinkId"] != PROCTORED]
    stack.ledger.cache.drop("imocha.links.101")


@pytest.mark.parametrize("act", [Act.CANCEL, Act.EXTEND, Act.SEND_AGAIN])
def test_what_is_open_keeps_to_the_link_of_its_rule(stack: Stack, ask: Ask, linked: str, act: Act) -> None:
    assert ask(linked, act, 101 if act.is_of_test else None) == 202
    stack.run_invite(sweep=False)
    assert used(stack) == [(PROCTORED, "Cancelled" if act is Act.CANCEL else "Pending")]
    assert len(to(stack)) == (2 if act is Act.SEND_AGAIN else 1)


@pytest.mark.parametrize("has_left", [False, True])
@pytest.mark.parametrize("has_tag", [True, False])
def test_a_corrected_address_is_invited_through_the_link_of_the_rule(
    stack: Stack, ask: Ask, linked: str, has_left: bool, has_tag: bool
) -> None:
    stack.world.opportunities[linked].update(emails=["new@example.com"], tags=[PYTHON] if has_tag else [])
    if has_left:
        stack.world.move(linked, "Offer")
    ask(linked, Act.CORRECT_ADDRESS)
    stack.run_invite(sweep=False)
    assert used(stack) == [(PROCTORED, "Cancelled"), (PROCTORED, "Pending")]
    assert to(stack) == ["ann@example.com", "new@example.com"]


@pytest.mark.parametrize("address", ["ann@example.com", "new@example.com"])
def test_another_attempt_goes_through_the_link_of_the_rule(stack: Stack, ask: Ask, linked: str, address: str) -> None:
    stack.finish()
    stack.run_write_back()
    stack.world.opportunities[linked]["emails"] = [address]
    ask(linked, Act.REATTEMPT)
    stack.run_invite(sweep=False)
    assert used(stack) == [(PROCTORED, "Complete"), (PROCTORED, "Pending")]
    assert to(stack)[1:] == [address]


@pytest.mark.parametrize("act", [Act.CORRECT_ADDRESS, Act.REATTEMPT])
def test_nobody_is_invited_through_another_link_when_that_of_the_rule_is_gone(
    stack: Stack, browser: TestClient, ask: Ask, linked: str, act: Act
) -> None:
    if act is Act.REATTEMPT:
        stack.finish()
        stack.run_write_back()
    stack.world.opportunities[linked]["emails"] = ["new@example.com"]
    before = used(stack)
    ask(linked, act)
    without_link(stack)
    stack.run_invite(sweep=False)
    assert used(stack) == before, "the former invitation is not cancelled either"
    assert len(to(stack)) == 1
    assert outcome(browser, linked) == "nothing done: no such test link"


# About many


GROUP = {"kind": "waits", "why": "limit of e-mails an hour", "act": "release", "reason": WHY}


def held(stack: Stack, number: int) -> None:
    """Have some held by the limit of the hour."""
    stack.settings = parse_settings(SETTINGS + "limits: {per_hour: 1}")
    for _ in range(number + 1):
        stack.candidate(PYTHON)
    stack.run_invite()
    assert len(to(stack)) == 1


def test_a_request_about_many_is_stopped_in_the_middle(stack: Stack, browser: TestClient) -> None:
    held(stack, 6)
    preview = browser.post(f"{CONSOLE}/requests", data=GROUP | {"dry_run": "true"}, headers=OWN_PAGE).json()
    assert (preview["count"], preview["bulk"]) == (6, None)
    assert stack.ledger.requests.running() == []
    bulk = browser.post(f"{CONSOLE}/requests", data=GROUP, headers=OWN_PAGE).json()["bulk"]
    assert (bulk["asked"], bulk["done"], bulk["open"]) == (6, 0, True)
    later = stack.candidate(PYTHON)  # comes into the group too late for what was asked
    address = f"{CONSOLE}/requests/{bulk['id']}"
    workflow = stack.invite_workflow()
    due = workflow.collect()
    for opportunity in due[:2]:
        workflow.act(opportunity)
    assert browser.get(address).json()["bulk"]["done"] == len(to(stack)) - 1 == 2
    assert [one["id"] for one in browser.get(f"{CONSOLE}/").json()["running"]] == [bulk["id"]]
    stopped = browser.post(f"{address}/stop", headers=OWN_PAGE).json()["bulk"]
    assert (stopped["done"], stopped["withdrawn"], stopped["open"], stopped["stopped_by"]) == (2, 4, False, "bob")
    for opportunity in due[2:]:
        workflow.act(opportunity)
    stack.run_invite(sweep=False)
    assert len(to(stack)) == 3
    assert browser.get(f"{CONSOLE}/").json()["running"] == []
    assert stopped["outcomes"] == {"withdrawn: stopped by bob": 4, "decided again, above the limit": 2}
    (group,) = browser.get(f"{CONSOLE}/").json()["groups"]
    assert group["total"] == 5  # those withdrawn, and who came later
    assert later in {one["opportunity_id"] for one in group["people"]}
    who = next(one["opportunity_id"] for one in group["people"] if one["opportunity_id"] != later)
    timeline = browser.get(f"{CONSOLE}/people/{who}").json()["timeline"]
    told = [moment["detail"] for moment in timeline if moment["source"] == "console"]
    assert told == ["withdrawn: stopped by bob", WHY]


def test_who_is_asked_about_already_is_not_asked_about_twice(stack: Stack, browser: TestClient, ask: Ask) -> None:
    held(stack, 2)
    (group,) = browser.get(f"{CONSOLE}/").json()["groups"]
    ask(group["people"][0]["opportunity_id"], Act.RELEASE, None)
    bulk = browser.post(f"{CONSOLE}/requests", data=GROUP, headers=OWN_PAGE).json()["bulk"]
    assert bulk["asked"] == 1
    again = browser.post(f"{CONSOLE}/requests", data=GROUP, headers=OWN_PAGE | {"Accept": "text/html"})
    assert "Nothing new: about all of these it is asked for already" in again.text
    stack.run_invite(sweep=False)
    assert len(to(stack)) == 3
    assert browser.get(f"{CONSOLE}/requests/{bulk['id']}").json()["bulk"]["open"] is False


def test_only_who_may_act_stops(stack: Stack, login: LogIn) -> None:
    held(stack, 2)
    bulk = login("bob").post(f"{CONSOLE}/requests", data=GROUP, headers=OWN_PAGE).json()["bulk"]
    address = f"{CONSOLE}/requests/{bulk['id']}"
    assert login("bob").post(f"{address}/stop").status_code == 403
    assert login("ann").post(f"{address}/stop", headers=OWN_PAGE).status_code == 403
    assert login("stranger").get(address).status_code == 403
    assert login("ann").get(address).json()["bulk"]["withdrawn"] == 0
    assert login("bob").get(f"{CONSOLE}/requests/77").status_code == 404
    assert login("bob").post(f"{CONSOLE}/requests/77/stop", headers=OWN_PAGE).status_code == 404
    assert login("ann").get(f"{CONSOLE}/requests/x").status_code == 400


def test_all_whom_a_filter_lists_are_asked_about_if_it_is_possible(stack: Stack, browser: TestClient) -> None:
    begun, open_ones = stack.candidate(PYTHON), [stack.candidate(PYTHON, SQL) for _ in range(2)]
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    (known,) = stack.ledger.assessments.of(begun)
    stack.world.invitations[int(known.invitation_id or 0)].state = "In Progress"
    stack.run_write_back()
    acts = browser.get(f"{CONSOLE}/people", params={"test": "101"}).json()["acts"]
    assert [act["act"] for act in acts] == ["look_again", "send_again", "cancel", "extend"]
    body = {"act": "cancel", "test": "101", "standing": "waiting for the candidate", "reason": WHY}
    address = f"{CONSOLE}/people/requests"
    plan = browser.post(address, data=body | {"dry_run": "true"}, headers=OWN_PAGE).json()
    assert (plan["count"], plan["total"], plan["bulk"]) == (2, 3, None)
    assert {one["opportunity_id"] for one in plan["sample"]} == set(open_ones)
    for wrong in (body | {"test": ""}, body | {"act": "release"}, body | {"standing": "needs you"}):
        assert browser.post(address, data=wrong, headers=OWN_PAGE).status_code == 409
    assert browser.post(address, data=body | {"test": "x"}, headers=OWN_PAGE).status_code == 400
    assert browser.post(address, data=body | {"q": "Ann"}, headers=OWN_PAGE).status_code == 403
    assert browser.post(address, data=body, headers=OWN_PAGE).json()["bulk"]["asked"] == 2
    stack.run_invite(sweep=False)
    assert sorted((one.test_id, one.state) for one in stack.world.invitations.values()) == [
        (101, "Cancelled"), (101, "Cancelled"), (101, "In Progress"), (102, "Pending"), (102, "Pending"),
    ]  # fmt: skip
    assert begun not in str(plan)
    page = browser.get(f"{CONSOLE}/people?test=101", headers={"Accept": "text/html"}).text
    assert "For all of these" in page
