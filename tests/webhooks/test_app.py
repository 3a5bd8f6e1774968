"""The receivers over HTTP, with a real ledger behind them."""

from __future__ import annotations

import gzip
import json
import logging
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
from lever_imocha.ledger.cache import REFUSED
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import deliveries
from lever_imocha.ledger.values import CANDIDATE_WORK, NewEntry, Work
from lever_imocha.webhooks.app import MAX_BODY, create_app
from lever_imocha.webhooks.context import ReceiverContext
from sqlalchemy import select

from include.sandbox.server import serve
from tests.support import AppServer

KEYS = ["81358960e95ed76bf1def200692c2f95", "another-signature-token"]
SECRET = "the-callback-secret"
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
        number, invitation_id=INVITATION, test_id=101, status=AttemptStatus.PENDING, entry_id=entry.id
    )
    ledger.entries.decide(entry.id, decision=Action.INVITE)
    ledger.queue.finish(item)
    context = ReceiverContext(ledger=ledger, webhook_tokens=KEYS, callback_secret=SECRET)
    receiver, address = server
    receiver.app = create_app(lambda: context)
    return f"{address}/webhooks"


def post(url: str, body: Any) -> requests.Response:
    return requests.post(url, data=body if isinstance(body, bytes) else json.dumps(body), timeout=10)


@pytest.mark.parametrize("key", KEYS)
def test_a_signed_delivery_is_kept_and_waits(url: str, ledger: Ledger, key: str) -> None:
    assert post(f"{url}/lever", delivery(key)).status_code == 200
    assert ledger.queue.due(CANDIDATE_WORK) == ["op"]


def kept(ledger: Ledger) -> list[tuple[Any, ...]]:
    """What is in the ledger of deliveries: vendor, event, opportunity and invitation."""
    c = deliveries.c
    query = select(c.vendor, c.event, c.opportunity_id, c.invitation_id).order_by(c.id)
    with ledger.transaction() as connection:
        rows = connection.execute(query)
        return [tuple(row) for row in rows]


def test_the_same_delivery_again_is_answered_alike_and_kept_once(url: str, ledger: Ledger) -> None:
    answers = [post(f"{url}/lever", delivery()) for _ in range(2)]
    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [
        (200, "received"),
        (200, "received before"),
    ]
    assert kept(ledger) == [("lever", "candidateStageChange", "op", None)]


@pytest.mark.parametrize(
    "first",
    [
        delivery(data={}),
        delivery(),
        delivery(event="contactUpdated"),
        delivery(data={"opportunityId": "a b"}),
        delivery(data="op"),
    ],
)
def test_a_token_counts_once_whatever_came_with_it(url: str, ledger: Ledger, first: dict[str, Any]) -> None:
    post(f"{url}/lever", first)
    before = kept(ledger)
    assert len(before) == 1
    assert post(f"{url}/lever", first | {"data": {"opportunityId": "other"}}).status_code == 200
    assert kept(ledger) == before


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
    kept = ledger.cache.get(f"{REFUSED}.lever") or {}
    assert "the signature is not by any of the configured signature tokens" in kept["why"]
    (refused,) = ledger.traffic.seen(since=datetime.now(UTC)).refused
    assert (refused.vendor, refused.why, refused.count) == ("lever", kept["why"], 1)
    assert ledger.queue.due(list(Work)) == []


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        json.dumps(delivery()).encode("utf-16"),
        json.dumps(delivery()).encode().replace(b"op", b"\xe9"),
        b'{"a": ' * 5000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        gzip.compress(json.dumps(delivery()).encode()),
        json.dumps(delivery()).encode().replace(b'"op"', b'"\\ud800"'),
        delivery() | {"triggeredAt": float("nan")},
        delivery() | {"triggeredAt": float("inf")},
        delivery() | {"triggeredAt": True},
        delivery(data=None),
        delivery(data=[{}]),
        delivery(data={"opportunityId": "../x"}),
        delivery(data={"opportunityId": "x" * 65}),
        delivery(data={"opportunityId": "a b"}),
        delivery(data={"opportunityId": "é"}),
        delivery(data={"opportunityId": float("nan")}),
        delivery(data={"opportunityId": "op", "toStageId": "a\x00"}),
        delivery(data={"opportunityId": "op", "toStageId": 5}),
        delivery() | {"triggeredAt": "yesterday"},
        delivery() | {"triggeredAt": 1.5},
        delivery() | {"triggeredAt": 10**40},
        json.dumps(delivery() | {"triggeredAt": 0}).encode().replace(b" 0,", b" " + b"9" * 20_000 + b","),
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
    ids=lambda _: "body",  # the bodies hold the time, and every process has to call them the same
)
def test_what_is_malformed_or_too_old_is_refused(url: str, ledger: Ledger, malformed: Any) -> None:
    assert post(f"{url}/lever", malformed).status_code == 400
    assert ledger.queue.due(list(Work)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + json.dumps(delivery()).encode(),
        json.dumps(delivery() | {"unknown": float("nan"), "deep": [[[]]], "text": "a\x00"}).encode(),
        json.dumps(delivery()).encode().replace(b"{", b'{"event": "contactUpdated", "data": {}, ', 1),
        json.dumps(delivery(), indent=4).encode(),
    ],
    ids=lambda _: "body",  # the bodies hold the time, and every process has to call them the same
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "x"])
def test_what_is_odd_and_harmless_is_taken(url: str, ledger: Ledger, body: bytes, content_type: str) -> None:
    answer = requests.post(f"{url}/lever", data=body, headers={"Content-Type": content_type}, timeout=10)
    assert answer.status_code == 200
    assert ledger.queue.due(CANDIDATE_WORK) == ["op"]


