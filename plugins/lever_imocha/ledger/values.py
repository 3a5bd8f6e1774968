"""What goes into the ledger and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lever_imocha.domain.acts import Act
from lever_imocha.domain.arrivals import ArrivalFacts
from lever_imocha.domain.decisions import Action, Departure, Outcome, OverLimit, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import RuleKey


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """An opportunity's arrival in a stage, as just read from Lever.

    :param facts: what the decision about it rests on, see `ArrivalFacts`.
    :param settings_version: see `Situation.settings_version`; None leaves it as it was.
    """

    opportunity_id: str
    stage_id: str
    entered_at: datetime
    eligibility: str
    name: str | None = None
    facts: ArrivalFacts | None = None
    settings_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """A recorded arrival; the last decision about it is None while there was none.

    :param pending_since: since when it waits for its decision, or has waited; another time when it is to be decided again.
    :param detail: what the reason is about: the tag in question.
    :param over_limit: what a person said when a limit held it.
    :param decided_at: None while it waits for a decision.
    :param eligibility: what the last decision rested on, see `Situation.eligibility`.
    :param settings_version: the last version of the settings that asked for nothing new of it; None for none that is known.
    """

    id: int
    opportunity_id: str
    stage_id: str
    entered_at: datetime
    pending_since: datetime
    decision: Action | None
    reason: Reason | None
    detail: str
    over_limit: OverLimit | None
    decided_at: datetime | None
    eligibility: str | None
    settings_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What was decided about an arrival, on which facts; of arrivals of before these were kept, there are none."""

    opportunity_id: str
    stage_id: str
    outcome: Outcome
    facts: ArrivalFacts | None


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One test that one opportunity is to take, with its invitation's status where there is one.

    :param mails_tried: e-mails asked for whose invite was not answered: each may have been sent, or not.
    :param expires_at: until when the invitation can be used; None when this is not known.
    :param link_id: the test link of the last invite; None for the Default link.
    :param address_check: see `domain.acts.address_check`, of the invited address; None for invitations from before it was kept.
    :param adopted: the attempt had ended before the ledger first heard of its invitation.
    """

    id: int
    opportunity_id: str
    test_id: int
    entry_id: int
    trigger_stage_id: str
    completed_stage_id: str
    form_template: str
    invitation_id: int | None
    intended_at: datetime | None
    link_id: int | None
    address_check: int | None
    mails_tried: int
    handled_entry_id: int | None
    left_as: Departure | None
    written_at: datetime | None
    called_back_at: datetime | None
    status: AttemptStatus | None
    adopted: bool
    ended_at: datetime | None
    expires_at: datetime | None

    @property
    def rule_key(self) -> RuleKey:
        """The rule it was begun under."""
        return RuleKey(
            trigger_stage_id=self.trigger_stage_id,
            completed_stage_id=self.completed_stage_id,
            form_template=self.form_template,
        )


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """What a vendor sent us: a hint, never more. `key` is the same for the same delivery sent again.

    :param vendor: ``lever`` or ``imocha``.
    :param to_stage_id: where a stage change led to.
    :param handled: nothing is to be done about it.
    """

    vendor: str
    key: str
    event: str
    opportunity_id: str | None = None
    invitation_id: int | None = None
    to_stage_id: str | None = None
    handled: bool = False


@dataclass(frozen=True, kw_only=True)
class MailCounts:
    """How many e-mails were sent: to all in the last hour, to one candidate in the last seven days."""

    last_hour: int
    to_candidate: int


@dataclass(frozen=True, kw_only=True)
class Activation:
    """How far the work has come about those who were in a trigger stage before the activation.

    :param sent: to them, or adopted.
    :param waiting: for their turn (`limits.per_hour`).
    """

    sent: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.sent} of {self.sent + self.waiting} are invited or adopted; {self.waiting} wait for their turn"


class Work(StrEnum):
    """The kinds of work about an opportunity."""

    INVITE = "invite"
    """Read it, decide about its stage entries, and invite."""
    CANCEL = "cancel"
    """It has left: cancel its open invitations; forget it if it was deleted."""
    STATUS = "status"
    """Show in Lever how it stands: the status tag, and the note."""
    WRITE_BACK = "write_back"
    """Write its ended attempts back."""
    MASK = "mask"
    """It was deleted: have iMocha mask its attempts. It waits first, and nothing shortens this: a person may stop it."""
    REQUEST = "request"
    """Do what a person has asked for on the console."""
    WRITE_AGAIN = "write_again"
    """Read reports again that a person has asked for, and write those again that say something else."""


CANDIDATE_WORK = (Work.INVITE, Work.CANCEL, Work.STATUS, Work.MASK, Work.REQUEST)
"""What one read of the opportunity is enough for: the work of the DAG that invites."""

WRITE_BACK_WORK = (Work.WRITE_BACK, Work.WRITE_AGAIN)
"""The work of the DAG that writes back."""

WORK_OF_VENDOR = {"lever": CANDIDATE_WORK, "imocha": WRITE_BACK_WORK}
"""What a vendor's deliveries ask for; the first of its kinds is enqueued."""


