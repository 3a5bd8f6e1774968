"""The settings file, `include/lever_imocha.yaml`, as typed models.

Names only: stages, templates and users are given as recruiters know them and become ids when a run starts.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from croniter import CroniterBadDateError, croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import ScalarToken

from lever_imocha.domain.hosts import is_loopback
from lever_imocha.domain.lever import Origin
from lever_imocha.domain.rules import goes_nowhere
from lever_imocha.domain.tags import TagScheme, is_status_tag, wanted_tests
from lever_imocha.errors import SettingsError

SETTINGS_VARIABLE = "LEVER_IMOCHA_SETTINGS"

M = TypeVar("M", bound=BaseModel)

Name = Annotated[str, Field(min_length=1)]


_LONGEST = timedelta(days=36525)
_TOO_LONG = "a hundred years, P36525D, are the most"


def _seconds(value: Any) -> Any:
    try:
        return timedelta(seconds=value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    except OverflowError:
        raise ValueError(_TOO_LONG) from None


def _not_too_long(value: timedelta) -> timedelta:
    """Refuse what leads to a time before the first year, or after the last, that a computer knows."""
    if value > _LONGEST:
        raise ValueError(_TOO_LONG)
    return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0)), AfterValidator(_not_too_long)]
"""A duration: a number of seconds, or ISO 8601 such as ``PT5M``; at most a hundred years."""

TestId = Annotated[int, Field(gt=0, lt=2**63)]
"""iMocha's number of a test."""

