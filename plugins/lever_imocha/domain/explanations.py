"""Texts for the recruiter, who sees only Lever: a tag for the state of an assessment, one note for each stay in the stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.tags import StatusTag


def status_tag(
    statuses: Collection[AttemptStatus | None], *, on_hold: bool, report_missing: bool = False
) -> StatusTag | None:
    """Return the tag that shows the state of an opportunity's assessments.

    The most urgent state is shown: on hold, report missing, then started, invited, expired, cancelled, and complete if
    all have ended.

    :param statuses: of its assessments; None where no invitation was sent yet.
    :param on_hold: whether its last entry into the stage waits for a person.
    :param report_missing: whether a report cannot be put into Lever.
    :return: None if there is nothing to show.
    """
    if on_hold:
        return StatusTag.ON_HOLD
    if report_missing:
        return StatusTag.REPORT_MISSING
    for status, tag in (
        (AttemptStatus.IN_PROGRESS, StatusTag.STARTED),
        (AttemptStatus.PENDING, StatusTag.INVITED),
        (AttemptStatus.EXPIRED, StatusTag.EXPIRED),
        (AttemptStatus.CANCELLED, StatusTag.CANCELLED),
    ):
        if status in statuses:
            return tag
    ended = bool(statuses) and all(status is not None and status.is_ended for status in statuses)
    return StatusTag.COMPLETE if ended else None


@dataclass(frozen=True, kw_only=True)
class ShownTest:
    """One test as a note shows it.

    :param name: its tag, or its number.
    :param invited_at: when the last e-mail was sent.
    :param expires_at: until when the invitation can be used; None when this is not known.
    :param written: the report is in Lever.
    :param missing: it cannot be put there.
    """

    name: str
    status: AttemptStatus
    invited_at: datetime | None = None
    expires_at: datetime | None = None
    written: bool = False
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self._state()}"

    def _state(self) -> str:
        if self.status.is_ended:
            report = "is in the forms and files here" if self.written else "is missing" if self.missing else "follows"
            return f"ended, the report {report}"
        if self.status is AttemptStatus.IN_PROGRESS:
            return "started"
        if self.status is AttemptStatus.EXPIRED:
            return "the invitation has expired; move the candidate out of the stage and in again to send another"
        if self.status is AttemptStatus.CANCELLED:
            return "the invitation was cancelled"
        sent = f"invited on {_time(self.invited_at)}" if self.invited_at else "invited"
        return f"{sent}, can be taken until {_time(self.expires_at)}" if self.expires_at else sent


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a person has to correct.

    :param what: a few words; they tell it from others of the same stay.
    :param fix: what to do, as sentences.
    """

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what[:1].upper()}{self.what[1:]}. {self.fix}"


_FIXES = {
    Reason.UNKNOWN_TEST: "Put the tag of an active iMocha test on the candidate, or take this tag off.",
    Reason.NO_LINK: "Whoever looks after the integration has to make this link at iMocha, or to correct the settings.",
    Reason.NO_EMAIL: "Add an e-mail address to the candidate.",
    Reason.MAY_NOT_CONTACT: "Ask the candidate for consent to be contacted, or move them on without the assessment.",
}
_ON_HOLD = "on hold: "
_BY_ITSELF = "It is tried again by itself."


def hold_problem(reason: Reason, detail: str) -> Problem | None:
    """Return why nobody was invited and what to do; None if a recruiter can do nothing about it.

    :param detail: what the reason is about: the tag in question.
    """
    if reason not in _FIXES:
        return None
    why = f"{reason} ({detail})" if detail else str(reason)
    return Problem(what=f"{_ON_HOLD}{why}", fix=f"{_FIXES[reason]} The invitation then goes out by itself.")


def refused_problem(name: str) -> Problem:
    """Return that iMocha does not accept an invitation.

    :param name: of the test.
    """
    return Problem(
        what=f"{_ON_HOLD}iMocha does not accept the invitation to {name}",
        fix="See that the candidate's e-mail address is right. If it is, whoever looks after the integration finds"
        f" iMocha's words in the task's log. {_BY_ITSELF}",
    )


def report_problem(name: str, why: str) -> Problem:
    """Return that a report is not in Lever.

    :param name: of the test.
    :param why: as a sentence.
    """
    return Problem(what=f"report missing: {name}", fix=f"{why} {_BY_ITSELF}")


def move_problem(why: str) -> Problem:
    """Return that a candidate could not be moved on although the reports are there."""
    return Problem(what="not moved on to the next stage", fix=f"{why} {_BY_ITSELF}")


def over(what: str, *, has_left: bool) -> str:
    """Return the line about a problem that is over.

    :param what: of the problem.
    :param has_left: the candidate has left the stage: then a hold was not solved.
    """
    return f"{'No longer matters' if has_left and what.startswith(_ON_HOLD) else 'Solved'}: {what}"


def note_text(tests: Sequence[ShownTest], problems: Sequence[Problem], former: Sequence[str], *, mark: str) -> str:
    """Return the text of the note about one stay: what a person has to correct, the tests, and what was solved.

    :param former: lines about problems that are over.
    :param mark: by which the note is found again.
    """
    return "\n".join(["iMocha assessment", *map(str, problems), *map(str, tests), *former, mark])