def test_a_late_retry_is_taken_and_a_large_body_is_not(url: str) -> None:
    assert post(f"{url}/lever", delivery(triggeredAt=now_ms(-12 * 3600))).status_code == 200
    assert post(f"{url}/lever", b"x" * (MAX_BODY + 1)).status_code == 413


def test_a_test_request_and_other_events_ask_for_nothing(url: str, ledger: Ledger) -> None:
    assert post(f"{url}/lever", delivery(data={})).status_code == 200
    other = delivery(event="contactUpdated", data={"contactId": "c"}, token="another")
    assert post(f"{url}/lever", other).status_code == 200
    assert ledger.queue.due(list(Work)) == []
    assert [row[1:] for row in kept(ledger)] == [
        ("candidateStageChange", None, None),
        ("contactUpdated", None, None),
    ]


def test_a_stranger_cannot_tell_what_is_configured(url: str, ledger: Ledger, server: tuple[AppServer, str]) -> None:
    def answers() -> list[tuple[int, str]]:
        return [
            (answer.status_code, answer.text)
            for answer in (
                post(f"{url}/lever", delivery("a wrong key")),
                post(f"{url}/lever", b"{"),
                post(f"{url}/imocha/{callback_token(1, 'another secret')}", callback("Complete")),
                post(f"{url}/imocha/{callback_token(1, 'another secret')}", b"{"),
                post(f"{url}/imocha/1", callback("Complete")),
            )
        ]

    configured = answers()
    unknown = post(f"{url}/imocha/{callback_token(1, SECRET)}", callback("Complete", TestInvitationId=7))
    receiver, _ = server
    receiver.app = create_app(lambda: ReceiverContext(ledger=ledger))
    assert answers() == configured
    assert configured[-1] == (unknown.status_code, unknown.text) == (404, '{"message":"not found"}')


def test_why_everything_is_refused_is_in_the_log(
    ledger: Ledger, server: tuple[AppServer, str], caplog: pytest.LogCaptureFixture
) -> None:
    receiver, address = server
    problems = {"lever": "no signature token", "imocha": "connection imocha_default: callback_secret"}
    receiver.app = create_app(lambda: ReceiverContext(ledger=ledger, problems=problems))
    post(f"{address}/webhooks/lever", delivery())
    post(f"{address}/webhooks/imocha/{callback_token(1, SECRET)}", callback("Complete"))
    assert [problem in caplog.text for problem in problems.values()] == [True, True]


def test_a_failing_database_asks_for_the_delivery_again() -> None:
    broken = ReceiverContext(ledger=Ledger(engine=engine_for("postgresql://u@127.0.0.1:1/x")), webhook_tokens=KEYS)
    with serve(create_app(lambda: broken)) as address:
        assert post(f"{address}/webhooks/lever", delivery()).status_code == 503


def callback(status: str, **given: Any) -> dict[str, Any]:
    return {"TestInvitationId": INVITATION, "Status": status, "AttemptedOnUtc": "2020-10-09T13:21:53"} | given


def test_a_callback_makes_the_attempt_due_and_says_nothing_about_it(url: str, ledger: Ledger) -> None:
    address = f"{url}/imocha/{callback_token(1, SECRET)}"
    for status in ("In Progress", "Test Left"):
        for _ in range(2):
            assert post(address, callback(status, CandidateEmailId="a@example.com")).status_code == 200
    assert kept(ledger) == [
        ("imocha", "in_progress", None, INVITATION),
        ("imocha", "test_left", None, INVITATION),
    ]
    assert ledger.queue.due([Work.WRITE_BACK]) == ["op"]
    assert ledger.invitations.status(INVITATION) == "pending"


