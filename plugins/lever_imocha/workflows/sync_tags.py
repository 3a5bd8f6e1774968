"""iMocha's tests become Lever tags, so that recruiters can pick them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.names import ids_of, not_there
from lever_imocha.domain.tags import wanted_tests
from lever_imocha.errors import NotFoundError, Retry, SettingsError, VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import ResolvedSettings, resolve, tag_scheme
from lever_imocha.workflows.temporary_tags import mark_off, remember, temporary_tags


@dataclass(frozen=True, kw_only=True)
class TagSync:
    """What a tag sync did; lists of tags.

    :param created: put into Lever, or, in a dry run, to be put there.
    :param present: were there already.
    :param stale: name a test that is gone, inactive or renamed; nothing is done about them. Not known while iMocha's
        list of tests is not complete.
    :param refused: not created, because Lever refuses it; with what it said.
    :param vanished: created, but gone from Lever's list as soon as nobody carried them.
    """

    created: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    vanished: list[str] = field(default_factory=list)
    opportunity_id: str | None = None
    dry_run: bool = False

    def as_dict(self) -> dict[str, object]:
        """For a run's result."""
        return asdict(self)


class SyncTagsWorkflow:
    """Lever has no call that creates a tag; adding it to an opportunity does (lever.md 5.2)."""

    def __init__(self, *, lever: LeverClient, imocha: ImochaClient, ledger: Ledger, settings: Settings) -> None:
        self._lever, self._imocha, self._ledger, self._settings = lever, imocha, ledger, settings

    def sync(
        self,
        *,
        opportunity_id: str | None = None,
        posting: str | None = None,
        dry_run: bool = False,
        keep_on_opportunity: bool = False,
    ) -> TagSync:
        """Create the tag of every active test.

        :param opportunity_id: carries the new tags for a moment.
        :param posting: name or id; without `opportunity_id`, its first active opportunity does.
        :param keep_on_opportunity: leave the tags there, for an account whose list forgets tags nobody carries.
        :raises SettingsError: there is no opportunity to put the tags on: none is named, or it is in a trigger stage,
            where they would ask for every test.
        """
        found = self._compared()
        missing = found.created
        if dry_run:
            if missing and (opportunity_id or posting):
                self._carrier(opportunity_id, posting)  # finds the mistakes that the real sync would find
            return replace(found, dry_run=True)
        self._take_off()
        if not missing:
            return found
        carrier = self._carrier(opportunity_id, posting)
        refused = self._create(carrier, missing, keep=keep_on_opportunity)
        created, listed = [tag for tag in missing if tag not in refused], self._listed()
        return replace(
            found,
            created=created,
            refused=refused,
            vanished=[tag for tag in created if tag not in listed],
            opportunity_id=carrier.id,
        )

    def _compared(self) -> TagSync:
        """Compare Lever's tags with iMocha's tests; what is missing is what is to be created."""
        scheme, tests = tag_scheme(self._settings), self._imocha.list_tests()
        wanted = dict.fromkeys(scheme.tag_for(test.id, test.name) for test in tests if test.is_active)
        listed = self._listed()
        ours = [tag for tag in listed if tag not in scheme.mapping and wanted_tests([tag], scheme)]
        return TagSync(
            created=[tag for tag in wanted if tag not in listed],
            present=[tag for tag in wanted if tag in listed],
            stale=[tag for tag in ours if tag not in wanted] if tests.complete else [],
        )

    def _listed(self) -> dict[str, None]:
        return dict.fromkeys(tag.text for tag in self._lever.list_tags())

    @cached_property
    def _resolved(self) -> ResolvedSettings:
        return resolve(self._ledger, self._lever, self._settings)

    def _create(self, carrier: Opportunity, tags: list[str], *, keep: bool) -> dict[str, str]:
        """Put the tags on, and take them off again unless they are to stay; return those that Lever refuses."""
        perform_as = self._resolved.perform_as
        new = [tag for tag in tags if tag not in carrier.tags]
        if not keep:
            remember(self._ledger, carrier.id, new)
        try:
            refused = self._add(carrier.id, tags, perform_as)
            if refused and not keep:  # they are not there, and may not even be named when the others are taken off
                remember(self._ledger, carrier.id, [tag for tag in new if tag not in refused])
        finally:
            self._take_off()
        if len(refused) == len(tags) and (error := refused[tags[0]]).retry is Retry.NEVER:
            raise error  # it is not about the tags: the key may not do this at all
        return {tag: error.detail or error.code or f"answered {error.status}" for tag, error in refused.items()}

    def _add(self, opportunity_id: str, tags: list[str], perform_as: str) -> dict[str, VendorRefusedError]:
        """Add all tags with one call; when Lever refuses it, halve them until the refused ones are found."""
        try:
            self._lever.add_tags(opportunity_id, tags, perform_as=perform_as)
        except NotFoundError:
            raise
        except VendorRefusedError as error:
            if len(tags) == 1:
                return {tags[0]: error}
            half = len(tags) // 2
            first, second = (self._add(opportunity_id, part, perform_as) for part in (tags[:half], tags[half:]))
            return first | second
        return {}

    def _take_off(self) -> None:
        """Take off what this sync, or one that was cut short, put on."""
        temporary = temporary_tags(self._ledger)
        if temporary is None or temporary.are_off:
            return
        if temporary.tags:
            with suppress(NotFoundError):  # deleted meanwhile, and its tags with it
                self._lever.remove_tags(temporary.opportunity_id, temporary.tags, perform_as=self._resolved.perform_as)
        mark_off(self._ledger, temporary)

    def _carrier(self, opportunity_id: str | None, posting: str | None) -> Opportunity:
        return self._named(opportunity_id) if opportunity_id else self._found(posting)

    def _named(self, opportunity_id: str) -> Opportunity:
        opportunity = self._lever.get_opportunity(opportunity_id)
        if self._asks_for_tests(opportunity):
            raise SettingsError(
                [
                    f"opportunity: {opportunity_id} is in a trigger stage, where the tags would ask for every test;"
                    " name one that is in another stage"
                ]
            )
        return opportunity

    def _asks_for_tests(self, opportunity: Opportunity) -> bool:
        return opportunity.stage in self._resolved.trigger_stages

    def _found(self, posting: str | None) -> Opportunity:
        if not posting:
            raise SettingsError(["posting, opportunity: give one of them; new tags need an opportunity to be put on"])
        listed = list(self._lever.list_postings())
        found = ids_of(posting, listed)
        if not found:
            raise SettingsError([f"posting: {not_there(posting, listed)}"])
        opportunities = self._lever.list_opportunities(posting_ids=found, archived=False)
        first = next((item for item in opportunities if not self._asks_for_tests(item)), None)
        if first is None:
            raise SettingsError(
                [
                    f"posting: {posting!r} has no active opportunity outside of the trigger stages;"
                    " name an opportunity instead"
                ]
            )
        return first
