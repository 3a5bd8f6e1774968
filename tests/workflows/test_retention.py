"""Whoever was removed or forgotten is not invited again by a sweep, however long they stay in the stage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.errors import ClockError, StillOpenError
from lever_imocha.settings import RetentionSettings, parse_settings
from lever_imocha.workflows.preview import Preview
from lever_imocha.workflows.retention import Retention
from sqlalchemy import text

from tests.support import PYTHON, event_kinds
from tests.workflows.conftest import SETTINGS, Stack

RETAKE = "rules: [{retake: reattempt}]\n"


def remove(stack: Stack, *, ahead: int = 0) -> dict[str, int]:
    clock = datetime.now(UTC) + timedelta(days=ahead)
    return Retention(ledger=stack.ledger, settings=RetentionSettings(), clock=lambda: clock).run()


def preview(stack: Stack) -> list[str]:
    return list(Preview(lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings).plans())


def years_pass(stack: Stack) -> None:
    """Put all that happened three years back, at Lever, too, but for the sweeps."""
    with stack.ledger.transaction() as connection:
        for table, columns in {
            "opportunities": ["seen_at"],
            "stage_entries": ["entered_at", "first_seen_at", "decided_at"],
            "invitations": ["invited_at"],
            "assessments": ["written_at"],
            "events": ["at"],
            "mails": ["at"],
        }.items():
            changes = ", ".join(f"{column} = {column} - interval '1095 days'" for column in columns)
            connection.execute(text(f"UPDATE lever_imocha.{table} SET {changes}"))  # noqa: S608 - constants
    for opportunity in stack.world.opportunities.values():
        for change in opportunity["stageChanges"]:
            change["updatedAt"] -= 1095 * 86_400_000
        for name in ("createdAt", "lastAdvancedAt"):
            opportunity[name] -= 1095 * 86_400_000


def over(stack: Stack) -> str:
    """A candidate whose report is written, and who is in the completed stage."""
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    return opportunity


def test_who_is_removed_and_still_in_the_stage_is_not_invited_again(stack: Stack) -> None:
    """Such as one who was archived in the stage and is taken out of the archive after years."""
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.archive(opportunity, "Withdrew")
    stack.run_invite(full=True)
    assert stack.invitation().state == "Cancelled"
    years_pass(stack)
    assert remove(stack)["people"] == 1
    assert stack.ledger.assessments.of(opportunity) == []
    stack.world.archive(opportunity, None)
    mails = len(stack.world.mails)
    assert stack.run_invite(full=True) == []
    assert preview(stack) == ["nothing, as it was decided before, and removed since"]
    assert len(stack.world.mails) == mails
    stack.again(opportunity)
    assert stack.run_invite(full=True) == ["invite"], "a new arrival"


def test_who_sits_in_the_stage_is_kept(stack: Stack) -> None:
    opportunity = stack.candidate("Another tag")
    stack.run_invite()
    years_pass(stack)
    stack.run_invite(full=True)
    assert remove(stack)["people"] == 0
    assert stack.ledger.entries.last(opportunity) is not None
    stack.world.opportunities[opportunity]["tags"].append(PYTHON)
    assert stack.run_invite(full=True) == ["invite"], "a tag that is added late counts"


def test_nobody_is_removed_while_the_stages_are_not_swept(stack: Stack) -> None:
    over(stack)
    years_pass(stack)
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.watermarks SET at = at - interval '1095 days'"))
    assert remove(stack)["people"] == 0


def test_nothing_is_removed_by_a_clock_that_is_years_ahead(stack: Stack) -> None:
    opportunity = over(stack)
    with pytest.raises(ClockError, match=r"days ahead of the database's, so that nothing is removed"):
        remove(stack, ahead=1000)
    assert event_kinds(stack.ledger, opportunity) != []


def test_what_is_over_is_removed_and_the_rest_goes_on(stack: Stack) -> None:
    over(stack)
    years_pass(stack)
    lately = stack.candidate(PYTHON)
    stack.run_invite(full=True)
    removed = remove(stack)
    assert (removed["people"], removed["names"]) == (1, 1)
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(lately) == "Assessment Complete"


@pytest.mark.parametrize("changed", [True, False])
def test_who_was_forgotten_and_is_still_in_the_stage_is_not_invited_again(stack: Stack, changed: bool) -> None:
    stack.settings = parse_settings(SETTINGS + RETAKE)
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    with pytest.raises(StillOpenError, match="its invitation at iMocha is open"):
        stack.ledger.erasure.forget(opportunity)
    stack.ledger.erasure.forget(opportunity, even_if_open=True)
    if changed:
        stack.world.opportunities[opportunity]["tags"].append("iMocha: SQL Basics [102]")
    assert stack.run_invite(full=True) == []
    assert preview(stack) == ["nothing, as it was decided before, and removed since"]
    assert stack.ledger.opportunities.stored_of([opportunity]) == set()
    assert len(stack.world.mails) == 1
    stack.finish()
    assert stack.run_write_back() == []
    stack.again(opportunity)
    assert len(stack.run_invite(full=True)) == 1, "a new arrival is read again"