def test_endless_different_callbacks_fill_neither_the_ledger_nor_a_log(
    url: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    early = another_assessment(ledger, None)
    for number in range(30):
        odd = callback(f"odd {number}", AttemptedOnUtc=f"2026-01-01T00:00:{number}", More=number)
        assert post(f"{url}/imocha/{callback_token(1, SECRET)}", odd).status_code == 200
        assert post(f"{url}/imocha/{callback_token(early, SECRET)}", odd | {"TestInvitationId": number + 1}).ok
        assert post(f"{url}/lever", delivery(data={"opportunityId": f"op{number}"}, event=f"odd{number}")).ok
    assert set(kept(ledger)) == {
        ("imocha", "unknown", None, INVITATION),
        ("imocha", "unknown", "op2", None),
        ("lever", "odd0", "op0", None),
    }
    assert len(kept(ledger)) == 3
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("lever_imocha")]
    assert lines == ["a callback of iMocha names no status that is known here; the report decides"]


def another_assessment(ledger: Ledger, invitation_id: int | None) -> int:
    """Begin the assessment of another opportunity; without an invitation, its answer is waited for."""
    ledger.entries.record(
        [NewEntry(opportunity_id="op2", stage_id="s", entered_at=datetime.now(UTC), eligibility="")], seen_by="sweep"
    )
    (entry,) = ledger.entries.pending("op2")
    item = ledger.queue.claim("op2", [Work.INVITE], worker="w")[Work.INVITE]
    number = ledger.assessments.intend(101, item, entry_id=entry.id, rule_key=RULE)
    if invitation_id is not None:
        ledger.invitations.record(
            number, invitation_id=invitation_id, test_id=101, status=AttemptStatus.PENDING, entry_id=entry.id
        )
    return number


def test_an_address_counts_for_its_own_assessment_alone(url: str, ledger: Ledger) -> None:
    number = another_assessment(ledger, INVITATION + 1)
    assert post(f"{url}/imocha/{callback_token(number, SECRET)}", callback("Complete")).status_code == 404
    unknown = f"{url}/imocha/{callback_token(number + 1, SECRET)}"
    assert post(unknown, callback("Complete")).status_code == 404
    assert kept(ledger) == []
    own = callback("Complete", TestInvitationId=INVITATION + 1)
    assert post(f"{url}/imocha/{callback_token(number, SECRET)}", own).status_code == 200
    assert ledger.queue.due([Work.WRITE_BACK]) == ["op2"]


def test_a_callback_before_the_answer_to_the_invite_is_kept(url: str, ledger: Ledger) -> None:
    address = f"{url}/imocha/{callback_token(another_assessment(ledger, None), SECRET)}"
    for invitation in (INVITATION + 1, INVITATION + 1, INVITATION):
        assert post(address, callback("Complete", TestInvitationId=invitation)).status_code == 200
    assert kept(ledger) == [("imocha", "complete", "op2", None)]
    assert ledger.queue.due([Work.WRITE_BACK]) == []


@pytest.mark.parametrize(
    "token",
    [
        "1-",
        "1",
        "x-y",
        "²-y",
        "-",
        "9" * 30 + "-a",
        callback_token(1, "other secret"),
        *(callback_token(1, SECRET) + end for end in ("%0A", "x", "-", "/")),
    ],
)
def test_a_callback_to_an_address_we_never_gave_is_refused(url: str, ledger: Ledger, token: str) -> None:
    assert post(f"{url}/imocha/{token}", callback("Complete")).status_code == 404
    assert ledger.queue.due([Work.WRITE_BACK]) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (callback("Complete", TestInvitationId=1), 404),
        (callback("Complete", TestInvitationId=10**30), 400),
        (callback("Complete", TestInvitationId="one"), 400),
        (callback("Complete", TestInvitationId=0), 400),
        (callback("Complete", TestInvitationId=-INVITATION), 400),
        (callback("Complete", TestInvitationId=INVITATION + 0.5), 400),
        (callback("Complete", TestInvitationId=True), 400),
        (callback("Complete", TestInvitationId=f" {INVITATION}"), 400),
        (callback("Complete", TestInvitationId="3_314_697"), 400),
        (callback("Complete", TestInvitationId=float("nan")), 400),
        (callback("Complete", TestInvitationId=float("inf")), 400),
        (callback("Complete", TestInvitationId=2**63), 400),
        (callback("Complete", TestInvitationId="9" * 5000), 400),
        (b'{"Status": "Complete", "TestInvitationId": ' + b"9" * 20_000 + b"}", 400),
        (b"[" * 10_000 + b"]" * 10_000, 400),
        (b'{"TestInvitationId": 3314697, "Status": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400),
        (b'{"TestInvitationId": 3314697, "Status": "\\ud800"}', 400),
        ({"TestInvitationId": INVITATION}, 400),
        ([], 400),
        (b"no", 400),
    ],
)
def test_a_callback_about_nobody_is_refused(url: str, ledger: Ledger, body: Any, status: int) -> None:
    assert post(f"{url}/imocha/{callback_token(1, SECRET)}", body).status_code == status
    assert ledger.queue.due([Work.WRITE_BACK]) == []
