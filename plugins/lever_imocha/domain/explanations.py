"""Texts for the recruiter, who sees only Lever: a tag for the state of an assessment, a note for each problem."""

from __future__ import annotations

from collections.abc import Collection

from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.tags import StatusTag


def status_tag(statuses: Collection[AttemptStatus | None], *, on_hold: bool) -> StatusTag | None:
    """Return the tag that shows the state of an opportunity's assessments.

    The most urgent state is shown: on hold, then started, invited, expired, and complete if all have ended.

    :param statuses: of its assessments; None where no invitation was sent yet.
    :param on_hold: whether its last entry into the stage waits for a person.
    :return: None if there is nothing to show.
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


def can_be_mended(reason: Reason | None) -> bool:
    """Tell whether a recruiter can do something about a hold; a note in Lever says what."""
    return reason in _FIXES


def hold_note(why: str, reason: Reason) -> str:
    """Say why nobody was invited, and what to do about it.

    :param why: the reason with what it is about.
    """
    return f"The iMocha assessment is on hold: {why}. {_FIXES.get(reason, '')} The invitation then goes out by itself."


def failure_note(advice: str) -> str:
    """Return the note that says that a report is missing.

    :param advice: how to correct it, as a sentence.
    """
    return f"The iMocha report could not be put here yet. {advice}"
