"""Which tests an opportunity is to take: those that its tags name, and those of its rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.domain.tags import WantedTest, asked_tests
from lever_imocha.ledger.watermarks import trigger_stage
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import tag_scheme

_FROM_THE_START = timedelta(minutes=10)


class AskedTests:
    """Knows since when each rule asks for each of its tests.

    A test that is added to a rule later is not asked of who is in the stage by then: a change of the settings sends no
    e-mail, unless `activation.existing` says so. Who was there before the stage became a trigger stage is the decision's
    to leave alone.

    :param first: returns the time kept under a name, as `Watermarks.first` does.
    """

    def __init__(self, *, settings: Settings, first: Callable[[str], datetime]) -> None:
        self._first, self._scheme = first, tag_scheme(settings)
        self._all = settings.activation.existing == "invite"
        self._known: dict[str, datetime] = {}

    def of(self, opportunity: Opportunity, rule: ResolvedRule | None) -> tuple[WantedTest, ...]:
        """Return the tests, each once; what tags ask for comes first.

        :param opportunity: with its lasting tags only.
        :param rule: the one that matches it.
        """
        of_rule = [test_id for test_id in rule.tests if self._is_asked(rule, test_id, opportunity)] if rule else []
        return asked_tests(opportunity.tags, self._scheme, of_rule)

    def _is_asked(self, rule: ResolvedRule, test_id: int, opportunity: Opportunity) -> bool:
        since = self._since(f"rule of {rule.trigger_stage_id} asks for {test_id}")
        from_the_start = since - self._since(trigger_stage(rule.trigger_stage_id)) < _FROM_THE_START
        return from_the_start or self._all or opportunity.entered_stage_at >= since

    def _since(self, name: str) -> datetime:
        if name not in self._known:
            self._known[name] = self._first(name)
        return self._known[name]
