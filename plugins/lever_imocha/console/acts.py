"""What can be asked for, about one person or about all who have the same problem, and what will then happen."""

from __future__ import annotations

from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger.overview import Person
from lever_imocha.ledger.values import Act

LABELS = {
    Act.LOOK_AGAIN: "Look again now",
    Act.RELEASE: "Invite above the limit",
    Act.DROP: "Do not invite",
    Act.SEND_AGAIN: "Send the e-mail again",
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
    Act.REPLAY: "A run does what this delivery asked for as if it had come now: it reads the candidate, or the report, and"
    " does what is not done yet.",
}
REPLAY = {"act": Act.REPLAY, "label": LABELS[Act.REPLAY], "will": _WILL[Act.REPLAY]}
_LIMITS = (Reason.LIMIT, Reason.PER_CANDIDATE)
_NOT_BEGUN = {AttemptStatus.PENDING, AttemptStatus.UNKNOWN, AttemptStatus.EXPIRED, AttemptStatus.CANCELLED}


def offered(person: Person) -> dict[Act, str]:
    """Return what can be asked for about somebody now, with what will happen."""
    acts = [Act.LOOK_AGAIN]
    if person.decision == Action.HOLD and person.reason in _LIMITS:
        acts += [Act.RELEASE, Act.DROP]
    if any(test.status in _NOT_BEGUN for test in person.tests):
        acts.append(Act.SEND_AGAIN)
    return {act: _WILL[act] for act in acts}


def offered_for_all(why: str) -> dict[Act, str]:
    """Return what can be asked for about all who are held, or whose work fails, for one reason."""
    acts = [Act.LOOK_AGAIN, *((Act.RELEASE, Act.DROP) if why in _LIMITS else ())]
    return {act: _WILL[act] for act in acts}
