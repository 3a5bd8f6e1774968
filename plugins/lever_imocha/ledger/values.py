"""What goes into the ledger and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.rules import RuleKey

ENDED = ("complete", "test_left", "terminated")


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """An opportunity's arrival in a stage, as just read from Lever."""

    opportunity_id: str
    stage_id: str
    entered_at: datetime
    eligibility: str
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """A recorded arrival; the last decision about it is None while there was none.

    :param detail: what the reason is about: the tag in question.
    """

    id: int
    opportunity_id: str
    stage_id: str
    entered_at: datetime
    decision: Action | None
    reason: Reason | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One test that one opportunity is to take, with its invitation's status where there is one.

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
    handled_entry_id: int | None
    written_at: datetime | None
    tries: int
    status: str | None
    adopted: bool
    ended_at: datetime | None

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
    """What a vendor told us: a hint, never more. `key` is the same for the same delivery sent again.

    :param vendor: ``lever`` or ``imocha``.
    :param handled: nothing is to be done about it.
    """

    vendor: str
    key: str
    event: str
    opportunity_id: str | None = None
    invitation_id: int | None = None
    handled: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something made in Lever once: begun, and done when `done_at` is set."""

    started_at: datetime
    done_at: datetime | None
    vendor_id: str | None
