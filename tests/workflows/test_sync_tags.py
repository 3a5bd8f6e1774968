"""Tags for iMocha's tests, in a Lever that has no call for creating one."""

from __future__ import annotations

import pytest
from lever_imocha.errors import ApiError, SettingsError
from lever_imocha.workflows.sync_tags import SyncTagsWorkflow

from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack


def workflow(stack: Stack) -> SyncTagsWorkflow:
    return SyncTagsWorkflow(lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings)


def test_missing_tags_are_put_on_and_taken_off_again(stack: Stack) -> None:
    stack.candidate(PYTHON, "iMocha: Old Name [102]", "iMocha: Gone [999]", "Engineering")
    carrier = stack.candidate("Engineering")
    result = workflow(stack).sync(opportunity_id=carrier)
    assert result.created == [SQL]
    assert result.present == [PYTHON]
    assert result.stale == ["iMocha: Gone [999]", "iMocha: Old Name [102]"]
    assert result.vanished == [SQL]
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering"]


def test_tags_stay_where_asked_and_a_second_run_writes_nothing(stack: Stack) -> None:
    carrier = stack.candidate()
    result = workflow(stack).sync(opportunity_id=carrier, keep_on_opportunity=True)
    assert (result.created, result.vanished) == ([PYTHON, SQL], [])
    assert stack.world.opportunities[carrier]["tags"] == [PYTHON, SQL]
    stack.world.calls.clear()
    assert workflow(stack).sync(opportunity_id=carrier).present == [PYTHON, SQL]
    assert stack.writes() == []


def test_a_postings_first_active_opportunity_carries_them(stack: Stack) -> None:
    posting = stack.world.postings[0]["id"]
    carrier = stack.candidate(applications=[{"id": "a", "posting": posting}])
    stack.candidate()
    assert workflow(stack).sync(posting="Python Engineer").opportunity_id == carrier


def test_a_dry_run_writes_nothing(stack: Stack) -> None:
    assert workflow(stack).sync(dry_run=True).created == [PYTHON, SQL]
    assert stack.writes() == []


@pytest.mark.parametrize(
    ("posting", "line"),
    [(None, "give one of them"), ("Nowhere", "no posting"), ("Python Engineer", "no active opportunity")],
)
def test_without_an_opportunity_it_says_what_to_give(stack: Stack, posting: str | None, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        workflow(stack).sync(posting=posting)
    assert stack.writes() == []


def test_what_a_failed_sync_left_behind_asks_for_nothing_and_the_next_takes_it_off(stack: Stack) -> None:
    carrier = stack.candidate("Engineering")
    stack.fault(vendor="lever", method="POST", path_contains="/removeTags", status=403)
    with pytest.raises(ApiError, match="remove_tags"):
        workflow(stack).sync(opportunity_id=carrier)
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering", PYTHON, SQL]
    stack.run_invite(full=True)
    assert stack.world.mails == []
    stack.world.faults.clear()
    workflow(stack).sync(opportunity_id=carrier)
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering"]
    assert stack.run_invite(full=True) == []
    assert stack.world.mails == []


def test_a_carrier_that_is_deleted_meanwhile_stops_no_later_sync(stack: Stack) -> None:
    carrier, other = stack.candidate(), stack.candidate()
    stack.fault(vendor="lever", method="POST", path_contains="/removeTags", status=403)
    with pytest.raises(ApiError):
        workflow(stack).sync(opportunity_id=carrier)
    stack.world.delete(carrier)
    assert workflow(stack).sync(opportunity_id=other, keep_on_opportunity=True).created == [PYTHON, SQL]
