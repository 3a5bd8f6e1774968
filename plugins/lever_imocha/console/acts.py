"""What can be asked for, about one person or about all who have the same problem, and what will then happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lever_imocha.domain.acts import Act, is_possible
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus, read_status
from lever_imocha.ledger.overview.people import Person

LABELS = {
    Act.LOOK_AGAIN: "Look again now",
    Act.RELEASE: "Invite above the limit",
    Act.DROP: "Do not invite",
    Act.SEND_AGAIN: "Send the e-mail again",
    Act.CANCEL: "Cancel the invitation",
    Act.EXTEND: "Extend the window",
    Act.CORRECT_ADDRESS: "Invite at the corrected address",
    Act.REATTEMPT: "Give another attempt",
    Act.WRITE_AGAIN: "Write the report again",
    Act.REPLAY: "Do it again",
}
_WILL = {
    Act.LOOK_AGAIN: "A run reads the candidate in Lever now, decides what is undecided, and does all work that waits or is"
    " parked. Nobody is sent an e-mail who would not be sent one anyway.",
    Act.RELEASE: "A run invites the candidate although a limit of e-mails is reached, unless something else is in the way."
    " The candidate gets an e-mail.",
    Act.DROP: "The candidate is not invited for this stay in the stage; who is moved in again is.",
    Act.SEND_AGAIN: "A run asks iMocha to send the invitation again, with a new window. It does nothing if the candidate has"
    " begun, or has left the stage; the limits of e-mails hold.",
    Act.CANCEL: "A run cancels the open invitation at iMocha, also for another opportunity of the same person; it does"
    " nothing if the candidate has begun. No sweep invites again: that takes a new move into the stage, or Send the e-mail"
    " again. Whether iMocha writes to the candidate is not known.",
    Act.EXTEND: "A run gives the open invitation the window that a new one would have, from now on. The candidate gets no"
    " e-mail; the link that they have stays good.",
    Act.CORRECT_ADDRESS: "A run cancels the open invitation and invites at the address that Lever shows now; the candidate"
    " gets an e-mail. It does nothing if the candidate has begun, or iMocha says that the invitation went to this address;"
    " the limits of e-mails hold.",
    Act.REATTEMPT: "A run asks iMocha for another attempt, as a move into the stage does where the rule says retake:"
    " reattempt. The candidate gets an e-mail; the limits of e-mails hold. The report of the first attempt stays in Lever.",
    Act.WRITE_AGAIN: "A run reads the report at iMocha again. If the result is another one than in the form in Lever, a new"
    " form and a new file are added, and the form says that it is corrected; else nothing is written. The stage stays.",
    Act.REPLAY: "A run does what this delivery asked for as if it had come now: it reads the candidate, or the report, and"
    " does what is not done yet.",
}
REPLAY = {"act": Act.REPLAY, "test_id": None, "label": LABELS[Act.REPLAY], "will": _WILL[Act.REPLAY]}
_LIMITS = (Reason.LIMIT, Reason.PER_CANDIDATE)
_NOT_BEGUN = {AttemptStatus.PENDING, AttemptStatus.UNKNOWN, AttemptStatus.EXPIRED, AttemptStatus.CANCELLED}


@dataclass(frozen=True)
class Offer:
    """An act that can be asked for now.

    :param test_id: the test that it is about, if it is about one.
    """

    act: Act
    test_id: int | None = None

    @property
    def will(self) -> str:
        """What will then happen."""
        return _WILL[self.act]


def offered(person: Person) -> Iterator[Offer]:
    """Return what can be asked for about somebody now."""
    yield Offer(Act.LOOK_AGAIN)
    if person.decision == Action.HOLD and person.reason in _LIMITS:
        yield from (Offer(Act.RELEASE), Offer(Act.DROP))
    if sent_again(person):
        yield Offer(Act.SEND_AGAIN)
    for test in person.tests:
        status = read_status(test.status) if test.status else None
        for act in Act:
            if act.is_of_test and is_possible(act, status, written=test.written_at is not None):
                yield Offer(act, test.test_id)


def sent_again(person: Person) -> list[int]:
    """Return the tests whose invitations *Send the e-mail again* sends."""
    return [test.test_id for test in person.tests if test.status in _NOT_BEGUN]


def offered_for_all(why: str) -> list[Offer]:
    """Return what can be asked for about all who are held, or whose work fails, for one reason."""
    return [Offer(act) for act in (Act.LOOK_AGAIN, *((Act.RELEASE, Act.DROP) if why in _LIMITS else ()))]


def offered_for_listed(test_id: int | None) -> list[Offer]:
    """Return what can be asked for about all whom a filter lists.

    :param test_id: the one test that the filter names.
    """
    of_test = [] if test_id is None else [Offer(Act.CANCEL, test_id), Offer(Act.EXTEND, test_id)]
    return [Offer(Act.LOOK_AGAIN), Offer(Act.SEND_AGAIN), *of_test]
