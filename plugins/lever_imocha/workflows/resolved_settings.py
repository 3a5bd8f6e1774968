"""Names become ids: stages, the acting user, postings and form templates, read once a run for all its tasks.

A name that is unknown or ambiguous makes its rule unusable and no other: whom that rule concerns waits, and the run
says so at its end. The ids that a name had before are remembered, so that it is known whom a rule concerns whose stage
or posting was renamed in Lever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.forms import FormTemplate
from lever_imocha.domain.lever import Opportunity, Stage
from lever_imocha.domain.names import Named, ambiguous, ids_of, is_uuid, not_there
from lever_imocha.domain.rules import ResolvedRule, RuleKey, goes_nowhere, select_rule
from lever_imocha.domain.settings_versions import Asks
from lever_imocha.domain.tags import TagScheme
from lever_imocha.errors import (
    ApiError,
    CredentialsError,
    LedgerError,
    SettingsError,
    UnexpectedAnswerError,
    VendorRefusedError,
)
from lever_imocha.ledger.cache import NAMES, PROBLEMS, SETTINGS
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.watermarks import FULL_SWEEP
from lever_imocha.settings import Rule, Settings
from lever_imocha.workflows.account import check_account
from lever_imocha.workflows.clocks import check_clock
from lever_imocha.workflows.form_templates import FormTemplates

log = logging.getLogger(__name__)

_WITH_TEMPLATES = f"{SETTINGS}.templates"
_CHECKED = "lever.templates.checked"
_FRESH = timedelta(minutes=15)
_TRUSTED = timedelta(days=1)
_NO_PERMISSION = "Lever refuses the list; give the API key the permission to read it"
_LONG_AGO = datetime.fromtimestamp(0, tz=UTC)

KnownIds = dict[str, dict[str, list[str]]]
"""The ids that each name had when it was last known, by the kind of thing."""


class ResolvedSettings(BaseModel):
    """What the settings' names stand for in Lever. Ids and template fields only, nothing personal.

    :param user_id: the acting user; None when Lever has no such active user.
    :param rules: all rules, also those that cannot be used (`ResolvedRule.usable`).
    :param problems: one line each, naming key, value and fix: what stops some of the work, but not all of it.
    :param template_problems: why a template cannot be used, by its name in the settings.
    :param asks_version: the version of what they ask of whom, see `SettingsVersion`; None where they may never be used.
    :param asks_since: since when they ask it.
    """

    model_config = ConfigDict(frozen=True)

    user_id: str | None = Field(validation_alias=AliasChoices("user_id", "perform_as"))  # as 0.1.0 kept it
    rules: tuple[ResolvedRule, ...]
    templates: dict[str, FormTemplate] = {}
    problems: tuple[str, ...] = ()
    template_problems: dict[str, str] = {}
    asks_version: int | None = None
    asks_since: datetime = _LONG_AGO

    @property
    def perform_as(self) -> str:
        """The id of the acting user.

        :raises SettingsError: there is none, so that nothing can be written to Lever.
        """
        if self.user_id is None:
            raise SettingsError([line for line in self.problems if line.startswith("perform_as")])
        return self.user_id

    @property
    def trigger_stages(self) -> tuple[str, ...]:
        """The ids of the rules' trigger stages, each once; also of rules that cannot be used."""
        return tuple(dict.fromkeys(rule.trigger_stage_id for rule in self.rules if rule.trigger_stage_id))

    def rule_of(self, key: RuleKey, read: Callable[[], Opportunity]) -> ResolvedRule | None:
        """Return the rule an assessment was begun under; when the settings changed since, one of the same stage.

        Where the rule's completed stage is unknown now, it is the one that the assessment was begun with.

        :param read: reads the opportunity, with ``expand=applications``: of several rules of the stage, the one that
            matches it counts.
        """
        same_stage = [rule for rule in self.rules if rule.trigger_stage_id == key.trigger_stage_id]
        rule = next((rule for rule in same_stage if rule.key == key), None)
        if rule is None and len(same_stage) > 1:
            rule = select_rule(read().model_copy(update={"stage": key.trigger_stage_id}), same_stage)
        rule = rule or next(iter(same_stage), None)
        if rule is None or rule.completed_stage_id:
            return rule
        return replace(rule, completed_stage_id=key.completed_stage_id)


