"""The doctor on accounts in which one thing is wrong: the line that says so, and what it says to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lever_imocha.clients.reachability import receiver_problem
from lever_imocha.errors import LedgerError, SettingsError
from lever_imocha.ledger.base import Database
from lever_imocha.ledger.cache import ACCOUNT
from lever_imocha.ledger.database import check_schema, engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import deliveries
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings
from lever_imocha.webhooks.app import create_app, create_server_app
from lever_imocha.webhooks.context import ReceiverContext
from lever_imocha.workflows.doctor.checkup import CHECKS, examine, keep, last_kept, news
from lever_imocha.workflows.doctor.facts import Facts, Sources
from lever_imocha.workflows.doctor.findings import Finding, Level, of_level
from lever_imocha.workflows.doctor.machine import judged_paused
from lever_imocha.workflows.doctor.permissions import READS
from lever_imocha.workflows.doctor.vendors import judged_clock
from lever_imocha.workflows.doctor.writes import TAG
from sqlalchemy import delete, text

from include.sandbox.server import serve
from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TOKEN = "0123456789abcdef0123"
HOOKS = "http://127.0.0.1:9"
ON = dict.fromkeys(("lever_imocha_invite", "lever_imocha_write_back"), False)


def raising(error: Exception) -> Callable[[], Any]:
    def read() -> Any:
        raise error

    return read


@dataclass
class Account:
    """A sandbox's account that is well set up, and the doctor for it; a test spoils one thing."""

    stack: Stack
    sandbox_url: str
    url: str
    settings: str = ""
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> Any:
        return self.stack.world

    def register(self, *events: str, url: str | None = None) -> None:
        for event in events:
            self.world.webhooks.register(
                {"event": event, "url": url or f"{HOOKS}/lever-imocha/webhooks/lever"}, token=TOKEN
            )

    def forget_deliveries(self) -> None:
        Database(engine=engine_for(self.url)).execute(delete(deliveries))

    def facts(self) -> Facts:
        text = f"perform_as: people-ops@example.com\npublic_url: {HOOKS}\n{self.settings}"
        sources = Sources(
            settings=lambda: parse_settings(text),
            lever=lambda: self.stack.lever,
            imocha=lambda: self.stack.imocha,
            ledger=lambda: engine_for(self.url),
            webhook_tokens=lambda: [TOKEN],
            callback_secret=lambda: "a-callback-secret",
            clocks=lambda: {"Lever": timedelta(0), "iMocha": timedelta(0)},
            paused=lambda: ON,
            reach=lambda _url: None,
        )
        return Facts(replace(sources, **self.given), clock=self.stack.clock)

    def examine(self, **given: Any) -> list[Finding]:
        return examine(self.facts(), **given)

    def wrong(self, **given: Any) -> list[str]:
        return [finding.line for finding in of_level(self.examine(**given), Level.ERROR, Level.WARNING)]


@pytest.fixture
def account(stack: Stack, sandbox_url: str, ledger_url: str) -> Account:
    stack.candidate(
        PYTHON, SQL, stage="Offer", confidentiality="confidential",
        applications=[{"id": "a", "posting": stack.world.postings[0]["id"]}],
    )  # fmt: skip
    stack.lever.create_form_template(text="iMocha Assessment", fields=_fields())
    stack.ledger.deliveries.record(NewDelivery(vendor="lever", key="k", event="candidateStageChange"))
    made = Account(stack, sandbox_url, ledger_url)
    made.register("candidateStageChange", "candidateArchiveChange", "candidateHired", "candidateDeleted")
    return made


def _fields() -> list[dict[str, Any]]:
    from lever_imocha.domain.forms import our_fields

    return our_fields()


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


READ_LABELS = [read.permission.label for read in READS if read.permission.seen]


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
    "Upload an opportunities file", "Create an opportunity note",
]  # fmt: skip


@pytest.mark.parametrize("label", WRITES)
def test_a_missing_permission_to_write_is_found_when_it_may_be_tried(account: Account, label: str) -> None:
    account.settings = "write_back: {note: true}\n"
    key = next(iter(account.world.opportunities))
    account.world.lacking_permissions.add(label)
    found = lines(account.wrong(try_writes_on=key), "error")
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


