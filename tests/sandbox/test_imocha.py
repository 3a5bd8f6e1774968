"""Point by point: imocha.md 11. The sandbox answers over HTTP; nothing here reads its memory."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.sandbox.conftest import Receiver, Sandbox

ENDS = ["Complete", "Test Left", "Terminated"]
EVER = {"StartDateTime": "2020-01-01T00:00:00Z", "EndDateTime": "2100-01-01T00:00:00Z"}


def swept(sandbox: Sandbox, state: str = "completed", **window: Any) -> list[dict[str, Any]]:
    answer = sandbox.imocha.ok("POST", f"candidates/testattempts?state={state}", EVER | window)
    assert answer["errors"] is None
    rows: list[dict[str, Any]] = answer["result"]["testAttempts"]
    return rows


def ended(sandbox: Sandbox, status: str = "Complete", email: str = "ann@example.com", **given: Any) -> int:
    key = int(sandbox.invite(email)["testInvitationId"])
    sandbox.finish(key, status=status, **given)
    return key


def reattempt(sandbox: Sandbox, key: int, **given: Any) -> requests.Response:
    return sandbox.imocha("POST", f"invitations/{key}/reattempt", given)


def into(sandbox: Sandbox, key: int, state: str) -> None:
    """Bring a pending invitation into a state."""
    if state == "In Progress":
        sandbox.start(key)
    elif state == "Cancelled":
        sandbox.imocha.ok("POST", f"invitations/{key}/cancel")
    elif state == "Expired":
        sandbox.admin.ok("POST", f"invitations/{key}/expire")
    elif state != "Pending":
        sandbox.finish(key, status=state)
    assert sandbox.state(key) == state


# 1: the door, input keys


@pytest.mark.parametrize("headers", [{}, {"X-API-KEY": "another"}, {"Authorization": "Bearer imocha-key"}])
@pytest.mark.parametrize("path", ["tests", "tests/999/testlinks", "nowhere"])
def test_the_key_is_looked_at_first(sandbox: Sandbox, headers: dict[str, str], path: str) -> None:
    answer = requests.get(f"{sandbox.imocha.url}/{path}", headers=headers, timeout=20)
    assert answer.status_code == 401
    assert answer.json() == {
        "statusCode": 401,
        "message": "Access denied due to invalid subscription key. "
        "Make sure to provide a valid key for an active subscription.",
    }


def test_input_keys_have_any_case_and_unknown_ones_do_no_harm(sandbox: Sandbox) -> None:
    body = {"EMAIL": "ann@example.com", "nAme": "Ann", "proctoringmode": "image", "CallbackURL": "http://x.example", "ccEmail": "x"}  # fmt: skip
    key = sandbox.imocha.ok("POST", "tests/101/invite", body)["testInvitationId"]
    seen = sandbox.invitation(key)
    assert (seen["email"], seen["proctoring"], seen["callback_url"]) == ("ann@example.com", "image", "http://x.example")


# 2: tests, links, invitations


def test_tests_come_in_pages(sandbox: Sandbox) -> None:
    everything = sandbox.imocha.ok("GET", "tests")
    assert [test["testId"] for test in everything["tests"]] == [101, 102, 103]
    second = sandbox.imocha.ok("GET", "tests?pageNo=2&pageSize=2")
    assert [test["testName"] for test in second["tests"]] == ["Retired Test"]
    assert sandbox.imocha.ok("GET", "tests?pageNo=3&pageSize=2")["tests"] == []
    assert sandbox.imocha.ok("GET", "tests?labelsFilter=x")["tests"] == []


def test_the_default_link_is_made_when_it_is_missing(sandbox: Sandbox) -> None:
    sandbox.admin.ok("POST", "tests", {"testId": 104, "testName": "New", "defaultLink": False})
    assert sandbox.imocha.ok("GET", "tests/104/testlinks") == {"testLinks": []}
    sandbox.invite(test=104)
    (link,) = sandbox.imocha.ok("GET", "tests/104/testlinks")["testLinks"]
    assert (link["testLinkName"], link["isApiLink"]) == ("Default", True)


def test_a_person_has_one_invitation_a_link_whatever_the_case_of_the_address(sandbox: Sandbox) -> None:
    first = sandbox.invite("Ann@Example.com")["testInvitationId"]
    assert sandbox.invite("ann@example.com")["testInvitationId"] == first
    assert sandbox.invite("bo@example.com")["testInvitationId"] != first
    assert sandbox.invite(test=102)["testInvitationId"] != first
    assert sandbox.invitation(first)["email"] == "ann@example.com"
    link = sandbox.admin.ok("POST", "links", {"testId": 101})["testLinkId"]
    path, body = f"tests/101/testlinks/{link}/invite", {"email": "ann@example.com", "name": "Ann"}
    second = sandbox.imocha.ok("POST", path, body)["testInvitationId"]
    assert second not in (first, None)
    assert sandbox.imocha.ok("POST", path, body)["testInvitationId"] == second
    default = sandbox.imocha.ok("GET", "tests/101/testlinks")["testLinks"][0]["testLinkId"]
    assert sandbox.imocha.ok("POST", f"tests/101/testlinks/{default}/invite", body)["testInvitationId"] == first


def test_ten_invites_of_one_person_at_the_same_time_make_one_invitation(sandbox: Sandbox) -> None:
    def invite(_: int) -> int:
        body = {"email": "ann@example.com", "name": "Ann"}
        url, headers = f"{sandbox.imocha.url}/tests/101/invite", {"X-API-KEY": "imocha-key"}
        return int(requests.post(url, json=body, headers=headers, timeout=20).json()["testInvitationId"])

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(invite, range(10)))) == 1
    assert len(sandbox.admin.ok("GET", "invitations")) == 1


def test_an_invitation_keeps_what_it_was_given(sandbox: Sandbox) -> None:
    given: dict[str, Any] = {
        "startDateTime": "2030-01-01T10:00:00Z", "endDateTime": "2030-01-02T10:00:00.5Z", "timeZoneId": 1720,
        "ProctoringMode": "video", "stakeholderEmails": "boss@example.com", "callbackUrl": "http://x.example/c",
        "redirectUrl": "http://x.example/r",
    }  # fmt: skip
    answer = sandbox.invite(**given)
    assert answer["status"] == "Pending"
    assert answer["testUrl"].startswith("https://test.imocha.io/")
    seen = sandbox.invitation(answer["testInvitationId"])
    expected = {
        "start": "2030-01-01 10:00:00+00:00", "end": "2030-01-02 10:00:00.500000+00:00", "time_zone_id": 1720,
        "proctoring": "video", "stakeholders": "boss@example.com", "callback_url": "http://x.example/c",
        "redirect_url": "http://x.example/r", "attempts": 0, "state": "Pending", "test_id": 101,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected


def test_what_is_not_given_comes_from_the_link_as_it_is_now(sandbox: Sandbox) -> None:
    link = {"proctoringMode": "image", "validityDays": 30, "stakeholderEmails": "boss@example.com"}
    sandbox.admin.ok("PATCH", "links/101", link)
    key = sandbox.invite()["testInvitationId"]
    seen = sandbox.invitation(key)
    window = datetime.fromisoformat(seen["end"]) - datetime.fromisoformat(seen["start"])
    assert (seen["proctoring"], seen["stakeholders"], window) == ("image", "boss@example.com", timedelta(days=30))
    sandbox.admin.ok("PATCH", "links/101", {"proctoringMode": "video"})
    sandbox.invite(stakeholderEmails="disable")
    seen = sandbox.invitation(key)
    assert (seen["proctoring"], seen["stakeholders"]) == ("video", "")


def test_no_mail_unless_asked_for(sandbox: Sandbox) -> None:
    sandbox.invite()
    sandbox.invite(sendEmail="no")
    assert sandbox.admin.ok("GET", "mails") == []
    sandbox.invite(sendEmail="yes")
    assert [mail["to"] for mail in sandbox.admin.ok("GET", "mails")] == ["ann@example.com"]


def test_email_and_name_may_be_made_optional(sandbox: Sandbox) -> None:
    first = sandbox.imocha.ok("POST", "tests/101/invite", {"disableMandatoryFields": 1})["testInvitationId"]
    second = sandbox.imocha.ok("POST", "tests/101/invite", {"disableMandatoryFields": 1})["testInvitationId"]
    assert first != second


# 3: transitions


@pytest.mark.parametrize("state", ["Pending", "Cancelled", "Expired"])
@pytest.mark.parametrize("how", ["invite", "reattempt"])
def test_an_open_or_lapsed_invitation_is_revived_under_its_id(sandbox: Sandbox, state: str, how: str) -> None:
    key = sandbox.invite()["testInvitationId"]
    into(sandbox, key, state)
    given: dict[str, Any] = {
        "startDateTime": "2030-01-01T10:00:00Z",
        "endDateTime": "2031-01-01T10:00:00Z",
        "timeZoneId": 200,
    }
    again = sandbox.invite(**given) if how == "invite" else reattempt(sandbox, key, **given).json()
    assert again["testInvitationId"] == key
    seen = sandbox.invitation(key)
    assert (seen["state"], seen["end"], seen["time_zone_id"]) == ("Pending", "2031-01-01 10:00:00+00:00", 200)


@pytest.mark.parametrize("state", ["In Progress", *ENDS])
def test_a_running_or_ended_one_comes_back_as_it_is(sandbox: Sandbox, state: str) -> None:
    key = sandbox.invite()["testInvitationId"]
    into(sandbox, key, state)
    before = sandbox.invitation(key)
    again = sandbox.invite(sendEmail="yes", endDateTime="2031-01-01T10:00:00Z")
    assert (again["testInvitationId"], again["status"]) == (key, state)
    assert sandbox.invitation(key) == before
    assert sandbox.admin.ok("GET", "mails") == []


@pytest.mark.parametrize("says_pending", [True, False])
def test_an_invite_of_an_ended_one_says_its_state_or_pending(sandbox: Sandbox, says_pending: bool) -> None:
    key = ended(sandbox)
    sandbox.switch(invite_says_pending=says_pending)
    assert sandbox.invite()["status"] == ("Pending" if says_pending else "Complete")
    assert sandbox.state(key) == "Complete"


@pytest.mark.parametrize("state", ENDS)
def test_a_reattempt_of_an_ended_one_is_new_and_given_again_while_open(sandbox: Sandbox, state: str) -> None:
    given: dict[str, Any] = {
        "ProctoringMode": "video",
        "stakeholderEmails": "boss@example.com",
        "callbackUrl": "http://x.example/1",
    }
    key = sandbox.invite(**given)["testInvitationId"]
    into(sandbox, key, state)
    answer = reattempt(sandbox, key, RedirectUrl="http://x.example/r", EndDateTime="2031-01-01T10:00:00Z").json()
    new = answer.pop("testInvitationId")
    assert new != key
    assert set(answer) == {"testUrl", "callbackUrlRegistered", "redirectUrlRegistered"}
    assert answer["callbackUrlRegistered"] == "http://x.example/1"
    assert answer["redirectUrlRegistered"] == "http://x.example/r"
    seen = sandbox.invitation(new)
    assert (seen["proctoring"], seen["stakeholders"], seen["state"]) == ("video", "boss@example.com", "Pending")
    assert seen["end"] == "2031-01-01 10:00:00+00:00"
    assert sandbox.state(key) == state
    assert reattempt(sandbox, key).json()["testInvitationId"] == new
    sandbox.finish(new)
    third = reattempt(sandbox, key).json()["testInvitationId"]
    assert third not in (key, new)


@pytest.mark.parametrize("status", [403, 400])
def test_a_running_one_cannot_be_reattempted(sandbox: Sandbox, status: int) -> None:
    sandbox.switch(refused_reattempt=status)
    key = sandbox.invite()["testInvitationId"]
    sandbox.start(key)
    answer = reattempt(sandbox, key)
    assert answer.status_code == status
    assert answer.json() == {
        "errors": [f"Reattempt is not allowed on Test invitation id: {key} which is in inprogress state."]
    }


def test_a_running_reattempt_cannot_be_doubled(sandbox: Sandbox) -> None:
    key = ended(sandbox)
    new = reattempt(sandbox, key).json()["testInvitationId"]
    sandbox.start(new)
    answer = reattempt(sandbox, key)
    assert answer.status_code == 403
    assert str(new) in answer.json()["errors"][0]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("state", ["Pending", "Cancelled", "Expired"])
def test_older_servers_refuse_to_reattempt_an_open_one(sandbox: Sandbox, state: str, strict: bool) -> None:
    sandbox.switch(strict_reattempt=strict)
    key = sandbox.invite()["testInvitationId"]
    into(sandbox, key, state)
    assert reattempt(sandbox, key).status_code == (403 if strict else 200)
    assert sandbox.state(key) == (state if strict else "Pending")


def test_only_a_pending_one_is_cancelled(sandbox: Sandbox) -> None:
    key = sandbox.invite()["testInvitationId"]
    assert sandbox.imocha.ok("POST", f"invitations/{key}/cancel") == {"testInvitationId": key, "status": "cancelled"}
    for number, state in enumerate(["Cancelled", "In Progress", "Expired", *ENDS]):
        other = sandbox.invite(f"c{number}@example.com")["testInvitationId"]
        into(sandbox, other, state)
        answer = sandbox.imocha("POST", f"invitations/{other}/cancel")
        assert answer.status_code == 400
        assert answer.json() == {
            "statusCode": 400,
            "message": "Testinvitation state in inprogress, complete, and expired can not be cancelled.",
        }
        assert sandbox.state(other) == state


def test_a_pending_one_expires_by_itself_and_a_running_one_does_not(sandbox: Sandbox) -> None:
    pending, running = (sandbox.invite(f"{name}@example.com")["testInvitationId"] for name in "ab")
    sandbox.start(running)
    sandbox.advance(8 * 24 * 3600)
    assert (sandbox.state(pending), sandbox.state(running)) == ("Expired", "In Progress")
    sandbox.invite("a@example.com")
    assert sandbox.state(pending) == "Pending"


# 4: what a candidate does


def test_a_candidate_starts_and_finishes_once(sandbox: Sandbox) -> None:
    key = sandbox.invite()["testInvitationId"]
    sandbox.start(key)
    assert sandbox.admin("POST", f"invitations/{key}/start").status_code == 409
    assert sandbox.admin("POST", f"invitations/{key}/expire").status_code == 409
    assert sandbox.admin("POST", f"invitations/{key}/finish", {"status": "Done"}).status_code == 400
    sandbox.finish(key, score=10, total=40, status="Test Left")
    assert sandbox.admin("POST", f"invitations/{key}/finish", {}).status_code == 409
    seen = sandbox.invitation(key)
    assert (seen["state"], seen["points"], seen["total"], seen["attempts"]) == ("Test Left", 10, 40, 1)


# 5: callbacks


def invited(sandbox: Sandbox, receiver: Receiver, **given: Any) -> int:
    return int(sandbox.invite(callbackUrl=receiver.url + "/secret", **given)["testInvitationId"])


def test_a_callback_on_start_and_one_on_the_end(sandbox: Sandbox, receiver: Receiver) -> None:
    key = invited(sandbox, receiver, timeZoneId=1720)
    sandbox.start(key)
    path, headers, begun = receiver.posts.get(timeout=20)
    assert path == "/hook/secret"
    assert not [name for name in headers if "sign" in name.lower() or "auth" in name.lower() or "key" in name.lower()]
    assert set(begun) == {
        "CandidateEmailId", "AttemptedOn", "TotalScore", "CandidateScore", "ReportPDFUrl", "TestInvitationId",
        "Status", "AttemptedOnUtc", "PerformanceCategory",
    }  # fmt: skip
    assert (begun["Status"], begun["TestInvitationId"]) == ("In Progress", key)
    assert (begun["TotalScore"], begun["CandidateScore"]) == (0, 0)
    assert begun["ReportPDFUrl"] is begun["PerformanceCategory"] is None
    utc = datetime.strptime(begun["AttemptedOnUtc"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - it names no zone
    local = datetime.strptime(begun["AttemptedOn"], "%d-%b-%Y %I:%M %p")  # noqa: DTZ007 - it names no zone
    assert local - utc.replace(second=0) == timedelta(hours=5, minutes=30)
    sandbox.finish(key, score=10, total=40)
    (final,) = receiver.bodies(1)
    assert set(final) == set(begun)
    assert (final["Status"], final["TotalScore"], final["CandidateScore"]) == ("Complete", 40.0, 10.0)
    assert final["AttemptedOnUtc"] == begun["AttemptedOnUtc"]
    assert requests.get(final["ReportPDFUrl"], timeout=20).content.startswith(b"%PDF-")
    assert len(sandbox.deliveries()) == 2


@pytest.mark.parametrize("status", ENDS)
def test_every_end_is_called_back_with_its_word(sandbox: Sandbox, receiver: Receiver, status: str) -> None:
    sandbox.finish(invited(sandbox, receiver), status=status)
    assert [body["Status"] for body in receiver.bodies(2)] == ["In Progress", status]


def test_the_end_is_called_back_when_the_report_exists(sandbox: Sandbox, receiver: Receiver) -> None:
    key = invited(sandbox, receiver)
    sandbox.start(key)
    sandbox.finish(key, report_ready=False)
    assert [one["event"] for one in sandbox.deliveries()] == ["In Progress"]
    for _ in range(2):
        sandbox.admin.ok("POST", f"invitations/{key}/report")
    assert [one["event"] for one in sandbox.deliveries()] == ["In Progress", "Complete"]


def test_nothing_is_called_back_for_what_lapses_or_has_no_url(sandbox: Sandbox, receiver: Receiver) -> None:
    for state in ("Cancelled", "Expired"):
        into(sandbox, invited(sandbox, receiver), state)
    sandbox.finish(sandbox.invite("bo@example.com")["testInvitationId"])
    assert sandbox.deliveries() == []


@pytest.mark.parametrize("status", [500, 302])
def test_what_is_not_taken_is_posted_five_times_more(sandbox: Sandbox, receiver: Receiver, status: int) -> None:
    receiver.answers = [status] * 6
    sandbox.start(invited(sandbox, receiver))
    bodies = receiver.bodies(6)
    assert bodies == [bodies[0]] * 6
    (delivery,) = sandbox.deliveries()
    assert (delivery["answers"], delivery["state"]) == ([status] * 6, "dropped")


def test_a_later_try_may_succeed(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500, 500]
    sandbox.start(invited(sandbox, receiver))
    assert sandbox.deliveries()[0]["answers"] == [500, 500, 200]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("normal", ["In Progress", "Complete"]),
        ("duplicate", ["In Progress", "In Progress", "Complete", "Complete"]),
        ("reorder", ["Complete", "In Progress"]),
    ],
)
def test_callbacks_may_come_twice_or_overtake_one_another(
    sandbox: Sandbox, receiver: Receiver, mode: str, words: list[str]
) -> None:
    sandbox.switch(callback_delivery=mode, late_seconds=3600)
    sandbox.finish(invited(sandbox, receiver))
    assert [body["Status"] for body in receiver.bodies(len(words))] == words
    assert len(sandbox.deliveries()) == len(words)


def test_callbacks_may_be_lost(sandbox: Sandbox, receiver: Receiver) -> None:
    key = invited(sandbox, receiver)
    sandbox.switch(callback_delivery="lost")
    sandbox.start(key)
    sandbox.switch(callback_delivery="normal")
    sandbox.finish(key)
    assert receiver.bodies(1)[0]["Status"] == "Complete"
    assert [one["state"] for one in sandbox.deliveries()] == ["lost", "delivered"]


def test_callbacks_may_be_late(sandbox: Sandbox, receiver: Receiver) -> None:
    key = invited(sandbox, receiver)
    sandbox.switch(callback_delivery="late", late_seconds=3600)
    sandbox.start(key)
    assert sandbox.deliveries()[0]["answers"] == []
    sandbox.advance(3600)
    assert receiver.bodies(1)[0]["Status"] == "In Progress"


def test_webhooks_and_callbacks_have_modes_of_their_own(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.switch(webhook_delivery="lost")
    sandbox.start(invited(sandbox, receiver))
    assert receiver.bodies(1)[0]["Status"] == "In Progress"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_base_picture_url_may_be_in_it(sandbox: Sandbox, receiver: Receiver, wanted: bool) -> None:
    sandbox.switch(callback_base_img_url=wanted)
    sandbox.start(invited(sandbox, receiver))
    assert ("BaseImgUrl" in receiver.bodies(1)[0]) is wanted


def test_a_call_does_not_wait_for_the_receiver(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.gate.clear()
    sandbox.start(invited(sandbox, receiver))
    assert sandbox.deliveries(wait=0)[0]["answers"] == []
    receiver.gate.set()
    assert sandbox.deliveries()[0]["answers"] == [200]


# 6: switches


@pytest.mark.parametrize("legacy", [True, False])
def test_attempts_have_either_key_and_word(sandbox: Sandbox, legacy: bool) -> None:
    sandbox.switch(legacy_attempt_keys=legacy)
    ended(sandbox)
    (row,) = swept(sandbox)
    assert row.get("teststatus") == ("Complete" if legacy else None)
    assert row.get("testStatus") == (None if legacy else "Completed")


@pytest.mark.parametrize("is_404", [True, False])
def test_an_empty_sweep_is_a_list_or_404(sandbox: Sandbox, is_404: bool) -> None:
    sandbox.switch(empty_sweep_is_404=is_404)
    answer = sandbox.imocha("POST", "candidates/testattempts?state=completed", EVER)
    assert answer.status_code == (404 if is_404 else 200)
    assert answer.json()["result"] == (None if is_404 else {"testAttempts": []})
    ended(sandbox)
    assert len(swept(sandbox)) == 1


@pytest.mark.parametrize(("days", "status"), [(0, 200), (1, 401), (2, 200)])
def test_a_sweeps_window_may_be_limited(sandbox: Sandbox, days: int, status: int) -> None:
    sandbox.switch(sweep_limit_days=days)
    window = {"startDateTime": "2024-01-01T00:00:00", "endDateTime": "2024-01-02T00:00:01Z"}
    answer = sandbox.imocha("POST", "candidates/testattempts?state=completed", window)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["result"] is None
        assert answer.json()["errors"][0].startswith("Date & time")


@pytest.mark.parametrize("status", [401, 500])
def test_a_sweep_into_the_future_may_be_refused(sandbox: Sandbox, status: int) -> None:
    sandbox.switch(future_sweep=status)
    for end, answered in (("2024-01-02T00:00:00", 200), ("2099-01-02T00:00:00", status)):
        window = {"startDateTime": "2024-01-01T00:00:00", "endDateTime": end}
        assert sandbox.imocha("POST", "candidates/testattempts?state=completed", window).status_code == answered


@pytest.mark.parametrize(
    ("how", "status", "keys"),
    [
        ("status", 200, {"testInvitationId", "testId", "status"}),
        (404, 404, {"statusCode", "message"}),
        ("errors", 400, {"errors"}),
    ],
)
@pytest.mark.parametrize("path", ["", "/pdf"])
@pytest.mark.parametrize("state", ["Pending", "In Progress", "Complete"])
def test_a_report_that_is_not_ready(
    sandbox: Sandbox, how: Any, status: int, keys: set[str], path: str, state: str
) -> None:
    sandbox.switch(report_not_ready=how)
    key = sandbox.invite()["testInvitationId"]
    if state == "Complete":
        sandbox.finish(key, report_ready=False)
    else:
        into(sandbox, key, state)
    answer = sandbox.imocha("GET", f"reports/{key}{path}")
    assert (answer.status_code, set(answer.json())) == (status, keys)
    if how == "status":
        assert answer.json()["status"] == ("Pending" if state == "Pending" else "In Progress")
    assert requests.get(f"{sandbox.imocha.url}/pdfreport/{key}.pdf", timeout=20).status_code == 404


@pytest.mark.parametrize("pdf_as", ["url", "bytes"])
def test_the_pdf_is_a_link_that_needs_no_key_or_the_bytes(sandbox: Sandbox, pdf_as: str) -> None:
    sandbox.switch(pdf_as=pdf_as)
    key = ended(sandbox)
    answer = sandbox.imocha("GET", f"reports/{key}/pdf")
    if pdf_as == "url":
        assert set(answer.json()) == {"pdfReport"}
        answer = requests.get(answer.json()["pdfReport"], timeout=20)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    link = sandbox.imocha.ok("GET", f"reports/{key}")["pdfReportUrl"]
    assert requests.get(link, timeout=20).content.startswith(b"%PDF-")


@pytest.mark.parametrize("text", [True, False])
def test_ids_and_scores_are_numbers_or_text(sandbox: Sandbox, text: bool) -> None:
    sandbox.switch(numbers_as_text=text)
    answer = sandbox.invite()
    key = int(answer["testInvitationId"])
    sandbox.finish(key)
    report, (row,) = sandbox.imocha.ok("GET", f"reports/{key}"), swept(sandbox)
    values = [answer["testInvitationId"], sandbox.imocha.ok("GET", "tests")["tests"][0]["testId"]]
    values += [report[name] for name in ("testInvitationId", "testId", "candidatePoints", "totalTestPoints", "score")]
    values += [row["testInvitationId"], row["testId"]]
    assert {type(value) for value in values} == {str if text else int}


@pytest.mark.parametrize("floats", [True, False])
def test_scores_are_floats_or_integers(sandbox: Sandbox, floats: bool) -> None:
    sandbox.switch(scores_as_floats=floats)
    text = sandbox.imocha("GET", f"reports/{ended(sandbox, score=10, total=40)}").text
    for name, value in (("candidatePoints", 10), ("totalTestPoints", 40), ("scorePercentage", 25)):
        shown = re.search(rf'"{name}":([^,]+)', text)
        assert shown is not None
        assert shown[1] == (f"{value}.0" if floats else str(value))


@pytest.mark.parametrize("retry_after", [True, False])
@pytest.mark.parametrize("error_json", [True, False])
def test_too_many_calls_a_minute_are_429(sandbox: Sandbox, retry_after: bool, error_json: bool) -> None:
    sandbox.switch(imocha_calls_a_minute=2, retry_after=retry_after, error_json=error_json)
    answers = [sandbox.imocha("GET", "tests") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers.get("Retry-After") == ("30" if retry_after else None)
    text = {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 30 seconds."}
    assert (answers[2].json() if answers[2].content else None) == (text if error_json else None)
    sandbox.advance(30)
    assert sandbox.imocha("GET", "tests").status_code == 200


# 7: the sweep


@pytest.mark.parametrize(
    ("state", "expected"), [("completed", ENDS), ("cancelled", ["Cancelled"]), ("expired", ["Expired"])]
)
def test_a_sweep_finds_a_group_of_states(sandbox: Sandbox, state: str, expected: list[str]) -> None:
    sandbox.switch(legacy_attempt_keys=True)
    for number, one in enumerate(["Pending", "In Progress", "Cancelled", "Expired", *ENDS]):
        into(sandbox, sandbox.invite(f"c{number}@example.com")["testInvitationId"], one)
    rows = swept(sandbox, state)
    assert [row["teststatus"] for row in rows] == expected
    assert set(rows[0]) == {"testInvitationId", "testId", "name", "email", "invitationtype", "teststatus"}


@pytest.mark.parametrize("again", ["invite", "reattempt"])
@pytest.mark.parametrize("state", ["Cancelled", "Expired"])
def test_what_an_invitation_was_before_it_is_pending_again_may_stay_listed(
    sandbox: Sandbox, state: str, again: str
) -> None:
    key = int(sandbox.invite()["testInvitationId"])
    into(sandbox, key, state)
    if again == "invite":
        assert sandbox.invite()["testInvitationId"] == key
    else:
        assert reattempt(sandbox, key).status_code == 200
    assert sandbox.state(key) == "Pending"
    assert swept(sandbox, state.lower()) == []
    sandbox.switch(attempts_keep_history=True)
    (row,) = swept(sandbox, state.lower())
    assert (row["testInvitationId"], row["testStatus"]) == (key, state)
    assert swept(sandbox, state.lower(), StartDateTime="2031-01-01") == []
    sandbox.imocha.ok("POST", "gdpr/requests", {"CandidateEmail": "ann@example.com"})
    assert swept(sandbox, state.lower()) == []


def test_a_sweep_goes_by_the_last_change_and_has_no_pages(sandbox: Sandbox) -> None:
    keys = [ended(sandbox, email=f"c{number}@example.com") for number in range(120)]
    assert [row["testInvitationId"] for row in swept(sandbox)] == keys
    changed = datetime.fromisoformat(sandbox.invitation(keys[-1])["changed_at"])
    after, before = (changed + timedelta(seconds=1), changed - timedelta(days=1))
    assert swept(sandbox, StartDateTime=after.isoformat()) == []
    assert len(swept(sandbox, StartDateTime=before.isoformat(), EndDateTime=after.isoformat())) == 120
    late = sandbox.invite("late@example.com")["testInvitationId"]
    sandbox.advance(3600)
    sandbox.finish(late)
    assert [row["testInvitationId"] for row in swept(sandbox, StartDateTime=after.isoformat())] == [late]


def test_one_that_expired_by_itself_did_so_at_its_end(sandbox: Sandbox) -> None:
    sandbox.invite(endDateTime="2031-01-01T10:00:00Z")
    sandbox.advance(30 * 365 * 24 * 3600)
    assert len(swept(sandbox, "expired", StartDateTime="2031-01-01", EndDateTime="2031-01-01T10:00:00")) == 1
    assert swept(sandbox, "expired", StartDateTime="2031-01-01T10:00:01") == []


def test_a_sweep_may_be_about_one_test(sandbox: Sandbox) -> None:
    ended(sandbox)
    assert swept(sandbox, testId=102) == []
    assert len(swept(sandbox, testId=101)) == 1


@pytest.mark.parametrize(
    ("state", "window"),
    [("completed", {}), ("completed", EVER | {"StartDateTime": "x"}), ("other", EVER), ("", EVER)],
)
def test_a_bad_sweep_is_a_401_without_message(sandbox: Sandbox, state: str, window: Any) -> None:
    answer = sandbox.imocha("POST", f"candidates/testattempts?state={state}", window)
    assert answer.status_code == 401
    assert set(answer.json()) == {"result", "errors"}


# 8: what is unknown or missing


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "tests/999/testlinks"),
        ("POST", "tests/999/invite"),
        ("POST", "tests/101/testlinks/1/invite"),
        ("POST", "invitations/1/reattempt"),
        ("POST", "invitations/1/cancel"),
        ("GET", "reports/1"),
        ("GET", "reports/1/pdf"),
        ("GET", "reports/x"),
    ],
)
def test_what_is_unknown_is_404(sandbox: Sandbox, method: str, path: str) -> None:
    answer = sandbox.imocha(method, path, {"email": "ann@example.com", "name": "Ann"})
    assert answer.status_code == 404
    assert set(answer.json()) == {"errors"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ann@example.com"},
        {"name": "Ann"},
        {"email": "ann", "name": "Ann"},
        {"email": "ann@example.com", "name": "Ann", "endDateTime": "soon"},
    ],
)
def test_what_is_missing_is_400_and_invites_nobody(sandbox: Sandbox, body: Any) -> None:
    answer = sandbox.imocha("POST", "tests/101/invite", body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"errors"}
    assert sandbox.admin.ok("GET", "invitations") == []


# Accounts and people


def test_business_units_are_listed_with_their_count(sandbox: Sandbox) -> None:
    answer = sandbox.imocha.ok("GET", "accounts/business-units")
    assert answer["count"] == len(answer["businessUnits"]) == 1


def test_a_person_is_forgotten_as_a_whole_or_for_one_invitation(sandbox: Sandbox) -> None:
    one, two = (sandbox.invite(test=test, sendEmail="yes")["testInvitationId"] for test in (101, 102))
    other = sandbox.invite("bo@example.com", sendEmail="yes")["testInvitationId"]
    body: dict[str, Any] = {"CandidateEmail": "Ann@example.com"}
    assert sandbox.imocha.ok("POST", "gdpr/requests", body | {"testinvitationId": one}) == {
        "result": "Request accepted for processing"
    }
    assert [seen["id"] for seen in sandbox.admin.ok("GET", "invitations")] == [two, other]
    sandbox.imocha.ok("POST", "gdpr/requests", body)
    assert [seen["id"] for seen in sandbox.admin.ok("GET", "invitations")] == [other]
    assert [mail["to"] for mail in sandbox.admin.ok("GET", "mails")] == ["bo@example.com"]
    answer = sandbox.imocha("POST", "gdpr/requests", body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"errors"}


def test_a_fault_has_imochas_envelope(sandbox: Sandbox) -> None:
    fault = {"vendor": "imocha", "path_contains": "tests", "status": 503, "retry_after": 7, "times": 2}
    sandbox.admin.ok("POST", "faults", fault)
    for _ in range(2):
        answer = sandbox.imocha("GET", "tests")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert answer.json()["statusCode"] == 503
    assert sandbox.imocha("GET", "tests").status_code == 200


def test_the_page_and_its_overview(sandbox: Sandbox) -> None:
    key = sandbox.candidate(tags=["iMocha: Python Developer [101]"])
    number = sandbox.invite(sendEmail="yes")["testInvitationId"]
    page = requests.get(sandbox.admin.url.removesuffix("/admin"), timeout=20)
    assert "<title>Lever and iMocha sandbox</title>" in page.text
    seen = sandbox.admin.ok("GET", "overview")
    assert [one["id"] for one in seen["candidates"]] == [key]
    assert [one["invitation"] for one in seen["mails"]] == [one["id"] for one in seen["tests"]] == [number]
    assert len(seen["stages"]) == 6