def tag_scheme(settings: Settings) -> TagScheme:
    """Return how tags name tests, from the settings."""
    return TagScheme(prefix=settings.tags.prefix, mapping=settings.tags.map)


class _Names:
    """Finds the ids of names among what Lever lists.

    :param items: what Lever lists; None when that cannot be read.
    :param former: the ids that names had before; kept up to date.
    :param unread: why it cannot be read.
    :param read: reads one by its id: that one list lacks it does not prove that it is gone.
    """

    def __init__(
        self,
        items: Sequence[Named] | None,
        former: dict[str, list[str]],
        unread: str = "",
        *,
        read: Callable[[str], Named] | None = None,
    ) -> None:
        self._items, self._former, self._unread, self._read = items, former, unread, read
        self.known: dict[str, list[str]] = {}

    def one(self, name: str, key: str, problems: list[str]) -> str:
        """Return the only id of a name, or else the id it had before, or empty text; then there is a problem."""
        found = self._found(name)
        if len(found) > 1:
            problems.append(f"{key}: {ambiguous(name, found)}")
            return self._kept(name, [])[0]
        return self._ids(name, found, key, problems)[0]

    def all(self, name: str, key: str, problems: list[str]) -> list[str]:
        """Return every id of a name; in Lever a closed posting may have the title of an open one."""
        return self._ids(name, self._found(name), key, problems)

    def _found(self, name: str) -> list[str]:
        if self._items is None:
            return []
        found = ids_of(name, self._items)
        listed = {item.id for item in self._items}
        return found + [key for key in self._former.get(name, ()) if key not in listed and self._is_there(key, name)]

    def _is_there(self, key: str, name: str) -> bool:
        try:
            return self._read is not None and bool(ids_of(name, [self._read(key)]))
        except VendorRefusedError:
            return False

    def _ids(self, name: str, found: list[str], key: str, problems: list[str]) -> list[str]:
        if not found:
            problems.append(f"{key}: {self._unknown(name)}")
        return self._kept(name, found)

    def _kept(self, name: str, found: list[str]) -> list[str]:
        ids = found or self._former.get(name, [])
        if ids:
            self.known[name] = ids
        return ids or [""]  # no opportunity has an empty id: it matches nobody

    def _unknown(self, name: str) -> str:
        if self._items is None:
            return f"{name!r} cannot be looked up: {self._unread}"
        renamed = [item.text for item in self._items if item.id in self._former.get(name, [])]
        if renamed:
            return f"{name!r} does not exist in Lever any more; it is called {renamed[0]!r} now: write that"
        return not_there(name, self._items)


