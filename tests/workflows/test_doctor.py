"""The doctor on accounts in which one thing is wrong: the line that says so, and what it says to do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lever_imocha.clients.reachability import receiver_problem
from lever_imocha.errors import SettingsError
from lever_imocha.ledger.base import Database
from lever_imocha.ledger.cache import ACCOUNT
from lever_imocha.ledger.database import check_schema, engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.webhooks.app import create_app, create_server_app
from lever_imocha.webhooks.context import ReceiverContext
from lever_imocha.workflows.doctor.checkup import CHECKS
from lever_imocha.workflows.doctor.findings import Level, of_level
from lever_imocha.workflows.doctor.machine import judged_paused
from lever_imocha.workflows.doctor.messages import longest_pause
from lever_imocha.workflows.doctor.permissions import FOR_ALL, FOR_NOTES
from lever_imocha.workflows.doctor.vendors import judged_clock
from lever_imocha.workflows.doctor.writes import TAG
from sqlalchemy import text

from include.sandbox.server import serve
from tests.support import PYTHON
from tests.workflows.conftest import Stack
from tests.workflows.planted_mistakes import MISTAKES, Account, raising, well_set_up, without_webhooks


@pytest.fixture
def account(stack: Stack, sandbox_url: str, ledger_url: str) -> Account:
    return well_set_up(stack, sandbox_url, ledger_url)


def lines(found: Iterable[str], *parts: str) -> list[str]:
    return [line for line in found if all(part in line for part in parts)]


def only(found: list[str], *parts: str) -> str:
    """Return the only line; it has all parts."""
    assert len(found) == 1, found
    assert all(part in found[0] for part in parts), found
    return found[0]


def test_nothing_is_wrong_with_a_good_account_and_nothing_is_written(account: Account) -> None:
    account.world.calls.clear()
    findings = account.examine()
    assert [finding.line for finding in findings if finding.level not in (Level.OK, Level.UNKNOWN)] == []
    assert {finding.check for finding in findings} == set(CHECKS)
    assert account.stack.writes() == []
    assert account.stack.ledger.cache.get(ACCOUNT) is None


READ_LABELS = [one.label for one in FOR_ALL + FOR_NOTES if one.attempt and one.seen]


@pytest.mark.parametrize("label", READ_LABELS)
def test_a_missing_permission_is_named_by_its_box(account: Account, label: str) -> None:
    account.settings = "explain: {notes: true}\n"
    account.world.lacking_permissions.add(label)
    found = of_level(account.examine(), Level.ERROR)
    assert [finding.check for finding in found] == ["Lever permissions"]
    only([finding.line for finding in found], f'the API key lacks "{label}"', "make a new key")


def test_what_depends_on_a_missing_permission_is_not_known(account: Account) -> None:
    account.world.lacking_permissions.add("Find all stages")
    unknown = [finding.line for finding in of_level(account.examine(), Level.UNKNOWN)]
    assert lines(unknown, "stages, postings: not known: the list of stages cannot be used")
    assert lines(unknown, "account: not known: the list of stages cannot be used")


def test_the_box_for_deleted_opportunities_is_described(account: Account) -> None:
    account.world.lacking_permissions.add("deleted opportunities")
    only(account.wrong(), "the API key lacks the box for listing deleted opportunities (List)")


WRITES = [
    "Add opportunity tag", "Remove opportunities tag", "Update opportunity stage", "Create an opportunity form",
    "Upload an opportunities file", "Create an opportunity note", "Update an opportunity note",
]  # fmt: skip


@pytest.mark.parametrize("label", WRITES)
def test_a_missing_permission_to_write_is_found_when_it_may_be_tried(account: Account, label: str) -> None:
    account.settings = "write_back: {note: true}\n"
    key = next(iter(account.world.opportunities))
    account.world.lacking_permissions.add(label)
    found = lines(account.wrong(try_writes_on=key), "the API key lacks")
    only(found, f'the API key lacks "{label}"')


def test_trying_to_write_leaves_nothing(account: Account) -> None:
    account.settings = "write_back: {note: true}\n"
    key, before = next((key, dict(item)) for key, item in account.world.opportunities.items())
    assert account.wrong(try_writes_on=key) == []
    after = account.world.opportunities[key]
    changing = ("updatedAt", "lastInteractionAt")
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    assert not any((account.world.forms.get(key), account.world.files.get(key), account.world.notes.get(key)))


def test_a_tag_that_cannot_be_taken_off_again_is_named(account: Account) -> None:
    key = next(iter(account.world.opportunities))
    account.world.lacking_permissions.add("Remove opportunities tag")
    assert lines(account.wrong(try_writes_on=key), f"still has the tag {TAG!r}", "take it off")


def test_writing_is_not_tried_where_it_could_invite(account: Account) -> None:
    key = account.stack.candidate(PYTHON)
    only(account.wrong(try_writes_on=key), "is in a trigger stage", "another stage")
    only(account.wrong(try_writes_on="nobody"), "Lever has no opportunity nobody")
    assert account.stack.writes() == ["lever POST /form_templates"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_named_in_one_line_with_its_fix(account: Account, mistake: str) -> None:
    spoil, check, parts = MISTAKES[mistake]
    spoil(account)
    found = [finding.line for finding in account.examine() if finding.check == check and finding.level != Level.OK]
    assert len(lines(found, *parts)) == 1, found


def test_a_settings_file_that_was_changed_since_the_last_sweep_is_no_mistake(account: Account) -> None:
    account.stack.settings = account.facts().settings()
    account.stack.run_invite()
    assert lines([one.line for one in account.examine()], "settings file: ") == [
        "settings file: ok: the settings file can be used; rules: 1"
    ]
    account.settings = "rules: [{delay: 60}]\n"
    account.given["settings_changed"] = lambda: datetime.now(UTC) + timedelta(seconds=1)
    found = lines(
        [one.line for one in account.examine()], "settings file: ok: the settings file was changed since the last"
    )
    assert lines(found, "(rules[0]); the next one reads it")


def test_a_key_that_may_not_list_webhooks_is_no_mistake(account: Account) -> None:
    account.world.lacking_permissions.add("list webhooks")
    found = account.examine()
    assert of_level(found, Level.ERROR, Level.WARNING) == []
    assert lines([f.line for f in found], "webhooks: not known", "has no box for listing them")


@pytest.mark.parametrize(
    ("vendor", "path", "check"), [("imocha", "/tests", "tests"), ("lever", "/tags", "Lever permissions")]
)
def test_a_list_that_a_vendor_fails_to_give_is_said(account: Account, vendor: str, path: str, check: str) -> None:
    account.stack.fault(vendor=vendor, path_contains=path, status=400, times=100)
    assert lines(account.wrong(), f"{check}: ", "answered 400")


def test_one_mistake_gives_one_error(account: Account) -> None:
    nowhere = SettingsError(["connection lever_default: does not exist; make it"])
    account.given.update(lever=raising(nowhere), webhook_tokens=raising(nowhere))
    (found,) = of_level(account.examine(), Level.ERROR)
    assert (found.check, found.fix) == (
        "Lever key",
        "Airflow, Connections > lever_default: make it, or correct it (docs/setup.md)",
    )
    account.given.clear()
    account.world.lever_key = "another"
    assert [finding.check for finding in of_level(account.examine(), Level.ERROR)] == ["Lever key"]


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        ("wrong Lever key", "Lever key"),
        ("wrong iMocha key", "iMocha key"),
        ("host without its path", "Lever key"),
        ("host with a path too many", "iMocha key"),
        ("posting misspelt", "stages, postings"),
        ("ledger unreachable", "ledger"),
    ],
)
def test_one_mistake_gives_one_line(account: Account, mistake: str, check: str) -> None:
    MISTAKES[mistake][0](account)
    only(account.wrong(), f"{check}: error: ")


def test_webhooks_of_other_programs_need_no_signature_token_of_ours(account: Account) -> None:
    without_webhooks(account)
    account.register("candidateStageChange", url="https://hooks.example.com/other-program")
    account.given["webhook_tokens"] = list
    account.public_url = "null"
    assert of_level(account.examine(), Level.ERROR) == []
    only(account.wrong(), "there are no webhooks: candidates are invited minutes later", "set public_url")


def test_a_test_that_nothing_names_yet_is_looked_at_before_somebody_carries_its_tag(account: Account) -> None:
    account.world.add_test(104, "Java")
    account.world.links[104].update(testLinkStatus="inactive")
    only(lines(account.wrong(), "test links"), "warning: test 104 has only an inactive Default link", "switch it on")


def test_without_the_list_of_opportunities_nothing_is_said_about_confidential_ones(account: Account) -> None:
    account.world.lacking_permissions.add("Find all opportunities")
    only(account.wrong(), 'the API key lacks "Find all opportunities"')


@pytest.mark.parametrize(
    ("settings", "level"),
    [("", Level.WARNING), ("rules: [{tests: [103]}]", Level.ERROR), ("tags: {map: {Old: 103}}", Level.ERROR)],
)
def test_a_test_that_nobody_can_take_stops_all_where_the_settings_name_it(
    account: Account, settings: str, level: Level
) -> None:
    account.settings = settings
    account.stack.candidate("iMocha: Retired Test [103]", stage="Offer")
    (found,) = [one for one in account.examine() if "test 103 exists, and is inactive" in one.found]
    assert found.level is level


def test_a_ledger_that_is_not_migrated_is_told_with_the_command(account: Account, own_ledger_url: str) -> None:
    engine = engine_for(own_ledger_url)
    Database(engine=engine).execute(text("UPDATE lever_imocha.alembic_version SET version_num = '0004'"))

    def ledger() -> Any:
        check_schema(engine)

    account.given["ledger"] = ledger
    found = lines(account.wrong(), "ledger: error")
    only(found, "is at version 0004", "python -m lever_imocha.ledger upgrade")


def test_no_webhooks_at_all_are_slow_and_not_wrong(account: Account) -> None:
    without_webhooks(account)
    findings = account.examine()
    assert of_level(findings, Level.ERROR) == []
    assert lines([f.line for f in findings], "webhooks: warning", "run lever_imocha_setup", "minutes later")


def test_a_sweep_once_a_year_is_enough_where_webhooks_tell(account: Account) -> None:
    account.settings = "poll: {schedule: '@yearly'}\n"
    assert account.wrong() == []


@pytest.mark.parametrize(
    ("schedule", "days"),
    [("*/5 * * * *", 1), ("0 9 * * *", 1), ("0 9 * * 1-5", 3), ("* 8-18 * 1-6,9-12 *", 62 + 13 / 24 + 1 / 1440)],
)
def test_how_long_a_schedule_pauses(schedule: str, days: float) -> None:
    pause = longest_pause(schedule, datetime(2026, 1, 1, 12, 3, tzinfo=UTC))
    assert pause == pytest.approx(timedelta(days=days), abs=timedelta(seconds=1))


def test_webhooks_that_never_came_have_to_be_switched_on(account: Account) -> None:
    account.forget_deliveries()
    only(account.wrong(), "no webhook of Lever was ever received", "a Super Admin switches each event on")


def test_a_bug_in_a_check_is_its_own_line(account: Account) -> None:
    account.given["clocks"] = raising(ZeroDivisionError("ann@example.com"))
    line = only(account.wrong(), "clocks: error: ZeroDivisionError at")
    assert "ann@example.com" not in line


def test_a_list_of_tests_that_is_cut_short_is_noticed(account: Account) -> None:
    account.world.tests[101]["testId"] = "odd"
    assert lines(account.wrong(), "tests: warning", "says that there are more, or one could not be read")


@pytest.mark.parametrize(
    ("seconds", "level"), [(30, Level.OK), (-90, Level.WARNING), (599, Level.WARNING), (601, Level.ERROR)]
)
def test_clocks_a_minute_apart_are_told_and_are_an_error_where_webhooks_are_refused(seconds: int, level: Level) -> None:
    assert judged_clock("Lever", timedelta(seconds=seconds), max_ahead=timedelta(minutes=10)).level is level


def test_what_airflow_does_not_say_is_not_known() -> None:
    (found,) = judged_paused({})
    assert found.level is Level.UNKNOWN


def test_a_receiver_is_told_from_other_programs(ledger: Ledger, sandbox_url: str) -> None:
    app = create_server_app(create_app(lambda: ReceiverContext(ledger=ledger)))
    with serve(app) as url:
        assert receiver_problem(f"{url}/lever-imocha/webhooks/lever") is None
        assert "no receiver (404)" in str(receiver_problem(f"{url}/elsewhere"))
    assert "answers 200" in str(receiver_problem(sandbox_url))
