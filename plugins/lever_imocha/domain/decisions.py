"""What to do about a stage entry: pure functions of what Lever, iMocha and the ledger say."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import redact

_NUMBER = re.compile(r"\[(\d{1,18})\]\s*$")


@dataclass(frozen=True, kw_only=True)
class TagScheme:
    """How a tag names a test: `prefix` and a number in brackets at the end, or an entry of `mapping`."""

    prefix: str
    mapping: Mapping[str, int]

    def tag_for(self, test_id: int, test_name: str) -> str:
        """The tag of a test, as the tag sync creates it."""
        return f"{self.prefix} {' '.join(test_name.split())} [{test_id}]"


class StatusTag(StrEnum):
    """The tags by which a recruiter sees how an assessment stands (settings `explain`); they never name a test."""

    INVITED = "iMocha: invited"
    STARTED = "iMocha: started"
    COMPLETE = "iMocha: complete"
    EXPIRED = "iMocha: expired"
    ON_HOLD = "iMocha: on hold"


STATUS_TAGS = frozenset(tag.value for tag in StatusTag)


@dataclass(frozen=True)
class WantedTest:
    """A tag of ours and the test it names; None when it names none."""

    tag: str
    test_id: int | None


def wanted_tests(tags: Sequence[str], scheme: TagScheme) -> tuple[WantedTest, ...]:
    """The tests an opportunity's tags ask for, each once, in the tags' order.

    Tags are compared exactly: Lever keeps tags apart that differ in case only (lever.md 5.2).
    """
    wanted: dict[object, WantedTest] = {}
    for tag in tags:
        if tag in STATUS_TAGS:
            continue
        if tag in scheme.mapping:
            test = WantedTest(tag, scheme.mapping[tag])
        elif tag.startswith(scheme.prefix):
            found = _NUMBER.search(tag)
            test = WantedTest(tag, int(found[1]) if found else None)
        else:
            continue
        wanted.setdefault(test.test_id if test.test_id is not None else tag, test)
    return tuple(wanted.values())


def near_misses(tags: Sequence[str], scheme: TagScheme) -> list[str]:
    """Tags that would be ours but for capitals: somebody may wonder why they ask for nothing (lever.md 5.2)."""
    known = {tag.casefold() for tag in scheme.mapping}
    return [
        tag
        for tag in tags
        if tag not in STATUS_TAGS
        and not tag.startswith(scheme.prefix)
        and tag not in scheme.mapping
        and (tag.casefold().startswith(scheme.prefix.casefold()) or tag.casefold() in known)
    ]


@dataclass(frozen=True, kw_only=True)
class ResolvedRule:
    """A rule of the settings whose names have become Lever's ids."""

    trigger_stage_id: str
    completed_stage_id: str
    form_template: str
    posting_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    retake: Literal["never", "reattempt"] = "never"
    validity_days: int | None = None
    time_zone_id: int | None = None

    @property
    def key(self) -> str:
        """By which an assessment remembers the rule it was begun under."""
        return f"{self.trigger_stage_id}|{self.completed_stage_id}|{self.form_template}"

    def matches(self, opportunity: Opportunity) -> bool:
        """This rule is about this opportunity as it is now."""
        return (
            opportunity.stage == self.trigger_stage_id
            and (not self.posting_ids or bool(set(self.posting_ids) & set(opportunity.posting_ids)))
            and (not self.tags or bool(set(self.tags) & set(opportunity.tags)))
        )


def select_rule(opportunity: Opportunity, rules: Sequence[ResolvedRule]) -> ResolvedRule | None:
    """The first rule that matches."""
    return next((rule for rule in rules if rule.matches(opportunity)), None)


class Action(StrEnum):
    """What is done about one assessment or one stage entry."""

    INVITE = "invite"
    REFRESH = "refresh"
    REATTEMPT = "reattempt"
    HOLD = "hold"
    IGNORE = "ignore"


