"""Tags for iMocha's tests, in a Lever that has no call for creating one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from lever_imocha.errors import ApiError, NotPermittedError, SettingsError
from lever_imocha.ledger.values import Work
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.sync_tags import SyncTagsWorkflow
from lever_imocha.workflows.temporary_tags import mark_off, remember, temporary_tags
from requests.adapters import HTTPAdapter

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack


def workflow(stack: Stack) -> SyncTagsWorkflow:
    return SyncTagsWorkflow(lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings)


def candidate(stack: Stack, *tags: str, **given: Any) -> str:
    """Add one who is not where tags ask for tests."""
    return stack.candidate(*tags, **({"stage": "Recruiter screen"} | given))


def test_missing_tags_are_put_on_and_taken_off_again(stack: Stack) -> None:
    candidate(stack, PYTHON, "iMocha: Old Name [102]", "iMocha: Gone [999]", "Engineering")
    carrier = candidate(stack, "Engineering")
    result = workflow(stack).sync(opportunity_id=carrier)
    assert result.created == [SQL]
    assert result.present == [PYTHON]
    assert result.stale == ["iMocha: Gone [999]", "iMocha: Old Name [102]"]
    assert result.vanished == [SQL]
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering"]


def test_tags_stay_where_asked_and_a_second_run_writes_nothing(stack: Stack) -> None:
    carrier = candidate(stack)
    result = workflow(stack).sync(opportunity_id=carrier, keep_on_opportunity=True)
    assert (result.created, result.vanished) == ([PYTHON, SQL], [])
    assert stack.world.opportunities[carrier]["tags"] == [PYTHON, SQL]
    stack.world.calls.clear()
    assert workflow(stack).sync(opportunity_id=carrier).present == [PYTHON, SQL]
    assert stack.writes() == []


def test_a_postings_first_active_opportunity_carries_them(stack: Stack) -> None:
    posting = stack.world.postings[0]["id"]
    carrier = candidate(stack, applications=[{"id": "a", "posting": posting}])
    candidate(stack)
    assert workflow(stack).sync(posting="Python Engineer").opportunity_id == carrier


def test_a_dry_run_writes_nothing(stack: Stack) -> None:
    assert workflow(stack).sync(dry_run=True).created == [PYTHON, SQL]
    assert stack.writes() == []


def test_a_dry_run_finds_the_mistakes_of_the_real_one(stack: Stack) -> None:
    with pytest.raises(SettingsError, match="posting: 'Nowhere' does not exist"):
        workflow(stack).sync(posting="Nowhere", dry_run=True)
    with pytest.raises(SettingsError, match="is in a trigger stage"):
        workflow(stack).sync(opportunity_id=stack.candidate(), dry_run=True)


def test_a_list_that_is_not_complete_calls_no_tag_stale(stack: Stack) -> None:
    candidate(stack, "iMocha: Gone [999]")
    stack.world.tests[5] = {"testId": 5, "testName": ["no text"], "labels": []}  # left out as odd
    assert workflow(stack).sync(dry_run=True).stale == []


@pytest.mark.parametrize(
    ("posting", "line"),
    [
        (None, "give one of them"),
        ("Nowhere", "there are: 'Python Engineer'"),
        ("Python Engineer", "no active opportunity"),
    ],
)
def test_without_an_opportunity_it_says_what_to_give(stack: Stack, posting: str | None, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        workflow(stack).sync(posting=posting)
    assert stack.writes() == []


def test_what_a_failed_sync_left_behind_asks_for_nothing_and_the_next_takes_it_off(stack: Stack) -> None:
    carrier = candidate(stack, "Engineering")
    stack.fault(vendor="lever", method="POST", path_contains="/removeTags", status=403)
    with pytest.raises(ApiError, match="remove_tags"):
        workflow(stack).sync(opportunity_id=carrier)
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering", PYTHON, SQL]
    stack.world.move(carrier, "Assessment")
    stack.run_invite(full=True)
    assert stack.world.mails == []
    stack.world.faults.clear()
    workflow(stack).sync(opportunity_id=carrier)
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering"]
    assert stack.run_invite(full=True) == []
    assert stack.world.mails == []


@pytest.mark.parametrize("stage", ["Assessment", "Offer"])
def test_who_is_in_a_trigger_stage_carries_no_tags(stack: Stack, stage: str) -> None:
    stack.settings = parse_settings(SETTINGS + "rules: [{}, {trigger_stage: Offer, completed_stage: New lead}]")
    carrier = candidate(stack, stage=stage)
    with pytest.raises(SettingsError, match=r"is in a trigger stage, .* name one"):
        workflow(stack).sync(opportunity_id=carrier)
    assert stack.writes() == []


def test_of_a_posting_one_outside_of_the_trigger_stages_carries_them(stack: Stack) -> None:
    applications = [{"id": "a", "posting": stack.world.postings[0]["id"]}]
    candidate(stack, stage="Assessment", applications=applications)
    with pytest.raises(SettingsError, match="no active opportunity outside of the trigger stages"):
        workflow(stack).sync(posting="Python Engineer")
    carrier = candidate(stack, applications=applications)
    assert workflow(stack).sync(posting="Python Engineer").opportunity_id == carrier


def test_a_tag_that_lever_refuses_is_named_and_the_others_are_made(stack: Stack) -> None:
    for number in range(104, 110):
        stack.world.add_test(number, f"Test {number}")
    stack.world.refused_tags.add("iMocha: Test 106 [106]")
    carrier = candidate(stack)
    result = workflow(stack).sync(opportunity_id=carrier, keep_on_opportunity=True)
    assert list(result.refused) == ["iMocha: Test 106 [106]"]
    assert sorted(stack.world.opportunities[carrier]["tags"]) == sorted(result.created)
    assert len(result.created) == 7


def test_the_refused_tag_does_not_keep_the_others_on_the_opportunity(stack: Stack) -> None:
    stack.world.refused_tags.add(SQL)
    carrier = candidate(stack, "Engineering")
    assert list(workflow(stack).sync(opportunity_id=carrier).refused) == [SQL]
    assert stack.world.opportunities[carrier]["tags"] == ["Engineering"]


def test_a_key_that_may_add_no_tags_is_told_so(stack: Stack) -> None:
    stack.fault(vendor="lever", method="POST", path_contains="/addTags", status=403, times=10)
    with pytest.raises(NotPermittedError):
        workflow(stack).sync(opportunity_id=candidate(stack))


def test_a_tag_sync_needs_no_rule_that_can_be_used(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "rules: [{completed_stage: Nowhere}]")
    assert workflow(stack).sync(opportunity_id=candidate(stack)).created == [PYTHON, SQL]


@dataclass
class Meanwhile:
    """Lever's answers to the worker who invites; something else happens before and after chosen reads."""

    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def watch(self, stack: Stack, opportunity_id: str) -> None:
        """Let it happen when the opportunity is read."""
        meanwhile, path = self, f"/opportunities/{opportunity_id}"

        class Adapter(HTTPAdapter):
            def send(self, request: Any, *args: Any, **given: Any) -> Any:
                if not request.path_url.partition("?")[0].endswith(path):
                    return super().send(request, *args, **given)
                meanwhile.before()
                answer = super().send(request, *args, **given)
                meanwhile.after()
                return answer

        stack.lever._client.session.mount("http://", Adapter())


