"""An account that is well set up, and what can be wrong with one: each thing with the line that has to say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lever_imocha.clients.reachability import receiver_problem
from lever_imocha.domain.forms import our_fields
from lever_imocha.domain.lever import WEBHOOK_EVENTS
from lever_imocha.errors import LedgerError, LedgerVersionError, SettingsError
from lever_imocha.ledger.base import Database
from lever_imocha.ledger.cache import ACCOUNT
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.limiter import SharedLimiter
from lever_imocha.ledger.tables import deliveries
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.runtime.doctor import _notifier_problem
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.doctor.checkup import examine
from lever_imocha.workflows.doctor.facts import Facts, Sources
from lever_imocha.workflows.doctor.findings import Finding, Level, of_level
from sqlalchemy import delete

from tests.clients.conftest import imocha_client, lever_client
from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack

TOKEN = "0123456789abcdef0123"
HOOKS = "http://127.0.0.1:9"
ON = dict.fromkeys(("lever_imocha_invite", "lever_imocha_write_back"), False)


Spoil = Callable[["Account"], Any]


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
    public_url: str = HOOKS
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
        return f"perform_as: people-ops@example.com\npublic_url: {self.public_url}\n{self.settings}"

    def facts(self) -> Facts:
        sources = Sources(
            settings=lambda: parse_settings(self.text),
            settings_text=lambda: self.text,
            settings_changed=lambda: None,
            lever=lambda: self.stack.lever,
            imocha=lambda: self.stack.imocha,
            ledger=lambda: engine_for(self.url),
            webhook_tokens=lambda: [TOKEN],
            callback_secret=lambda: "a-callback-secret",
            clocks=lambda: {"Lever": timedelta(0), "iMocha": timedelta(0)},
            paused=lambda: ON,
            reach=lambda _url: None,
            notifier_problem=_notifier_problem,
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


def _required_status(account: Account) -> None:
    (template,) = account.world.templates.values()
    status = next(field for field in template["fields"] if field["text"] == "Status")
    status |= {"required": True, "options": [{"text": "Pass"}, {"text": "Fail"}]}


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


def _also_at(url: str) -> Spoil:
    return lambda account: account.register("candidateStageChange", url=url)


def _rules(*rules: str) -> Spoil:
    return lambda account: setattr(account, "settings", f"rules: [{', '.join(rules)}]\n")


def _setting(text: str) -> Spoil:
    return lambda account: setattr(account, "settings", f"{text}\n")


def _same_stage_by_id(account: Account) -> None:
    _rules(f"{{completed_stage: {account.world.stage_id('Assessment')}}}")(account)


def _posting_closed(account: Account) -> None:
    account.world.postings[0]["state"] = "closed"
    _rules("{postings: [Python Engineer]}")(account)


def _template_of_something_else(account: Account) -> None:
    (template,) = account.world.templates.values()
    template["fields"] = [{"id": "f", "type": "text", "text": "Feedback", "required": False}]


def _other_callback_secret(account: Account) -> None:
    value = {"at": datetime.now(UTC).isoformat(), "why": "unknown callback token"}
    account.stack.ledger.cache.put("webhooks.refused.imocha", value)


def _swept_with_other_settings(account: Account) -> None:
    account.stack.settings = parse_settings(f"{account.text}limits: {{per_hour: 7}}\nrules: [{{delay: 60}}]\n")
    account.stack.run_invite()


def _fixed_link(account: Account) -> None:
    account.world.links[101]["invitationSchedule"] = {
        "scheduleType": "fixed", "scheduleDetails": {"endDateTime": "2026-01-31T00:00:00Z"},
    }  # fmt: skip


def _seldom_swept(account: Account) -> None:
    without_webhooks(account)
    account.settings = "poll: {schedule: '0 9 1 1 *'}\n"


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


def _only_applied(account: Account) -> None:
    for webhook in account.world.webhooks.entries:
        webhook["origins"] = ["applied"] if webhook["event"] == "candidateStageChange" else webhook["origins"]


def _named_link_ended(account: Account) -> None:
    account.world.tests.pop(102)
    account.world.links[101]["testLinkName"] = "Proctored"
    _fixed_link(account)
    account.settings = "rules: [{link: Proctored}]\n"


def _field_of_another_type(account: Account) -> None:
    (template,) = account.world.templates.values()
    next(field for field in template["fields"] if field["text"] == "Score")["type"] = "yes-no"


def _template_twice(account: Account) -> None:
    account.stack.lever.create_form_template(text="iMocha Assessment", fields=our_fields())


def _slip_in_a_webhook_s_path(account: Account) -> None:
    without_webhooks(account)
    account.register(*WEBHOOK_EVENTS, url=f"{HOOKS}/lever-imocha/webhook/lever")


def _notifier(path: str, arguments: str) -> Spoil:
    return lambda account: setattr(account, "settings", f"alerts: {{notifier: {path}, arguments: {arguments}}}\n")


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
    "required field without our options": (
        _required_status,
        "form template",
        ("its required field 'Status' has none of the options Complete, Test Left, Terminated", "add them in Lever"),
    ),
    "settings: a key without its value": (
        lambda a: setattr(a, "settings", "rules: [{trigger_stage: }]\n"),
        "settings file",
        ("rules[0].trigger_stage: is empty; write its value behind the colon",),
    ),
    "template misspelt": (
        lambda a: setattr(a, "settings", "rules: [{form_template: iMocha Assesment}]\n"),
        "form template",
        ("'iMocha Assesment' is not in Lever yet", "write form_template: 'iMocha Assessment'"),
    ),
    "template misspelt, none is made": (
        lambda a: setattr(
            a, "settings", "rules: [{form_template: iMocha Assesment}]\nwrite_back: {create_template: false}\n"
        ),
        "form template",
        ("did you mean 'iMocha Assessment'",),
    ),
    "acting user deactivated": (
        lambda a: a.world.users[0].update(deactivatedAt=1782972986091),
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
        (
            "tag 'iMocha: Python Developer' names no test: whoever has it is held",
            "write 'iMocha: Python Developer [101]'; run lever_imocha_sync_tags",
        ),
    ),
    "tag that begins alike": (lambda a: _tag(a, "iMocha alumni"), "tags", ("tag 'iMocha alumni' names no test, and",)),
    "tag of an unknown test": (lambda a: _tag(a, "iMocha: Java [999]"), "tags", ("iMocha has no test 999",)),
    "tag of one test with the number of another": (
        lambda a: _tag(a, "iMocha: SQL Basics [101]"),
        "tags",
        ("has the name of test 102 and the number of 'Python Developer'", "write 'iMocha: SQL Basics [102]'"),
    ),
    "no test is active": (
        lambda a: [test.update(status="Inactive") for test in a.world.tests.values()],
        "tests",
        ("none of them is active: nobody can be invited", "make one active"),
    ),
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
    "Default link not begun": (
        lambda a: a.world.links[101].update(
            invitationSchedule={
                "scheduleType": "fixed",
                "scheduleDetails": {"startDateTime": "2999-01-31T00:00:00Z", "endDateTime": "2999-03-31T00:00:00Z"},
            }
        ),
        "test links",
        ("its Default link begins on 2999-01-31", "set an earlier begin"),
    ),
    "settings: no rules": (
        lambda a: setattr(a, "settings", "rules: []\n"),
        "settings file",
        ("rules: '[]' cannot be used: at least one is needed",),
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
        ("callback_secret is shorter than 16", "Callback secret: correct it"),
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
    "trigger stage is the completed stage, by its id": (
        _same_stage_by_id,
        "stages, postings",
        ("rules[0].completed_stage: the completed stage must differ from the trigger stage", "write another one"),
    ),
    "rule behind one that takes everybody": (
        _rules("{}", "{postings: [Python Engineer], tests: [102]}"),
        "stages, postings",
        ("rules[1] never counts", "rules[0] matches everybody", "move it before rules[0]"),
    ),
    "rule behind one with its posting, and another": (
        _rules("{postings: [Python Engineer]}", "{postings: [Python Engineer], tags: [Senior]}"),
        "stages, postings",
        ("rules[1] never counts", "move it before rules[0]"),
    ),
    "posting closed": (
        _posting_closed,
        "stages, postings",
        ("rules[0].postings: Python Engineer: closed in Lever", "write the posting that is open"),
    ),
    "template of something else": (
        _template_of_something_else,
        "form template",
        ("'iMocha Assessment' has none of our fields", "write_back.update_template: true", "add to it in Lever"),
    ),
    "webhook registered twice": (
        _also_at(f"{HOOKS}/lever-imocha/webhooks/lever"),
        "webhooks",
        (
            "more than one webhook of Lever for Candidate stage change",
            "keeps the one whose signature token it has stored",
        ),
    ),
    "webhook of an old address": (
        _also_at("https://old.example.com/lever-imocha/webhooks/lever"),
        "webhooks",
        ("a webhook of Lever leads to old.example.com: an old address", "Webhooks: delete it"),
    ),
    "webhook of iMocha's own integration": (
        _also_at("https://integration.imocha.io/lever/hook"),
        "webhooks",
        ("a webhook of Lever leads to iMocha's own integration", "which invites, too", "delete it"),
    ),
    "callback secret changed": (
        _other_callback_secret,
        "deliveries",
        (
            "deliveries in the name of iMocha are refused: unknown callback token",
            "the secret that Airflow has",
            "sweep",
        ),
    ),
    "settings: whole address as public_url": (
        lambda a: setattr(a, "public_url", f"{HOOKS}/lever-imocha/webhooks/lever"),
        "settings file",
        ("public_url: ", "leave out what comes after the host"),
    ),
    "settings: cron expression with seconds": (
        lambda a: setattr(a, "settings", "poll: {schedule: '0 */5 * * * *'}\n"),
        "settings file",
        ("poll.schedule: '0 */5 * * * *' cannot be used: write a cron expression of five fields",),
    ),
    "settings: time zone by its name": (
        lambda a: setattr(a, "settings", "rules: [{time_zone_id: Asia/Kolkata}]\n"),
        "settings file",
        (
            "rules[0].time_zone_id: 'Asia/Kolkata' cannot be used: it must be a whole number; tests and time zones have iMocha's",
        ),
    ),
    "settings: tag of the report asks for a test": (
        lambda a: setattr(a, "settings", "write_back: {tags: ['imocha: done']}\n"),
        "settings file",
        ("write_back.tags: 'imocha: done' asks for a test",),
    ),
    "settings: indented with tabs": (
        lambda a: setattr(a, "settings", "rules:\n\t- trigger_stage: Assessment\n"),
        "settings file",
        ("line 4: is not YAML", "indent with blanks, not with tabs"),
    ),
    "settings: a section twice": (
        lambda a: setattr(a, "settings", "rules: [{tests: [101]}]\npoll: {}\nrules: [{tests: [102]}]\n"),
        "settings file",
        ('line 5: "rules" is there twice', "in one place"),
    ),
    "settings: a name with a # that is not in quotes": (
        _setting("rules:\n  - form_template: iMocha Assessment #2  # ours"),
        "settings file",
        ("'iMocha Assessment' is read, and not 'iMocha Assessment #2'", "put the name in quotes"),
    ),
    "swept once a year, and no webhooks": (
        _seldom_swept,
        "sweeps",
        ("poll.schedule: '0 9 1 1 *' lets up to 365 days pass", "write '*/5 * * * *'", "lever_imocha_setup"),
    ),
    "settings: two mistakes in one rule": (
        _rules("{retake: twice, valdity_days: 7}"),
        "settings file",
        ("rules[0].valdity_days: there is no such setting; did you mean 'validity_days'?",),
    ),
    "host without its path": (
        lambda a: a.given.update(lever=lambda: lever_client(f"{a.sandbox_url}/lever")),
        "Lever key",
        ("what answers at the host of connection lever_default is not Lever's API", "https://api.lever.co/v1"),
    ),
    "host with a path too many": (
        lambda a: a.given.update(imocha=lambda: imocha_client(f"{a.sandbox_url}/imocha/v3/tests")),
        "iMocha key",
        ("what answers at the host of connection imocha_default is not iMocha's API", "https://apiv3.imocha.io/v3"),
    ),
    "another machine has another settings file": (
        _swept_with_other_settings,
        "settings file",
        ("read another settings file than the one that is read here: it differs in limits and 1 more", "the same file"),
    ),
    "completed stage misspelt": (
        _rules("{completed_stage: Assesment Complete}"),
        "stages, postings",
        ("rules[0].completed_stage: 'Assesment Complete' does not exist in Lever; did you mean 'Assessment Complete'",),
    ),
    "stage of another account, by its id": (
        _rules("{trigger_stage: 0c0f1b5e-0000-4000-8000-000000000000}"),
        "stages, postings",
        ("does not exist in Lever; there are: 'New lead'", "choose it in the form"),
    ),
    "rule's tag misspelt": (
        _rules("{tags: ['iMocha: SQL Basic [102]'], tests: [101]}"),
        "stages, postings",
        ("rules[0].tags: nobody in Lever has the tag 'iMocha: SQL Basic [102]'", "write 'iMocha: SQL Basics [102]'"),
    ),
    "rule's tag that nobody has": (
        _rules("{tags: [Senior], tests: [101]}"),
        "stages, postings",
        ("rules[0].tags: nobody in Lever has the tag 'Senior'", "give it to a candidate"),
    ),
    "two rules in a circle": (
        _rules("{}", "{trigger_stage: Assessment Complete, completed_stage: Assessment}"),
        "stages, postings",
        ("rules[0] and rules[1] lead in a circle", "write another completed_stage"),
    ),
    "rule that skips everybody": (
        _rules("{skip_origins: [agency, applied, internal, referred, sourced, university]}"),
        "stages, postings",
        ("rules[0].skip_origins names every origin: nobody is invited", "leave out the origins"),
    ),
    "link of a rule ended": (
        _named_link_ended,
        "test links",
        ("test 101: its Proctored link ended on 2026-01-31", "Test links, Proctored: set a later end"),
    ),
    "template's field of a type that holds no score": (
        _field_of_another_type,
        "form template",
        ("form template 'iMocha Assessment': Score: the field's type cannot hold it", "make it a text field"),
    ),
    "two templates of one name": (_template_twice, "form template", ("is the name of 2 in Lever", "rename one")),
    "webhook for some origins": (
        _only_applied,
        "webhooks",
        ("tells only of candidates whose origin is applied", "give it all origins"),
    ),
    "webhook at another path": (
        _slip_in_a_webhook_s_path,
        "webhooks",
        (
            "no webhook of Lever for Candidate stage change",
            "; there are some for 127.0.0.1:9",
            "run lever_imocha_setup",
        ),
    ),
    "webhook for the stage change missing": (
        lambda a: [a.world.webhooks.entries.remove(one) for one in [*a.world.webhooks.entries][:1]],
        "webhooks",
        ("no webhook of Lever for Candidate stage change leads to", "run lever_imocha_setup"),
    ),
    "notifier misspelt": (
        _notifier("airflow.providers.smtp.notifications.smtp.SmtpNotifer", "{to: a, html_content: '{{ alert }}'}"),
        "alerts",
        ("SmtpNotifer' cannot be imported", "correct the path", "nobody is told"),
    ),
    "notifier without what it needs": (
        _notifier("lever_imocha.redaction.redact", "{html: '{{ alert }}'}"),
        "alerts",
        ("redact cannot be made with them", "compare its documentation"),
    ),
    "settings: report host as an address": (
        lambda a: setattr(a, "settings", 'write_back: {report_hosts: ["https://app.imocha.io/"]}\n'),
        "settings file",
        ("write_back.report_hosts", "write hosts only, without https:// and path"),
    ),
    "settings: a time in words": (
        _rules("{delay: 2 hours}"),
        "settings file",
        ("rules[0].delay: '2 hours' cannot be used: write a number of seconds, or ISO 8601: PT2H for two hours",),
    ),
    "settings: one rule, and no list": (
        lambda a: setattr(a, "settings", "rules: {trigger_stage: Assessment}\n"),
        "settings file",
        ("rules: it must be a list",),
    ),
    "settings: a test by its name": (
        _rules("{tests: [Python Developer]}"),
        "settings file",
        ("rules[0].tests[0]: 'Python Developer' cannot be used: it must be a whole number",),
    ),
    "settings: public_url for the outside by http": (
        lambda a: setattr(a, "public_url", "http://hooks.example.com"),
        "settings file",
        ("public_url: 'http://hooks.example.com' cannot be used: it must start with https://",),
    ),
    "settings: acting user by name": (
        lambda a: a.given.update(settings=lambda: parse_settings("perform_as: Ada Lovelace\n")),
        "settings file",
        ("perform_as: 'Ada Lovelace' cannot be used: it must be an e-mail address",),
    ),
    "settings: map to an unknown test": (
        lambda a: setattr(a, "settings", "tags: {map: {Python test: 999}}\n"),
        "tags",
        ("tags.map: 'Python test': iMocha has no test 999", "look for its number"),
    ),
    "somebody else uses the key": (_slowed, "one key, one use", ("another installation or program", "key of its own")),
}
