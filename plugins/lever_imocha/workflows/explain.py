"""Shows the recruiter in Lever how an assessment stands: a status tag, and one note for each stay in the stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import Action
from lever_imocha.domain.explanations import (
    Problem,
    ShownTest,
    hold_problem,
    move_problem,
    refused_problem,
    report_problem,
    status_tag,
)
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.standing import NOBODY_NEEDED
from lever_imocha.domain.tags import STATUS_TAGS, wanted_tests
from lever_imocha.errors import AssessmentError, LeverImochaError, ReportFileError, Retry, VendorRefusedError
from lever_imocha.ledger.events import SENT
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, Event, StageEntry, WorkItem
from lever_imocha.redaction import redact
from lever_imocha.settings import Settings
from lever_imocha.workflows.clocks import CLOCKS_DIFFER
from lever_imocha.workflows.effects import EffectMaker
from lever_imocha.workflows.resolved_settings import tag_scheme
from lever_imocha.workflows.stay_note import StayNotes

INVITE_REFUSED, REPORT_MISSING, NOT_MOVED_ON = "invite_refused", "report_missing", "not_moved_on"
"""Events about problems of one candidate that the recruiter is told of; the detail says why, as a sentence."""


def expanded(settings: Settings) -> tuple[str, ...]:
    """Return what an opportunity is read with; its owner only where a note may mention them."""
    return ("applications", "owner") if settings.explain.notes else ("applications",)


def concerns_recruiters(error: Exception) -> bool:
    """Tell whether an error is about one candidate, and not an outage or a mistake that concerns everybody."""
    if isinstance(error, AssessmentError):
        return not error.by_settings
    return isinstance(error, VendorRefusedError | ReportFileError) and error.retry is Retry.LATER


def told_why(error: LeverImochaError) -> str:
    """Return what a recruiter is told of an error, as a sentence without the vendor's words."""
    if isinstance(error, VendorRefusedError):
        return f"{error.vendor} refuses it; whoever looks after the integration finds why in the task's log."
    return redact(error.public_message)


@dataclass(frozen=True, kw_only=True)
class _Stay:
    """What the ledger knows of the last stay of an opportunity.

    :param written: ids of assessments whose report is in Lever.
    :param has_left: the opportunity is not in the stage any more.
    """

    entry: StageEntry | None
    assessments: Sequence[Assessment]
    events: Sequence[Event]
    written: Collection[int]
    has_left: bool

    @property
    def hold(self) -> StageEntry | None:
        """The stage entry if it is on hold, and waits for a person."""
        entry = self.entry
        held = entry is not None and entry.decision is Action.HOLD and entry.reason not in NOBODY_NEEDED
        return entry if held and not self.has_left else None

    @property
    def is_on_hold(self) -> bool:
        return self.hold is not None or any(self.is_refused(known) for known in self.assessments)

    def is_refused(self, known: Assessment) -> bool:
        """Tell whether iMocha has refused its invitation in this stay, and has not taken it since."""
        entry = self.entry
        return (
            entry is not None
            and not self.has_left
            and entry.decision is not Action.IGNORE
            and known.intended_at is not None
            and known.entry_id == entry.id
            and any(
                event.kind == INVITE_REFUSED
                and event.test_id == known.test_id
                and event.at >= entry.entered_at - CLOCKS_DIFFER
                for event in self.events
            )
        )

    def failure(self, known: Assessment, kind: str) -> Event | None:
        """Return why its ended attempt is not dealt with yet, if a person has to correct something."""
        if known.status is None or not known.status.is_ended or self.is_written(known):
            return None
        said = (event for event in self.events if event.kind == kind and event.invitation_id == known.invitation_id)
        return next(said, None)

    def is_written(self, known: Assessment) -> bool:
        return known.written_at is not None or known.id in self.written

    def last_sent(self, test_id: int) -> Event | None:
        return next((event for event in self.events if event.kind in SENT and event.test_id == test_id), None)

    def belongs_here(self, known: Assessment) -> bool:
        """Tell whether a test is one of this stay: sent or handled in it, or still to be written."""
        to_write = known.status is not None and known.status.is_ended and not self.is_written(known)
        return self.entry is not None and (self.entry.id in (known.entry_id, known.handled_entry_id) or to_write)


