"""Names become ids: stages, the acting user, postings and form templates, read once a run for all its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.forms import FormTemplate, check_template, merged_fields, missing_fields, our_fields
from lever_imocha.domain.names import Named, find_id
from lever_imocha.domain.rules import ResolvedRule, RuleKey
from lever_imocha.domain.tags import TagScheme
from lever_imocha.errors import LedgerError, SettingsError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings

_KEY = "lever"
_FRESH = timedelta(minutes=15)


class ResolvedSettings(BaseModel):
    """What the settings' names stand for in Lever. Ids and template fields only, nothing personal."""

    model_config = ConfigDict(frozen=True)

    perform_as: str
    rules: tuple[ResolvedRule, ...]
    templates: dict[str, FormTemplate] = {}

    @property
    def trigger_stages(self) -> tuple[str, ...]:
        """The ids of the rules' trigger stages, each once."""
        return tuple(dict.fromkeys(rule.trigger_stage_id for rule in self.rules))

    def rule_of(self, key: RuleKey) -> ResolvedRule | None:
        """The rule an assessment was begun under, or, when the settings changed since, one of the same stage."""
        exact = [rule for rule in self.rules if rule.key == key]
        return next(iter(exact + [rule for rule in self.rules if rule.trigger_stage_id == key.trigger_stage_id]), None)


def tag_scheme(settings: Settings) -> TagScheme:
    """How tags name tests, from the settings."""
    return TagScheme(prefix=settings.tags.prefix, mapping=settings.tags.map)


def _find(name: str, known: Sequence[Named], *, key: str, problems: list[str]) -> str:
    try:
        return find_id(name, known, key=key)
    except SettingsError as error:
        problems += error.problems
        return ""


def _rules(lever: LeverClient, settings: Settings, problems: list[str]) -> tuple[ResolvedRule, ...]:
    stages = list(lever.list_stages())
    postings = list(lever.list_postings()) if any(rule.postings for rule in settings.rules) else []

    def stage(index: int, key: str, name: str) -> str:
        return _find(name, stages, key=f"rules[{index}].{key}", problems=problems)

    return tuple(
        ResolvedRule(
            trigger_stage_id=stage(index, "trigger_stage", rule.trigger_stage),
            completed_stage_id=stage(index, "completed_stage", rule.completed_stage),
            form_template=rule.form_template,
            posting_ids=tuple(
                _find(name, postings, key=f"rules[{index}].postings", problems=problems) for name in rule.postings
            ),
            tags=rule.tags,
            retake=rule.retake,
            validity_days=rule.validity_days,
            time_zone_id=rule.time_zone_id,
        )
        for index, rule in enumerate(settings.rules)
    )


def _template(
    name: str, known: Iterable[FormTemplate], lever: LeverClient, settings: Settings, problems: list[str]
) -> FormTemplate | None:
    found = [template for template in known if template.text == name]
    if len(found) > 1:
        problems.append(f"form_template: {name!r} is the name of {len(found)} templates in Lever; rename one")
        return None
    if not found:
        if settings.write_back.create_template:
            return lever.create_form_template(text=name, fields=our_fields())
        names = ", ".join(repr(template.text) for template in known) or "none"
        problems.append(
            f"form_template: {name!r} does not exist in Lever; there are: {names};"
            " or set write_back.create_template: true"
        )
        return None
    template = found[0] if found[0].fields else lever.get_form_template(found[0].id)
    return _complete(template, lever, settings, problems)


def _complete(
    template: FormTemplate, lever: LeverClient, settings: Settings, problems: list[str]
) -> FormTemplate | None:
    lacking = missing_fields(template)
    if lacking and settings.write_back.update_template:
        template = lever.update_form_template(template, fields=merged_fields(template))
    elif len(lacking) == len(our_fields()):
        problems.append(
            f"form_template: {template.text!r} has none of our fields; set write_back.update_template: true,"
            f" or add to it in Lever: {', '.join(lacking)}"
        )
        return None
    try:
        check_template(template)
    except SettingsError as error:
        problems += error.problems
    return template


def resolve(lever: LeverClient, settings: Settings, *, templates: bool) -> ResolvedSettings:
    """Look up every name of the settings in Lever.

    :param templates: also the form templates, which are created or completed as the settings allow.
    :raises SettingsError: one line for every name Lever does not know, with the names it does.
    """
    problems: list[str] = []
    rules = _rules(lever, settings, problems)
    user = lever.find_user(settings.perform_as)
    if user is None:
        problems.append("perform_as: no active Lever user has this e-mail address; name one who has")
    if problems or user is None:
        raise SettingsError(problems)
    ready: dict[str, FormTemplate] = {}
    if templates:
        known = list(lever.list_form_templates())
        for name in dict.fromkeys(rule.form_template for rule in rules):
            template = _template(name, known, lever, settings, problems)
            if template is not None:
                ready[name] = template
    if problems:
        raise SettingsError(problems)
    return ResolvedSettings(perform_as=user.id, rules=rules, templates=ready)


def refresh_resolved(ledger: Ledger, lever: LeverClient, settings: Settings, *, templates: bool) -> ResolvedSettings:
    """Resolve the names anew and keep them for the run's other tasks."""
    # Two runs that both find no form template must not both create one.
    with ledger.account_lock("form templates") if templates else nullcontext():
        resolved = resolve(lever, settings, templates=templates)
    ledger.cache.put(_KEY + (".templates" if templates else ""), resolved.model_dump(mode="json"))
    return resolved


def current_resolved(ledger: Ledger, lever: LeverClient, settings: Settings) -> ResolvedSettings:
    """The names as a run of the last minutes resolved them, or resolved anew.

    :raises SettingsError: a name is unknown to Lever.
    """
    found = ledger.cache.get(_KEY, younger_than=_FRESH)
    if found is not None:
        return ResolvedSettings.model_validate(found)
    return refresh_resolved(ledger, lever, settings, templates=False)


def stored_resolved(ledger: Ledger, *, templates: bool) -> ResolvedSettings:
    """The names as the run's first task resolved them.

    :raises LedgerError: no run has resolved them yet.
    """
    found = ledger.cache.get(_KEY + (".templates" if templates else ""))
    if found is None:
        raise LedgerError(
            "Lever's stages are not looked up yet. Clear the first task of this run (collect_stage_entries or"
            " wait_for_attempts) as well."
        )
    return ResolvedSettings.model_validate(found)