class _Resolver:
    """Looks up every name of the settings in Lever; changes nothing there.

    :param goes_without: the errors of the lists of postings and users that stop only what needs these.
    """

    def __init__(self, lever: LeverClient, settings: Settings, former: KnownIds, goes_without: type[ApiError]) -> None:
        self._lever, self._settings, self._former, self._goes_without = lever, settings, former, goes_without
        self.problems: list[str] = []
        self.known: KnownIds = {}
        self.stage_ids: list[str] = []

    def rules(self, templates: FormTemplates | None) -> tuple[ResolvedRule, ...]:
        """Return the rules with Lever's ids.

        :param templates: checks the rules' form templates; None when they were checked a moment ago.
        """
        listed = list(self._lever.list_stages())
        self.stage_ids = [stage.id for stage in listed]
        stages = _Names(listed, self._former.get("stages", {}), read=self._lever.get_stage)
        postings = _Names(*self._postings(), read=self._lever.get_posting)
        rules = []
        for index, rule in enumerate(self._settings.rules):
            problems: list[str] = []
            resolved = _resolved_rule(f"rules[{index}]", rule, stages, postings, problems)
            if templates is not None and (problem := templates.problem_with(rule.form_template)):
                problems.append(f"rules[{index}].form_template: {problem}")
            rules.append(replace(resolved, usable=not problems))
            self.problems += problems
        self.known = {"stages": stages.known, "postings": postings.known}
        return tuple(rules)

    def _postings(self) -> tuple[Sequence[Named] | None, dict[str, list[str]], str]:
        """Return what `_Names` takes."""
        former, why = self._former.get("postings", {}), ""
        listed: Sequence[Named] | None = []
        if any(rule.postings for rule in self._settings.rules):
            try:
                listed = list(self._lever.list_postings())
            except (VendorRefusedError, self._goes_without) as error:
                log.warning("%s", error)
                refused = isinstance(error, VendorRefusedError)
                listed, why = None, _NO_PERMISSION if refused else error.public_message
        return listed, former, why

    def user_id(self) -> str | None:
        """Return the id of the acting user."""
        try:
            user = self._lever.find_user(self._settings.perform_as)
            if user is None and next(self._lever.list_users(), None) is None:
                raise UnexpectedAnswerError(vendor="Lever", call="list_users", detail="no user at all is listed")
        except (VendorRefusedError, self._goes_without) as error:
            self.problems.append(f"perform_as: the user cannot be looked up: {error.public_message}")
            return None
        if user is None:
            self.problems.append("perform_as: no active Lever user has this e-mail address; name one who has")
            return None
        return user.id


def _resolved_rule(key: str, rule: Rule, stages: _Names, postings: _Names, problems: list[str]) -> ResolvedRule:
    trigger_stage_id = stages.one(rule.trigger_stage, f"{key}.trigger_stage", problems)
    completed_stage_id = stages.one(rule.completed_stage, f"{key}.completed_stage", problems)
    if problem := goes_nowhere({trigger_stage_id} - {""}, {completed_stage_id}):
        problems.append(f"{key}.completed_stage: {problem}")
    return ResolvedRule(
        trigger_stage_id=trigger_stage_id,
        completed_stage_id=completed_stage_id,
        form_template=rule.form_template,
        posting_ids=tuple(
            posting_id for name in rule.postings for posting_id in postings.all(name, f"{key}.postings", problems)
        ),
        tags=rule.tags,
        tests=rule.tests,
        skip_origins=rule.skip_origins,
        delay=rule.delay or timedelta(0),
        link=rule.link,
        retake=rule.retake,
        validity_days=rule.validity_days,
        time_zone_id=rule.time_zone_id,
    )


class _KnownNames(_Names):
    """Finds the ids of names in the ledger: those that the settings in force have, and ids.

    :param former: the ids that each name had when it was last known.
    :param names: what is looked for.
    """

    def __init__(self, former: dict[str, list[str]], names: Iterable[str]) -> None:
        ids = {name: [name] for name in names if is_uuid(name)}
        super().__init__([Stage(id=one, text=name) for name, found in {**ids, **former}.items() for one in found], {})

    def _unknown(self, name: str) -> str:
        return f"{name!r} is in no settings that were used; write its id instead, and its rule can be compared"


def known_rules(ledger: Ledger, settings: Settings) -> tuple[tuple[ResolvedRule, ...], list[str]]:
    """Look up the names of settings that are not used yet, without asking Lever.

    :return: the rules, and a line for each name that is not known; whom its rule is about cannot be told.
    """
    former, problems = ledger.cache.get(NAMES) or {}, list[str]()
    stages = _KnownNames(former.get("stages", {}), (rule.trigger_stage for rule in settings.rules))
    postings = _KnownNames(former.get("postings", {}), (name for rule in settings.rules for name in rule.postings))
    rules = tuple(
        _resolved_rule(f"rules[{index}]", rule, stages, postings, problems) for index, rule in enumerate(settings.rules)
    )
    return rules, [line for line in problems if ".completed_stage: " not in line]  # who is invited, it does not say


