"""Whether the lists agree: who Lever says is in a trigger stage, what iMocha says has ended, and what the ledger knows.

Each record of a vendor's list is judged for itself, by the first row that fits:

==================================================  ===========  ========================================
an arrival that asks for a test                     verdict      because
==================================================  ===========  ========================================
work about it is queued or parked                   explained    the queue
not in the ledger, and came after the last sweep    explained    the next sweep
not in the ledger, everything was removed           explained    retention
not in the ledger                                   healed       an arrival
undecided, and nothing is queued                    healed       lost work
decided, and what that rests on has changed         healed       a change
decided: hold, ignore                               explained    the reason
decided to invite, and each test has an invitation  agrees
decided to invite, and a test has none              unexplained
==================================================  ===========  ========================================

==================================================  ===========  ========================================
an attempt that iMocha lists                        verdict      because
==================================================  ===========  ========================================
its invitation is not in the ledger                 explained    somebody else's, or removed
it has not ended                                    agrees
the ledger does not know that it has ended          healed       an end
its report is in Lever, or a later attempt counts   agrees
its write-back is queued or parked                  explained    the queue
ended, and nothing is queued                        healed       lost work
==================================================  ===========  ========================================
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus


class Verdict(StrEnum):
    """What comes of comparing one record."""

    AGREES = "agrees"
    HEALED = "healed"
    """Nothing told of it: it is queued now."""
    EXPLAINED = "explained"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Judgement:
    """A verdict, and why."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class QueuedFor:
    """Work about an opportunity.

    :param error: why it waits, where it does.
    """

    parked: bool
    error: str | None

    def __str__(self) -> str:
        return f"{'parked' if self.parked else 'queued'}{f': {self.error}' if self.error else ''}"


@dataclass(frozen=True, kw_only=True)
class RecordedArrival:
    """What the ledger knows of an arrival.

    :param recorded: whether it knows it at all.
    :param removed: it is that of somebody who was removed or forgotten, as far as the ledger can tell.
    :param rests_on: see `Situation.eligibility`.
    :param invited: the tests to which the opportunity was invited.
    """

    recorded: bool
    removed: bool
    decided: bool
    decision: Action | None
    reason: Reason | None
    rests_on: str | None
    invited: Collection[int]
    work: QueuedFor | None


@dataclass(frozen=True, kw_only=True)
class RecordedAttempt:
    """What the ledger knows of an invitation.

    :param opportunity_id: of the latest opportunity that it belongs to; None when it belongs to none any more.
    :param current: no later attempt takes its place.
    :param written: its report is in Lever.
    """

    opportunity_id: str | None
    status: AttemptStatus
    current: bool
    written: bool
    work: QueuedFor | None


def judge_arrival(known: RecordedArrival, *, asked: Collection[int], rests_on: str, is_new: bool) -> Judgement:
    """Judge an arrival that Lever lists and that asks for a test.

    :param asked: the active tests that its tags and its rule ask for.
    :param rests_on: what a decision would rest on now.
    :param is_new: it came after the last sweep.
    """
    if known.work is not None:
        return Judgement(Verdict.EXPLAINED, str(known.work))
    if not known.recorded:
        if is_new or known.removed:
            return Judgement(Verdict.EXPLAINED, "came after the last sweep" if is_new else "removed from the ledger")
        return Judgement(Verdict.HEALED, "a missed arrival")
    if not known.decided:
        return Judgement(Verdict.HEALED, "undecided, and nothing was queued")
    if known.rests_on != rests_on:
        return Judgement(Verdict.HEALED, "changed, and not decided again")
    if known.decision in (Action.HOLD, Action.IGNORE):
        return Judgement(Verdict.EXPLAINED, f"{known.decision}: {known.reason}")
    missing = sorted(set(asked) - set(known.invited))
    if missing:
        return Judgement(Verdict.UNEXPLAINED, f"decided to invite, and no invitation to test {missing[0]} is known")
    return Judgement(Verdict.AGREES)


def judge_attempt(known: RecordedAttempt | None, listed: AttemptStatus) -> Judgement:
    """Judge an attempt that iMocha lists.

    :param known: None when the ledger has no such invitation.
    """
    if known is None:
        return Judgement(Verdict.EXPLAINED, "not invited by this ledger, or removed from it")
    if not listed.is_ended:
        return Judgement(Verdict.AGREES)
    if not known.status.is_ended:
        return Judgement(Verdict.HEALED, "a missed end")
    if known.written or not known.current:
        return Judgement(Verdict.AGREES)
    if known.work is not None:
        return Judgement(Verdict.EXPLAINED, str(known.work))
    return Judgement(Verdict.HEALED, "ended, and nothing was queued")
