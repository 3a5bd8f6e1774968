"""iMocha's tests become Lever tags, so that recruiters can pick them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.tags import wanted_tests
from lever_imocha.errors import NotFoundError, SettingsError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings
from lever_imocha.workflows.resolved_settings import resolve, tag_scheme
from lever_imocha.workflows.temporary_tags import forget, remember, temporary_tags


@dataclass(frozen=True, kw_only=True)
class TagSync:
    """What a tag sync did; lists of tags.

    :param created: put into Lever, or, in a dry run, to be put there.
    :param present: were there already.
    :param stale: name a test that is gone, inactive or renamed; nothing is done about them.
    :param vanished: created, but gone from Lever's list as soon as nobody carried them.
    """

    created: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
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
        :raises SettingsError: there is no opportunity to put the tags on.
        """
        scheme = tag_scheme(self._settings)
        wanted = [scheme.tag_for(test.id, test.name) for test in self._imocha.list_tests() if test.is_active]
        listed = [tag.text for tag in self._lever.list_tags()]
        missing = [tag for tag in dict.fromkeys(wanted) if tag not in set(listed)]
        ours = [tag for tag in listed if tag not in scheme.mapping and wanted_tests([tag], scheme)]
        stale = [tag for tag in ours if tag not in set(wanted)]
        present = [tag for tag in wanted if tag in set(listed)]
        if dry_run:
            return TagSync(created=missing, present=present, stale=stale, dry_run=True)
        self._take_off()
        if not missing:
            return TagSync(present=present, stale=stale)
        carrier = opportunity_id or self._carrier(posting)
        vanished = self._create(carrier, missing, keep=keep_on_opportunity)
        return TagSync(created=missing, present=present, stale=stale, vanished=vanished, opportunity_id=carrier)

    def _create(self, carrier: str, tags: list[str], *, keep: bool) -> list[str]:
        perform_as = resolve(self._lever, self._settings, templates=False).perform_as
        if not keep:
            own = set(self._lever.get_opportunity(carrier).tags)
            remember(self._ledger, carrier, [tag for tag in tags if tag not in own])
        try:
            self._lever.add_tags(carrier, tags, perform_as=perform_as)
        finally:
            self._take_off(perform_as)
        listed = {tag.text for tag in self._lever.list_tags()}
        return [tag for tag in tags if tag not in listed]

    def _take_off(self, perform_as: str | None = None) -> None:
        """Take off what this sync, or one that was cut short, put on."""
        temporary = temporary_tags(self._ledger)
        if temporary is None:
            return
        opportunity_id, tags = temporary
        perform_as = perform_as or resolve(self._lever, self._settings, templates=False).perform_as
        if tags:
            with suppress(NotFoundError):  # deleted meanwhile, and its tags with it
                self._lever.remove_tags(opportunity_id, tags, perform_as=perform_as)
        forget(self._ledger)

    def _carrier(self, posting: str | None) -> str:
        if not posting:
            raise SettingsError(["posting, opportunity: give one of them; new tags need an opportunity to be put on"])
        postings = [item for item in self._lever.list_postings() if posting in (item.id, item.text)]
        if len(postings) != 1:
            what = "no posting" if not postings else f"{len(postings)} postings"
            raise SettingsError([f"posting: Lever has {what} with the name or id {posting!r}; give its id"])
        found = self._lever.list_opportunities(posting_ids=[postings[0].id], archived=False)
        first = next(found, None)
        if first is None:
            raise SettingsError([f"posting: {posting!r} has no active opportunity; name an opportunity instead"])
        return first.id
