"""The receivers over HTTP, with a real ledger behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from lever_imocha.domain.decisions import Action
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import RuleKey
from lever_imocha.domain.signatures import callback_token, lever_signature
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import CANDIDATE_WORK, NewEntry, Work
from lever_imocha.webhooks.app import MAX_BODY, create_app
from lever_imocha.webhooks.context import ReceiverContext

from include.sandbox.server import serve
from tests.support import AppServer

KEYS = ["81358960e95ed76bf1def200692c2f95", "another"]
SECRET = "callback-secret"
INVITATION = 3314697

RULE = RuleKey(trigger_stage_id="lead-new", completed_stage_id="done", form_template="t")


def now_ms(shift: float = 0) -> int:
    return int((time.time() + shift) * 1000)


def delivery(key: str = KEYS[0], **given: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "triggeredAt": now_ms(),
        "event": "candidateStageChange",
        "data": {"opportunityId": "op", "toStageId": "lead-new"},
        "token": "be58f711f349",
    } | given
    return body | {"signature": lever_signature(key, str(body["token"]), body["triggeredAt"])}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[AppServer, str]]:
    receiver = AppServer()
    with serve(receiver) as address:
        yield receiver, address


@pytest.fixture
def url(ledger: Ledger, server: tuple[AppServer, str]) -> str:
    ledger.entries.record(
        [NewEntry(opportunity_id="op", stage_id="s", entered_at=datetime.now(UTC), eligibility="")], seen_by="sweep"
    )
    (entry,) = ledger.entries.pending("op")
    item = ledger.queue.claim("op", [Work.INVITE], worker="w")[Work.INVITE]
    number = ledger.assessments.intend(101, item, entry_id=entry.id, rule_key=RULE)
    ledger.invitations.record(
        number, invitation_id=INVITATION, test_id=101, status=AttemptStatus.PENDING, entry_id=entry.id, refreshed=False
    )
    ledger.entries.decide(entry.id, decision=Action.INVITE)
    ledger.queue.finish(item)
    desk = ReceiverContext(ledger=ledger, webhook_tokens=KEYS, callback_secret=SECRET)
    receiver, address = server
    receiver.app = create_app(lambda: desk)
    return f"{address}/webhooks"


def post(url: str, body: Any) -> requests.Response:
    data = body if isinstance(body, bytes) else None
    return requests.post(url, json=None if data is not None else body, data=data, timeout=10)


@pytest.mark.parametrize("key", KEYS)
def test_a_signed_delivery_is_kept_and_waits(url: str, ledger: Ledger, key: str) -> None:
    assert post(f"{url}/lever", delivery(key)).status_code == 200
    assert ledger.queue.due(CANDIDATE_WORK) == ["op"]


def test_a_replayed_token_is_refused_whatever_it_says(url: str, ledger: Ledger) -> None:
    post(f"{url}/lever", delivery())
    assert post(f"{url}/lever", delivery(data={"opportunityId": "other"})).status_code == 409
    assert ledger.queue.due(CANDIDATE_WORK) == ["op"]


@pytest.mark.parametrize(
    "forged",
    [
        delivery("wrong key"),
        delivery() | {"signature": "x"},
        delivery() | {"signature": "é"},
        delivery() | {"token": "changed"},
        {key: value for key, value in delivery().items() if key != "signature"},
    ],
)
def test_a_delivery_lever_did_not_sign_is_refused(url: str, ledger: Ledger, forged: dict[str, Any]) -> None:
    assert post(f"{url}/lever", forged).status_code == 401
    assert ledger.queue.due(list(Work)) == []


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"a": ' * 5000,
        delivery() | {"triggeredAt": "yesterday"},
        delivery() | {"triggeredAt": 1.5},
        delivery() | {"triggeredAt": 10**40},
        delivery() | {"token": ""},
        delivery() | {"token": 5},
        delivery() | {"event": None},
        delivery() | {"data": "op"},
        delivery(data={"toStageId": "lead-new"}),
        delivery(data={"opportunityId": ""}),
        delivery(data={"opportunityId": "a\x00b"}),
        delivery(data={"opportunityId": 7}),
        delivery(data={"opportunityId": "op\n"}),
        delivery(token="a\x00b"),
        delivery(token="a\n"),
        delivery(event="a\n"),
        delivery(triggeredAt=2**50 - 1),
        delivery(triggeredAt=now_ms(-48 * 3600)),
        delivery(triggeredAt=now_ms(3600)),
    ],
)
def test_what_is_malformed_or_too_old_is_refused(url: str, ledger: Ledger, malformed: Any) -> None:
    assert post(f"{url}/lever", malformed).status_code == 400
    assert ledger.queue.due(list(Work)) == []


def test_a_late_retry_is_taken_and_a_large_body_is_not(url: str) -> None:
    assert post(f"{url}/lever", delivery(triggeredAt=now_ms(-12 * 3600))).status_code == 200
    assert post(f"{url}/lever", b"x" * (MAX_BODY + 1)).status_code == 413


def test_a_test_request_and_other_events_ask_for_nothing(url: str, ledger: Ledger) -> None:
    assert post(f"{url}/lever", delivery(data={})).status_code == 200
    assert post(f"{url}/lever", delivery(event="contactUpdated", data={"contactId": "c"})).status_code == 200
    assert post(f"{url}/lever", delivery(event="contactUpdated", data={"contactId": "c"})).status_code == 409
    assert ledger.queue.due(list(Work)) == []


def test_without_a_signature_token_everything_is_refused(ledger: Ledger, server: tuple[AppServer, str]) -> None:
    receiver, address = server
    receiver.app = create_app(lambda: ReceiverContext(ledger=ledger))
    answer = post(f"{address}/webhooks/lever", delivery())
    assert (answer.status_code, "webhook_tokens" in answer.text) == (401, True)
    assert post(f"{address}/webhooks/imocha/1-x", {}).status_code == 404


def test_a_failing_database_asks_for_the_delivery_again() -> None:
    broken = ReceiverContext(ledger=Ledger(engine=engine_for("postgresql://u@127.0.0.1:1/x")), webhook_tokens=KEYS)
    with serve(create_app(lambda: broken)) as address:
        assert post(f"{address}/webhooks/lever", delivery()).status_code == 503


def callback(status: str, **given: Any) -> dict[str, Any]:
    return {"TestInvitationId": INVITATION, "Status": status, "AttemptedOnUtc": "2020-10-09T13:21:53"} | given


def test_a_started_attempt_is_recorded_and_an_ended_one_waits(url: str, ledger: Ledger) -> None:
    address = f"{url}/imocha/{callback_token(1, SECRET)}"
    assert post(address, callback("In Progress")).status_code == 200
    assert ledger.invitations.status(INVITATION) == "in_progress"
    assert ledger.queue.due([Work.WRITE_BACK]) == []
    for _ in range(2):
        assert post(address, callback("Test Left", CandidateEmailId="a@example.com")).status_code == 200
    assert ledger.queue.due([Work.WRITE_BACK]) == ["op"]
    assert ledger.invitations.status(INVITATION) == "in_progress"


@pytest.mark.parametrize("token", ["1-", "1", "x-y", "²-y", "-", "9" * 30 + "-a", callback_token(1, "other secret")])
def test_a_callback_to_an_address_we_never_gave_is_refused(url: str, ledger: Ledger, token: str) -> None:
    assert post(f"{url}/imocha/{token}", callback("Complete")).status_code == 404
    assert ledger.queue.due([Work.WRITE_BACK]) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (callback("Complete", TestInvitationId=1), 404),
        (callback("Complete", TestInvitationId=10**30), 400),
        (callback("Complete", TestInvitationId="one"), 400),
        ({"TestInvitationId": INVITATION}, 400),
        ([], 400),
        (b"no", 400),
    ],
)
def test_a_callback_about_nobody_is_refused(url: str, ledger: Ledger, body: Any, status: int) -> None:
    assert post(f"{url}/imocha/{callback_token(1, SECRET)}", body).status_code == status
    assert ledger.queue.due([Work.WRITE_BACK]) == []