class Reason(StrEnum):
    """Why nobody was invited."""

    NO_TAG = "no assessment tag"
    ARCHIVED = "archived"
    MOVED_ON = "moved on"
    GONE = "deleted in Lever"
    SUPERSEDED = "entered the stage again since"
    UNKNOWN_TEST = "unknown test"
    NO_EMAIL = "no e-mail address"
    MAY_NOT_CONTACT = "may not be contacted"
    RUNNING = "attempt in progress"
    ALREADY_TAKEN = "already taken"
    ALREADY_HANDLED = "already handled"


@dataclass(frozen=True)
class Decision:
    """What to do, and why when it is nothing; `detail` names the tag in question, never the candidate."""

    action: Action
    reason: Reason | None = None
    detail: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.action}{why}{f' ({self.detail})' if self.detail else ''}"


def screen(
    opportunity: Opportunity, *, rule: ResolvedRule | None, wanted: Sequence[WantedTest], active: Collection[int]
) -> Decision | None:
    """The rows of the decision table that need no look at iMocha's attempt; None means: go on, test by test.

    :param active: ids of iMocha's tests that are known and active.
    """
    if not wanted:
        return Decision(Action.IGNORE, Reason.NO_TAG)
    if opportunity.archived is not None:
        return Decision(Action.IGNORE, Reason.ARCHIVED)
    if rule is None:
        return Decision(Action.IGNORE, Reason.MOVED_ON)
    unknown = [redact(test.tag) for test in wanted if test.test_id not in active]
    if len(unknown) == len(wanted):
        return Decision(Action.HOLD, Reason.UNKNOWN_TEST, ", ".join(unknown))
    if opportunity.may_contact and opportunity.email is None:
        return Decision(Action.HOLD, Reason.NO_EMAIL)
    if not opportunity.may_contact:
        return Decision(Action.HOLD, Reason.MAY_NOT_CONTACT)
    return None


def decide(status: AttemptStatus | None, *, retake: Literal["never", "reattempt"] = "never") -> Decision:
    """What to do for one test, once `screen` has let the opportunity pass.

    :param status: of the known attempt; None when there is none.
    """
    if status is None:
        return Decision(Action.INVITE)
    if status is AttemptStatus.IN_PROGRESS:
        return Decision(Action.IGNORE, Reason.RUNNING)
    if status.is_ended:
        return Decision(Action.REATTEMPT) if retake == "reattempt" else Decision(Action.IGNORE, Reason.ALREADY_TAKEN)
    return Decision(Action.REFRESH)


def eligibility(
    opportunity: Opportunity, *, rule: ResolvedRule | None, wanted: Sequence[WantedTest], active: Collection[int]
) -> str:
    """What the decision rests on, as a short text: when it changes, a decided stage entry is looked at again.

    So a tag or an e-mail address added after the move is noticed, for which Lever sends no event (lever.md 11.2).
    """
    decision = screen(opportunity, rule=rule, wanted=wanted, active=active)
    if decision is not None:
        return str(decision)
    known = sorted(test.test_id for test in wanted if test.test_id is not None and test.test_id in active)
    unknown = sorted(redact(test.tag) for test in wanted if test.test_id not in active)
    return f"tests {known}" + (f" unknown {unknown}" if unknown else "")


class Departure(StrEnum):
    """How an opportunity left; the words are keys of the settings' `cancel_when`."""

    ARCHIVED = "archived"
    DELETED = "deleted"
    STAGE_LEFT = "stage_left"


def departed(opportunity: Opportunity, trigger_stages: Collection[str]) -> Departure | None:
    """Whether, and how, an opportunity has left where assessments are taken; hired ones are archived (lever.md 5)."""
    if opportunity.is_anonymized:  # as good as deleted: nothing personal is left
        return Departure.DELETED
    if opportunity.archived is not None:
        return Departure.ARCHIVED
    return None if opportunity.stage in trigger_stages else Departure.STAGE_LEFT


def may_move_on(opportunity: Opportunity, rule: ResolvedRule) -> bool:
    """Still where the assessment began: a candidate the recruiter has moved or archived is left alone."""
    return opportunity.archived is None and opportunity.stage == rule.trigger_stage_id
