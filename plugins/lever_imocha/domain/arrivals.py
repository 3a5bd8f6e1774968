"""What a decision about an arrival rested on, as it is kept with it, and what other settings would have decided."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from lever_imocha.domain.decisions import GOES_ON, Action, Outcome, Reason, Situation, combined, decide
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule, RuleKey, select_rule
from lever_imocha.domain.tags import TagScheme, asked_tests, own_tags
from lever_imocha.domain.typed_text import plain
from lever_imocha.redaction import redact

_NOT_BY_SETTINGS = frozenset(
    {
        Reason.ARCHIVED,
        Reason.MOVED_ON,
        Reason.DELETED,
        Reason.SUPERSEDED,
        Reason.DROPPED,
        Reason.RUNNING,
        Reason.ALREADY_TAKEN,
        Reason.ALREADY_HANDLED,
    }
)
"""Whatever the settings say, these stay as they are."""
_BUT_FOR_LIMITS = frozenset({*GOES_ON, Reason.PER_CANDIDATE})
"""Holds of those who are to be invited."""


class ArrivalFacts(BaseModel):
    """What the settings were applied to: ids, and tags of ours; nothing else about the person.

    :param tags: those that ask for a test, may be meant to, or are named by a rule; without e-mail addresses and links.
    :param tests: the numbers of the tests that were asked for.
    :param rule: the rule that matched; None when none did.
    :param rule_version: see `ResolvedRule.version`.
    :param before_activation: it was in the stage before the activation.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    tags: tuple[str, ...] = ()
    posting_ids: tuple[str, ...] = ()
    origin: str | None = None
    tests: tuple[int, ...] = ()
    rule: RuleKey | None = None
    rule_version: str | None = None
    before_activation: bool = False

    @classmethod
    def of(cls, situation: Situation, rules: Sequence[ResolvedRule], scheme: TagScheme) -> ArrivalFacts:
        """Return the facts of what was read about a candidate.

        :param rules: all of them: what they name is kept, too.
        """
        opportunity, rule = situation.opportunity, situation.rule
        named = {plain(tag) for one in rules for tag in one.tags}
        return cls(
            tags=tuple(map(_impersonal, own_tags(opportunity.tags, scheme, named))),
            posting_ids=opportunity.posting_ids,
            origin=opportunity.origin,
            tests=tuple(test.test_id for test in situation.wanted if test.test_id is not None),
            rule=rule.key if rule else None,
            rule_version=rule.version if rule else None,
            before_activation=situation.is_existing,
        )


def _impersonal(tag: str) -> str:
    """Return a tag as it is kept: a recruiter may have written an address into it."""
    said = redact(tag)
    return said if "[removed]" in said else tag


def decided_by(
    facts: ArrivalFacts,
    stage_id: str,
    was: Outcome,
    *,
    rules: Sequence[ResolvedRule],
    scheme: TagScheme,
    active: Collection[int],
    existing: Literal["leave", "adopt", "invite"],
) -> tuple[Outcome, tuple[int, ...]] | None:
    """Return what other settings would have decided about an arrival, and about which tests.

    What is not up to the settings counts as it was then: an address, a consent, a test that could be taken. Test links
    count as there.

    :param was: what was decided.
    :param active: the tests that are active at iMocha now.
    :return: None when it is not up to the settings.
    """
    no_rule = was.reason is Reason.MOVED_ON and facts.rule is None  # in the stage, and none concerned it
    if was.reason in _NOT_BY_SETTINGS and not no_rule:
        return None
    opportunity = Opportunity.model_validate(
        {
            "id": "arrival",
            "stage": stage_id,
            "tags": facts.tags,
            "origin": facts.origin,
            "applications": [{"posting": posting_id} for posting_id in facts.posting_ids],
            "emails": [] if was.reason is Reason.NO_EMAIL else ["somebody@example.com"],
            "dataProtection": {"contact": {"allowed": was.reason is not Reason.MAY_NOT_CONTACT}},
        }
    )
    rule = select_rule(opportunity, rules)
    wanted = asked_tests(facts.tags, scheme, rule.tests if rule else ())
    tests = tuple(test.test_id for test in wanted if test.test_id is not None)
    situation = Situation(
        opportunity=opportunity,
        rule=rule,
        wanted=wanted,
        links=dict.fromkeys(tests, 0),
        active={*active, *(facts.tests if _is_invited(was) else ())},
        activated_at=opportunity.entered_stage_at + timedelta(days=1) if facts.before_activation else None,
        existing=existing,
    )
    return combined([Outcome.of(plan) for plan in decide(situation)]), tests


def in_words(outcome: Outcome, tests: Sequence[int]) -> str:
    """Say how an arrival was decided, in so far as it was up to the settings: the tests count for who is invited only."""
    if _is_invited(outcome):
        how = "adopted" if outcome.action is Action.ADOPT else "invited"
        return f"{how} to {', '.join(f'test {test}' for test in sorted(tests))}"
    held = "held" if outcome.action is Action.HOLD else "left alone"
    return f"{held}: {outcome.reason}"


def _is_invited(outcome: Outcome) -> bool:
    return outcome.action.sends or outcome.reason in _BUT_FOR_LIMITS