Count = Annotated[int, Field(ge=1, lt=2**31)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TagSettings(_Section):
    """How a Lever tag names an iMocha test."""

    prefix: Name = "iMocha:"
    """How our tags begin; the number in brackets at the end names the test."""
    map: dict[Name, TestId] = {}
    """Other tags: tag to test id, e.g. `{"Python test": 101}`."""


class Rule(_Section):
    """What starts an assessment and where it leads; the first rule that matches counts."""

    trigger_stage: Name = "Assessment"
    """Entering this stage starts the assessment."""
    completed_stage: Name = "Assessment Complete"
    """Where a candidate goes when all tests have ended."""
    form_template: Name = "iMocha Assessment"
    """The profile form template, its name or id."""
    postings: tuple[Name, ...] = ()
    """Only these postings, names or ids; empty means all. A name means every posting of this title, closed ones too."""
    tags: tuple[Name, ...] = ()
    """Only opportunities with one of these tags; empty means all."""
    tests: tuple[TestId, ...] = ()
    """iMocha's numbers of the tests that everybody takes who comes into the stage; tags may ask for more."""
    skip_origins: tuple[Origin, ...] = ()
    """Nobody of these origins is invited: `agency`, `applied`, `internal`, `referred`, `sourced`, `university`."""
    delay: Seconds | None = None
    """How long to wait after the move before inviting: who is moved away within it gets no e-mail."""
    link: Name | None = None
    """The name of a test link, with its window and proctoring: invitations go through the link of this name of each test;
    without it, through the Default link. A test that has none of this name is a hold."""
    retake: Literal["never", "reattempt"] = "never"
    """`never`, or `reattempt`: moving back gives a candidate who has finished another attempt."""
    validity_days: Annotated[int, Field(ge=1, le=365)] | None = None
    """How many days an invitation is valid; without it, the test link's setting. With `link`, iMocha may keep to the link's."""
    time_zone_id: Annotated[int, Field(gt=0)] | None = None
    """iMocha's number of the time zone in which the invitation is shown; without it, the test link's."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Rule:
        if problem := goes_nowhere([self.trigger_stage], [self.completed_stage]):
            raise ValueError(problem)
        return self


class WriteBackSettings(_Section):
    """What a report leaves in Lever."""

    create_template: bool = True
    """Make the template when Lever has none of that name."""
    update_template: bool = False
    """Add our fields to a template that lacks them."""
    secret: bool | None = None
    """Hide the form from users without sensitive-information rights; without it, the template's setting."""
    note: bool = False
    """Also leave a note of one line."""
    tags: tuple[Name, ...] = ()
    """Tags to add when the report is there."""
    report_hosts: tuple[Name, ...] = ()
    """The only hosts that iMocha's report links may lead to, redirects included; empty means any public one."""
    report_retry: tuple[Seconds, ...] = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
    """Waits before a report that is not final is read again."""

    @field_validator("report_retry")
    @classmethod
    def _some(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if not value:
            raise ValueError("give at least one waiting time, e.g. [60, 300]")
        return value

    @field_validator("report_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("/" in host or ":" in host for host in value):
            raise ValueError("write hosts only, without https:// and path, e.g. [app.imocha.io]")
        return value


class CancelWhen(_Section):
    """When a candidate leaves with an invitation still open: whether it is cancelled at iMocha."""

    archived: bool = True
    """Cancel when the candidate is archived or hired."""
    deleted: bool = True
    """Cancel when the candidate is deleted or anonymised."""
    stage_left: bool = False
    """Cancel when the candidate is moved to another stage."""


class ExplainSettings(_Section):
    """What the recruiter is told in Lever: a tag that says how the assessment stands, and a note that says more."""

    status_tags: bool = False
    """One tag says how it stands: `iMocha: invited`, `started`, `complete`, `expired`, `cancelled`, `on hold` or
    `report missing`."""
    notes: bool = False
    """One note for each stay in the stage, changed as things change; it says what a person has to correct, and when
    it is solved."""

    @property
    def is_on(self) -> bool:
        """Whether anything is shown in Lever."""
        return self.status_tags or self.notes


class WebhookSettings(_Section):
    """How old a delivery may be, since a vendor's last retry may come hours later, and how far its clock may run ahead."""

    max_age: Seconds = timedelta(hours=24)
    """How old a delivery of Lever may be; Lever's last retry can come hours later."""
    max_ahead: Seconds = timedelta(minutes=10)
    """How far a delivery of Lever may be ahead of our clock."""


class PollSettings(_Section):
    """How often to look, and how far back."""

    schedule: Name = "*/5 * * * *"
    """When Lever is swept, a cron expression in UTC."""
    overlap: Seconds = timedelta(minutes=30)
    """How far consecutive sweeps of Lever overlap."""
    full_sweep: Seconds = timedelta(hours=1)
    """How often everyone in the stage is looked at, however long ago they came."""
    attempts: Seconds = timedelta(minutes=1)
    """How often iMocha is asked for ended attempts."""
    attempts_window: Seconds = timedelta(hours=24)
    """The largest window that iMocha is asked for at once."""
    attempts_overlap: Seconds = timedelta(hours=1)
    """How far consecutive sweeps of iMocha overlap."""
    report_check: Seconds = timedelta(hours=6)
    """How often an open invitation's own report is looked at, should a sweep have missed it."""
    wait: Seconds = timedelta(hours=6)
    """How long one run of `lever_imocha_write_back` waits before the next takes over."""
    lease: Seconds = timedelta(minutes=10)
    """Not used any more: a claim lasts until its worker ends."""

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if not croniter.is_valid(value) or (len(value.split()) != 5 and not value.startswith("@")):
            raise ValueError("write a cron expression of five fields, e.g. '*/5 * * * *'")
        try:
            croniter(value).get_next()
        except CroniterBadDateError:
            raise ValueError("it never comes, as no month has such a day; write e.g. '*/5 * * * *'") from None
        return value


class RateLimits(_Section):
    """Requests a second, over all processes together; after a 429 there are fewer for some minutes.

    Lever documents 10. iMocha documents none.
    """

    lever: Annotated[float, Field(ge=0.01, le=10)] = 8
    """Requests a second to Lever, all processes together."""
    imocha: Annotated[float, Field(ge=0.01, le=50)] = 10
    """Requests a second to iMocha, all processes together."""


class ActivationSettings(_Section):
    """What happens at the first start, and when the settings come to ask for more."""

    existing: Literal["leave", "adopt", "invite"] = "leave"
    """Who was in a trigger stage before the first sweep, or before the settings named the stage or asked for the test:
    `leave` them, `adopt` the invitations they have, without an e-mail, or `invite` them."""


class LimitSettings(_Section):
    """How many e-mails candidates are sent at most; what is above is held (docs/runbook.md)."""

    per_hour: Count = 200
    """E-mails in any hour, to all candidates together; above it they go on in the next hours."""
    per_candidate: Count = 5
    """E-mails to one person in seven days, about all their opportunities together; above it a person decides."""
    cancel_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The share of the open invitations, but at least 5, that one sweep, or an hour, may cancel; above it a person
    decides."""


class RetentionSettings(_Section):
    """How long the ledger keeps what; `lever_imocha_retention` removes the rest each night. What is open is kept."""

    names: Seconds = timedelta(days=30)
    """Display names, after the candidate was last seen in a trigger stage."""
    deliveries: Seconds = timedelta(days=7)
    """Webhooks and callbacks; not shorter than `webhooks.max_age`."""
    events: Seconds = timedelta(days=365)
    """The timeline, what was asked for about many at once, and which alerts were sent."""
    people: Annotated[Seconds, Field(ge=timedelta(days=30))] = timedelta(days=730)
    """Everything about candidates whose assessments are over, after they were last seen in a trigger stage; at least 30
    days."""


class AlertSettings(_Section):
    """Who is told when a person is needed."""

    notifier: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")] | None = None
    """The class path of any Airflow notifier; it is called when a person is needed."""
    arguments: dict[Name, Any] = {}
    """What its class is made with; `{{ alert }}` becomes the message. Secrets live in its connection."""
    waiting: Seconds = timedelta(minutes=15)
    """How long a candidate in the stage may wait undecided before somebody is told."""
    repeat: Seconds = timedelta(hours=1)
    """After this the same failure is told again."""

    @model_validator(mode="after")
    def _says_something(self) -> AlertSettings:
        if self.notifier and not re.search(r"\{\{.*\balert\b.*\}\}", str(self.arguments)):
            raise ValueError("put {{ alert }} where the message goes, e.g. arguments: {text: '{{ alert }}'}")
        return self


class _OnlyAlerts(_Section):
    model_config = ConfigDict(frozen=True, extra="ignore")

    alerts: AlertSettings = AlertSettings()


class Settings(_Section):
    """The whole file. Everything has a default but `perform_as`, the e-mail of a Lever user."""

    perform_as: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", repr=False)]
    """The e-mail of the Lever user in whose name is written."""
    tags: TagSettings = TagSettings()
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)] = (Rule(),)
    write_back: WriteBackSettings = WriteBackSettings()
    cancel_when: CancelWhen = CancelWhen()
    mask_deleted: bool = False
    """Also mask at iMocha, a day later, who is deleted or anonymised in Lever (its GDPR call)."""
    explain: ExplainSettings = ExplainSettings()
    public_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = None
    """The receivers as iMocha sees them, `https://`; without it there are no callbacks."""
    webhooks: WebhookSettings = WebhookSettings()
    poll: PollSettings = PollSettings()
    rate_limits: RateLimits = RateLimits()
    activation: ActivationSettings = ActivationSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    alerts: AlertSettings = AlertSettings()

    @property
    def fingerprints(self) -> dict[str, str]:
        """A short hash of what each part says, by its key; none of what may have addresses. Defaults count as not said."""
        said = self.model_dump(mode="json", exclude={"perform_as", "alerts"}, exclude_defaults=True)
        said |= {f"rules[{index}]": rule for index, rule in enumerate(said.pop("rules", ()))}
        return {key: sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12] for key, value in said.items()}

    @field_validator("public_url")
    @classmethod
    def _is_encrypted(cls, value: str | None) -> str | None:
        if value and not value.startswith("https://") and not is_loopback(urlsplit(value).hostname):
            raise ValueError("it must start with https://; http:// is for this machine alone")
        if value and re.search(r"/lever-imocha(/|$)|[?#]", value):
            raise ValueError("leave out what comes after the host: /lever-imocha/... is put behind it here")
        return value

    @model_validator(mode="after")
    def _keeps_deliveries_as_long_as_they_are_accepted(self) -> Settings:
        if self.retention.deliveries < self.webhooks.max_age:
            raise ValueError(
                "retention.deliveries: must not be shorter than webhooks.max_age, or one is accepted twice"
            )
        return self

    @model_validator(mode="after")
    def _tags_mean_one_thing(self) -> Settings:
        tags = {"tags.map": self.tags.map, "write_back.tags": self.write_back.tags}
        tags |= {f"rules[{index}].tags": rule.tags for index, rule in enumerate(self.rules)}
        for key, given in tags.items():
            for tag in given:
                if is_status_tag(tag):
                    raise ValueError(f"{key}: {tag!r} is one of our own status tags; choose another tag")
        for tag in self.write_back.tags:
            if wanted_tests([tag], TagScheme(prefix=self.tags.prefix, mapping=self.tags.map)):
                raise ValueError(f"write_back.tags: {tag!r} asks for a test; choose a tag without the prefix")
        return self


_MEANT = {
    "string_too_short": "it must not be empty",
    "too_short": "at least one is needed",
    "dict_type": "write key: value, a line each; a key that has a # is put in quotes",
    "tuple_type": "it must be a list, in brackets and with commas: [first, second]",
    "time_delta_parsing": "write a number of seconds, or ISO 8601: PT2H for two hours",
    "int_parsing": "it must be a whole number; tests and time zones have iMocha's numbers",
}
_WANTED = {
    "perform_as": "it must be an e-mail address",
    "public_url": "it must be a web address, e.g. https://airflow.example.com",
    "alerts.notifier": "it must be a class's path, e.g. airflow.providers.smtp.notifications.smtp.SmtpNotifier",
}


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Settings
    for part in location[:-1]:
        if isinstance(part, str) and part in section.model_fields:
            annotation = section.model_fields[part].annotation
            inner = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
            section = inner[0] if inner else annotation
            if not (isinstance(section, type) and issubclass(section, BaseModel)):
                return []
    return list(section.model_fields)


def _wanted(error: Any) -> str:
    if error["type"] in _MEANT:
        return _MEANT[error["type"]]
    named = _WANTED.get(".".join(map(str, error["loc"]))) if error["type"] == "string_pattern_mismatch" else None
    return named or str(error["msg"]).removeprefix("Value error, ")


def _line(error: Any) -> str:
    location = error["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or "the file"
    if error["type"] == "extra_forbidden":
        known = _known_keys(location)
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"remove it; known here: {', '.join(known)}"
        return f"{key}: there is no such setting; {fix}"
    if error["type"] == "missing":
        return f"{key}: is missing; add it, e.g. perform_as: people-ops@example.com"
    if location and error["input"] is None:
        return f"{key}: is empty; write its value behind the colon"
    message = _wanted(error)
    if not location:  # what is wrong between two keys: the message names them
        return message
    if isinstance(error["input"], dict):
        return f"{key}: {message}"
    return f"{key}: {str(error['input'])[:80]!r} cannot be used: {message}"


def parse_settings(text: str, *, source: str = "settings") -> Settings:
    """Read settings from YAML.

    :raises SettingsError: one line for every mistake, each with the key, the value and the fix.
    """
    return _validated(Settings, _mapping(text, source), source)


def _mapping(text: str, source: str) -> dict[str, Any]:
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", "unreadable"))
        where = f"{source} line {mark.line + 1}" if mark else source
        if isinstance(error, DuplicateKeyError):
            key = problem.partition(" with value ")[0].removeprefix("found duplicate key ")
            raise SettingsError([f"{where}: {key} is there twice; put what belongs to it in one place"]) from None
        fix = "indent with blanks, not with tabs" if "\\t" in problem else "correct it"
        if re.search(r"[\[{][^\]}\n]*\s#", text):
            fix += "; what follows ` #` is a comment: put a name that has it in quotes"
        raise SettingsError([f"{where}: is not YAML ({problem}); {fix}"]) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SettingsError([f"{source}: must be a list of `key: value`, starting with perform_as"])
    return data


def _validated(model: type[M], data: dict[str, Any], source: str) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # When a rule is wrong, pydantic also says that there are then no rules; that is not another mistake.
        items = [item for item in error.errors() if item["type"] != "too_short" or not data.get(str(item["loc"][0]))]
        raise SettingsError([f"{source}: {_line(item)}" for item in items]) from None


def cut_at_comments(text: str) -> list[str]:
    """Say which names YAML has cut, as in ``iMocha #1``: a `` #`` with no blank behind it is likely meant as a part of one.

    Numbers are left out, as no name is one.
    """
    lines, cut = text.splitlines(), list[str]()
    for token in YAML(typ="safe", pure=True).scan(text):
        if isinstance(token, ScalarToken) and token.plain and not token.value.isdecimal():
            rest = lines[token.end_mark.line][token.end_mark.column :]
            if more := re.match(r"(\s+#\S.*?)(\s+#\s.*)?$", rest.rstrip()):
                name, whole = token.value, f"{token.value}{more[1]}"
                cut.append(f"YAML takes what follows ` #` for a comment: {name!r} is read, and not {whole!r}")
    return cut


def settings_path() -> Path:
    """Return where the settings are: `LEVER_IMOCHA_SETTINGS`, or `lever_imocha.yaml` in the project's `include/`."""
    named = os.environ.get(SETTINGS_VARIABLE)
    if named:
        return Path(named)
    places = [Path(entry) / "include" for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    places += [Path(__file__).parents[2] / "include", Path(os.environ.get("AIRFLOW_HOME", ".")) / "include"]
    return next(
        (p / "lever_imocha.yaml" for p in places if (p / "lever_imocha.yaml").is_file()),
        places[-1] / "lever_imocha.yaml",
    )


def settings_changed() -> datetime | None:
    """Return when the settings file was changed last; None when there is none."""
    try:
        return datetime.fromtimestamp(settings_path().stat().st_mtime, UTC)
    except OSError:
        return None


def load_settings(path: Path | None = None) -> Settings:
    """Read and check the settings file.

    :raises SettingsError: the file is missing, unreadable or wrong.
    """
    path = path or settings_path()
    return parse_settings(read_text(path), source=path.name)


def load_alerts() -> AlertSettings:
    """Read the section `alerts` alone, so that a mistake elsewhere in the file can still be told to somebody.

    :raises SettingsError: the file cannot be read, or this section is wrong.
    """
    path = settings_path()
    return _validated(_OnlyAlerts, _mapping(read_text(path), path.name), path.name).alerts


def read_text(path: Path) -> str:
    """Read a settings file as it is written.

    :raises SettingsError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8; save it with this encoding"]) from None
    except OSError as error:
        raise SettingsError(
            [f"{path}: cannot be read ({type(error).__name__}); write it, or let {SETTINGS_VARIABLE} name another file"]
        ) from None


def schedule() -> str:
    """Return the cron schedule for the DAG file."""
    return _poll().schedule


def longest_run() -> timedelta:
    """Return how long a run of `lever_imocha_write_back` may take: its wait, and one hour for the work."""
    return _poll().wait + timedelta(hours=1)


def _poll() -> PollSettings:
    """Return the section `poll` for a DAG file; the defaults if the settings are wrong, which tasks then report."""
    try:
        return load_settings().poll
    except SettingsError:
        return PollSettings()
