"""Acts that are asked for twice, and about somebody whose situation changes before a run does them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from lever_imocha.console.acts import LABELS
from lever_imocha.domain.acts import Act
from lever_imocha.errors import LeverImochaError
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings
from playwright.sync_api import expect

from tests.console.conftest import CONSOLE, LogIn, OpenPage
from tests.console.test_console import OWN_PAGE, asked
from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack

pytestmark = pytest.mark.xdist_group("airflow")
WHY = "the candidate has told us so"
OLD, NEW = "old@example.com", "new@example.com"


@dataclass
class Asking:
    """Somebody about whom an act can be asked for."""

    opportunity: str
    address: str
    body: dict[str, str]


def possible(stack: Stack, act: Act) -> Asking:
    """Bring somebody into a situation in which the act is possible."""
    if act in (Act.RELEASE, Act.DROP):
        stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 1}}")
        stack.candidate(PYTHON)
        stack.run_invite()
    opportunity = stack.candidate(PYTHON, emails=[OLD])
    stack.run_invite()
    if act in (Act.REATTEMPT, Act.WRITE_AGAIN):
        stack.finish()
        stack.run_write_back()
        stack.invitation().points = 40
    if act is Act.CORRECT_ADDRESS:
        stack.world.opportunities[opportunity]["emails"] = [NEW]
    if act is Act.REPLAY:
        told = NewDelivery(
            vendor="lever", key="1", event="candidateStageChange", opportunity_id=opportunity, handled=True
        )
        stack.ledger.deliveries.record(told)
        return Asking(opportunity, f"{CONSOLE}/deliveries/1/requests", {"reason": WHY})
    of_test = {"test_id": "101"} if act.is_of_test else {}
    body = {"act": act.value, "reason": WHY} | of_test
    return Asking(opportunity, f"{CONSOLE}/people/{opportunity}/requests", body)


def run(stack: Stack) -> None:
    """Run both DAGs' work until nothing is left; what could not be done is tried again."""
    for _ in range(3):
        with suppress(LeverImochaError):
            stack.run_invite(sweep=False, force=True)
        with suppress(LeverImochaError):
            stack.run_write_back(sweep=False, force=True)


def seen(stack: Stack, opportunity: str) -> tuple[list[str], int, int]:
    """What the vendors' servers show: invitations, e-mails, forms."""
    states = [one.state for one in stack.world.invitations.values()]
    return states, len(stack.world.mails), len(stack.world.forms.get(opportunity, []))


ONCE = {
    Act.LOOK_AGAIN: (["Pending"], 1, 0),
    Act.RELEASE: (["Pending", "Pending"], 2, 0),
    Act.DROP: (["Pending"], 1, 0),
    Act.SEND_AGAIN: (["Pending"], 2, 0),
    Act.CANCEL: (["Cancelled"], 1, 0),
    Act.EXTEND: (["Pending"], 1, 0),
    Act.CORRECT_ADDRESS: (["Cancelled", "Pending"], 2, 0),
    Act.REATTEMPT: (["Complete", "Pending"], 2, 1),
    Act.WRITE_AGAIN: (["Complete"], 1, 2),
    Act.REPLAY: (["Pending"], 1, 0),
}


def test_there_is_a_case_for_each_act() -> None:
    assert set(ONCE) == set(Act)


@pytest.mark.slow
@pytest.mark.parametrize("act", Act)
def test_what_two_people_ask_for_is_done_once(login: LogIn, stack: Stack, act: Act) -> None:
    asking = possible(stack, act)
    answers = [
        login(user).post(asking.address, data=asking.body, headers=OWN_PAGE).json() for user in ("bob", "bob", "eve")
    ]
    assert [answer["already"] for answer in answers] == [False, True, True]
    run(stack)
    assert seen(stack, asking.opportunity) == ONCE[act]
    assert [(one[0], one[3], one[4]) for one in asked(stack.ledger)] == [(act, "bob", True)]


def archive(stack: Stack, opportunity: str) -> None:
    stack.world.archive(opportunity, "Withdrew")


def anonymise(stack: Stack, opportunity: str) -> None:
    archive(stack, opportunity)
    stack.world.anonymise(opportunity)


def delete(stack: Stack, opportunity: str) -> None:
    del stack.world.opportunities[opportunity]


def move(stack: Stack, opportunity: str) -> None:
    stack.world.move(opportunity, "Offer")


def all_to(state: str) -> Callable[[Stack, str], None]:
    def change(stack: Stack, _opportunity: str) -> None:
        for invitation in stack.world.invitations.values():
            if invitation.state == "Pending":
                if state == "Complete":
                    stack.world.finish(invitation, state)
                else:
                    invitation.state = state

    return change


CHANGES: dict[str, Callable[[Stack, str], None]] = {
    "archived": archive, "anonymised": anonymise, "deleted": delete, "moved on": move,
    "begun": all_to("In Progress"), "ended": all_to("Complete"), "cancelled at iMocha": all_to("Cancelled"),
    "expired": all_to("Expired"),
}  # fmt: skip
GONE = ("archived", "anonymised", "deleted")


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("act", Act)
def test_who_has_changed_meanwhile_is_done_no_harm(login: LogIn, stack: Stack, act: Act, change: str) -> None:
    browser, asking = login("bob"), possible(stack, act)
    assert browser.post(asking.address, data=asking.body, headers=OWN_PAGE).status_code == 202
    CHANGES[change](stack, asking.opportunity)
    changed, mails, _ = seen(stack, asking.opportunity)
    run(stack)
    states, mailed, _ = seen(stack, asking.opportunity)
    if change in GONE:
        assert mailed == mails
        assert states in (changed, ["Cancelled"])
    if change in ("begun", "ended"):
        assert states[: len(changed)] == changed, "what a candidate has done is not cancelled"
    assert states.count("Pending") <= 1
    (request,) = asked(stack.ledger)
    assert request[4] == (change != "deleted"), "that Lever does not find somebody once is no proof"


@pytest.mark.slow
@pytest.mark.parametrize("act", Act)
def test_each_act_by_a_person_in_a_browser(open_page: OpenPage, stack: Stack, act: Act) -> None:
    asking = possible(stack, act)
    page = "traffic" if act is Act.REPLAY else f"people/{asking.opportunity}"
    _, frame = open_page("eve", page, viewport={"width": 400, "height": 900})
    place = frame.locator("details.act", has=frame.get_by_text(LABELS[act], exact=True)).first
    place.locator("summary").click()
    place.locator("input[name=reason]").fill(WHY)
    place.locator("button", has_text="What would happen?").click()
    expect(frame.locator("#said")).to_contain_text("Nothing was done")
    assert asked(stack.ledger) == []
    for said in ("Asked for", "Nothing new"):
        place.locator("button").first.click()
        expect(frame.locator("#said")).to_contain_text(said)
    run(stack)
    assert seen(stack, asking.opportunity) == ONCE[act]
    frame.goto(f"{frame.url.split('/console/')[0]}/console/people/{asking.opportunity}")
    expect(frame.locator(".timeline")).to_contain_text(WHY)
