"""Checks of the settings: what they name has to be in Lever, once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches

from lever_imocha.domain.forms import unfit_fields
from lever_imocha.domain.lever import Origin, Posting, User
from lever_imocha.domain.names import Named, ambiguous, ids_of, near_misses, not_there
from lever_imocha.domain.rules import goes_nowhere
from lever_imocha.domain.typed_text import plain
from lever_imocha.errors import SettingsError
from lever_imocha.ledger.cache import SETTINGS
from lever_imocha.settings import Rule, cut_at_comments, settings_path
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.findings import Finding, Level, error, ok, warning
from lever_imocha.workflows.doctor.permissions import known_or_none
from lever_imocha.workflows.form_templates import FormTemplates

_CHOOSE = "choose it in the form of lever_imocha_setup; or"


def check_settings(facts: Facts) -> Iterator[Finding]:
    """Read the settings file: one line for each mistake."""
    try:
        settings = facts.settings.outcome()
    except SettingsError as problem:
        yield from (error(line, f"correct {settings_path()}") for line in problem.problems)
        return
    yield ok(f"the settings file can be used; rules: {len(settings.rules)}")
    for line in cut_at_comments(facts.sources.settings_text()):
        yield warning(
            line, f"{settings_path()}: put the name in quotes; or, if that is a comment, a blank behind its #"
        )
    ledger = known_or_none(facts.ledger)
    last = (ledger.cache.get(SETTINGS) or {}) if ledger else {}
    if "read" in last:
        read_at, changed = datetime.fromisoformat(last["read_at"]), facts.sources.settings_changed()
        yield from judged_read(settings.fingerprints, last["read"], read_at, changed)


def judged_read(
    here: Mapping[str, str], last: Mapping[str, str], read_at: datetime, changed: datetime | None
) -> Iterator[Finding]:
    """Say whether the last sweep read the settings that are read here.

    :param here: the fingerprints of what is read here.
    :param last: those of what the last sweep read.
    :param changed: when the file that is read here was changed last.
    """
    other = [key for key in sorted({*here, *last}) if here.get(key) != last.get(key)]
    if not other:
        return
    where = other[0] if len(other) == 1 else f"{other[0]} and {len(other) - 1} more"
    if changed is not None and changed > read_at:
        yield ok(f"the settings file was changed since the last sweep ({where}); the next one reads it")
    else:
        yield warning(
            f"the last sweep, at {read_at:%Y-%m-%d %H:%M} UTC, read another settings file than the one that is read here:"
            f" it differs in {where}",
            "put the same file on each machine; python -m lever_imocha.settings_check FILE says whom of the last arrivals a"
            " file treats otherwise",
        )


def judged_user(user: User | None) -> Finding:
    """Say whether somebody can act in Lever; the address is personal and not repeated."""
    fix = f"{_CHOOSE} {settings_path()}: write an active user's e-mail address (Lever, Settings > Users) to perform_as"
    if user is None:
        return error("perform_as: no Lever user has this e-mail address", fix)
    if not user.is_active:
        return error("perform_as: the Lever user is deactivated", f"{fix}, or reactivate the user there")
    return ok("perform_as is an active Lever user")


def check_user(facts: Facts) -> Iterator[Finding]:
    """Look for the acting user."""
    yield judged_user(facts.user())


def judged_name(key: str, name: str, known: Sequence[Named], *, several: bool = False) -> Finding:
    """Say whether a name of the settings is that of one thing in Lever.

    :param several: more than one is fine: a name means all of them.
    """
    ids = ids_of(name, known)
    if not ids:
        return error(f"{key}: {not_there(name, known)}", f"{_CHOOSE} {settings_path()}: write the name as Lever has it")
    if len(ids) > 1 and not several:
        return error(
            f"{key}: {ambiguous(name, ids)}", f"rename one in Lever; or {_CHOOSE} {settings_path()}: write its id"
        )
    return ok(f"{key} {name!r}")


def check_names(facts: Facts) -> Iterator[Finding]:
    """Look for the rules' stages and postings."""
    good = []
    for finding in _names(facts):
        if finding.level is Level.OK:
            good.append(finding.found)
        else:
            yield finding
    if good:
        yield ok(f"in Lever: {', '.join(good)}")
    rules = facts.settings().rules
    postings = facts.postings() if any(rule.postings for rule in rules) else []
    yield from judged_rules(rules, facts.stages(), postings)
    if any(rule.tags for rule in rules):
        yield from judged_rule_tags(rules, facts.tags())


def judged_rule_tags(rules: Sequence[Rule], tags: Sequence[str]) -> Iterator[Finding]:
    """Say which tags that rules ask for nobody in Lever has; capitals make no difference there."""
    known = {plain(tag): tag for tag in tags}
    for index, rule in enumerate(rules):
        for tag in rule.tags:
            if plain(tag) not in known:
                near = [known[one] for one in get_close_matches(plain(tag), known, n=1)]
                yield warning(
                    f"rules[{index}].tags: nobody in Lever has the tag {tag!r}, so the rule invites nobody by it",
                    f"{settings_path()}: write {near[0]!r}, if that is meant"
                    if near
                    else f"give it to a candidate in Lever, or correct it in {settings_path()}",
                )


