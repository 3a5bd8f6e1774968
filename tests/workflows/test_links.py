"""Rules that invite through a link of their own: `rules[].link`."""

from __future__ import annotations

from typing import Any

import pytest
from lever_imocha.clients.transport import TRIES
from lever_imocha.domain.decisions import Reason
from lever_imocha.errors import OutcomeUnknownError, VendorDownError, WorkFailedError
from lever_imocha.runtime.batch_run import run_batch
from lever_imocha.settings import parse_settings

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

PROCTORED, WATCHED = 555, 556
RULE = SETTINGS + "rules: [{link: proctored}]\n"
MISSING = f"hold: {Reason.NO_LINK} (proctored of test 102)"


def add_link(stack: Stack, test_id: int, link_id: int, name: str) -> None:
    link = stack.world.new_link(test_id, link_id, name)
    link["proctoringSettings"] = {"proctoringMode": "image"}
    link["invitationSchedule"]["scheduleDetails"] = {"invitationValidityInDays": 3, "timeZoneId": 1720}
    stack.world.other_links.append(link)


@pytest.fixture
def linked(stack: Stack) -> Stack:
    add_link(stack, 101, PROCTORED, "Proctored")
    add_link(stack, 101, WATCHED, "Watched")
    stack.settings = parse_settings(RULE)
    return stack


def used(stack: Stack) -> list[tuple[int | None, str]]:
    return [(one.link_id, one.state) for one in stack.world.invitations.values()]


@pytest.mark.parametrize("takes_settings", [True, False])
def test_invitations_and_repeated_ones_go_through_the_link_of_the_rule(linked: Stack, takes_settings: bool) -> None:
    linked.world.switches["link_invite_takes_settings"] = takes_settings
    one = linked.candidate(PYTHON)
    assert linked.run_invite() == ["invite"]
    invitation = linked.invitation()
    assert (invitation.link_id, invitation.proctoring, invitation.time_zone_id) == (PROCTORED, "image", 1720)
    first_end = invitation.end
    linked.again(one)
    assert linked.run_invite() == ["refresh"]
    assert used(linked) == [(PROCTORED, "Pending")]
    assert (linked.invitation().proctoring, len(linked.world.mails)) == ("image", 2)
    assert first_end is not None
    assert linked.invitation().end is not None
    linked.finish()
    assert linked.run_write_back() == ["written back and moved on"]


def test_a_test_without_the_link_is_held_until_it_has_one(linked: Stack) -> None:
    both = linked.candidate(PYTHON, SQL)
    assert linked.run_invite() == [MISSING]
    assert [one.test_id for one in linked.world.invitations.values()] == [101]
    linked.candidate(SQL)
    assert linked.run_invite() == [MISSING]
    add_link(linked, 102, 777, " PROCTORED ")
    linked.ledger.cache.drop("imocha.links.102")
    assert linked.run_invite(full=True) == ["invite", "invite"]
    assert sorted(used(linked)) == [(PROCTORED, "Pending"), (777, "Pending"), (777, "Pending")]
    assert len(linked.world.mails) == 3
    assert both


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 200, "body": {"testLinks": []}}], ids=["500", "none"])
def test_links_that_cannot_be_read_are_those_known_before_and_stop_only_who_needs_others(
    linked: Stack, answer: dict[str, Any]
) -> None:
    linked.candidate(PYTHON)
    assert linked.run_invite() == ["invite"]
    known, unknown = linked.candidate(PYTHON), [linked.candidate(SQL), linked.candidate(SQL)]
    linked.world.calls.clear()
    linked.fault(vendor="imocha", method="GET", path_contains="/testlinks", times=1000, **answer)
    workflow = linked.invite_workflow()
    due = workflow.collect()
    assert sorted(due) == sorted([known, *unknown])
    with pytest.raises(WorkFailedError) as caught:
        run_batch(due, workflow.act)
    assert sorted(caught.value.failures) == sorted(unknown)
    assert used(linked) == [(PROCTORED, "Pending")] * 2
    asked = [call["path"] for call in linked.world.calls if "/testlinks" in call["path"] and call["method"] == "GET"]
    assert len(asked) == 2 * (TRIES if answer["status"] == 500 else 1), "once for each test"


