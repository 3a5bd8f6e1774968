"""What a person chooses at set-up: only what is in the account, by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lever_imocha.domain.names import Named, ids_of
from lever_imocha.errors import SettingsError
from lever_imocha.settings import Rule, Settings
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.permissions import known_or_none

NEW_TEMPLATE = "new"
NOBODY = "none"
_EXISTING = {
    "leave": "leave them alone: no e-mail",
    "adopt": "adopt the invitations that another integration has sent: no e-mail",
    "invite": "invite them all: an e-mail to each",
}


_TOLD = {
    "both": "a status tag, and one note for each stay in the stage",
    "tag": "a status tag",
    "note": "one note for each stay in the stage",
    "nothing": "nothing",
}
_SWITCHES = {"both": (True, True), "tag": (True, False), "note": (False, True), "nothing": (False, False)}
"""Status tags, notes."""


@dataclass(frozen=True)
class Field:
    """One drop-down list.

    :param options: value -> what is shown for it.
    :param default: the value that is chosen at first; None when nothing is.
    """

    name: str
    title: str
    description: str
    options: Mapping[str, str]
    default: str | None


class Answer(BaseModel):
    """What was chosen; ids."""

    model_config = ConfigDict(extra="ignore")

    trigger_stage: str
    completed_stage: str
    form_template: str
    acting_user: str
    posting: str = NOBODY
    existing: Literal["leave", "adopt", "invite"] = "leave"
    told: Literal["both", "tag", "note", "nothing"] = "both"

    @property
    def explain(self) -> dict[str, bool]:
        """What recruiters are told in Lever, as the settings say it."""
        return dict(zip(("status_tags", "notes"), _SWITCHES[self.told], strict=True))

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Answer:
        """Read what the form gave.

        :raises SettingsError: something was not chosen, or cannot be: both stages are the same.
        """
        try:
            answer = cls.model_validate(given)
        except ValidationError as error:
            empty = ", ".join(str(item["loc"][0]) for item in error.errors(include_input=False))
            raise SettingsError([f"choose a value for: {empty}"]) from None
        if answer.trigger_stage == answer.completed_stage:
            raise SettingsError(["the completed stage must differ from the trigger stage"])
        return answer


def _named(things: Iterable[Named]) -> dict[str, str]:
    """Return id -> name; where a name is there twice, with its id."""
    listed = list(things)
    texts = [thing.text for thing in listed]
    return {thing.id: thing.text if texts.count(thing.text) == 1 else f"{thing.text} [{thing.id}]" for thing in listed}


def fields(facts: Facts) -> list[Field]:
    """Return the form's fields; as chosen at first, what the settings say now.

    :raises UnknownFactError: Lever does not say what there is.
    """
    settings = known_or_none(facts.settings)
    rule = settings.rules[0] if settings else Rule()
    stages, users, templates = facts.stages(), facts.users(), facts.templates()
    acting = settings.perform_as.casefold() if settings else ""
    created = {NEW_TEMPLATE: f"create: {Rule().form_template}"}
    known_template = next(iter(ids_of(rule.form_template, templates)), None)
    return [
        Field(
            "trigger_stage", "Trigger stage", "Who is moved here is invited", _named(stages),
            next(iter(ids_of(rule.trigger_stage, stages)), None),
        ),
        Field(
            "completed_stage", "Completed stage", "Where candidates go when all their tests have ended", _named(stages),
            next(iter(ids_of(rule.completed_stage, stages)), None),
        ),
        Field(
            "form_template", "Form template", "What a report is written into", created | _named(templates),
            known_template or NEW_TEMPLATE,
        ),
        Field(
            "acting_user", "Acting user", "In whose name is written to Lever",
            {user.id: user.email or user.id for user in users if user.is_active},
            next((user.id for user in users if user.is_active and (user.email or "").casefold() == acting), None),
        ),
        Field(
            "posting", "Posting for new tags",
            "Lever makes a tag by adding it to a candidate: the first one of this posting carries new tags for a moment."
            " What the API key may write is tried there, too; nothing is left",
            {NOBODY: "make no tags now"} | _named(facts.postings()), NOBODY,
        ),
        Field(
            "existing", "Who is in the trigger stage already", "Counts for a new ledger's first sweep only", _EXISTING,
            settings.activation.existing if settings else "leave",
        ),
        Field(
            "told", "What recruiters see in Lever", "How each assessment stands; a note also says what a person has to mend",
            _TOLD, _told(settings),
        ),
    ]  # fmt: skip


def other_rules(facts: Facts) -> str:
    """Say which rule the form changes, and which ones stay as they are; empty when there is only one."""
    settings = known_or_none(facts.settings)
    if settings is None or len(settings.rules) == 1:
        return ""
    others = "; ".join(
        f"rules[{index}], {rule.trigger_stage!r} to {rule.completed_stage!r}"
        for index, rule in enumerate(settings.rules)
        if index
    )
    return (
        f"The settings have {len(settings.rules)} rules. This form changes the first one, rules[0], only. As they are stay:"
        f" {others}. The checks, the plan and the activation are about all of them."
    )


def _told(settings: Settings | None) -> str:
    if settings is None:
        return "both"
    now = (settings.explain.status_tags, settings.explain.notes)
    return next(told for told, switches in _SWITCHES.items() if switches == now)


def changes(answer: Answer, facts: Facts, settings: Settings | None) -> dict[tuple[str | int, ...], Any]:
    """Return what is to be written into the settings file: path -> value. Names, as people read them.

    :raises UnknownFactError: Lever does not say what there is.
    :raises KeyError: what was chosen is not there any more.
    """
    stages, templates = _named(facts.stages()), _named(facts.templates())
    wanted: dict[tuple[str | int, ...], Any] = {
        ("perform_as",): {user.id: user.email for user in facts.users()}[answer.acting_user],
        ("rules", 0, "trigger_stage"): _written(stages, answer.trigger_stage),
        ("rules", 0, "completed_stage"): _written(stages, answer.completed_stage),
        ("rules", 0, "form_template"): Rule().form_template
        if answer.form_template == NEW_TEMPLATE
        else _written(templates, answer.form_template),
        ("activation", "existing"): answer.existing,
        **{("explain", key): value for key, value in answer.explain.items()},
    }
    return {path: value for path, value in wanted.items() if settings is None or _now(settings, path) != value}


def _written(named: Mapping[str, str], key: str) -> str:
    name = named[key]
    return key if name.endswith(f"[{key}]") else name


def _now(settings: Settings, path: tuple[str | int, ...]) -> Any:
    value: Any = settings
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value
