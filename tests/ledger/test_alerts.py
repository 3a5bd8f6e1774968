"""What waits too long, and what was told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.rules import RuleKey
from lever_imocha.ledger.alerts import AlertLog
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewEntry

NOW = datetime(2026, 7, 2, tzinfo=UTC)
WAIT = timedelta(minutes=15)


class Clock:
    """A time that tests move."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


RULE = RuleKey(trigger_stage_id="lead-new", completed_stage_id="done", form_template="t")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Ledger:
    return Ledger(engine=engine_for(ledger_url), clock=clock)


@pytest.fixture
def register(ledger_url: str, clock: Clock) -> AlertLog:
    return AlertLog(engine=engine_for(ledger_url), clock=clock)


def arrive(ledger: Ledger, eligibility: str = "tests [1]") -> None:
    entry = NewEntry(opportunity_id="op", stage_id="s", entered_at=NOW - timedelta(days=30), eligibility=eligibility)
    ledger.entries.record([entry], seen_by="sweep")


def overdue(register: AlertLog) -> list[str]:
    return [item.key for item in register.overdue(entries=WAIT, reports=WAIT)]


def test_an_entry_waits_from_when_it_became_undecided(ledger: Ledger, register: AlertLog, clock: Clock) -> None:
    arrive(ledger)
    clock.now += WAIT
    assert overdue(register) == []
    clock.now += timedelta(seconds=1)
    first = overdue(register)
    assert len(first) == 1
    (entry,) = ledger.entries.pending("op")
    ledger.entries.decide(entry.id, decision=Action.HOLD, reason=Reason.NO_EMAIL)
    assert overdue(register) == []
    arrive(ledger, "tests [1, 2]")
    assert overdue(register) == []
    clock.now += 2 * WAIT
    again = overdue(register)
    assert len(again) == 1
    assert again != first


def test_a_report_waits_from_the_end_or_from_the_end_of_the_hold(
    ledger: Ledger, register: AlertLog, clock: Clock
) -> None:
    arrive(ledger)
    (entry,) = ledger.entries.pending("op")
    ledger.claim("op", worker="w")
    assessment = ledger.assessments.intend("op", 1, entry_id=entry.id, rule_key=RULE, worker="w")
    ledger.release("op", worker="w")
    ledger.invitations.record(
        assessment, invitation_id=7, test_id=1, status="pending", entry_id=entry.id, refreshed=False
    )
    ledger.entries.decide(entry.id, decision=Action.INVITE)
    clock.now += 2 * WAIT
    assert overdue(register) == []
    ledger.invitations.set_status({7: "complete"})
    clock.now += 2 * WAIT
    (item,) = register.overdue(entries=WAIT, reports=WAIT)
    assert (item.opportunity_id, item.invitation_id, item.since) == ("op", 7, clock.now - 2 * WAIT)
    ledger.entries.decide(entry.id, decision=Action.IGNORE)
    assert overdue(register) == []
    clock.now += 2 * WAIT
    assert len(overdue(register)) == 1
    ledger.finish_write_back(assessment)
    assert overdue(register) == []


def test_news_is_told_once_or_once_in_a_while(register: AlertLog, clock: Clock) -> None:
    assert register.claim(["a", "b", "a"]) == {"a", "b"}
    assert register.claim(["a", "c"]) == {"c"}
    assert register.claim([]) == set()
    assert register.claim(["a"], repeat=WAIT) == set()
    clock.now += WAIT + timedelta(seconds=1)
    assert register.claim(["a"]) == set()
    assert register.claim(["a"], repeat=WAIT) == {"a"}
    register.give_up(["a"])
    assert register.claim(["a"]) == {"a"}