def test_that_links_cannot_be_read_is_no_reason_for_a_hold(linked: Stack) -> None:
    linked.candidate(PYTHON)
    linked.run_invite()
    linked.settings = parse_settings(SETTINGS + "rules: [{link: new one}]")
    linked.fault(vendor="imocha", method="GET", path_contains="/testlinks", status=500, times=1000)
    waits = linked.candidate(PYTHON)
    with pytest.raises(VendorDownError):
        linked.run_invite()
    assert waits in linked.due(waiting=True)
    assert linked.ledger.entries.held([Reason.NO_LINK]) == {}


def test_an_inactive_link_is_none(linked: Stack) -> None:
    linked.world.other_links[0]["testLinkStatus"] = "inactive"
    linked.candidate(PYTHON)
    assert linked.run_invite() == [f"hold: {Reason.NO_LINK} (proctored of test 101)"]
    assert linked.world.invitations == {}


def test_who_took_the_test_is_left_alone_whatever_link_the_rule_names(linked: Stack) -> None:
    linked.settings = parse_settings(SETTINGS)
    one = linked.candidate(PYTHON)
    linked.run_invite()
    linked.finish()
    linked.run_write_back()
    linked.settings = parse_settings(SETTINGS + "rules: [{link: Nowhere}]")
    linked.world.move(one, "Assessment")
    assert linked.run_invite() == [f"ignore: {Reason.ALREADY_TAKEN}"]


def test_a_changed_link_replaces_the_invitation_that_is_open(linked: Stack) -> None:
    one = linked.candidate(PYTHON)
    linked.run_invite()
    linked.settings = parse_settings(SETTINGS + "rules: [{link: Watched}]")
    linked.again(one)
    assert linked.run_invite() == ["refresh"]
    assert used(linked) == [(PROCTORED, "Cancelled"), (WATCHED, "Pending")]


@pytest.mark.parametrize("then", ["Watched", ""])
def test_an_invite_whose_answer_was_lost_is_repeated_through_the_same_link(linked: Stack, then: str) -> None:
    linked.candidate(PYTHON)
    linked.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=True, times=7)
    with pytest.raises(OutcomeUnknownError):
        linked.run_invite()
    linked.settings = parse_settings(SETTINGS + (f"rules: [{{link: {then}}}]" if then else ""))
    assert linked.run_invite(force=True) == ["failed again: OutcomeUnknownError"]
    assert linked.run_invite(force=True) == ["invite"]
    assert used(linked) == [(PROCTORED, "Pending")]
    assert len(linked.world.mails) <= 2


def test_who_left_while_the_answer_was_lost_is_cancelled_on_that_link(linked: Stack) -> None:
    one = linked.candidate(PYTHON)
    linked.fault(vendor="imocha", path_contains="/invite", mode="drop", apply=True, times=7)
    with pytest.raises(OutcomeUnknownError):
        linked.run_invite()
    linked.world.faults.clear()
    linked.world.archive(one, linked.world.archive_reasons[1]["id"])
    linked.run_invite(full=True, force=True)
    assert used(linked) == [(PROCTORED, "Cancelled")]


def test_what_another_integration_sent_is_adopted_through_the_default_link(linked: Stack) -> None:
    linked.settings = parse_settings(
        "perform_as: a@example.com\nactivation: {existing: adopt}\nrules: [{link: proctored}]"
    )
    linked.candidate(PYTHON, emails=["ann@example.com"])
    theirs = linked.imocha.invite(101, email="ann@example.com", name="Ann Example", send_email=False)
    assert linked.run_invite() == ["adopt"]
    assert linked.invitation().id == theirs.id
