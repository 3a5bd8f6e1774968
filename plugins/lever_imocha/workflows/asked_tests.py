"""Which tests an opportunity is to take: those that its tags name, and those of its rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.domain.settings_versions import Askers, Asks, SettingsVersion, added, name_of, version_at
from lever_imocha.domain.tags import TagScheme, WantedTest, asked_tests
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import ResolvedSettings, tag_scheme

_CANNOT_BE_TAKEN = (Reason.UNKNOWN_TEST, Reason.NO_LINK)


@dataclass(frozen=True)
class Asked:
    """What is asked of an opportunity.

    :param tests: those to take, each once; what tags ask for comes first.
    :param later: those that the settings ask for only since it is in its stage.
    :param existing_since: where all are of the latter, since when.
    """

    tests: tuple[WantedTest, ...]
    later: tuple[WantedTest, ...] = ()
    existing_since: datetime | None = None


class AskedTests:
    """Leaves out which tests a change of the settings alone would ask of somebody: it sends no e-mail.

    Of who is in the stage since before the settings were changed, what they asked when the candidate came, and what they
    asked when they were last seen to ask nothing new, is compared with what they ask now: all of the candidate as it is
    now, so that a tag, a posting or an address that was added to the candidate counts. Who is on hold because
    a test cannot be taken waits for what is asked in its place.
    """

    def __init__(self, *, ledger: Ledger, settings: Settings) -> None:
        self._ledger, self._scheme = ledger, tag_scheme(settings)
        self._all = settings.activation.existing == "invite"

    def of(self, opportunity: Opportunity, resolved: ResolvedSettings, rule: ResolvedRule | None) -> Asked:
        """Return what is asked now, and which of it the settings ask for only since the opportunity is in its stage.

        :param opportunity: with its lasting tags only, and its postings.
        :param rule: the one that matches it.
        """
        wanted = asked_tests(opportunity.tags, self._scheme, rule.tests if rule else ())
        if not wanted or opportunity.entered_stage_at >= resolved.asks_since:
            return Asked(wanted)
        new = self._new(opportunity, resolved)
        later = tuple(test for test in wanted if name_of(test) in new)
        counts = wanted if self._all else tuple(test for test in wanted if test not in later)
        return Asked(counts, later, resolved.asks_since if later == wanted else None)

    def _new(self, opportunity: Opportunity, resolved: ResolvedSettings) -> Askers:
        """Return what the settings ask now, and did not when the opportunity came, nor when it was last seen."""
        stage_id, entered_at = str(opportunity.stage), opportunity.entered_stage_at
        now = SettingsVersion(id=0, since=resolved.asks_since, asks=Asks.of(resolved.rules, self._scheme))
        before = [version for version in self._versions if version.since < now.since]

        def asked(version: SettingsVersion) -> Askers:
            return version.asks.tests(opportunity, self._first_scheme)

        came = version_at([*before, now], stage_id, entered_at)
        new = added(asked(now), [asked(came)], corrected=False)
        entry = self._ledger.entries.last(opportunity.id) if new else None
        if entry is None or (entry.stage_id, entry.entered_at) != (stage_id, entered_at):
            return new
        seen = next((version for version in self._versions if version.id == entry.settings_version), came)
        held = entry.decision is Action.HOLD and entry.reason in _CANNOT_BE_TAKEN
        return added(asked(now), [asked(came), asked(seen)], corrected=held)

    @cached_property
    def _versions(self) -> list[SettingsVersion]:
        return self._ledger.settings_versions.all()

    @cached_property
    def _first_scheme(self) -> TagScheme:
        return next((version.asks.scheme for version in self._versions if version.asks.scheme), self._scheme)
