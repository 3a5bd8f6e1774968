"""The note in Lever about one stay in the stage: made once, and changed as things change."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.explanations import Problem, ShownTest, note_text, over
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import NotFoundError, VendorRefusedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Effect, EffectState, StageEntry, WorkItem
from lever_imocha.workflows.effects import EffectMaker

log = logging.getLogger(__name__)

_MOST_NOTES, _MOST_FORMER = 10, 5


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What the note says, as the ledger keeps it.

    :param number: of the note: 0, and one more for each that had to replace the one before.
    :param note_id: in Lever; None while it is being made.
    :param digest: of its text.
    :param problems: the `what` of those that it names.
    :param former: its lines about those that are over.
    :param changeable: False once Lever has refused to change it.
    """

    number: int = 0
    note_id: str | None = None
    digest: str = ""
    problems: list[str] = field(default_factory=list)
    former: list[str] = field(default_factory=list)
    changeable: bool = True

    def is_news_after(self, said: _Said) -> bool:
        """Tell whether it is worth a change of the note, or, where that cannot be changed, another one."""
        if said.note_id is not None and not said.changeable:
            return (self.problems, self.former) != (said.problems, said.former)
        return self != said


@dataclass(frozen=True)
class _Note:
    """The note to be written.

    :param text_of: makes its text with its mark.
    """

    opportunity_id: str
    item: WorkItem
    entry: StageEntry
    perform_as: str
    text_of: Callable[[str], str]


class StayNotes:
    """Keeps the notes up to date, with at most one call for each change.

    A note that Lever refuses to change is replaced by another one. From then on the stay has a new note for each new or
    solved problem only, ten at most.
    """

    def __init__(self, *, lever: LeverClient, ledger: Ledger, effects: EffectMaker) -> None:
        self._lever, self._ledger, self._effects = lever, ledger, effects

    def keep(
        self,
        opportunity: Opportunity,
        item: WorkItem,
        entry: StageEntry,
        tests: Sequence[ShownTest],
        problems: Sequence[Problem],
        *,
        perform_as: str,
    ) -> None:
        """Make the note say how it stands. Who is archived gets no new note.

        :param item: the work item under which this is done; nobody else writes notes about the opportunity meanwhile.
        """
        known = self._ledger.effects.state(_effect(entry))
        if known is None and (opportunity.archived is not None or not (tests or problems)):
            return
        said = _said(known)
        former = _former(said, problems, has_left=opportunity.has_left(entry.stage_id))
        write = partial(note_text, tests, problems, former)
        whats = [problem.what for problem in problems]
        now = replace(said, digest=_digest(write(mark="")), problems=whats, former=former)
        if not now.is_news_after(said):
            return
        mention = f"@{opportunity.owner_username} " if problems and opportunity.owner_username else ""
        note = _Note(opportunity.id, item, entry, perform_as, lambda mark: f"{mention}{write(mark=mark)}")
        self._remember(entry, self._put(note, said, now))

    def _put(self, note: _Note, said: _Said, now: _Said) -> _Said:
        """Change the note, or make it, or make the one that replaces it; return what is known of it then."""
        if said.note_id is not None:
            if said.changeable and (refusal := self._change(note, said)) is None:
                return now
            if said.number >= _MOST_NOTES:
                log.warning("opportunity %s: no more notes are left about this stay", note.opportunity_id)
                return replace(now, changeable=False)
            changeable = said.changeable and isinstance(refusal, NotFoundError)
            said = replace(said, number=said.number + 1, note_id=None, changeable=changeable)
            self._remember(note.entry, said)  # so that the new note is found after a crash
        note_id, is_new = self._make(note, said)
        said = replace(said, note_id=note_id)
        if not is_new:
            self._change(note, said)
        return replace(now, number=said.number, note_id=note_id, changeable=said.changeable)

    def _make(self, note: _Note, said: _Said) -> tuple[str | None, bool]:
        """Make a note, or find the one that was made before; return its id, and whether it says what it should."""
        effect, mark, is_new = _effect(note.entry, said.number), _mark(note.entry, said.number), False

        def find() -> str | None:
            notes = self._lever.list_notes(note.opportunity_id).whole()
            return next((one.id for one in notes if mark in one.value), None)

        def make() -> str:
            nonlocal is_new
            is_new = True
            text = note.text_of(mark)
            return self._lever.create_note(note.opportunity_id, text, perform_as=note.perform_as).id

        self._effects.once(effect, note.item, make, find)
        state = self._ledger.effects.state(effect)
        return state.vendor_id if state else None, is_new

    def _change(self, note: _Note, said: _Said) -> VendorRefusedError | None:
        """Change the note; return Lever's refusal to do so."""
        text = note.text_of(_mark(note.entry, said.number))
        try:
            self._lever.update_note(note.opportunity_id, str(said.note_id), text, perform_as=note.perform_as)
        except VendorRefusedError as error:
            log.warning("opportunity %s: the note cannot be changed: %s", note.opportunity_id, error)
            return error
        return None

    def _remember(self, entry: StageEntry, said: _Said) -> None:
        self._ledger.effects.remember(_effect(entry), asdict(said))


def _said(known: EffectState | None) -> _Said:
    if known is None or not known.content:
        return _Said(note_id=known.vendor_id if known else None)
    return _Said(**known.content)


def _former(said: _Said, problems: Sequence[Problem], *, has_left: bool) -> list[str]:
    """Return the lines about problems that are over."""
    whats = tuple(problem.what for problem in problems)
    lasting = [line for line in said.former if not line.endswith(whats)]
    solved = [over(what, has_left=has_left) for what in said.problems if what not in whats]
    return [*lasting, *solved][-_MOST_FORMER:]


def _effect(entry: StageEntry, number: int = 0) -> Effect:
    return Effect(opportunity_id=entry.opportunity_id, subject=_mark(entry, number), step="note")


def _mark(entry: StageEntry, number: int) -> str:
    """Return what a note is found by: it follows from Lever's facts, so that it outlasts a restored backup."""
    stay = _digest(f"{entry.stage_id} {int(entry.entered_at.timestamp() * 1000)}")[:8]
    return f"[iMocha note {stay}{f'-{number}' if number else ''}]"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