def _wrong_key(account: Account, vendor: str) -> None:
    setattr(account.world, f"{vendor}_key", "another")


def _stage_renamed(account: Account) -> None:
    next(stage for stage in account.world.stages if stage["text"] == "Assessment")["text"] = "Assessments"


def _two_stages(account: Account) -> None:
    account.world.stages.append({"id": "second", "text": "Assessment"})


def _required_field(account: Account) -> None:
    (template,) = account.world.templates.values()
    template["fields"].append({"id": "r", "type": "text", "text": "Reviewer", "required": True})


def _tag(account: Account, *tags: str) -> None:
    account.stack.candidate(PYTHON, SQL, *tags, stage="Offer")


def _mapped_tag_in_another_case(account: Account) -> None:
    account.settings = "tags: {map: {Python test: 101}}\n"
    _tag(account, "python TEST")


def _without_webhooks(account: Account) -> None:
    account.world.webhooks.entries.clear()
    account.forget_deliveries()


def _other_address(account: Account) -> None:
    _without_webhooks(account)
    account.register("candidateStageChange", url="https://old.example.com/hook")


def _fixed_link(account: Account) -> None:
    account.world.links[101]["invitationSchedule"] = {
        "scheduleType": "fixed", "scheduleDetails": {"endDateTime": "2026-01-31T00:00:00Z"},
    }  # fmt: skip


def _refused(account: Account) -> None:
    value = {
        "at": datetime.now(UTC).isoformat(),
        "why": "the signature is not by any of the configured signature tokens",
    }
    account.stack.ledger.cache.put("webhooks.refused.lever", value)


def _another_account(account: Account) -> None:
    account.stack.ledger.cache.put(ACCOUNT, {"stages": ["0c0f1b5e-0000-4000-8000-000000000000"]})


def _slowed(account: Account) -> None:
    limiter = SharedLimiter(engine=engine_for(account.url), name="lever", rate=1000)
    limiter.acquire()
    limiter.slow_down()


Spoil = Callable[[Account], Any]

