"""Rules that name tests, skip origins and wait a while after the move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.domain.decisions import Reason
from lever_imocha.ledger.tables import events
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.ledger.watermarks import ACTIVATED, trigger_stage
from lever_imocha.settings import Settings, parse_settings
from sqlalchemy import select

from tests.support import PYTHON
from tests.workflows.conftest import Stack

SQL_TEST = 102


def rules(text: str, existing: str = "leave") -> Settings:
    return parse_settings(
        f"perform_as: people-ops@example.com\nactivation: {{existing: {existing}}}\nrules: [{{{text}}}]"
    )


def invited_to(stack: Stack) -> list[int]:
    return [invitation.test_id for invitation in stack.world.invitations.values()]


def asked_by(stack: Stack, opportunity_id: str) -> dict[int, str]:
    c = events.c
    query = select(c.test_id, c.detail).where(c.opportunity_id == opportunity_id, c.kind == "invited")
    with stack.ledger.transaction() as connection:
        return {row.test_id: row.detail for row in connection.execute(query)}


@pytest.fixture
def running(stack: Stack) -> Stack:
    """The integration has run for an hour, with a rule that names no test."""
    stack.settings = rules("")
    stack.run_invite()
    for name in (ACTIVATED, trigger_stage(stack.world.stage_id("Assessment"))):
        stack.ledger.watermarks.put(name, datetime.now(UTC) - timedelta(hours=1))
    return stack


def test_a_changed_rule_counts_at_once_also_where_no_sweep_comes_first(running: Stack) -> None:
    running.settings = rules("delay: 3600")
    opportunity = running.candidate(PYTHON)
    running.ledger.deliveries.record(
        NewDelivery(vendor="lever", key="t", event="candidateStageChange", opportunity_id=opportunity)
    )
    assert running.run_invite(sweep=False) == [f"waits: {Reason.DELAY}"]
    assert invited_to(running) == []


def test_a_rule_asks_for_its_test_without_any_tag(stack: Stack) -> None:
    stack.settings = rules(f"tests: [{SQL_TEST}]")
    stack.run_invite()
    opportunity = stack.candidate(applications=[])
    assert stack.run_invite() == ["invite"]
    assert invited_to(stack) == [SQL_TEST]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(opportunity) == "Assessment Complete"


def test_tags_count_beside_the_rule_and_each_test_is_taken_once(stack: Stack) -> None:
    stack.settings = rules(f"tests: [101, {SQL_TEST}]")
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    assert invited_to(stack) == [101, SQL_TEST]
    first, second = stack.world.invitations.values()
    stack.world.finish(first)
    assert stack.run_write_back() == ["written back; stays in its stage: test 102 is pending"]
    stack.world.finish(second)
    assert stack.run_write_back() == ["written back and moved on"]
    assert asked_by(stack, opportunity) == {101: f"asked by {PYTHON}", SQL_TEST: "asked by its rule"}


def test_a_test_that_imocha_does_not_know_is_held(stack: Stack) -> None:
    stack.settings = rules("tests: [999]")
    stack.run_invite()
    stack.candidate()
    assert stack.run_invite() == ["hold: unknown test (test 999 of its rule)"]


def test_a_test_added_to_a_rule_is_not_asked_of_who_is_in_the_stage_already(running: Stack) -> None:
    there = running.candidate(PYTHON)
    running.candidate()
    assert sorted(map(str, running.run_invite())) == ["ignore: no assessment tag", "invite"]
    running.settings = rules(f"tests: [{SQL_TEST}]")
    assert running.run_invite(full=True) == [f"hold: {Reason.BEFORE_ACTIVATION}"]
    running.finish()
    assert running.run_write_back() == ["written back and moved on"], "nor does it wait for that test"
    assert running.stage(there) == "Assessment Complete"
    running.candidate()
    assert running.run_invite() == ["invite"]
    assert invited_to(running) == [101, SQL_TEST]


def test_a_test_added_to_a_rule_is_asked_of_everybody_where_the_settings_say_so(running: Stack) -> None:
    running.candidate()
    running.run_invite()
    running.settings = rules(f"tests: [{SQL_TEST}]", existing="invite")
    assert running.run_invite(full=True) == ["invite"]


def test_an_origin_is_skipped_and_a_change_of_that_mails_nobody_who_is_there(running: Stack) -> None:
    running.settings = rules("skip_origins: [sourced]")
    running.candidate(PYTHON, origin="sourced")
    running.candidate(PYTHON, origin="applied")
    assert sorted(map(str, running.run_invite())) == ["ignore: its rule skips this origin (sourced)", "invite"]
    running.settings = rules("")
    assert running.run_invite(full=True) == [f"hold: {Reason.BEFORE_ACTIVATION}"]
    assert len(running.world.mails) == 1


def test_a_move_that_is_taken_back_within_the_delay_mails_nobody(running: Stack) -> None:
    shift = timedelta(0)
    running.clock = lambda: datetime.now(UTC) + shift
    running.settings = rules("delay: 600")
    back, stays = running.candidate(PYTHON), running.candidate(PYTHON)
    waits = "waits: its rule waits a while after the move"
    assert running.run_invite() == [waits, waits]
    assert running.run_invite(full=True) == [], "it is no news"
    running.world.move(back, "Recruiter screen")
    (item, _) = running.ledger.queue.listed()
    assert item.not_before is not None
    assert timedelta(minutes=9) < item.not_before - datetime.now(UTC) <= timedelta(minutes=10)
    shift = timedelta(minutes=10)
    assert sorted(map(str, running.run_invite(force=True))) == ["ignore: moved on", "invite"]
    assert [mail["to"] for mail in running.world.mails] == running.world.opportunities[stays]["emails"]
