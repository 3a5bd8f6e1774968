"""The console's words: a sentence for everything that a timeline or a list has a code for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lever_imocha.domain.advice import fix_of_hold, words_of_problem
from lever_imocha.domain.decisions import GOES_ON, Action
from lever_imocha.domain.standing import ProblemKind, Standing
from lever_imocha.ledger.overview.attention import InTheWay
from lever_imocha.ledger.overview.flow import Cohort
from lever_imocha.ledger.overview.people import Person
from lever_imocha.ledger.overview.timeline import Done, Moment

_SOURCES = {
    "sweep": "sweep of Lever",
    "read": "read in Lever",
    "webhook": "Lever's webhook",
    "callback": "iMocha's callback",
    "workflow": "workflow",
    "console": "console",
    "command": "command line",
}
_KINDS = {
    "entered": "Entered the stage {detail}",
    "invited": "Invited to {test}: iMocha sends the e-mail",
    "refreshed": "Invitation to {test} sent again",
    "reattempt_given": "Another attempt at {test} given",
    "extended": "The window of {test} was extended, without an e-mail",
    "adopted": "Took over the invitation to {test} that another integration had sent; no e-mail",
    "already_taken": "Not invited: {test} was taken already",
    "already_running": "Not invited: an attempt at {test} is in progress",
    "invite_repeated": "Invite to {test} repeated: {detail}",
    "recovered": "Found the invitation to {test} whose answer was lost",
    "invitation_replaced": "Another invitation replaces the one to {test} ({detail}): the address has changed",
    "not_withdrawn": "The invitation to {test} under the former address could not be withdrawn ({detail}) and stays open",
    "held": "On hold: {detail}",
    "ignored": "Not invited: {detail}",
    "decided": "Decided: {detail}",
    "cancelled": "Invitation cancelled: {detail}",
    "masked": "iMocha was asked to mask the attempt",
    "masking_dropped": "iMocha is not asked to mask the attempts",
    "released": "What waited or was parked is tried again now",
    "mask_by_hand": "iMocha does not say whose attempt it is: mask it there by hand",
    "deleted_in_lever": "Deleted in Lever: nothing is written back",
    "anonymized_in_lever": "Anonymised in Lever: nothing is written back",
    "report_missing": "The report could not be put into Lever",
    "written_back": "Written back to Lever",
    "begun": "Step begun, and its answer not known yet: {detail}",
    "mail_accepted": "E-mail for {test} asked for; iMocha has accepted it",
    "mail_unanswered": "E-mail for {test} asked for; iMocha has not answered",
    "form_done": "Form in Lever",
    "file_done": "Report file in Lever",
    "note_done": "Note in Lever",
    "note_refused": "The note cannot be written; the form and the file are there",
    "stage_done": "Moved on in Lever",
    "status_pending": "iMocha: the invitation is open",
    "status_in_progress": "iMocha: the candidate has begun the test",
    "status_complete": "iMocha: the candidate has finished the test",
    "status_test_left": "iMocha: the candidate has left the test",
    "status_terminated": "iMocha: the test was ended by iMocha",
    "status_cancelled": "iMocha: the invitation is cancelled",
    "status_expired": "iMocha: the invitation has expired",
    "status_unknown": "iMocha does not say how far the attempt is",
    "candidateStageChange": "Lever told of a move to another stage",
    "candidateArchiveChange": "Lever told that the candidate was archived, or is back",
    "candidateHired": "Lever told of a hire",
    "candidateDeleted": "Lever told of a deletion",
    "link_asked": "Asked to be shown the test link once",
    "link_shown": "The link of {test} was shown to who had asked for it",
    "link_not_shown": "The link of {test} could not be shown: {detail}",
    "asked_look_again": "Asked to look again: {detail}",
    "asked_release": "Asked to invite above the limit: {detail}",
    "asked_drop": "Asked not to invite: {detail}",
    "asked_send_again": "Asked to send the e-mail again: {detail}",
    "asked_cancel": "Asked to cancel the invitation to {test}: {detail}",
    "asked_extend": "Asked to extend the window of {test}: {detail}",
    "asked_correct_address": "Asked to invite to {test} at the corrected address: {detail}",
    "asked_reattempt": "Asked to give another attempt at {test}: {detail}",
    "asked_write_again": "Asked to write the report of {test} again: {detail}",
    "asked_replay": "Asked to do a delivery again: {detail}",
    "done_look_again": "To look again: {detail}",
    "done_release": "To invite above the limit: {detail}",
    "done_drop": "Not to invite: {detail}",
    "done_send_again": "To send the e-mail again: {detail}",
    "done_cancel": "To cancel the invitation to {test}: {detail}",
    "done_extend": "To extend the window of {test}: {detail}",
    "done_correct_address": "To invite to {test} at the corrected address: {detail}",
    "done_reattempt": "To give another attempt at {test}: {detail}",
    "done_write_again": "To write the report of {test} again: {detail}",
    "done_replay": "To do a delivery again: {detail}",
}
_DECISIONS = {
    "refresh": "send the invitation again",
    "reattempt": "give another attempt",
    "adopt": "take over another integration's invitation",
    "ignore": "do not invite",
}
_EXPLAINED = {"hold": "on hold", "ignore": "not invited"}
_FACTS = {
    "stage_id": "stage",
    "entered_at": "entered",
    "rests_on": "it rests on",
    "settings_sent": "settings sent to the test link",
    "webhook_at": "Lever's webhook told of it",
    "callback_at": "iMocha called back",
    "shown": "what the person saw",
}
_STANDINGS = {
    "pending": "invited",
    "in_progress": "has begun",
    "complete": "finished",
    "test_left": "left the test",
    "terminated": "ended by iMocha",
    "cancelled": "invitation cancelled",
    "expired": "invitation expired",
    "unknown": "invited, iMocha does not say more",
    None: "not invited yet",
}
_PROBLEMS = {
    ProblemKind.HELD: "On hold: {why}",
    ProblemKind.PARKED: "Given up after many tries: {why}",
    ProblemKind.FAILING: "Failed, tried again by itself: {why}",
    ProblemKind.OVERDUE: "Overdue: {why}",
    ProblemKind.WAITS: "On hold, nothing to do: {why}",
}
_VENDORS = {"lever": "Lever", "imocha": "iMocha"}
_WORK = {
    "invite": "to decide and invite",
    "cancel": "to cancel the invitation",
    "status": "to show the status in Lever",
    "mask": "to have iMocha mask the attempts",
    "write_back": "to write the report to Lever",
    "request": "to do what was asked for on the console",
    "write_again": "to read the report again, as was asked for",
}


@dataclass(frozen=True)
class Words:
    """Says things in words.

    :param now: for ages.
    :param tests: names of iMocha's tests, as far as they are known.
    :param stages: names of Lever's stages, likewise.
    :param postings: names of Lever's postings, likewise.
    :param full_names: whether the viewer may see names; else they are initials.
    """

    now: datetime
    tests: Mapping[int, str] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    postings: Mapping[str, str] = field(default_factory=dict)
    full_names: bool = False

    def name(self, name: str | None) -> str:
        """Return a name as far as the viewer may see it."""
        if name is None:
            return "(no name kept)"
        return name if self.full_names else initials(name)

    def test(self, test_id: int | None) -> str:
        """Name a test."""
        if test_id is None:
            return "the test"
        return f"{self.tests[test_id]} [{test_id}]" if test_id in self.tests else f"test {test_id}"

    def stage(self, stage_id: str) -> str:
        """Name a stage."""
        return self.stages.get(stage_id, stage_id)

    def posting(self, posting_id: str | None) -> str:
        """Name a posting."""
        return self.postings.get(posting_id, f"posting {posting_id}") if posting_id else "no posting known"

    def group(self, row: Cohort) -> str:
        """Name a row of the flow."""
        if row.by == "week" and row.week is not None:
            return f"{row.week:%Y-%m-%d}"
        if row.by == "test":
            return self.test(row.test_id) if row.test_id is not None else "not invited to any test"
        if row.by == "posting":
            return self.posting(row.posting_id)
        if row.by == "rule":
            where = self.stage(row.stage_id or "")
            if row.completed_stage_id is None:
                return f"{where}: not invited"
            return f"{where} to {self.stage(row.completed_stage_id)}, {row.form_template}"
        return row.by

    def age(self, at: datetime | None) -> str:
        """Say how long ago, or how far ahead, a time is."""
        if at is None:
            return ""
        seconds = (self.now - at).total_seconds()
        return f"in {span(-seconds)}" if seconds < -1 else f"{span(max(seconds, 0))} ago"

    def moment(self, moment: Moment | Done) -> str:
        """Say what happened."""
        detail = moment.detail or "no reason given"
        if moment.kind == "entered":
            detail = self.stage(moment.detail or "")
        elif moment.kind == "decided":
            detail = self.decision(detail)
        said = _KINDS.get(moment.kind)
        if said is None:
            named = moment.kind.replace("_", " ")
            source = "workflow" if isinstance(moment, Done) else self.source(moment.source)
            return f"{source}: {named}{f': {moment.detail}' if moment.detail else ''}"
        return said.format(detail=detail, test=self.test(moment.test_id))

    @staticmethod
    def decision(decision: str) -> str:
        """Say what was decided."""
        return _DECISIONS.get(decision, decision)

    @staticmethod
    def vendor(vendor: str) -> str:
        """Write a vendor's name as it does."""
        return _VENDORS.get(vendor, vendor)

    @staticmethod
    def explained(why: str) -> str:
        """Say why a record of a vendor's list is as it is, though the ledger is not."""
        state, _, problem = why.partition(": ")
        said = _EXPLAINED.get(state, state)
        return f"{said}: {words_of_problem(problem)[0]}" if problem else said

    @staticmethod
    def source(source: str) -> str:
        """Say who told or did it."""
        return _SOURCES.get(source, source)

    def facts(self, facts: Mapping[str, Any] | None) -> list[str]:
        """Say what a decision or an invitation rests on."""
        return [
            f"{_FACTS.get(name, name.replace('_', ' '))}: {self._fact(name, value)}"
            for name, value in (facts or {}).items()
            if value is not None
        ]

    def _fact(self, name: str, value: Any) -> str:
        if name == "stage_id":
            return self.stage(value)
        if name == "first_seen_by":
            return self.source(value)
        if isinstance(value, Mapping):
            given = (
                (key.replace("_", " "), self._fact(key, one)) for key, one in value.items() if one not in (None, [])
            )
            return "; ".join(f"{key} {said}" for key, said in given) or "nothing but what the link says"
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    @staticmethod
    def status(status: str | None) -> str:
        """Say how far an attempt is."""
        return _STANDINGS.get(status, status or "")

    @staticmethod
    def problem(problem: InTheWay) -> tuple[str, str]:
        """Say what is in the way, and what to do about it."""
        why = _WORK.get(problem.why) or words_of_problem(problem.why)[0]
        return _PROBLEMS[problem.kind].format(why=why), fix_of(problem.kind, problem.why)

    @staticmethod
    def work(kind: str) -> str:
        """Say what is to be done."""
        return _WORK.get(kind, kind)

    def why(self, person: Person) -> str:
        """Answer in one sentence why somebody stands where they stand."""
        if person.problem in GOES_ON and person.decision != Action.HOLD:
            return f"What was asked for waits: {person.problem}."
        if person.parked or _is_failing(person):
            tried = "it is not tried any more by itself" if person.parked else f"next try {self.age(person.next_try)}"
            return f"The last try failed: {words_of_problem(person.problem or '')[0]}; {tried}."
        if person.decision == Action.HOLD:
            return f"On hold: {person.reason}{f' ({person.detail})' if person.detail else ''}."
        if person.decided_at is None:
            return "Not decided yet: a run will read the candidate."
        if person.decision == Action.IGNORE:
            reason = f"{person.reason}{f' ({person.detail})' if person.detail else ''}."
            invited = any(test.invitation_id for test in person.tests)
            return f"Not invited again: {reason} {self._progress(person)}" if invited else f"Not invited: {reason}"
        if person.standing is Standing.WORKING:
            return "Decided; work for the candidate is in the queue."
        return self._progress(person)

    def _progress(self, person: Person) -> str:
        said = (
            f"{self.test(test.test_id)}: {self.status(test.status)}{', report in Lever' if test.written_at else ''}"
            for test in person.tests
        )
        return f"{'; '.join(said)}."

    @staticmethod
    def fix(person: Person) -> str:
        """Say what to do about somebody, if anything."""
        if person.parked:
            return fix_of(ProblemKind.PARKED, person.problem or "")
        if person.decision == Action.HOLD and not _is_failing(person):
            return fix_of(ProblemKind.HELD, person.reason or "")
        return fix_of(ProblemKind.FAILING, person.problem) if person.problem else ""


def _is_failing(person: Person) -> bool:
    """Tell whether work has failed, and nothing that a person has to do comes before it."""
    failed = person.problem is not None and person.problem not in GOES_ON
    return failed and (person.decision != Action.HOLD or person.standing is Standing.WORKING)


def fix_of(kind: ProblemKind, why: str) -> str:
    """Say what to do about a problem."""
    if kind in (ProblemKind.HELD, ProblemKind.WAITS):
        return fix_of_hold(why)
    if kind is ProblemKind.OVERDUE:
        return "Nothing has tried it. Is its DAG paused? Do its runs end, and does the scheduler run?"
    _, fix = words_of_problem(why)
    return f"{fix} Then ask to look again." if kind is ProblemKind.PARKED else fix


def initials(name: str) -> str:
    """Return the first letters of a name's words, three at most."""
    return " ".join(f"{word[0]}." for word in name.split()[:3])


def span(seconds: float) -> str:
    """Say how long something took, in one unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