def resolve(
    ledger: Ledger,
    lever: LeverClient,
    settings: Settings,
    *,
    checks: FormTemplates | None = None,
    remember: bool = True,
    goes_without: type[ApiError] = VendorRefusedError,
) -> ResolvedSettings:
    """Look up every name of the settings in Lever; changes nothing there.

    :param checks: checks the rules' form templates, too.
    :param remember: False leaves nothing in the ledger: these settings may never be used.
    :param goes_without: the errors of the lists of postings and users that stop only what needs these.
    :return: with `problems`, whatever they are.
    """
    former = ledger.cache.get(NAMES) or {}
    resolver = _Resolver(lever, settings, former, goes_without)
    rules, user_id = resolver.rules(checks), resolver.user_id()
    check_account(ledger, resolver.stage_ids, remember=remember)
    if remember and resolver.known != former:
        ledger.cache.put(NAMES, resolver.known)
    version, since = _asks(ledger, lever, Asks.of(rules, tag_scheme(settings)), remember=remember)
    return ResolvedSettings(
        user_id=user_id, rules=rules, problems=tuple(resolver.problems), asks_version=version, asks_since=since
    )


def _asks(ledger: Ledger, lever: LeverClient, asks: Asks, *, remember: bool) -> tuple[int | None, datetime]:
    """Return the version of what the settings ask, and since when they do; a new one begins when the last was seen last.

    What is new has the next sweep look at everybody, before many are moved and given tags under it.
    """
    last = ledger.settings_versions.newest()
    if last is not None and last.asks == asks:
        return last.id, last.since
    now = ledger.watermarks.database_time()
    seen = (ledger.cache.get(SETTINGS) or {}).get("read_at")
    since = min(datetime.fromisoformat(seen), now) if seen else ledger.watermarks.beginning()
    if not remember:
        return None, since
    check_clock(lever)
    ledger.watermarks.put(FULL_SWEEP, _LONG_AGO)
    return ledger.settings_versions.add(asks, since=since).id, since


def refresh_resolved(
    ledger: Ledger, lever: LeverClient, settings: Settings, *, now: datetime, templates: bool
) -> ResolvedSettings:
    """Resolve the names anew and keep them for the run's other tasks.

    While one of Lever's lists of names cannot be read, what was resolved within a day counts, unless the settings changed;
    for the first report, what was resolved for inviting. Where there is nothing of this, only what needs postings or the
    acting user waits for their lists.

    :param templates: for writing back: also make the form templates ready, created or completed as the settings
        allow. Without it they are only checked, at most once in 15 minutes while there is nothing wrong with them.
    :raises SettingsError: nothing at all can be done: for inviting, no rule can be used; for writing back, there is
        no acting user, no known stage or no template that can be filled. One line for every problem.
    """
    reader = FormTemplates(lever, settings.write_back, known=_used_templates(ledger))
    try:
        resolved = _resolved_anew(ledger, lever, settings, reader, templates=templates)
    except ApiError as error:
        if isinstance(error, CredentialsError | VendorRefusedError):
            raise
        if (before := _before(ledger, settings, _WITH_TEMPLATES if templates else SETTINGS, error)) is not None:
            return before
        names = _before(ledger, settings, SETTINGS, error) if templates else None
        try:
            resolved = (
                _with_templates(names, ledger, reader)
                if names is not None
                else _resolved_anew(ledger, lever, settings, reader, templates=templates, goes_without=ApiError)
            )
        except SettingsError:  # of which the list that cannot be read is the reason
            raise error from None
    read = {"read": settings.fingerprints, "read_at": now.isoformat()}  # for the doctor
    ledger.cache.put(_WITH_TEMPLATES if templates else SETTINGS, resolved.model_dump(mode="json") | read)
    return resolved


