"""Another account's API key, put in by mistake: what it does not find is no fact about people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.domain.decisions import Reason
from lever_imocha.errors import NotFoundError, SettingsError
from lever_imocha.ledger.cache import ACCOUNT_KEYS
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings

from include.sandbox.app import create_app
from include.sandbox.server import serve
from include.sandbox.world import World
from tests.clients.conftest import lever_client
from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack

ALL_THAT_CANCELS = (
    SETTINGS + "mask_deleted: true\ncancel_when: {stage_left: true}\nlimits: {per_hour: 3, cancel_share: 1}\n"
)


@pytest.fixture
def other_url() -> Iterator[str]:
    other = World()
    other.seed()
    other.switches["rate_limit"] = False
    with serve(create_app(other)) as url:
        yield f"{url}/lever/v1"


@pytest.mark.slow
def test_a_wrong_key_for_days_cancels_and_forgets_nobody(stack: Stack, ledger_url: str, other_url: str) -> None:
    shift = timedelta(0)
    stack.clock = lambda: datetime.now(UTC) + shift
    stack.ledger = Ledger(engine=engine_for(ledger_url), clock=stack.clock)
    stack.settings = parse_settings(ALL_THAT_CANCELS)
    everybody = [stack.candidate(PYTHON) for _ in range(5)]
    stack.run_invite()
    assert len(stack.world.mails) == 3, "two are on hold by the limit of the hour"
    stack.finish()
    right, stack.lever = stack.lever, lever_client(other_url)
    for hour in range(72):
        for one in everybody:
            stack.ledger.deliveries.record(
                NewDelivery(vendor="lever", key=f"{one} {hour}", event="candidateArchiveChange", opportunity_id=one)
            )
        for run in (stack.run_invite, lambda: stack.run_invite(sweep=False), stack.run_write_back):
            with suppress(SettingsError):
                run()
        shift += timedelta(hours=1)
    stack.lever = right
    stack.world.calls.clear()
    assert stack.ledger.opportunities.stored_of(everybody) == set(everybody)
    stack.run_invite(force=True)
    stack.run_write_back()
    assert len(stack.world.mails) == 5
    assert [invitation.state for invitation in stack.world.invitations.values()] == ["Complete"] * 3 + ["Pending"] * 2
    assert [stack.stage(one) for one in everybody].count("Assessment Complete") == 3


def test_an_account_that_has_moved_is_told_so(stack: Stack, other_url: str) -> None:
    stack.run_invite()
    stack.lever = lever_client(other_url)
    with pytest.raises(SettingsError, match=r"put back the account's key, or.*ledger moved"):
        stack.run_invite()
    stack.ledger.cache.drop(*ACCOUNT_KEYS)
    assert stack.run_invite() == []


def test_an_empty_list_of_tests_holds_nobody_in_an_account_with_one_test(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS)
    for other in set(stack.world.tests) - {101}:
        del stack.world.tests[other]
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    tests = dict(stack.world.tests)
    stack.world.tests.clear()
    stack.candidate(PYTHON)
    with pytest.raises(NotFoundError):  # from the invite: the tests known before count
        stack.run_invite(full=True)
    assert stack.ledger.entries.held([Reason.UNKNOWN_TEST]) == {}
    stack.world.tests.update(tests)
    assert stack.run_invite(force=True) == ["invite"]
