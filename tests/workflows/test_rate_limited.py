"""A vendor that says "too many requests" of one candidate only keeps no other away; one that says so of all is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.clients.transport import TRIES
from lever_imocha.errors import RateLimitedError, VendorDownError, WorkFailedError
from lever_imocha.ledger.values import Work
from lever_imocha.runtime.batch_run import run_batch
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.attempt_sweep import AttemptSweep

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

ALWAYS = 10_000


def run(stack: Stack, *, full: bool = False) -> dict[str, int]:
    """One run with all in one batch, as when there are many."""
    workflow = stack.invite_workflow()
    return run_batch(workflow.collect(full=full), workflow.act)


@pytest.mark.parametrize("vendor", ["lever", "imocha"])
def test_the_others_of_its_batch_go_on_and_it_waits(stack: Stack, vendor: str) -> None:
    limited = stack.candidate(PYTHON)
    others = [stack.candidate(SQL) for _ in range(3)]
    path = f"/opportunities/{limited}" if vendor == "lever" else "/tests/101/invite"
    stack.fault(vendor=vendor, path_contains=path, status=429, retry_after=600, times=ALWAYS)
    with pytest.raises(WorkFailedError) as caught:
        run(stack)
    assert list(caught.value.failures) == [limited]
    assert {mail["to"] for mail in stack.world.mails} == {stack.world.opportunities[one]["emails"][0] for one in others}
    (item,) = stack.ledger.queue.listed()
    assert (item.opportunity_id, item.error, item.tries) == (limited, "RateLimitedError", 1)
    assert item.not_before is not None
    assert item.not_before > datetime.now(UTC) + timedelta(minutes=9), "as long as the vendor asked for"
    stack.candidate(SQL)
    assert run(stack) == {"invite": 1}


def test_a_list_of_tests_that_is_refused_stops_only_who_is_to_take_a_new_one(stack: Stack) -> None:
    stack.candidate(PYTHON)
    run(stack)
    stack.world.add_test(104, "New")
    new = [stack.candidate("iMocha: New [104]") for _ in range(2)]
    stack.candidate(PYTHON)
    stack.fault(vendor="imocha", method="GET", path_contains="/tests?", status=429, retry_after=600, times=ALWAYS)
    with pytest.raises(WorkFailedError) as caught:
        run(stack)
    assert set(caught.value.failures) == set(new)
    assert len(stack.world.mails) == 2


def test_a_run_fails_for_it_only_once(stack: Stack) -> None:
    limited = stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/tests/101/invite", status=429, retry_after=600, times=ALWAYS)
    with pytest.raises(WorkFailedError):
        run(stack)
    stack.candidate(SQL)
    stack.ledger.queue.release_waiting([limited])
    assert run(stack) == {"failed again": 1, "invite": 1}
    (item,) = stack.ledger.queue.listed()
    assert (item.opportunity_id, item.error) == (limited, "RateLimitedError")


def test_two_in_a_row_are_enough_to_leave_the_vendor_alone(stack: Stack) -> None:
    for _ in range(5):
        stack.candidate(PYTHON)
    stack.fault(vendor="imocha", path_contains="/invite", status=429, times=ALWAYS)
    with pytest.raises(RateLimitedError):
        run(stack)
    assert sum("/invite" in call["path"] for call in stack.world.calls) == 2 * TRIES
    stack.world.faults.clear()
    assert run(stack) == {"invite": 3}
    assert len(stack.due(Work.INVITE, waiting=True)) == 2


def test_two_reports_that_are_never_given_keep_no_other_unread(stack: Stack) -> None:
    for _ in range(3):
        stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    *limited, _other = sorted(stack.world.invitations)
    for number in limited:
        stack.fault(vendor="imocha", path_contains=f"/reports/{number}", status=429, retry_after=600, times=ALWAYS)
    stack.fault(vendor="imocha", path_contains="testattempts", status=503, times=ALWAYS)
    sweep = AttemptSweep(imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings)
    with pytest.raises(VendorDownError):
        sweep.poll()
    assert len(sweep.poll()) == 1


def test_one_report_keeps_no_other_unread(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS)
    for _ in range(3):
        stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    limited, *others = sorted(stack.world.invitations)
    stack.fault(vendor="imocha", path_contains=f"/reports/{limited}", status=429, times=ALWAYS)
    stack.fault(vendor="imocha", path_contains="testattempts", status=503, times=ALWAYS)
    sweep = AttemptSweep(imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings)
    assert len(sweep.poll()) == len(others)
    assert stack.ledger.invitations.to_check(older_than=timedelta(hours=6), limit=9) == [], "it waits for its turn, too"