class Explainer:
    """Shows one opportunity's status and problems in Lever."""

    def __init__(self, *, lever: LeverClient, ledger: Ledger, settings: Settings, effects: EffectMaker) -> None:
        self._lever, self._ledger, self._settings = lever, ledger, settings
        self._notes = StayNotes(lever=lever, ledger=ledger, effects=effects)

    def tag(self, opportunity_id: str, *, written: Collection[int] = (), read: Opportunity | None = None) -> list[str]:
        """Return the status tag an opportunity should carry, as a list of none or one; none when the settings want none.

        :param written: ids of assessments whose report is in Lever, which the ledger does not say yet.
        :param read: the opportunity as just read, if it was.
        """
        if not self._settings.explain.status_tags:
            return []
        stay = self._stay(opportunity_id, read, written)
        missing = any(stay.failure(known, REPORT_MISSING) for known in stay.assessments)
        statuses = [known.status for known in stay.assessments]
        tag = status_tag(statuses, on_hold=stay.is_on_hold, report_missing=missing)
        return [tag.value] if tag else []

    def show(self, opportunity: Opportunity, item: WorkItem, *, perform_as: str) -> None:
        """Make Lever say how an opportunity stands. Who is anonymised is left as they are, and who is archived nearly so.

        :param opportunity: as just read.
        :param item: the work item under which this is done, of the kind `Work.STATUS`.
        """
        try:
            if self._settings.explain.status_tags and opportunity.archived is None and not opportunity.is_anonymized:
                self._show_tag(opportunity, perform_as)
        finally:  # one of the two may be refused, and the other not
            self._note(opportunity, item, perform_as=perform_as)

    def _show_tag(self, opportunity: Opportunity, perform_as: str) -> None:
        wanted = self.tag(opportunity.id, read=opportunity)
        if missing := [tag for tag in wanted if tag not in opportunity.tags]:
            self._lever.add_tags(opportunity.id, missing, perform_as=perform_as)
        self.clear(opportunity.id, opportunity.tags, keep=wanted, perform_as=perform_as)

    def clear(self, opportunity_id: str, tags: Sequence[str], *, keep: Sequence[str], perform_as: str) -> None:
        """Take off the status tags an opportunity carries, all but one."""
        if outdated := [tag for tag in tags if tag in STATUS_TAGS and tag not in keep]:
            self._lever.remove_tags(opportunity_id, outdated, perform_as=perform_as)

    def _note(self, opportunity: Opportunity, item: WorkItem, *, perform_as: str) -> None:
        """Make the note of the opportunity's stay say how it stands."""
        if not self._settings.explain.notes or opportunity.is_anonymized:
            return
        stay = self._stay(opportunity.id, opportunity)
        if stay.entry is None:
            return
        tags = wanted_tests(opportunity.tags, tag_scheme(self._settings))
        names = {test.test_id: test.asker for test in tags}
        here = [known for known in stay.assessments if stay.belongs_here(known)]
        problems = _problems(stay, here, names)
        shown = [_shown(stay, known, names) for known in here if known.status is not None]
        self._notes.keep(opportunity, item, stay.entry, shown, problems, perform_as=perform_as)

    def _stay(self, opportunity_id: str, read: Opportunity | None, written: Collection[int] = ()) -> _Stay:
        kinds = (INVITE_REFUSED, REPORT_MISSING, NOT_MOVED_ON, *SENT)
        entry = self._ledger.entries.last(opportunity_id)
        return _Stay(
            entry=entry,
            assessments=self._ledger.assessments.of(opportunity_id),
            events=self._ledger.events.newest(opportunity_id, kinds),
            written=written,
            has_left=entry is not None and read is not None and read.has_left(entry.stage_id),
        )


def _problems(stay: _Stay, here: Sequence[Assessment], names: dict[int | None, str]) -> list[Problem]:
    found: list[Problem] = []
    if stay.hold is not None and stay.hold.reason is not None:
        held = hold_problem(stay.hold.reason, stay.hold.detail)
        found += [held] if held else []
    for known in here:
        if stay.is_refused(known):
            found.append(refused_problem(_name(known, names)))
        if missing := stay.failure(known, REPORT_MISSING):
            found.append(report_problem(_name(known, names), missing.detail or ""))
        elif stuck := stay.failure(known, NOT_MOVED_ON):
            found.append(move_problem(stuck.detail or ""))
    return found


def _shown(stay: _Stay, known: Assessment, names: dict[int | None, str]) -> ShownTest:
    sent = stay.last_sent(known.test_id)
    return ShownTest(
        name=_name(known, names),
        status=known.status or AttemptStatus.UNKNOWN,
        invited_at=sent.at if sent else None,
        expires_at=known.expires_at,
        written=stay.is_written(known),
        missing=stay.failure(known, REPORT_MISSING) is not None,
    )


def _name(known: Assessment, names: dict[int | None, str]) -> str:
    return names.get(known.test_id, f"test {known.test_id}")