def work_of(act: Act) -> Work:
    """Return the kind of work that an act asks for."""
    return Work.WRITE_AGAIN if act is Act.WRITE_AGAIN else Work.REQUEST


@dataclass(frozen=True, kw_only=True)
class WorkItem:
    """A claimed work item.

    :param worker: who holds it.
    :param version: as it was claimed; it grows when more of the same work is enqueued.
    :param tries: how often it failed in a row.
    :param error: the name of what went wrong last.
    """

    opportunity_id: str
    kind: Work
    worker: str
    version: int
    tries: int
    error: str | None
    queued_at: datetime


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asked for.

    :param reason: in the person's words.
    :param actor: who asked: the user's name in Airflow.
    :param shown: what the console showed when it was asked, in its own words.
    :param test_id: the test it is about, if it is about one.
    :param begun_at: when its turn came first.
    :param delivery_id: the delivery that is done again.
    """

    id: int
    act: Act
    opportunity_id: str
    test_id: int | None
    reason: str
    actor: str
    shown: str
    asked_at: datetime
    delivery_id: int | None = None
    begun_at: datetime


@dataclass(frozen=True, kw_only=True)
class BulkRequest:
    """What a person asked for about many at once, and how far it is.

    :param about: which group it was, in words.
    :param asked: about how many; who is forgotten is counted no more.
    :param done: how many of them are done, or were withdrawn.
    :param withdrawn: how many were withdrawn when a person stopped it.
    :param left: how many are still to be done.
    :param outcomes: what came of those that are done, with how many each.
    :param stopped_by: who has stopped it.
    """

    id: int
    act: Act
    about: str
    reason: str
    actor: str
    asked_at: datetime
    asked: int
    done: int
    withdrawn: int
    left: int
    outcomes: dict[str, int]
    stopped_at: datetime | None
    stopped_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether something of it is still to be done."""
        return self.left > 0


@dataclass(frozen=True, kw_only=True)
class QueuedWork:
    """A work item as operators see it."""

    opportunity_id: str
    kind: Work
    queued_at: datetime
    tries: int
    error: str | None
    not_before: datetime | None
    parked_at: datetime | None
    claimed_by: str | None

    def __str__(self) -> str:
        why = f"; failed {self.tries} times, last: {self.error}" if self.error else ""
        if self.parked_at is not None:
            state = f"parked since {self.parked_at:%Y-%m-%d %H:%M} UTC"
        elif self.not_before is not None:
            state = f"waits until {self.not_before:%Y-%m-%d %H:%M} UTC"
        else:
            state = f"claimed by {self.claimed_by}" if self.claimed_by else "due"
        return f"{self.opportunity_id} {self.kind}: {state}, queued {self.queued_at:%Y-%m-%d %H:%M} UTC{why}"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Something made once at a vendor.

    :param subject: what it is about: an invitation or a stay in a stage, as a word that other effects do not have.
    :param step: what is made: ``form``, ``file``, ``note``, ``stage``.
    """

    opportunity_id: str
    subject: str
    step: str

    @classmethod
    def of_invitation(cls, opportunity_id: str, invitation_id: int, step: str, *, revision: int = 1) -> Effect:
        """Return a step of writing back an invitation's attempt.

        :param revision: 1 when it is written back, more when a person has its report written again.
        """
        again = f" revision {revision}" if revision > 1 else ""
        return cls(opportunity_id=opportunity_id, subject=f"invitation {invitation_id}{again}", step=step)


@dataclass(frozen=True, kw_only=True)
class EffectState:
    """What is known of an effect: begun, and done when `done_at` is set.

    :param content: what it says, where it is changed later.
    """

    started_at: datetime
    done_at: datetime | None
    vendor_id: str | None
    content: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of an opportunity's timeline."""

    at: datetime
    kind: str
    test_id: int | None
    invitation_id: int | None
    detail: str | None
