"""Evidence: every event is linked to the one before, whoever writes it, and what is changed or missing is named."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest
from lever_imocha.domain.acts import Act
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.ledger import __main__ as command_line
from lever_imocha.ledger.base import Author
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery, Work
from sqlalchemy import text

from tests.ledger.conftest import NOW, Clock
from tests.ledger.test_erasure import BIG, DAY, arrival, invite, write

RUN = Author(run="lever_imocha_invite/scheduled__1", task="invite/3")


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Ledger:
    return Ledger(engine=engine_for(ledger_url), clock=clock, author=RUN)


def evidence(ledger: Ledger, opportunity_id: str = "ann-1") -> dict[str, Any]:
    found = ledger.evidence.of(opportunity_id)
    assert found is not None
    return found


def verdicts(ledger: Ledger, opportunity_id: str = "ann-1") -> dict[str, Any]:
    return {chain["about"]: chain["broken_at"] for chain in evidence(ledger, opportunity_id)["chains"]}


def change(ledger: Ledger, statement: str) -> None:
    with ledger.transaction() as connection:
        assert connection.execute(text(statement)).rowcount


def test_a_whole_story_is_unbroken_and_anybody_can_verify_it(ledger: Ledger) -> None:
    invite(ledger, "ann-1", 7)
    write(ledger, "ann-1", 7)
    found = evidence(ledger)
    assert verdicts(ledger) == {"ann-1": None, "invitation 7": None}
    assert found["chains"][0]["says"] == "unbroken since 2026-07-02 00:00 UTC, 3 events"
    for chain in found["chains"]:
        linked = sorted(
            (one for one in found["events"] if one["chain"] == chain["about"]), key=lambda one: one["number"]
        )
        digests = [sha256(one["content"].encode()).digest() for one in linked]
        hashes = [bytes.fromhex(one["hash"]) for one in linked]
        assert hashes[0] == digests[0]
        assert [sha256(before + own).digest() for before, own in zip(hashes, digests[1:], strict=False)] == hashes[1:]
        assert hashes[-1].hex() == chain["hash"]
    assert "Ann Example" not in json.dumps(found)


def test_it_says_what_a_decision_rested_on_and_which_run_made_it(ledger: Ledger) -> None:
    told = NewDelivery(vendor="lever", key="1", event="candidateStageChange", opportunity_id="ann-1")
    ledger.deliveries.record(told)
    ledger.entries.record([arrival("ann-1")], seen_by="read")
    (entry,) = ledger.entries.pending("ann-1")
    ledger.entries.decide(entry.id, decision=Action.HOLD, reason=Reason.NO_EMAIL, eligibility="no e-mail address")
    (held,) = (one for one in evidence(ledger)["events"] if one["kind"] == "held")
    assert (held["run"], held["task"], held["source"]) == (RUN.run, RUN.task, "workflow")
    assert held["facts"]["facts"]["origin"] == "referred"
    assert held["facts"] | {"facts": None} == {
        "stage_id": "trigger", "first_seen_by": "read", "rests_on": "no e-mail address",
        "facts": None, "entered_at": "2026-07-02T00:00:00.000000Z", "webhook_at": "2026-07-02T00:00:00.000000Z",
    }  # fmt: skip
    assert json.loads(held["content"])[:3] == ["2026-07-02T00:00:00.000000Z", "held", "ann-1"]


def test_what_a_person_asked_for_is_linked_with_who_and_why(ledger: Ledger) -> None:
    ledger.requests.add(Act.LOOK_AGAIN, {"ann-1": "on hold", "ben-2": "on hold"}, reason="it is there", actor="eve")
    (request,) = ledger.requests.begin("ann-1", Work.REQUEST)
    ledger.requests.finish(request, outcome="looked")
    told = [(one["kind"], one["source"], one["actor"], one["run"], one["detail"]) for one in evidence(ledger)["events"]]
    assert told == [
        ("asked_look_again", "console", "eve", None, "it is there"),
        ("done_look_again", "workflow", "eve", RUN.run, "looked"),
    ]
    assert verdicts(ledger) == {"ann-1": None}


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE lever_imocha.events SET detail = 'no' WHERE number = 2 AND opportunity_id IS NOT NULL", 2),
        ("UPDATE lever_imocha.events SET at = at + interval '1 s' WHERE number = 1", 1),
        ("UPDATE lever_imocha.events SET actor = 'bob' WHERE number = 3", 3),
        ("DELETE FROM lever_imocha.events WHERE kind = 'invited'", 1),
        ("DELETE FROM lever_imocha.events WHERE kind = 'form_done'", 3),
        ("DELETE FROM lever_imocha.events WHERE opportunity_id = 'ann-1'", 1),
        ("DELETE FROM lever_imocha.event_chains", 1),
        ("INSERT INTO lever_imocha.events (at, kind, opportunity_id) VALUES (now(), 'held', 'ann-1')", 4),
    ],
)
def test_a_later_change_shows_at_the_first_event_concerned(ledger: Ledger, statement: str, broken_at: int) -> None:
    invite(ledger, "ann-1", 7)
    write(ledger, "ann-1", 7)
    change(ledger, statement)
    assert verdicts(ledger)["ann-1"] == broken_at


def test_events_from_before_there_were_links_are_told_as_such(ledger: Ledger) -> None:
    change(ledger, "INSERT INTO lever_imocha.events (at, kind, opportunity_id) VALUES (now(), 'held', 'ann-1')")
    assert evidence(ledger)["chains"][0]["says"] == "no event is linked; 1 are from before events were linked"
    ledger.events.record("invited", opportunity_id="ann-1")
    assert evidence(ledger)["chains"][0]["says"].endswith("1 event; 1 are from before events were linked")


def test_workers_at_once_make_one_chain_in_the_order_of_its_events(ledger: Ledger) -> None:
    def work(number: int) -> None:
        with ledger.transaction():
            ledger.events.record(f"of {number}", opportunity_id="ann-1")

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(work, range(60)))
    assert verdicts(ledger) == {"ann-1": None}
    with ledger.transaction() as connection:
        numbers = list(connection.execute(text("SELECT number FROM lever_imocha.events ORDER BY id")).scalars())
    assert numbers == list(range(1, 61))


def test_age_takes_events_away_and_the_rest_can_be_verified(ledger: Ledger, clock: Clock) -> None:
    invite(ledger, "ann-1", 7)
    clock.now += 100 * DAY
    write(ledger, "ann-1", 7)
    assert ledger.erasure.remove_events(before=NOW + DAY, limit=BIG) == 2
    found = evidence(ledger)["chains"][0]
    assert found["says"] == "unbroken since 2026-10-10 00:00 UTC, 1 event; 2 were removed because of their age"
    change(ledger, "UPDATE lever_imocha.events SET detail = 'form-2' WHERE kind = 'form_done'")
    assert verdicts(ledger)["ann-1"] == 3


def test_of_who_is_forgotten_nothing_is_known(ledger: Ledger) -> None:
    invite(ledger, "ann-1", 7)
    write(ledger, "ann-1", 7)
    ledger.erasure.forget("ann-1")
    assert ledger.evidence.of("ann-1") is None
    ledger.events.record("x", opportunity_id="ann-1")
    assert verdicts(ledger) == {"ann-1": None}, "a new chain, from its first event on"


def test_the_command_prints_evidence_and_fails_for_who_is_unknown(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    invite(ledger, "ann-1", 7)
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
    for opportunity_id, expected in (("ann-1", 0), ("nobody", 1)):
        monkeypatch.setattr(sys, "argv", ["ledger", "evidence", opportunity_id])
        assert command_line.main() == expected
    said = capsys.readouterr()
    assert json.loads(said.out)["events"] == evidence(ledger)["events"]
    assert "Nothing is known of this id" in said.err


def test_what_is_done_by_command_is_told_with_who_typed_it(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.queue.enqueue(["ann-1"], Work.INVITE)
    item = ledger.queue.claim("ann-1", [Work.INVITE], worker="w")[Work.INVITE]
    ledger.queue.put_off(item, error="VendorDownError", not_before=None)
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
    monkeypatch.setenv("LOGNAME", "olga")
    monkeypatch.setattr(sys, "argv", ["ledger", "release", "ann-1", "nobody"])
    assert command_line.main() == 0
    (released,) = evidence(ledger)["events"]
    assert (released["kind"], released["source"], released["actor"]) == ("released", "command", "olga")
    assert ledger.evidence.of("nobody") is None


def test_a_status_that_a_sweep_reads_is_linked_for_the_invitation(ledger: Ledger) -> None:
    invite(ledger, "ann-1", 7)
    invite(ledger, "ben-2", 8)
    for status in (AttemptStatus.IN_PROGRESS, AttemptStatus.COMPLETE):
        assert ledger.invitations.set_status({8: status, 7: status}) == [7, 8]
    assert verdicts(ledger)["invitation 7"] is None
    kinds = [one["kind"] for one in evidence(ledger)["events"] if one["chain"] == "invitation 7"]
    assert kinds == ["status_in_progress", "status_complete"]


def test_a_status_says_when_imocha_called_back(ledger: Ledger) -> None:
    invite(ledger, "ann-1", 7)
    write(ledger, "ann-1", 7)
    (complete,) = (one for one in evidence(ledger)["events"] if one["kind"] == "status_complete")
    assert complete["facts"] == {"callback_at": "2026-07-02T00:00:00.000000Z"}
