"""What a recruiter, who sees only Lever, is told."""

from __future__ import annotations

import pytest
from lever_imocha.domain.tags import STATUS_TAGS
from lever_imocha.errors import ApiError, ReportFileError
from lever_imocha.settings import parse_settings

from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack

GONE = "iMocha: Gone [999]"


@pytest.fixture
def telling(stack: Stack) -> Stack:
    stack.settings = parse_settings(SETTINGS + "explain: {status_tags: true, notes: true}")
    return stack


def shown(stack: Stack, opportunity: str) -> list[str]:
    return [tag for tag in stack.world.opportunities[opportunity]["tags"] if tag in STATUS_TAGS]


def notes(stack: Stack, opportunity: str) -> list[str]:
    return [note["fields"][0]["value"] for note in stack.world.notes[opportunity]]


def test_nothing_is_told_unless_the_settings_say_so(stack: Stack) -> None:
    opportunity = stack.candidate(GONE)
    stack.run_invite()
    assert stack.writes() == []
    assert shown(stack, opportunity) == []


def test_only_the_latest_status_is_shown_from_the_invitation_to_the_report(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    assert shown(telling, opportunity) == ["iMocha: invited"]
    telling.invitation().state = "In Progress"
    assert telling.run_write_back() == []
    telling.run_invite(sweep=False)
    assert shown(telling, opportunity) == ["iMocha: started"]
    telling.finish()
    assert telling.run_write_back() == ["written back and moved on"]
    assert shown(telling, opportunity) == ["iMocha: complete"]
    telling.run_invite(full=True)
    telling.world.calls.clear()
    telling.run_invite(full=True)
    telling.run_write_back()
    assert telling.writes() == []


def test_an_expired_invitation_is_shown_as_such_and_revived_by_moving_back(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.invitation().state, telling.invitation().changed_at = "Expired", telling.world.now()
    telling.run_write_back()
    telling.run_invite(sweep=False)
    assert shown(telling, opportunity) == ["iMocha: expired"]
    telling.again(opportunity)
    assert telling.run_invite() == ["refresh"]
    assert shown(telling, opportunity) == ["iMocha: invited"]


def test_a_hold_is_shown_and_noted_once_with_its_fix_until_it_is_over(telling: Stack) -> None:
    opportunity = telling.candidate(GONE)
    for _ in range(3):
        telling.run_invite(full=True)
    assert shown(telling, opportunity) == ["iMocha: on hold"]
    (note,) = notes(telling, opportunity)
    assert "unknown test (iMocha: Gone [999])" in note
    assert "Put the tag of an active iMocha test" in note
    telling.world.opportunities[opportunity]["tags"].append(PYTHON)
    telling.run_invite(full=True)
    assert len(telling.world.mails) == 1
    assert len(notes(telling, opportunity)) == 1


@pytest.mark.parametrize("apply", [True, False])
def test_a_note_whose_answer_was_lost_is_left_once(telling: Stack, apply: bool) -> None:
    opportunity = telling.candidate(PYTHON, emails=[])
    telling.fault(vendor="lever", method="POST", path_contains="/notes", status=500, apply=apply)
    telling.run_invite()
    assert len(notes(telling, opportunity)) == 1


def test_what_lever_would_not_take_is_shown_by_a_later_run(telling: Stack) -> None:
    opportunity = telling.candidate(PYTHON)
    telling.fault(vendor="lever", method="POST", path_contains="/addTags", status=403)
    with pytest.raises(ApiError, match="add_tags"):
        telling.run_invite()
    assert telling.due() == [], "it starts no run at once"
    telling.run_invite(force=True)
    assert shown(telling, opportunity) == ["iMocha: invited"]
    assert len(telling.world.mails) == 1


@pytest.mark.parametrize(("status", "calls", "error"), [(422, 4, "RequestRejectedError"), (404, 2, "NotFoundError")])
def test_a_report_that_cannot_be_put_into_lever_is_noted_once(
    telling: Stack, status: int, calls: int, error: str
) -> None:
    telling.settings = parse_settings(SETTINGS + "explain: {notes: true}\nwrite_back: {report_retry: [0.001]}")
    opportunity = telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish()
    telling.fault(vendor="lever", method="POST", path_contains="/forms", status=status, times=calls)
    with pytest.raises(ApiError, match="create_form"):
        telling.run_write_back()
    assert telling.run_write_back(force=True) == [f"failed again: {error}"]
    (note,) = notes(telling, opportunity)
    assert "could not be put here yet" in note
    assert telling.run_write_back(force=True) == ["written back and moved on"]


def test_a_note_that_cannot_be_left_does_not_hide_the_problem(telling: Stack) -> None:
    telling.candidate(PYTHON)
    telling.run_invite()
    telling.finish()
    telling.world.switches["pdf_as"] = "bytes"
    telling.fault(vendor="imocha", path_contains="/pdfreport/", status=404)
    telling.fault(vendor="imocha", path_contains="/pdf", status=404)
    telling.fault(vendor="lever", method="POST", path_contains="/notes", status=403)
    with pytest.raises(ReportFileError):
        telling.run_write_back()


def test_a_status_tag_never_asks_for_a_test(telling: Stack) -> None:
    telling.candidate("iMocha: on hold", "iMocha: invited")
    assert telling.run_invite() == ["ignore: no assessment tag"]
