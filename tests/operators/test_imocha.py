"""What each operator for iMocha does to the sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lever_imocha.errors import NotFoundError, RequestRejectedError, SettingsError
from lever_imocha.operators.imocha import (
    ImochaCancelOperator,
    ImochaGetReportOperator,
    ImochaInviteOperator,
    ImochaReattemptOperator,
)

from include.sandbox.world import Fault, World

NOBODY: Any = {}


def invite(**given: Any) -> int:
    parameters: Any = {"test_id": 101, "email": "ann@example.com", "name": "Ann"} | given
    return ImochaInviteOperator(task_id="invite", **parameters).execute(NOBODY)


@pytest.mark.parametrize("send", [True, "True", "yes", "false", False])
def test_a_candidate_is_invited(world: World, send: Any) -> None:
    invitation_id = invite(test_id="101", send_email=send, callback_url="https://example.com/cb")
    invitation = world.invitations[invitation_id]
    assert (invitation.email, invitation.name, invitation.test_id) == ("ann@example.com", "Ann", 101)
    assert invitation.callback_url == "https://example.com/cb"
    assert len(world.mails) == (send in (True, "True", "yes"))


def test_inviting_twice_makes_one_invitation(world: World) -> None:
    assert invite() == invite()
    assert len(world.invitations) == 1


def test_a_parameter_that_stands_for_nothing_is_named(world: World) -> None:
    for given, line in (
        ({"test_id": "Python"}, "test_id: 'Python' cannot be read; give a whole number"),
        ({"send_email": "perhaps"}, "send_email: 'perhaps' cannot be read; give true or false"),
        ({"email": "None"}, "email: is empty"),
    ):
        with pytest.raises(SettingsError, match=line):
            invite(**given)
    assert world.invitations == {}


def test_a_pending_invitation_is_cancelled_and_an_ended_one_is_not(world: World) -> None:
    first, second = invite(), invite(email="ben@example.com")
    world.finish(world.invitations[second])
    assert ImochaCancelOperator(task_id="c", invitation_id=str(first)).execute(NOBODY) is None
    assert world.invitations[first].state == "Cancelled"
    with pytest.raises(RequestRejectedError):
        ImochaCancelOperator(task_id="c", invitation_id=second).execute(NOBODY)


def test_cancelling_whose_answer_is_lost_is_done(world: World) -> None:
    first = invite()
    world.faults.append(Fault(vendor="imocha", method="POST", path_contains="/cancel", mode="drop", apply=True))
    assert ImochaCancelOperator(task_id="c", invitation_id=first).execute(NOBODY) is None
    assert world.invitations[first].state == "Cancelled"


def test_a_second_attempt_has_an_invitation_of_its_own(world: World) -> None:
    first = invite()
    world.finish(world.invitations[first])
    second = ImochaReattemptOperator(task_id="r", invitation_id=first, valid_days="3").execute(NOBODY)
    assert second != first
    again = world.invitations[second]
    assert again.start is not None
    assert again.end is not None
    assert (again.end - again.start).days == 3


def test_a_report_is_a_status_and_the_whole_of_it_only_on_demand(world: World) -> None:
    invitation_id = invite()
    with pytest.raises(NotFoundError):
        ImochaGetReportOperator(task_id="g", invitation_id=999).execute(NOBODY)
    world.finish(world.invitations[invitation_id], points=34, total=50)
    status = ImochaGetReportOperator(task_id="g", invitation_id=str(invitation_id)).execute(NOBODY)
    assert status == "complete"
    assert type(status) is str
    report = ImochaGetReportOperator(task_id="g", invitation_id=invitation_id, values="true").execute(NOBODY)
    assert isinstance(report, dict)
    assert (report["candidate_points"], report["total_test_points"]) == (34, 50)
    assert json.loads(json.dumps(report)) == report
