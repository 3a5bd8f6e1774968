"""Another account's API key, put in by mistake: what it does not find is no fact about people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.names import is_uuid
from lever_imocha.errors import NotFoundError, SettingsError
from lever_imocha.ledger.cache import ACCOUNT_KEYS
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings

from include.sandbox.app import create_app
from include.sandbox.server import serve
from include.sandbox.world import Invitation, World
from tests.clients.conftest import imocha_client, lever_client
from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack
from tests.workflows.test_masking import a_day_passes

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


def test_another_account_is_known_whatever_form_its_stages_ids_have(stack: Stack, other_url: str) -> None:
    for number, stage in enumerate(stack.world.stages):
        if is_uuid(stage["id"]):
            stage["id"] = f"stage_{number}"
    stack.run_invite()
    stack.lever = lever_client(other_url)
    with pytest.raises(SettingsError, match=r"put back the account's key, or.*ledger moved"):
        stack.run_invite()


@pytest.mark.parametrize("has_our_tests", [False, True])
def test_with_another_imocha_account_s_key_nobody_is_masked_there(stack: Stack, has_our_tests: bool) -> None:
    stack.settings = parse_settings(SETTINGS + "mask_deleted: true")
    stack.world.add_test(104, "One more")
    deleted = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.world.delete(deleted)
    stack.run_invite(full=True)
    number = stack.invitation().id
    other = World()
    other.seed()
    if not has_our_tests:
        other.tests.clear()
    other.add_test(901, "Another")
    other.invitations[number] = Invitation(id=number, test_id=901, email="somebody.else@example.com", name="Somebody")
    other.finish(other.invitations[number])
    right = stack.imocha
    with serve(create_app(other)) as url:
        stack.imocha = imocha_client(f"{url}/imocha/v3")
        a_day_passes(stack)
        with suppress(SettingsError):
            stack.run_invite(sweep=False)
    assert number in other.invitations
    assert [call for call in other.calls if "gdpr" in call["path"]] == []
    stack.imocha = right
    a_day_passes(stack)
    assert stack.run_invite(sweep=False) == ["masked 1 at iMocha"]
    assert stack.world.invitations == {}


def test_with_another_imocha_account_s_key_nobody_s_invitation_is_cancelled_there(stack: Stack) -> None:
    stack.world.add_test(104, "One more")
    left = stack.candidate(PYTHON)
    stack.run_invite()
    number = stack.invitation().id
    stack.world.archive(left, "Withdrew")
    stack.ledger.deliveries.record(
        NewDelivery(vendor="lever", key="1", event="candidateArchiveChange", opportunity_id=left)
    )
    other = World()
    other.seed()
    other.tests.clear()
    other.add_test(901, "Another")
    other.invitations[number] = Invitation(id=number, test_id=901, email="somebody.else@example.com", name="Somebody")
    right = stack.imocha
    with serve(create_app(other)) as url:
        stack.imocha = imocha_client(f"{url}/imocha/v3")
        with pytest.raises(SettingsError, match="imocha_default: iMocha lists none of the tests"):
            stack.run_invite(sweep=False)
    assert other.invitations[number].state == "Pending"
    stack.imocha = right
    assert stack.run_invite(sweep=False) == ["ignore: archived"]
    assert stack.invitation().state == "Cancelled"


def test_what_ended_with_another_imocha_account_s_key_is_found_by_the_first_sweep_with_the_right_one(
    stack: Stack, ledger_url: str
) -> None:
    """Its lists are empty and its reports are not found, which says nothing of our attempts; no callback comes."""
    shift = timedelta(0)
    stack.clock = lambda: datetime.now(UTC) + shift
    stack.ledger = Ledger(engine=engine_for(ledger_url), clock=stack.clock)
    stack.world.add_test(104, "One more")
    stack.candidate(PYTHON)
    stack.run_invite()
    other = World()
    other.seed()
    other.tests.clear()
    other.add_test(901, "Another")
    right, told = stack.imocha, list[str]()
    with serve(create_app(other)) as url:
        for minutes in range(0, 13 * 60, 10):
            shift = stack.world.shift = timedelta(minutes=minutes)
            if minutes == 7 * 60:
                stack.imocha = imocha_client(f"{url}/imocha/v3")
                stack.finish()
            try:
                assert stack.run_write_back() == []
            except SettingsError as error:
                told.append(str(error))
    assert len(told) > 20
    assert "iMocha lists none of the tests known until now; put back the account's API key" in told[0]
    assert len(set(told)) == 1
    stack.imocha = right
    assert stack.run_write_back() == ["written back and moved on"]


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
