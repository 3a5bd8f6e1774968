"""What the settings have asked of whom, and since when: tells a change of the settings from a change of a candidate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule, select_rule
from lever_imocha.domain.tags import TagScheme, WantedTest, asked_tests

Askers = dict[int | str | None, str | None]
"""Tests, and by which tag each is asked for; None where a rule asks."""


class Asks(BaseModel):
    """The part of the settings that says who is to take which test, with Lever's ids.

    :param scheme: how tags name tests; None where that was not kept.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rules: tuple[ResolvedRule, ...]
    scheme: TagScheme | None = None

    @classmethod
    def of(cls, rules: Sequence[ResolvedRule], scheme: TagScheme) -> Asks:
        """Take of the settings what counts here: Lever's order of postings does not, nor how is invited."""
        return cls(
            scheme=scheme,
            rules=tuple(
                ResolvedRule(
                    trigger_stage_id=rule.trigger_stage_id,
                    completed_stage_id="",
                    form_template="",
                    posting_ids=tuple(sorted(rule.posting_ids)),
                    tags=rule.tags,
                    tests=rule.tests,
                    skip_origins=rule.skip_origins,
                )
                for rule in rules
            ),
        )

    def tests(self, opportunity: Opportunity, scheme: TagScheme) -> Askers:
        """Return what is asked of an opportunity as it is now, and by what: nothing where no rule concerns it.

        :param scheme: how tags name tests where that was not kept.
        """
        rule = select_rule(opportunity, self.rules)
        if rule is None or opportunity.origin in rule.skip_origins:
            return {}
        wanted = asked_tests(opportunity.tags, self.scheme or scheme, rule.tests)
        return {name_of(test): test.tag for test in wanted}

    def lacks_posting(self, stage_id: str) -> bool:
        """Tell whether a rule of a stage names a posting of which it was not known what it is."""
        return any("" in rule.posting_ids for rule in self.rules if rule.trigger_stage_id == stage_id)


@dataclass(frozen=True, kw_only=True)
class SettingsVersion:
    """What the settings asked since a time, until the next version; 0 is the id of one that is not kept."""

    id: int
    since: datetime
    asks: Asks


def name_of(test: WantedTest) -> int | str | None:
    """Return what tells a test from others: its number, or the tag that names none."""
    return test.tag if test.test_id is None else test.test_id


def added(now: Askers, before: Sequence[Askers], *, corrected: bool) -> Askers:
    """Return what is asked now and was not before.

    :param before: at several times.
    :param corrected: a test that was asked for could not be taken: what the same tag, or the rule, asks for in its place is
        not new.
    """
    gone = {asker for asked in before for test, asker in asked.items() if test not in now} if corrected else set()
    return {
        test: asker for test, asker in now.items() if asker not in gone and all(test not in asked for asked in before)
    }


def version_at(versions: Sequence[SettingsVersion], stage_id: str, entered_at: datetime) -> SettingsVersion:
    """Return the settings under which somebody came into a stage; the first that are known, if that was before them.

    Who came while a rule of the stage had a mistake in a posting's name came under the settings that corrected it.

    :param versions: the oldest first, at least one.
    """
    came = max(bisect_right([version.since for version in versions], entered_at) - 1, 0)
    corrected = (version for version in versions[came:] if not version.asks.lacks_posting(stage_id))
    return next(corrected, versions[came])
