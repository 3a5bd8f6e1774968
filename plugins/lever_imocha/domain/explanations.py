"""What a recruiter, who sees only Lever, is told: one tag for how an assessment stands, one note for each problem."""

from __future__ import annotations

from collections.abc import Collection

from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.tags import StatusTag


def status_tag(statuses: Collection[AttemptStatus | None], *, on_hold: bool) -> StatusTag | None:
    """The tag of an opportunity: what needs a person first, then what is going on.

    :param statuses: of its assessments; None where nothing was sent yet.
    :param on_hold: its last arrival in the stage waits for a person.
    """
    if on_hold:
        return StatusTag.ON_HOLD
    for status, tag in (
        (AttemptStatus.IN_PROGRESS, StatusTag.STARTED),
        (AttemptStatus.PENDING, StatusTag.INVITED),
        (AttemptStatus.EXPIRED, StatusTag.EXPIRED),
    ):
        if status in statuses:
            return tag
    ended = bool(statuses) and all(status is not None and status.is_ended for status in statuses)
    return StatusTag.COMPLETE if ended else None


_FIXES = {
    Reason.UNKNOWN_TEST: "Put the tag of an active iMocha test on the candidate, or take this tag off.",
    Reason.NO_EMAIL: "Add an e-mail address to the candidate.",
    Reason.MAY_NOT_CONTACT: "Ask the candidate for consent to be contacted, or move them on without the assessment.",
}


def hold_note(why: str, reason: Reason) -> str:
    """Say why nobody was invited, and what to do about it.

    :param why: the reason with what it is about.
    """
    return f"The iMocha assessment is on hold: {why}. {_FIXES.get(reason, '')} The invitation then goes out by itself."


def failure_note(advice: str) -> str:
    """Why a report is missing, and what to do about it."""
    return f"The iMocha report could not be put here yet. {advice}"
