"""What comes of comparing a record, by everything the ledger can know of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lever_imocha.domain.comparison import (
    QueuedFor,
    RecordedArrival,
    RecordedAttempt,
    Verdict,
    judge_arrival,
    judge_attempt,
)
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus

INVITED = RecordedArrival(
    recorded=True, removed=False, decided=True, decision=Action.INVITE, reason=None, rests_on="tests [101]",
    invited={101}, work=None,
)  # fmt: skip
UNKNOWN = replace(INVITED, recorded=False, decided=False, decision=None, rests_on=None, invited=())
UNDECIDED = replace(INVITED, decided=False, decision=None, invited=())
PARKED = QueuedFor(parked=True, error="RequestRejectedError")
WAITS = QueuedFor(parked=False, error=None)


@pytest.mark.parametrize(
    ("known", "is_new", "verdict", "why"),
    [
        (INVITED, False, Verdict.AGREES, ""),
        (replace(INVITED, decision=Action.REFRESH, invited={101, 102}), False, Verdict.AGREES, ""),
        (UNKNOWN, False, Verdict.HEALED, "a missed arrival"),
        (UNKNOWN, True, Verdict.EXPLAINED, "came after the last sweep"),
        (replace(UNKNOWN, removed=True), False, Verdict.EXPLAINED, "removed from the ledger"),
        (replace(UNKNOWN, work=WAITS), False, Verdict.EXPLAINED, "queued"),
        (replace(INVITED, removed=True), False, Verdict.AGREES, ""),
        (UNDECIDED, False, Verdict.HEALED, "undecided, and nothing was queued"),
        (replace(UNDECIDED, decision=Action.HOLD, reason=Reason.LIMIT, work=WAITS), False, Verdict.EXPLAINED, "queued"),
        (replace(UNDECIDED, work=PARKED), False, Verdict.EXPLAINED, "parked: RequestRejectedError"),
        (replace(INVITED, rests_on="no e-mail"), False, Verdict.HEALED, "changed, and not decided again"),
        (
            replace(INVITED, decision=Action.HOLD, reason=Reason.NO_EMAIL, invited=()),
            False, Verdict.EXPLAINED, "hold: no e-mail address",
        ),
        (
            replace(INVITED, decision=Action.IGNORE, reason=Reason.ALREADY_TAKEN),
            False, Verdict.EXPLAINED, "ignore: already taken",
        ),
        (
            replace(INVITED, invited={102}),
            False, Verdict.UNEXPLAINED, "decided to invite, and no invitation to test 101 is known",
        ),
    ],
)  # fmt: skip
def test_the_verdict_on_an_arrival(known: RecordedArrival, is_new: bool, verdict: Verdict, why: str) -> None:
    judged = judge_arrival(known, asked=[101], rests_on="tests [101]", is_new=is_new)
    assert (judged.verdict, judged.why) == (verdict, why)


WRITTEN = RecordedAttempt(
    opportunity_id="o", status=AttemptStatus.COMPLETE, current=True, written=True, work=None
)  # fmt: skip


@pytest.mark.parametrize(
    ("known", "listed", "verdict", "why"),
    [
        (WRITTEN, AttemptStatus.COMPLETE, Verdict.AGREES, ""),
        (None, AttemptStatus.COMPLETE, Verdict.EXPLAINED, "not invited by this ledger, or removed from it"),
        (replace(WRITTEN, status=AttemptStatus.PENDING), AttemptStatus.IN_PROGRESS, Verdict.AGREES, ""),
        (replace(WRITTEN, status=AttemptStatus.PENDING), AttemptStatus.UNKNOWN, Verdict.AGREES, ""),
        (
            replace(WRITTEN, status=AttemptStatus.EXPIRED, written=False),
            AttemptStatus.TEST_LEFT, Verdict.HEALED, "a missed end",
        ),
        (replace(WRITTEN, current=False, written=False), AttemptStatus.COMPLETE, Verdict.AGREES, ""),
        (replace(WRITTEN, written=False, work=PARKED), AttemptStatus.COMPLETE, Verdict.EXPLAINED, str(PARKED)),
        (replace(WRITTEN, written=False), AttemptStatus.COMPLETE, Verdict.HEALED, "ended, and nothing was queued"),
    ],
)  # fmt: skip
def test_the_verdict_on_an_attempt(
    known: RecordedAttempt | None, listed: AttemptStatus, verdict: Verdict, why: str
) -> None:
    judged = judge_attempt(known, listed)
    assert (judged.verdict, judged.why) == (verdict, why)
