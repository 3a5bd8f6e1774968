"""An account that is well set up, and what can be wrong with one: each thing with the line that has to say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lever_imocha.clients.reachability import receiver_problem
from lever_imocha.domain.forms import our_fields
from lever_imocha.errors import LedgerError, LedgerVersionError, SettingsError
from lever_imocha.ledger.base import Database
from lever_imocha.ledger.cache import ACCOUNT
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.tables import deliveries
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.doctor.checkup import examine
from lever_imocha.workflows.doctor.facts import Facts, Sources
from lever_imocha.workflows.doctor.findings import Finding, Level, of_level
from sqlalchemy import delete

from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack

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

    @property
    def text(self) -> str:
        """The settings file's."""
        return f"perform_as: people-ops@example.com\npublic_url: {HOOKS}\n{self.settings}"

    def facts(self) -> Facts:
        sources = Sources(
            settings=lambda: parse_settings(self.text),
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


def well_set_up(stack: Stack, sandbox_url: str, ledger_url: str) -> Account:
    """Return an account in which nothing is wrong."""
    stack.candidate(
        PYTHON, SQL, stage="Offer", confidentiality="confidential",
        applications=[{"id": "a", "posting": stack.world.postings[0]["id"]}],
    )  # fmt: skip
    stack.lever.create_form_template(text="iMocha Assessment", fields=our_fields())
    stack.ledger.deliveries.record(NewDelivery(vendor="lever", key="k", event="candidateStageChange"))
    made = Account(stack, sandbox_url, ledger_url)
    made.register("candidateStageChange", "candidateArchiveChange", "candidateHired", "candidateDeleted")
    return made


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


def without_webhooks(account: Account) -> None:
    account.world.webhooks.entries.clear()
    account.forget_deliveries()


def _other_address(account: Account) -> None:
    without_webhooks(account)
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
    "callback secret too short": (
        lambda a: a.given.update(callback_secret=raising(SettingsError(["callback_secret is shorter than 16"]))),
        "callbacks",
        ("callback_secret is shorter than 16", "Callback secret: mend it"),
    ),
    "clock off": (
        lambda a: a.given.update(clocks=lambda: {"Lever": timedelta(minutes=20)}),
        "clocks",
        ("our clock is 1200 s behind Lever's: its webhooks are refused", "NTP"),
    ),
    "ledger not migrated": (
        lambda a: a.given.update(ledger=raising(LedgerVersionError("The ledger has no tables yet: run the upgrade"))),
        "ledger",
        ("has no tables yet", "lever_imocha_setup"),
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
