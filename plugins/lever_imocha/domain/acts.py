"""What a person can have done about a candidate, and when each makes sense, as pure functions."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from hashlib import sha256

from lever_imocha.domain.decisions import Departure, Reason, Situation
from lever_imocha.domain.imocha import AttemptStatus


class Act(StrEnum):
    """What a person can ask for on the console; a run does it."""

    LOOK_AGAIN = "look_again"
    """Read the candidate now, and do what is due: also what waits for its next try, or is parked."""
    RELEASE = "release"
    """Invite although a limit of e-mails holds the candidate."""
    DROP = "drop"
    """Do not invite, for this stay in the stage, whom a limit of e-mails holds."""
    SEND_AGAIN = "send_again"
    """Send the e-mail of an invitation that is not begun once more."""
    REPLAY = "replay"
    """Do again what a stored delivery asked for."""
    CANCEL = "cancel"
    """Cancel the open invitation to one test."""
    EXTEND = "extend"
    """Give the open invitation to one test a new window, without an e-mail."""
    CORRECT_ADDRESS = "correct_address"
    """Cancel the open invitation to one test, which went to a former address, and invite at the present one."""
    REATTEMPT = "reattempt"
    """Give another attempt at one test that was taken."""
    WRITE_AGAIN = "write_again"
    """Read the report of one test again, and write it once more if it says something else."""

    @property
    def is_of_test(self) -> bool:
        """Whether it is about one test of the candidate."""
        return self in _OF_TEST


_OF_TEST = (Act.CANCEL, Act.EXTEND, Act.CORRECT_ADDRESS, Act.REATTEMPT, Act.WRITE_AGAIN)


def is_possible(act: Act, status: AttemptStatus | None, *, written: bool) -> bool:
    """Tell whether an act about one test makes sense, as far as its attempt tells.

    :param status: of the attempt; None when nobody was invited.
    :param written: its report is in Lever.
    """
    if status is None:
        return False
    if act in (Act.CANCEL, Act.EXTEND):
        return status.can_begin
    if act is Act.CORRECT_ADDRESS:
        return status.can_begin or status in (AttemptStatus.CANCELLED, AttemptStatus.EXPIRED)
    return status.is_ended and written


def against_inviting(situation: Situation, departure: Departure | None, cancel_when: Collection[Departure]) -> str:
    """Say what stands against an e-mail that a person asks for; empty when nothing does.

    The limit of e-mails an hour does not: the request waits for its room.

    :param situation: completed by the limits.
    :param departure: how the candidate has left the trigger stages, if they have.
    :param cancel_when: the departures for which the settings cancel invitations.
    """
    opportunity = situation.opportunity
    if not opportunity.may_contact:
        return Reason.MAY_NOT_CONTACT
    if departure is Departure.ARCHIVED:
        return Reason.ARCHIVED
    if departure is not None and departure in cancel_when:
        return "the candidate has left the stage, and cancel_when.stage_left cancels the invitations of those"
    if opportunity.email is None:
        return Reason.NO_EMAIL
    left = situation.mails_to_candidate_left
    return Reason.PER_CANDIDATE if left is not None and left <= 0 else ""


def same_address(one: str, other: str) -> bool:
    """Tell whether two e-mail addresses are one, whatever the capitals."""
    return one.strip().casefold() == other.strip().casefold()


def address_check(email: str) -> int:
    """Return a number below 256 that follows from an e-mail address.

    It is too small to tell whose address it is, and shows, 255 times of 256, that an address is another one.
    """
    return sha256(email.strip().casefold().encode()).digest()[0]
