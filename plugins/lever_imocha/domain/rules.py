"""Which rule of the settings applies to an opportunity."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from hashlib import sha256
from typing import Literal

from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.typed_text import plain


@dataclass(frozen=True, kw_only=True)
class RuleKey:
    """By which an assessment remembers the rule it was begun under, also when the settings change."""

    trigger_stage_id: str
    completed_stage_id: str
    form_template: str


@dataclass(frozen=True, kw_only=True)
class ResolvedRule:
    """A rule of the settings, with Lever's ids in place of names.

    :param usable: nothing in it is wrong; False means that whom it concerns waits until the settings are corrected.
        Its ids are then those that its names had before, or empty.
    """

    trigger_stage_id: str
    completed_stage_id: str
    form_template: str
    posting_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tests: tuple[int, ...] = ()
    skip_origins: tuple[str, ...] = ()
    delay: timedelta = timedelta(0)
    link: str | None = None
    retake: Literal["never", "reattempt"] = "never"
    validity_days: int | None = None
    time_zone_id: int | None = None
    usable: bool = True

    @property
    def key(self) -> RuleKey:
        """By which an assessment remembers this rule."""
        return RuleKey(
            trigger_stage_id=self.trigger_stage_id,
            completed_stage_id=self.completed_stage_id,
            form_template=self.form_template,
        )

    @property
    def version(self) -> str:
        """A short hash of what the rule says: another one when it is changed. What is left at its default does not count."""
        said = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "usable" and getattr(self, field.name) != field.default
        }
        return sha256(json.dumps(said, default=str, sort_keys=True).encode()).hexdigest()[:12]

    def matches(self, opportunity: Opportunity) -> bool:
        """Return whether the opportunity is in the trigger stage and has one of the rule's postings and tags, if any."""
        return (
            opportunity.stage == self.trigger_stage_id
            and (not self.posting_ids or bool(set(self.posting_ids) & set(opportunity.posting_ids)))
            and (not self.tags or not {plain(tag) for tag in self.tags}.isdisjoint(map(plain, opportunity.tags)))
        )


def goes_nowhere(trigger_stage_ids: Collection[str], completed_stage_ids: Collection[str]) -> str | None:
    """Say that a rule's two stages are the same; None when they are not.

    :param trigger_stage_ids: all that the stage's name may mean, or only the name.
    """
    if set(trigger_stage_ids).isdisjoint(completed_stage_ids):
        return None
    return "the completed stage must differ from the trigger stage, or nobody gets any further"


def select_rule(opportunity: Opportunity, rules: Sequence[ResolvedRule]) -> ResolvedRule | None:
    """Return the first rule that matches, in the order of the settings."""
    return next((rule for rule in rules if rule.matches(opportunity)), None)