MISTAKES: dict[str, tuple[Spoil, str, tuple[str, ...]]] = {
    "wrong Lever key": (
        lambda a: _wrong_key(a, "lever"),
        "Lever key",
        ("does not accept the API key of connection lever_default", "API Credentials"),
    ),
    "wrong iMocha key": (
        lambda a: _wrong_key(a, "imocha"),
        "iMocha key",
        ("does not accept the API key of connection imocha_default", "iMocha, Integrations"),
    ),
    "no connection": (
        lambda a: a.given.update(imocha=raising(SettingsError(["connection imocha_default: does not exist; make it"]))),
        "iMocha key",
        ("connection imocha_default: does not exist",),
    ),
    "no confidential access": (
        lambda a: a.world.switches.update(confidential_access=False),
        "confidential",
        ("never invited", '"Allow access to confidential data"'),
    ),
    "applications not expanded": (
        lambda a: a.world.switches.update(applications_expand=False),
        "applications",
        ("bare ids", '"Find an opportunity application"'),
    ),
    "stage renamed": (
        _stage_renamed,
        "stages, postings",
        ("rules[0].trigger_stage: 'Assessment' does not exist in Lever; did you mean 'Assessments'",),
    ),
    "two stages of one name": (_two_stages, "stages, postings", ("is the name of 2 in Lever", "second")),
    "posting misspelt": (
        lambda a: setattr(a, "settings", "rules: [{postings: [Pyton Enginer]}]\n"),
        "stages, postings",
        ("did you mean 'Python Engineer'?",),
    ),
    "required field": (
        _required_field,
        "form template",
        ("its required field 'Reviewer' cannot be filled", "make it optional"),
    ),
    "template misspelt": (
        lambda a: setattr(a, "settings", "rules: [{form_template: iMocha Assesment}]\n"),
        "form template",
        ("'iMocha Assesment' is not in Lever yet", "write form_template: iMocha Assessment"),
    ),
    "template misspelt, none is made": (
        lambda a: setattr(
            a, "settings", "rules: [{form_template: iMocha Assesment}]\nwrite_back: {create_template: false}\n"
        ),
        "form template",
        ("did you mean 'iMocha Assessment'",),
    ),
    "acting user deactivated": (
        lambda a: a.world.users[0].update(deactivatedAt=1),
        "acting user",
        ("is deactivated", "reactivate"),
    ),
    "acting user unknown": (
        lambda a: a.world.users[0].update(email="else@example.com"),
        "acting user",
        ("no Lever user has this e-mail address",),
    ),
    "tag in another case": (
        _mapped_tag_in_another_case,
        "tags",
        ("tag 'python TEST' names no test", "write 'Python test'"),
    ),
    "tag without a number": (
        lambda a: _tag(a, "iMocha: Python Developer"),
        "tags",
        ("tag 'iMocha: Python Developer' names no test: whoever has it is held", "lever_imocha_sync_tags"),
    ),
    "tag that begins alike": (lambda a: _tag(a, "iMocha alumni"), "tags", ("tag 'iMocha alumni' names no test, and",)),
    "tag of an unknown test": (lambda a: _tag(a, "iMocha: Java [999]"), "tags", ("iMocha has no test 999",)),
    "test archived": (
        lambda a: _tag(a, "iMocha: Retired Test [103]"),
        "tags",
        ("test 103 exists, and is inactive at iMocha", "make it active again"),
    ),
    "rule with an unknown test": (
        lambda a: setattr(a, "settings", "rules: [{tests: [999]}]\n"),
        "tags",
        ("rules[0].tests: iMocha has no test 999", "look for its number"),
    ),
    "test without a tag": (
        lambda a: a.world.add_test(104, "Java"),
        "tests without tag",
        ("iMocha: Java [104]", "lever_imocha_sync_tags"),
    ),
    "test without a Default link": (
        lambda a: a.world.links.pop(101),
        "test links",
        ("test 101 has no Default link", "make a link with the name Default"),
    ),
    "Default link switched off": (
        lambda a: a.world.links[101].update(testLinkStatus="inactive"),
        "test links",
        ("test 101 has only an inactive Default link", "switch it on"),
    ),
    "link of a rule missing": (
        lambda a: setattr(a, "settings", "rules: [{tests: [101], link: Proctored}]\n"),
        "test links",
        (
            "rules[0].link: test 101 has no active link 'Proctored': nobody is invited",
            "make an active link of this name",
        ),
    ),
    "link of a rule missing at a tag's test": (
        lambda a: setattr(a, "settings", "rules: [{link: Proctored}]\n"),
        "test links",
        ("rules[0].link: test 101 has no active link 'Proctored': who has its tag is held",),
    ),
    "Default link ended": (_fixed_link, "test links", ("its Default link ended on 2026-01-31",)),
    "webhook token wrong": (
        _refused,
        "deliveries",
        ("the signature is not by any of the configured signature tokens", "Webhook signature tokens"),
    ),
    "no token stored": (
        lambda a: a.given.update(webhook_tokens=list),
        "webhook tokens",
        ("every delivery of Lever is refused", "copy each webhook's signature token"),
    ),
    "webhook elsewhere": (_other_address, "webhooks", ("Candidate stage change", "there are some for old.example.com")),
    "address not reachable": (
        lambda a: a.given.update(reach=receiver_problem),
        "our address",
        ("cannot be reached", "start the receivers"),
    ),
    "no callback secret": (
        lambda a: a.given.update(callback_secret=lambda: None),
        "callbacks",
        ("no callback secret is stored", "Callback secret"),
    ),
    "clock off": (
        lambda a: a.given.update(clocks=lambda: {"Lever": timedelta(minutes=20)}),
        "clocks",
        ("our clock is 1200 s behind Lever's: its webhooks are refused", "NTP"),
    ),
    "ledger unreachable": (
        lambda a: a.given.update(ledger=raising(LedgerError("The ledger's database cannot be used: check it."))),
        "ledger",
        ("cannot be used",),
    ),
    "another account": (_another_account, "account", ("put back the key of the ledger's account",)),
    "DAG left paused": (
        lambda a: a.given.update(paused=lambda: ON | {"lever_imocha_invite": True}),
        "DAGs",
        ("lever_imocha_invite is paused: nobody is invited", "Airflow, Dags: switch on lever_imocha_invite"),
    ),
    "settings: key misspelt": (
        lambda a: setattr(a, "settings", "rules: [{triger_stage: A}]\n"),
        "settings file",
        ("rules[0].triger_stage: there is no such setting; did you mean 'trigger_stage'?",),
    ),
    "settings: broken YAML": (
        lambda a: setattr(a, "settings", "rules: [\n"),
        "settings file",
        ("is not YAML",),
    ),
    "settings: no file": (
        lambda a: a.given.update(settings=raising(SettingsError(["/nowhere/x.yaml: cannot be read; write it"]))),
        "settings file",
        ("cannot be read",),
    ),
    "settings: wrong kind of value": (
        lambda a: setattr(a, "settings", "write_back: {report_retry: sixty}\n"),
        "settings file",
        ("write_back.report_retry: 'sixty' cannot be used: it must be a list",),
    ),
    "settings: status tag as a test's": (
        lambda a: setattr(a, "settings", 'tags: {map: {"iMocha: complete": 101}}\n'),
        "settings file",
        ("is one of our own status tags",),
    ),
    "somebody else uses the key": (_slowed, "one key, one use", ("another installation or program", "key of its own")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_named_in_one_line_with_its_fix(account: Account, mistake: str) -> None:
    spoil, check, parts = MISTAKES[mistake]
    spoil(account)
    found = [finding.line for finding in account.examine() if finding.check == check and finding.level != Level.OK]
    assert len(lines(found, *parts)) == 1, found


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
    assert [finding.check for finding in of_level(account.examine(), Level.ERROR)] == ["Lever key"]
    account.given.clear()
    account.world.lever_key = "another"
    assert [finding.check for finding in of_level(account.examine(), Level.ERROR)] == ["Lever key"]


def test_a_ledger_that_is_not_migrated_is_told_with_the_command(account: Account, own_ledger_url: str) -> None:
    engine = engine_for(own_ledger_url)
    Database(engine=engine).execute(text("UPDATE lever_imocha.alembic_version SET version_num = '0004'"))

    def ledger() -> Any:
        check_schema(engine)

    account.given["ledger"] = ledger
    found = lines(account.wrong(), "ledger: error")
    only(found, "is at version 0004", "python -m lever_imocha.ledger upgrade")


def test_no_webhooks_at_all_are_slow_and_not_wrong(account: Account) -> None:
    _without_webhooks(account)
    findings = account.examine()
    assert of_level(findings, Level.ERROR) == []
    assert lines([f.line for f in findings], "webhooks: warning", "run lever_imocha_setup", "minutes later")


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
def test_clocks(seconds: int, level: Level) -> None:
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


def test_the_table_is_kept_and_only_changes_are_told(ledger: Ledger) -> None:
    bad = Finding(Level.ERROR, "the API key lacks x", "make a new key", check="Lever permissions")
    assert last_kept(ledger) is None
    keep(ledger, [bad], NOW)
    kept = last_kept(ledger)
    assert kept is not None
    assert (kept.at, kept.findings) == (NOW, [bad])
    assert news([], [bad]) == f"doctor: new: {bad.line}"
    assert news([bad], [bad]) is None
    good = Finding(Level.OK, "the API key has x", check=bad.check)
    assert news([bad], [good]) == f"doctor: mended: {bad.line}; nothing stops anybody any more"
    assert news([], []) is None
    assert news([replace(bad, found="12 in use")], [replace(bad, found="13 in use")]) is None
    not_known = Finding(Level.UNKNOWN, "the list of stages cannot be used", check=bad.check)
    assert news([bad], [not_known]) is None
    mild = replace(bad, level=Level.WARNING)
    assert news([mild], [good]) == f"doctor: mended: {mild.line}"
    assert news([], [replace(bad, level=Level.UNKNOWN)]) is None
