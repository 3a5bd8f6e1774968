"""What a person chooses at set-up: only what is in the account, by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lever_imocha.domain.names import Named, ids_of, near_misses
from lever_imocha.domain.rules import goes_nowhere
from lever_imocha.errors import SettingsError
from lever_imocha.settings import Rule, Settings
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.permissions import known_or_none

NEW_TEMPLATE = "new"
NOBODY = "none"
NEW_RULE = "new"
FIRST_RULE = "0"
AS_IT_IS, EVERY = "same", "all"
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
class Dropdown:
    """One drop-down list.

    :param options: value -> what is shown for it.
    :param default: the value that is chosen at first; None when nothing is.
    """

    name: str
    title: str
    description: str
    options: Mapping[str, str]
    default: str | None


OF_A_RULE = ("trigger_stage", "completed_stage", "form_template", "only_posting")
"""The fields that are about the chosen rule; the others are about the whole workflow."""


class Answer(BaseModel):
    """What was chosen; ids.

    :param rule: the place in the settings of the rule that it is about, or `NEW_RULE`.
    """

    model_config = ConfigDict(extra="ignore")

    rule: Annotated[str, Field(pattern=rf"^({NEW_RULE}|\d+)$")] = FIRST_RULE
    trigger_stage: str
    completed_stage: str
    form_template: str
    acting_user: str
    only_posting: str = AS_IT_IS
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
        if problem := goes_nowhere([answer.trigger_stage], [answer.completed_stage]):
            raise SettingsError([problem])
        return answer


def _named(things: Iterable[Named]) -> dict[str, str]:
    """Return id -> name; where a name is there twice, with its id."""
    listed = list(things)
    texts = [thing.text for thing in listed]
    return {thing.id: thing.text if texts.count(thing.text) == 1 else f"{thing.text} [{thing.id}]" for thing in listed}


def fields(facts: Facts, rule: str = FIRST_RULE) -> list[Dropdown]:
    """Return the form's fields; as chosen at first, what the settings say now.

    :param rule: the place of the rule that the form is about, or `NEW_RULE`.
    :raises UnknownFactError: Lever does not say what there is.
    """
    settings = known_or_none(facts.settings)
    in_order = settings.rules if settings else (Rule(),)
    rules = {str(index): one for index, one in enumerate(in_order)}
    chosen = Dropdown(
        "rule", "Rule", "The next four lists are about it; for those of another, choose it and press Look again",
        {place: f"rules[{place}]: {one.trigger_stage}, {_postings_of(one)}" for place, one in rules.items()}
        | {NEW_RULE: "a new rule"},
        rule if rule in rules else NEW_RULE,
    )  # fmt: skip
    of_the_rule = _of_a_rule(facts, _shown(rule, in_order), is_new=rule not in rules)
    return [chosen, *of_the_rule, *_of_the_workflow(facts, settings)]


def _of_a_rule(facts: Facts, shown: Rule, *, is_new: bool) -> list[Dropdown]:
    """Return the fields that `OF_A_RULE` names."""
    stages, templates = facts.stages(), facts.templates()
    new = _template_to_make(shown, templates)
    created = {} if ids_of(new, templates) else {NEW_TEMPLATE: f"create: {new}"}
    as_it_is = {} if is_new else {AS_IT_IS: f"as it is: {_postings_of(shown)}"}
    every = {EVERY: "all postings"} if is_new or shown.postings else {}
    return [
        Dropdown(
            "trigger_stage", "Trigger stage", "Who is moved here is invited", _named(stages),
            _only_id(shown.trigger_stage, stages),
        ),
        Dropdown(
            "completed_stage", "Completed stage", "Where candidates go when all their tests have ended", _named(stages),
            _only_id(shown.completed_stage, stages),
        ),
        Dropdown(
            "form_template", "Form template", "What a report is written into", created | _named(templates),
            _only_id(shown.form_template, templates) or next(iter(created), None),
        ),
        Dropdown(
            "only_posting", "Only for posting", "Who did not apply to it is not invited by this rule",
            as_it_is | every | _named(facts.postings()), EVERY if is_new else AS_IT_IS,
        ),
    ]  # fmt: skip


def _of_the_workflow(facts: Facts, settings: Settings | None) -> list[Dropdown]:
    users, acting = facts.users(), settings.perform_as.casefold() if settings else ""
    return [
        Dropdown(
            "acting_user", "Acting user", "In whose name is written to Lever",
            {user.id: user.email or user.id for user in users if user.is_active},
            next((user.id for user in users if user.is_active and (user.email or "").casefold() == acting), None),
        ),
        Dropdown(
            "posting", "Posting for new tags",
            "Lever makes a tag by adding it to a candidate: the first one of this posting carries new tags for a moment."
            " What the API key may write is tried there, too; nothing is left",
            {NOBODY: "make no tags now"} | _named(facts.postings()), NOBODY,
        ),
        Dropdown(
            "existing", "Who is in the trigger stage already", "Counts at the first sweep, and whenever the settings ask something new of who is there", _EXISTING,
            settings.activation.existing if settings else "leave",
        ),
        Dropdown(
            "told", "What recruiters see in Lever", "How each assessment stands; a note also says what a person has to correct",
            _TOLD, _told(settings),
        ),
    ]  # fmt: skip


def _shown(place: str, rules: Sequence[Rule]) -> Rule:
    """Return the rule that the form is about; a new one begins like the first."""
    found = dict(enumerate(rules)).get(int(place)) if place != NEW_RULE else None
    return found or rules[0].model_copy(update={"postings": (), "trigger_stage": ""})


def _only_id(name: str, known: Sequence[Named]) -> str | None:
    """Return the id of what has a name; None when nothing has it, or several have, so that a person chooses."""
    found = ids_of(name, known)
    return found[0] if len(found) == 1 else None


def _template_to_make(rule: Rule, templates: Sequence[Named]) -> str:
    """Return the name of a new form template: the rule's, unless it is a slip of another's."""
    name = rule.form_template
    return Rule().form_template if not ids_of(name, templates) and near_misses(name, templates) else name


def _postings_of(rule: Rule) -> str:
    return ", ".join(rule.postings) or "all postings"


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
    rules, named = settings.rules if settings else (Rule(),), _named(facts.stages())
    of_rule: dict[str, Any] = {
        "trigger_stage": _written(named, answer.trigger_stage),
        "completed_stage": _written(named, answer.completed_stage),
        "form_template": _template_to_make(_shown(answer.rule, rules), facts.templates())
        if answer.form_template == NEW_TEMPLATE
        else _written(_named(facts.templates()), answer.form_template),
    }
    if answer.only_posting == EVERY:
        of_rule["postings"] = []
    elif answer.only_posting != AS_IT_IS:
        of_rule["postings"] = [_written(_named(facts.postings()), answer.only_posting)]
    wanted: dict[tuple[str | int, ...], Any] = {
        ("perform_as",): {user.id: user.email for user in facts.users()}[answer.acting_user],
        ("activation", "existing"): answer.existing,
        **{("explain", key): value for key, value in answer.explain.items()},
    }
    if answer.rule != NEW_RULE:
        if int(answer.rule) >= len(rules):
            raise KeyError(answer.rule)
        wanted |= {("rules", int(answer.rule), key): value for key, value in of_rule.items()}
    elif not any(all(_now(rule, (key,)) == value for key, value in of_rule.items()) for rule in rules):
        wanted["rules", _place(rules, answer, facts)] = of_rule
    return {path: value for path, value in wanted.items() if settings is None or _now(settings, path) != value}


def _place(rules: Sequence[Rule], answer: Answer, facts: Facts) -> int:
    """Return where a new rule counts: one for a posting before the one for all postings of its stage."""
    if answer.only_posting not in (AS_IT_IS, EVERY):
        for index, rule in enumerate(rules):
            if not rule.postings and answer.trigger_stage in ids_of(rule.trigger_stage, facts.stages()):
                return index
    return len(rules)


def _written(named: Mapping[str, str], key: str) -> str:
    name = named[key]
    return key if name.endswith(f"[{key}]") else name


def _now(section: Any, path: tuple[str | int, ...]) -> Any:
    value = section
    for part in path:
        value = dict(enumerate(value)).get(part) if isinstance(part, int) else getattr(value, part)
    return list(value) if isinstance(value, tuple) else value
