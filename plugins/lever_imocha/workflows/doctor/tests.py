"""Checks of iMocha's tests and of the tags that name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from lever_imocha.domain.imocha import ImochaTest, TestLink, default_link, named_links
from lever_imocha.domain.tags import TagScheme, doubtful_tests, reads_like, wanted_tests
from lever_imocha.errors import ApiError, NotPermittedError, listed
from lever_imocha.settings import Rule
from lever_imocha.workflows.doctor.facts import Facts, UnknownFactError
from lever_imocha.workflows.doctor.findings import Finding, Level, error, ok, unknown, warning

_LINKS_READ = 30
_SYNC = "run lever_imocha_sync_tags, which makes the right tags"


def check_list(facts: Facts) -> Iterator[Finding]:
    """Look whether iMocha lists all tests: it may give fewer a page than were asked for (imocha.md 2.2)."""
    with suppress(NotPermittedError):  # another check says so
        facts.tests.outcome()
    tests = facts.tests()
    if not tests.listed:
        yield error(
            "iMocha lists no test at all", "iMocha, Tests: make one, or use the key of the account that has them"
        )
    elif not any(test.is_active for test in tests.listed):
        yield error(
            f"iMocha lists {len(tests.listed)} tests, and none of them is active: nobody can be invited",
            "iMocha, Tests: make one active",
        )
    elif not tests.complete:
        yield warning(
            f"iMocha lists {len(tests.listed)} tests and says that there are more, or one could not be read",
            "if it stays, report it to iMocha; who has the tag of a test that is not listed waits",
        )
    else:
        yield ok(f"iMocha lists all {len(tests.listed)} tests")


def used_tests(tags: Sequence[str], scheme: TagScheme, rules: Sequence[Rule]) -> dict[int, str]:
    """Return the tests that tags or the settings name: test id -> what names it."""
    by_tags = {test.test_id: f"tag {test.tag!r}" for test in wanted_tests(tags, scheme) if test.test_id is not None}
    return by_tags | _in_settings(scheme, rules)


def _in_settings(scheme: TagScheme, rules: Sequence[Rule]) -> dict[int, str]:
    by_map = {test_id: f"tags.map: {tag!r}" for tag, test_id in scheme.mapping.items()}
    return by_map | {test_id: f"rules[{index}].tests" for index, rule in enumerate(rules) for test_id in rule.tests}


def judged_tags(tags: Sequence[str], scheme: TagScheme, tests: Sequence[ImochaTest] = ()) -> Iterator[Finding]:
    """Say which tags ask for a test and name none, or may be meant to.

    :param tests: one whose name such a tag has is likely meant.
    """
    for test in wanted_tests(tags, scheme):
        if test.test_id is None:
            named = [
                scheme.tag_for(one.id, one.name)
                for one in tests
                if reads_like(test.tag or "", f"{scheme.prefix} {one.name}")
            ]
            correct = named[0] if len(named) == 1 else test.correct
            yield warning(
                f"tag {test.tag!r} names no test: whoever has it is held", f"Lever: write {correct!r}; {_SYNC}"
            )
    yield from _mixed_up(tags, scheme, tests)
    for test in doubtful_tests(tags, scheme):
        yield warning(
            f"tag {test.tag!r} names no test, and begins like those that do",
            f"if it is meant for a test: Lever: write {test.correct!r}; {_SYNC}",
        )


def _mixed_up(tags: Sequence[str], scheme: TagScheme, tests: Sequence[ImochaTest]) -> Iterator[Finding]:
    """Say which tags have the number of one test and the name of another; a name of none is likely an earlier one."""
    known = {one.id: one for one in tests}
    for test in (test for tag in tags for test in wanted_tests([tag], scheme)):
        if test.test_id not in known or test.tag is None:
            continue
        meant = [one for one in tests if reads_like(test.tag, scheme.tag_for(test.test_id, one.name))]
        if meant and known[test.test_id] not in meant:
            right = scheme.tag_for(meant[0].id, meant[0].name)
            yield warning(
                f"tag {test.tag!r} has the name of test {meant[0].id} and the number of {known[test.test_id].name!r}, which"
                " is what whoever has it is invited to",
                f"Lever: write {right!r}, or {scheme.tag_for(test.test_id, known[test.test_id].name)!r}",
            )


def judged_used(
    used: Mapping[int, str], tests: Sequence[ImochaTest], *, in_settings: bool, complete: bool
) -> Iterator[Finding]:
    """Say which tests that are asked for nobody can take.

    :param used: test id -> what names it.
    :param in_settings: what names it is there; else it is a tag, and concerns only who has it.
    :param complete: whether iMocha has listed all tests; else a test that is not listed may be there.
    """
    known = {test.id: test for test in tests}
    level, harm = (error, "") if in_settings else (warning, ": whoever has it is held")
    for test_id, named_by in used.items():
        if test_id in known and not known[test_id].is_active:
            yield level(
                f"{named_by}: test {test_id} exists, and is {known[test_id].status.casefold()} at iMocha{harm}",
                "iMocha, Tests: make it active again, or take it out where it is named",
            )
        elif test_id not in known and complete:
            yield level(
                f"{named_by}: iMocha has no test {test_id}{harm}",
                "iMocha, Tests: look for its number, and write that one",
            )


def check_tags(facts: Facts) -> Iterator[Finding]:
    """Look at the tags in use and the tests they and the rules name."""
    tests = facts.tests()
    in_settings = _in_settings(facts.scheme, facts.settings().rules)
    by_tags = {test_id: named_by for test_id, named_by in _used(facts).items() if test_id not in in_settings}
    problems = [
        *judged_tags(facts.tags(), facts.scheme, tests.listed),
        *judged_used(in_settings, tests.listed, in_settings=True, complete=tests.complete),
        *judged_used(by_tags, tests.listed, in_settings=False, complete=tests.complete),
    ]
    yield from problems or [ok("each test that a tag or a rule names can be taken")]


def _used(facts: Facts) -> dict[int, str]:
    return used_tests(facts.tags(), facts.scheme, facts.settings().rules)


def check_untagged(facts: Facts) -> Iterator[Finding]:
    """Look for tests without a tag."""
    used = _used(facts)
    without = [test for test in facts.tests().listed if test.is_active and test.id not in used]
    if without:
        names = listed([facts.scheme.tag_for(test.id, test.name) for test in without])
        yield warning(f"{len(without)} active tests have no tag in Lever, or nobody carries it: {names}", _SYNC)
    else:
        yield ok("every active test has a tag")


def judged_link(test_id: int, links: Sequence[TestLink], now: datetime) -> Finding | None:
    """Say what is wrong with the link that invitations to a test use; None if nothing is (imocha.md 4.4)."""
    link = default_link(links)
    where = f"iMocha, test {test_id}, Test links"
    if link is None:
        named = any(other.is_api_link or other.name.strip().casefold() in ("default", "api") for other in links)
        if named:
            return error(f"test {test_id} has only an inactive Default link", f"{where}: switch it on")
        return warning(
            f"test {test_id} has no Default link: iMocha makes one when the first candidate is invited",
            f"{where}: if its settings matter, make a link with the name Default",
        )
    return _judged_schedule(test_id, link, "Default", now)


def _judged_schedule(test_id: int, link: TestLink, name: str, now: datetime) -> Finding | None:
    schedule, where = link.schedule, f"iMocha, test {test_id}, Test links, {name}"
    if schedule is None or schedule.details is None or schedule.is_in_days:
        return None
    begins, ends = schedule.details.start_at, schedule.details.end_at
    if ends and ends <= now:
        return error(f"test {test_id}: its {name} link ended on {ends:%Y-%m-%d}", f"{where}: set a later end, or days")
    if begins and begins > now:
        return warning(
            f"test {test_id}: its {name} link begins on {begins:%Y-%m-%d}: until then nobody who is invited can take it",
            f"{where}: set an earlier begin, or days",
        )
    return None


def judged_named_link(index: int, rule: Rule, test_id: int, links: Sequence[TestLink], now: datetime) -> Finding | None:
    """Say whether a test lacks the link that a rule invites through, or nobody can use it; None if it is well, or none is named."""
    if rule.link is None:
        return None
    if link := named_links(links).get(rule.link.strip().casefold()):
        return None if rule.validity_days else _judged_schedule(test_id, link, rule.link, now)
    fix = f"iMocha, test {test_id}, Test links: make an active link of this name, or correct the settings"
    if test_id in rule.tests:
        return error(
            f"rules[{index}].link: test {test_id} has no active link {rule.link!r}: nobody is invited to it", fix
        )
    return warning(
        f"rules[{index}].link: test {test_id} has no active link {rule.link!r}: who has its tag is held", fix
    )


def _link_problems(facts: Facts, test_id: int, *, used: bool) -> Iterator[Finding]:
    rules = facts.settings().rules
    try:
        links = facts.imocha().list_test_links(test_id)
    except NotPermittedError:
        raise UnknownFactError("the list of test links") from None  # another check says so
    except ApiError as problem:
        yield warning(
            f"test {test_id}: its links cannot be read: {problem.public_message}", "run the doctor again later"
        )
        return
    default = judged_link(test_id, links, facts.now()) if any(rule.link is None for rule in rules) else None
    if used:
        by_name = (judged_named_link(index, rule, test_id, links, facts.now()) for index, rule in enumerate(rules))
        yield from filter(None, (*by_name, default))
    elif default:
        yield replace(default, level=Level.WARNING)


def check_links(facts: Facts) -> Iterator[Finding]:
    """Look at the links of each test, first of those in use: those that rules name, and the Default link.

    A test that nothing names yet can be invited to as soon as somebody carries its tag.
    """
    active, used = {test.id for test in facts.tests().listed if test.is_active}, _used(facts)
    ids = sorted(active, key=lambda test_id: (test_id not in used, test_id))
    looked_at = ids[:_LINKS_READ]
    problems = [problem for test_id in looked_at for problem in _link_problems(facts, test_id, used=test_id in used)]
    yield from problems
    if not problems:
        yield ok(f"the links of {len(looked_at)} tests can be used")
    if len(ids) > _LINKS_READ:
        yield unknown(f"the links of {len(ids) - _LINKS_READ} more tests")