@dataclass(frozen=True)
class _Matched:
    """Whom a rule is about; what Lever does not know stands for itself.

    :param stage: its trigger stage's ids.
    """

    rule: Rule
    stage: set[str]
    postings: set[str]
    tags: set[str]

    def covers(self, other: _Matched) -> bool:
        """Tell whether everybody whom another rule is about is matched here."""
        same_stage = self.stage == other.stage
        return same_stage and _covers(self.postings, other.postings) and _covers(self.tags, other.tags)


def judged_rules(rules: Sequence[Rule], stages: Sequence[Named], postings: Sequence[Posting]) -> Iterator[Finding]:
    """Say which rules lead nowhere: back to their own stage, to a closed posting, or nobody is left for them."""
    matched = [
        _Matched(
            rule,
            stage={*(ids_of(rule.trigger_stage, stages) or [rule.trigger_stage])},
            postings={one for name in rule.postings for one in ids_of(name, postings) or [name]},
            tags={*map(plain, rule.tags)},
        )
        for rule in rules
    ]
    for index, one in enumerate(matched):
        yield from _leads_nowhere(index, one, stages)
        yield from _in_a_circle(index, rules, stages)
        yield from _for_nobody(index, one, postings)
        yield from _never_counts(index, matched)


def _leads_nowhere(index: int, one: _Matched, stages: Sequence[Named]) -> Iterator[Finding]:
    if problem := goes_nowhere(one.stage, ids_of(one.rule.completed_stage, stages)):
        yield error(f"rules[{index}].completed_stage: {problem}", f"{settings_path()}: write another one")


def _in_a_circle(index: int, rules: Sequence[Rule], stages: Sequence[Named]) -> Iterator[Finding]:
    rule, into = rules[index], ids_of(rules[index].completed_stage, stages)
    for before, other in enumerate(rules[:index]):
        back = set(ids_of(other.completed_stage, stages)).intersection(ids_of(rule.trigger_stage, stages))
        if back and set(into).intersection(ids_of(other.trigger_stage, stages)):
            yield warning(
                f"rules[{before}] and rules[{index}] lead in a circle: who is done by one is in the trigger stage of the other",
                f"{settings_path()}: write another completed_stage in one of them",
            )


def _for_nobody(index: int, one: _Matched, postings: Sequence[Posting]) -> Iterator[Finding]:
    if {*one.rule.skip_origins} == {*Origin}:
        yield error(
            f"rules[{index}].skip_origins names every origin: nobody is invited by it",
            f"{settings_path()}: leave out the origins that are to be invited",
        )
    found = [posting for posting in postings if posting.id in one.postings]
    if found and all(posting.state == "closed" for posting in found):
        yield warning(
            f"rules[{index}].postings: {', '.join(one.rule.postings)}: closed in Lever, nobody applies any more",
            f"{settings_path()}: write the posting that is open, or take the rule out",
        )


def _never_counts(index: int, matched: Sequence[_Matched]) -> Iterator[Finding]:
    before = next((place for place, other in enumerate(matched[:index]) if other.covers(matched[index])), None)
    if before is not None:
        yield error(
            f"rules[{index}] never counts: the first rule that matches does, and rules[{before}] matches everybody whom it"
            " is about",
            f"{settings_path()}: move it before rules[{before}], or take one of the two out",
        )


def _covers(wide: Collection[str], narrow: Collection[str]) -> bool:
    """Return whether what one rule asks for includes what another does; one that asks for nothing includes all."""
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _names(facts: Facts) -> Iterator[Finding]:
    for index, rule in enumerate(facts.settings().rules):
        for part in ("trigger_stage", "completed_stage"):
            yield judged_name(f"rules[{index}].{part}", getattr(rule, part), facts.stages())
        for name in rule.postings:
            yield judged_name(f"rules[{index}].postings", name, facts.postings(), several=True)


def check_templates(facts: Facts) -> Iterator[Finding]:
    """Look whether each rule's form template can be filled, now and not when the first attempt ends."""
    listed, settings = facts.templates(), facts.settings()
    templates = FormTemplates(facts.lever(), settings.write_back)
    for name in dict.fromkeys(rule.form_template for rule in settings.rules):
        problem = templates.problem_with(name)
        if problem:
            yield error(f"form_template: {problem}", "Lever, Settings > Forms: change the template, or name another")
        elif ids_of(name, listed):
            unfit = [text for one in listed if one.id in ids_of(name, listed) for text in unfit_fields(one)]
            yield _judged_fields(name, unfit)
        else:
            yield _to_be_made(name, near_misses(name, listed))


def _judged_fields(name: str, unfit: Sequence[str]) -> Finding:
    if not unfit:
        return ok(f"form template {name!r} can be filled")
    return warning(
        f"form template {name!r}: {', '.join(unfit)}: the field's type cannot hold it, so it stays empty",
        "Lever, Settings > Forms: make it a text field",
    )


def _to_be_made(name: str, near: Sequence[str]) -> Finding:
    made = f"form template {name!r} is not in Lever yet; lever_imocha_setup or the first report makes it"
    if not near:
        return replace(ok(made), fix="")
    return warning(
        f"{made}, though there is {near[0]!r}",
        f"{settings_path()}: if that one is meant, write form_template: {near[0]!r}",
    )