@pytest.mark.parametrize(
    ("begins", "ends"), [("before", "after"), ("at the read", "after"), ("at the read", "never"), ("before", "never")]
)
def test_whoever_is_read_while_a_sync_goes_on_is_not_invited(stack: Stack, begins: str, ends: str) -> None:
    """The opportunity is read with the tags on it; the sync begins before or after the worker looked, and may end."""
    carrier = candidate(stack)
    stack.world.move(carrier, "Assessment")
    stack.ledger.queue.enqueue([carrier], Work.INVITE)
    tags, ledger, world = [PYTHON, SQL], stack.ledger, stack.world

    def begin() -> None:
        remember(ledger, carrier, tags)
        world.opportunities[carrier]["tags"] = list(tags)

    def end() -> None:
        temporary = temporary_tags(ledger)
        assert temporary is not None
        world.opportunities[carrier]["tags"] = []
        mark_off(ledger, temporary)

    meanwhile = Meanwhile()
    if begins == "before":
        begin()
    else:
        meanwhile.before = begin
    if ends == "after":
        meanwhile.after = end
    meanwhile.watch(stack, carrier)
    assert stack.run_invite(sweep=False) == ["ignore: no assessment tag"]
    assert world.mails == []


def test_a_tag_of_a_sync_that_has_ended_asks_for_its_test(stack: Stack) -> None:
    carrier = candidate(stack)
    workflow(stack).sync(opportunity_id=carrier)
    stack.world.opportunities[carrier]["tags"] = [PYTHON]
    stack.world.move(carrier, "Assessment")
    assert stack.run_invite() == ["invite"]


def test_a_carrier_that_is_deleted_meanwhile_stops_no_later_sync(stack: Stack) -> None:
    carrier, other = candidate(stack), candidate(stack)
    stack.fault(vendor="lever", method="POST", path_contains="/removeTags", status=403)
    with pytest.raises(ApiError):
        workflow(stack).sync(opportunity_id=carrier)
    stack.world.delete(carrier)
    assert workflow(stack).sync(opportunity_id=other, keep_on_opportunity=True).created == [PYTHON, SQL]