def _before(ledger: Ledger, settings: Settings, key: str, error: ApiError) -> ResolvedSettings | None:
    """Return what was resolved within a day from these settings; None when nothing was."""
    found = ledger.cache.get(key, younger_than=_TRUSTED)
    if not found or found.get("read") != settings.fingerprints:
        return None
    log.error("the names in the settings are not looked up, those of %s are used: %s", found["read_at"], error)
    return ResolvedSettings.model_validate(found)


def _resolved_anew(
    ledger: Ledger,
    lever: LeverClient,
    settings: Settings,
    reader: FormTemplates,
    *,
    templates: bool,
    goes_without: type[ApiError] = VendorRefusedError,
) -> ResolvedSettings:
    checks = None if templates or _checked(ledger, settings) else reader
    resolved = resolve(ledger, lever, settings, checks=checks, goes_without=goes_without)
    if checks is not None and not checks.problems:
        ledger.cache.put(_CHECKED, _templates_asked(settings))
    if templates:
        return _with_templates(resolved, ledger, reader)
    if not any(rule.usable for rule in resolved.rules):
        raise SettingsError(resolved.problems)
    return resolved


def _with_templates(resolved: ResolvedSettings, ledger: Ledger, reader: FormTemplates) -> ResolvedSettings:
    if resolved.user_id is None or not resolved.trigger_stages:
        raise SettingsError(resolved.problems)
    # Two runs that both find no form template must not both create one.
    with ledger.account_lock("form templates"):
        ready = reader.prepare([rule.form_template for rule in resolved.rules])
    if reader.problems:
        ledger.cache.drop(_CHECKED)  # the next sweep does not invite to what could not be written back
    if not ready:
        raise SettingsError([f"form_template: {problem}" for problem in reader.problems.values()])
    return resolved.model_copy(update={"templates": ready, "template_problems": reader.problems})


def _used_templates(ledger: Ledger) -> dict[str, str]:
    """Return the ids of the form templates that were used last, by their names in the settings."""
    before = (ledger.cache.get(_WITH_TEMPLATES) or {}).get("templates", {})
    return {name: template["id"] for name, template in before.items()}


def _templates_asked(settings: Settings) -> dict[str, Any]:
    names = sorted({rule.form_template for rule in settings.rules})
    return {"names": names, **settings.write_back.model_dump(include={"create_template", "update_template"})}


def _checked(ledger: Ledger, settings: Settings) -> bool:
    return ledger.cache.get(_CHECKED, younger_than=_FRESH) == _templates_asked(settings)


def problems_of_last_sweep(ledger: Ledger) -> tuple[str, ...]:
    """Return the problems that the last sweep went on with."""
    return tuple((ledger.cache.get(PROBLEMS) or {}).get("lines", ()))


def keep_problems(ledger: Ledger, problems: Sequence[str]) -> None:
    """Record the problems that a sweep has gone on with."""
    ledger.cache.put(PROBLEMS, {"lines": list(problems)})


def current_resolved(ledger: Ledger, lever: LeverClient, settings: Settings, *, now: datetime) -> ResolvedSettings:
    """Return the names as a run of the last minutes resolved them, or resolve them anew, as when the settings have changed.

    :raises SettingsError: no rule can be used.
    """
    found = ledger.cache.get(SETTINGS, younger_than=_FRESH)
    if found is not None and found.get("read", settings.fingerprints) == settings.fingerprints:
        return ResolvedSettings.model_validate(found)
    return refresh_resolved(ledger, lever, settings, now=now, templates=False)


def stored_resolved(ledger: Ledger) -> ResolvedSettings:
    """Return the names as the first task of a run that writes back resolved them.

    :raises LedgerError: no run has resolved them yet.
    """
    found = ledger.cache.get(_WITH_TEMPLATES)
    if found is None:
        raise LedgerError(
            "Lever's stages are not looked up yet. Clear the first task of this run (collect_stage_entries or"
            " wait_for_attempts) as well."
        )
    return ResolvedSettings.model_validate(found)
