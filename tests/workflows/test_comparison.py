"""Lever, iMocha and the ledger are compared: what was missed is queued, and nothing is claimed that is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.ledger.cache import COMPARISON
from lever_imocha.ledger.tables import assessments, stage_entries, work_items
from lever_imocha.ledger.values import Work
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.comparison import Compared, CompareWorkflow, kept_comparison, told_unexplained
from sqlalchemy import delete, update

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

LATER = timedelta(hours=3)


def compared(stack: Stack) -> tuple[Compared, Compared]:
    """Compare three hours later, when nothing is too young to be compared."""
    workflow = CompareWorkflow(
        lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings,
        clock=lambda: datetime.now(UTC) + LATER,
    )  # fmt: skip
    lever, imocha = workflow.run()
    return lever, imocha


def test_everybody_is_explained_when_nothing_was_missed(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.candidate(SQL)
    stack.candidate(SQL, emails=[])
    stack.candidate()
    stack.candidate(PYTHON, stage="Offer")
    stack.run_invite()
    lever, imocha = compared(stack)
    assert (lever.read, lever.agrees, lever.explained) == (2, 1, {"hold: no e-mail address": 1})
    assert (imocha.read, imocha.agrees) == (1, 1)
    for one in (lever, imocha):
        assert (one.healed, one.unexplained, one.unknown) == ({}, 0, "")
    kept = stack.ledger.cache.get(COMPARISON)
    assert kept is not None
    assert kept_comparison(kept)[1] == [lever, imocha]
    assert stack.due(*Work) == []


def test_a_missed_arrival_is_invited(stack: Stack) -> None:
    stack.run_invite()
    stack.world.shift = -timedelta(days=2)
    missed = stack.candidate(PYTHON)
    stack.world.shift = timedelta(0)
    lever, _ = compared(stack)
    assert (lever.healed, lever.unexplained) == ({"a missed arrival": 1}, 0)
    assert stack.due() == [missed]
    stack.run_invite(sweep=False)
    assert len(stack.world.mails) == 1
    assert compared(stack)[0].healed == {}


def test_who_came_after_the_last_sweep_is_left_to_the_next(stack: Stack) -> None:
    stack.run_invite()
    stack.candidate(PYTHON)
    lever, _ = compared(stack)
    assert lever.explained == {"came after the last sweep": 1}
    assert stack.due() == []


def test_lost_work_is_queued_again(stack: Stack) -> None:
    undecided = stack.candidate(PYTHON)
    written = stack.candidate(SQL)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    stack.again(undecided)
    workflow = stack.invite_workflow()
    workflow.collect()
    with stack.ledger.transaction() as connection:
        connection.execute(update(assessments).where(assessments.c.opportunity_id == written).values(written_at=None))
        connection.execute(delete(work_items))
    lever, imocha = compared(stack)
    assert lever.healed == {"undecided, and nothing was queued": 1}
    assert imocha.healed == {"ended, and nothing was queued": 1}
    assert (stack.due(), stack.due(Work.WRITE_BACK)) == ([undecided], [written])


def test_an_end_that_nobody_told_of_is_written_back(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    _, imocha = compared(stack)
    assert imocha.healed == {"a missed end": 1}
    assert stack.due(Work.WRITE_BACK) == [opportunity]
    stack.run_write_back(sweep=False)
    assert stack.stage(opportunity) == "Assessment Complete"
    assert compared(stack)[1].agrees == 1


def test_what_nobody_can_explain_is_named(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    with stack.ledger.transaction() as connection:
        connection.execute(update(assessments).values(invitation_id=None))
    lever, imocha = compared(stack)
    assert lever.unexplained == 1
    assert told_unexplained([lever, imocha]) == {
        opportunity: "decided to invite, and no invitation to test 101 is known"
    }
    assert stack.due() == []


def test_retrieve_invites_is_compared_where_reports_are_not_listed(stack: Stack) -> None:
    stack.world.switches["reports_listed"] = False
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    _, imocha = compared(stack)
    assert (imocha.healed, imocha.unknown) == ({"a missed end": 1}, "")
    assert stack.due(Work.WRITE_BACK) == [opportunity]


@pytest.mark.slow
def test_reports_are_read_page_by_page(stack: Stack) -> None:
    for _ in range(120):
        stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    _, imocha = compared(stack)
    assert (imocha.read, imocha.healed, imocha.unknown) == (120, {"a missed end": 120}, "")


def test_a_list_that_is_not_complete_gives_no_verdict_and_corrects_all_the_same(stack: Stack) -> None:
    stack.world.switches["reports_left_out"] = 1
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    lever, imocha = compared(stack)
    assert "fewer reports" in imocha.unknown
    assert "not known" in str(imocha)
    assert lever.unknown == ""
    assert stack.due(Work.WRITE_BACK) == [opportunity]


def test_one_odd_record_stops_nothing(stack: Stack) -> None:
    stack.run_invite()
    stack.world.shift = -timedelta(days=2)
    odd, missed = stack.candidate(PYTHON), stack.candidate(PYTHON)
    stack.world.shift = timedelta(0)
    stack.world.opportunities[odd]["isAnonymized"] = "perhaps"
    lever, imocha = compared(stack)
    assert "1 of Lever's records could not be read" in lever.unknown
    assert lever.healed == {"a missed arrival": 1}
    assert imocha.unknown == ""
    assert stack.due() == [missed]


@pytest.mark.parametrize(("vendor", "path"), [("lever", "/opportunities"), ("imocha", "/reports")])
def test_a_list_that_cannot_be_read_stops_not_the_other(stack: Stack, vendor: str, path: str) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.fault(vendor=vendor, path_contains=path, times=100, status=500)
    found = dict(zip(("lever", "imocha"), compared(stack), strict=True))
    assert found.pop(vendor).unknown
    (other,) = found.values()
    assert (other.unknown, other.read) == ("", 1)
    assert (stack.due(Work.WRITE_BACK) == [opportunity]) == (vendor == "lever")


def test_without_a_known_trigger_stage_there_is_no_verdict(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.settings = parse_settings(SETTINGS + "rules: [{trigger_stage: Nowhere}]")
    lever, imocha = compared(stack)
    assert "'Nowhere' does not exist in Lever" in lever.unknown
    assert imocha.unknown == ""
    assert not any(call["path"].startswith("/opportunities") for call in stack.world.calls)


def test_who_was_forgotten_is_not_named_any_more(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    with stack.ledger.transaction() as connection:
        connection.execute(update(assessments).values(invitation_id=None))
        connection.execute(update(stage_entries).values(detail="x"))
    compared(stack)
    stack.ledger.erasure.forget(opportunity, even_if_open=True)
    assert stack.ledger.cache.get(COMPARISON) is None
