"""iMocha's API as the client sees it (sections refer to imocha.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.imocha_answers import PAGE_SIZE
from lever_imocha.clients.transport import MAX_PAGES
from lever_imocha.domain.imocha import AttemptStatus, InviteSettings, Report, settings_of
from lever_imocha.errors import (
    ApiError,
    CredentialsError,
    NotFoundError,
    NotPermittedError,
    OutcomeUnknownError,
    RateLimitedError,
    ReattemptNotAllowedError,
    ReportFileError,
    RequestRejectedError,
    Retry,
    UnexpectedAnswerError,
    VendorDownError,
)

from include.sandbox.world import Fault, Invitation
from tests.clients.conftest import Answer, Sandbox, Vendor, imocha_client
from tests.support import Unlimited

NOON = datetime(2026, 7, 2, 14, 0, 0, 900_000, tzinfo=timezone(timedelta(hours=2)))
NOON_TEXT = "2026-07-02T12:00:00Z"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Described:
    """A call of the client, and what iMocha receives for it."""

    do: Callable[[ImochaClient], Any]
    method: str
    target: str
    body: Any = None
    repeatable: bool = True
    answer: Any = None

    def run(self, imocha: ImochaClient) -> Any:
        result = self.do(imocha)
        return list(result) if isinstance(result, Iterator) else result


INVITED = {"testInvitationId": 3178622, "testUrl": "https://test.imocha.io/IMInstructions?x", "status": "Pending"}
CALLS = {
    "check": Described(lambda api: api.check(), "GET", "/accounts/business-units", answer={"businessUnits": []}),
    "list_tests": Described(
        lambda api: api.list_tests(), "GET", "/tests?pageNo=1&pageSize=100", answer={"tests": [], "count": 0}
    ),
    "list_test_links": Described(
        lambda api: api.list_test_links(7), "GET", "/tests/7/testlinks", answer={"testLinks": [{"testLinkId": 1}]}
    ),
    "invite": Described(
        lambda api: api.invite(7, email="ann@example.com", name="Ann", send_email=False),
        "POST", "/tests/7/invite", {"email": "ann@example.com", "name": "Ann", "sendEmail": "no"},
        repeatable=False, answer=INVITED,
    ),
    "invite_with_settings": Described(
        lambda api: api.invite(
            7, email="ann@example.com", name="Ann", send_email=True, callback_url="https://example.com/c",
            settings=InviteSettings(
                start_at=NOON, end_at=NOON + DAY, time_zone_id=1200, proctoring_mode="image",
                stakeholder_emails="disable",
            ),
        ),
        "POST", "/tests/7/invite",
        {
            "email": "ann@example.com", "name": "Ann", "sendEmail": "yes", "callbackUrl": "https://example.com/c",
            "startDateTime": NOON_TEXT, "endDateTime": "2026-07-03T12:00:00Z", "timeZoneId": 1200,
            "ProctoringMode": "image", "stakeholderEmails": "disable",
        },
        repeatable=False, answer=INVITED,
    ),
    "invite_by_link": Described(
        lambda api: api.invite_by_link(
            7, 9, email="ann@example.com", name="Ann", send_email=True, callback_url="https://example.com/c"
        ),
        "POST", "/tests/7/testlinks/9/invite",
        {"email": "ann@example.com", "name": "Ann", "sendEmail": "yes", "callbackUrl": "https://example.com/c"},
        repeatable=False, answer=INVITED,
    ),
    "reattempt": Described(
        lambda api: api.reattempt(5, start_at=NOON, end_at=NOON + DAY, time_zone_id=1200, send_email=False),
        "POST", "/invitations/5/reattempt",
        {"StartDateTime": NOON_TEXT, "EndDateTime": "2026-07-03T12:00:00Z", "TimeZoneId": 1200, "sendEmail": "no"},
        repeatable=False, answer={"testInvitationId": 6, "testUrl": "x", "callbackUrlRegistered": None},
    ),
    "reattempt_with_callback": Described(
        lambda api: api.reattempt(
            5, start_at=NOON, end_at=NOON + DAY, time_zone_id=1720, send_email=True, callback_url="https://e.com/c"
        ),
        "POST", "/invitations/5/reattempt",
        {
            "StartDateTime": NOON_TEXT, "EndDateTime": "2026-07-03T12:00:00Z", "sendEmail": "yes",
            "TimeZoneId": 1720, "CallbackUrl": "https://e.com/c",
        },
        repeatable=False, answer={"testInvitationId": 6, "testUrl": "x"},
    ),
    "cancel": Described(
        lambda api: api.cancel(5), "POST", "/invitations/5/cancel",
        repeatable=False, answer={"testInvitationId": 5, "status": "cancelled"},
    ),
    "get_report": Described(lambda api: api.get_report(5), "GET", "/reports/5", answer={"status": "Pending"}),
    "list_attempts": Described(
        lambda api: api.list_attempts(state="completed", start_at=NOON, end_at=NOON + DAY),
        "POST", "/candidates/testattempts?state=completed",
        {"StartDateTime": NOON_TEXT, "EndDateTime": "2026-07-03T12:00:00Z"},
        answer={"result": {"testAttempts": []}, "errors": None},
    ),
    "list_reports": Described(
        lambda api: list(api.list_reports(start_at=NOON, end_at=NOON + DAY)),
        "GET", "/reports?PageNo=1&PageSize=50&includeSections=false"
        "&startDate=2026-07-02T12%3A00%3A00Z&endDate=2026-07-03T12%3A00%3A00Z",
        answer={"reports": [], "pageNumber": 1, "totalCount": 0, "hasNextPage": False},
    ),
    "create_gdpr_request": Described(
        lambda api: api.create_gdpr_request("ann@example.com"),
        "POST", "/gdpr/requests", {"CandidateEmail": "ann@example.com"}, repeatable=False,
        answer={"result": "Request accepted for processing"},
    ),
    "create_gdpr_request_for_one": Described(
        lambda api: api.create_gdpr_request("ann@example.com", invitation_id=5),
        "POST", "/gdpr/requests", {"CandidateEmail": "ann@example.com", "testinvitationId": 5}, repeatable=False,
        answer={"result": "Request accepted for processing"},
    ),
    "list_business_units": Described(
        lambda api: api.list_business_units(), "GET", "/accounts/business-units", answer={"businessUnits": [{}]}
    ),
}  # fmt: skip
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


# What is sent


@each_call
def test_a_call_is_sent_as_imocha_documents_it(vendor: Vendor, call: Described) -> None:
    vendor.says(call.answer)
    call.run(imocha_client(vendor.url))
    (sent,) = vendor.received
    assert (sent.method, sent.target, sent.json) == (call.method, call.target, call.body)
    assert sent.headers["x-api-key"] == "imocha-key"


@each_call
def test_a_call_whose_answer_is_lost_is_sent_again_only_where_that_does_no_harm(
    vendor: Vendor, call: Described
) -> None:
    vendor.answers = [None]
    vendor.says(call.answer)
    if call.repeatable:
        call.run(imocha_client(vendor.url))
    else:
        with pytest.raises(OutcomeUnknownError):
            call.run(imocha_client(vendor.url))
    assert len(vendor.received) == (2 if call.repeatable else 1)


# The key (8)


def test_the_key_is_checked(sandbox: Sandbox) -> None:
    sandbox.imocha.check()
    with pytest.raises(CredentialsError, match="Check the API key"):
        imocha_client(f"{sandbox.url}/imocha/v3", key="other").check()
    assert sandbox.called("imocha") == ["GET /accounts/business-units"] * 2


@pytest.mark.parametrize("status", [403, 404])
def test_a_key_that_may_not_see_business_units_is_checked_on_one_test(vendor: Vendor, status: int) -> None:
    vendor.says({"statusCode": status, "message": "no"}, status=status)
    vendor.says({"tests": [{"testId": 1}], "count": 40})
    imocha_client(vendor.url).check()
    assert [sent.target for sent in vendor.received] == ["/accounts/business-units", "/tests?pageNo=1&pageSize=1"]


def test_a_key_that_may_see_nothing_fails_the_check(sandbox: Sandbox) -> None:
    sandbox.world.faults.append(Fault(vendor="imocha", status=403, times=2))
    with pytest.raises(NotPermittedError):
        sandbox.imocha.check()


# Answers (2.3, 3)


@pytest.mark.parametrize(
    "body",
    [
        {"tests": [{"testId": 7, "testName": "SQL"}], "count": 1},
        {"Tests": [{"TestId": "7", "testname": "SQL", "Status": "Active", "new": {}}]},
        {"result": {"tests": [{"test_id": 7.0, "Test Name": "SQL", "status": None}]}, "errors": None},
        {"result": [{"testId": 7, "testName": "SQL"}]},
        {"errors": [], "result": [{"testId": 7, "testName": "SQL"}]},
        {"errors": [], "result": {"tests": [{"testId": 7, "testName": "SQL"}]}},
        {"data": {"result": {"tests": [{"testId": 7, "testName": "SQL"}]}}},
        {"data": {"result": [{"testId": 7, "testName": "SQL"}]}, "errors": []},
        [{"testId": 7, "testName": "SQL"}],
    ],
)
def test_a_list_is_found_in_any_envelope_and_spelling(vendor: Vendor, body: Any) -> None:
    vendor.says(body)
    (found,) = imocha_client(vendor.url).list_tests()
    assert (found.id, found.name, found.is_active) == (7, "SQL", True)


@pytest.mark.parametrize("body", [{"testLinks": None}, {"testLinks": []}, {"result": None, "errors": None}, []])
def test_an_answer_without_a_list_of_links_is_an_empty_one(vendor: Vendor, body: Any) -> None:
    vendor.says(body)
    assert imocha_client(vendor.url).list_test_links(7) == []


@pytest.mark.parametrize(
    "body", [{"testAttempts": {"0": {}}}, {"result": {"testAttempts": "none"}}, {"data": 5}], ids=str
)
def test_what_stands_in_a_lists_place_is_not_taken_for_an_empty_one(vendor: Vendor, body: Any) -> None:
    vendor.says(body)
    with pytest.raises(UnexpectedAnswerError, match="no list"):
        imocha_client(vendor.url).list_attempts(state="completed", start_at=NOON, end_at=NOON + timedelta(hours=1))


@pytest.mark.parametrize("body", ["text", 5, None])
def test_what_is_no_list_at_all_is_an_error(vendor: Vendor, body: Any) -> None:
    vendor.says(body)
    with pytest.raises(UnexpectedAnswerError, match="another shape"):
        imocha_client(vendor.url).list_business_units()


@pytest.mark.parametrize(
    "body",
    [
        {"testInvitationId": 5, "status": "In Progress"},
        {"TestInvitationId": "5", "Status": "inprogress", "more": 1},
        {"result": {"testinvitationid": 5, "STATUS": "InProgress"}, "errors": None},
        {"data": {"result": {"test_invitation_id": 5.0, "status": "IN_PROGRESS"}}},
    ],
)
def test_an_object_is_found_in_any_envelope_and_spelling(vendor: Vendor, body: Any) -> None:
    vendor.says(body)
    invitation = imocha_client(vendor.url).invite(7, email="ann@example.com", name="Ann", send_email=False)
    assert (invitation.id, invitation.status) == (5, AttemptStatus.IN_PROGRESS)
    assert "http" not in repr(invitation)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"statusCode": 401, "message": "Access denied due to invalid key."}, CredentialsError, "Access denied"),
        (400, {"statusCode": 400, "message": "can not be cancelled."}, RequestRejectedError, "can not be cancelled"),
        (403, {"errors": ["Reattempt is not allowed", 94761]}, NotPermittedError, "not allowed; 94761"),
        (403, {"statusCode": 403, "message": "Out of call volume quota."}, RateLimitedError, "quota of calls is spent"),
        (401, {"result": None, "errors": ["does not belong", "94761"]}, RequestRejectedError, "belong; 94761"),
        (400, {"errors": ["No records found for given Email address: ann@example.com"]}, RequestRejectedError,
         r"address: \[removed\]"),
        (404, {"errors": "odd"}, NotFoundError, "odd"),
        (404, ["odd"], NotFoundError, "answered 404 to cancel"),
    ],
)  # fmt: skip
def test_an_error_is_read_in_each_envelope(
    vendor: Vendor, status: int, body: Any, kind: type[ApiError], said: str
) -> None:
    vendor.says(body, status=status)
    with pytest.raises(kind, match=said) as caught:
        imocha_client(vendor.url).cancel(5)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Pending", AttemptStatus.PENDING),
        ("In Progress", AttemptStatus.IN_PROGRESS),
        ("Inprogress", AttemptStatus.IN_PROGRESS),
        ("Complete", AttemptStatus.COMPLETE),
        ("Completed", AttemptStatus.COMPLETE),
        ("Test Left", AttemptStatus.TEST_LEFT),
        ("Testleft", AttemptStatus.TEST_LEFT),
        ("TestLeft", AttemptStatus.TEST_LEFT),
        ("Terminated", AttemptStatus.TERMINATED),
        ("cancelled", AttemptStatus.CANCELLED),
        ("Canceled", AttemptStatus.CANCELLED),
        ("Expired", AttemptStatus.EXPIRED),
        ("Paused", AttemptStatus.UNKNOWN),
        ("", AttemptStatus.UNKNOWN),
        (None, AttemptStatus.UNKNOWN),
        (4, AttemptStatus.UNKNOWN),
    ],
)
def test_a_status_word_is_known_in_every_spelling(vendor: Vendor, word: Any, status: AttemptStatus) -> None:
    rows = [{"testInvitationId": 1, "teststatus": word}, {"testInvitationId": "2", "testStatus": word}]
    vendor.says({"status": word}, {"result": {"testAttempts": rows}, "errors": None})
    imocha = imocha_client(vendor.url)
    assert imocha.get_report(1).status is status
    attempts = imocha.list_attempts(state="completed", start_at=NOON, end_at=NOON + DAY)
    assert [(attempt.test_invitation_id, attempt.status) for attempt in attempts] == [(1, status), (2, status)]


def _reports(*numbers: int | None, total: Any, more: bool = False) -> dict[str, Any]:
    rows = [{"testInvitationId": number, "status": "Complete"} for number in numbers]
    return {"reports": rows, "totalCount": total, "hasNextPage": more}


@pytest.mark.parametrize(
    ("pages", "found", "complete"),
    [
        ([_reports(1, 2, total=2)], [1, 2], True),
        ([_reports(total=0)], [], True),
        ([_reports(1, 2, total=3, more=True), _reports(3, total=3)], [1, 2, 3], True),
        ([_reports(1, 2, total=3, more=True), _reports(2, total=3)], [1, 2], False),
        ([_reports(1, 2, total=4, more=True), _reports(1, 2, total=4, more=True)], [1, 2], False),
        ([_reports(1, 2, total=3)], [1, 2], False),
        ([_reports(1, 2, 2, total=3)], [1, 2], True),
        ([_reports(1, 2, 2, total=2)], [1, 2], True),
        ([_reports(1, 2, 2, total=4)], [1, 2], False),
        ([_reports(1, total="1")], [1], True),
        ([_reports(1, total="many")], [1], False),
        ([_reports(1, None, total=2)], [1], False),
        ([_reports(1, total=None)], [1], False),
    ],
)
def test_reports_are_listed_and_whether_these_are_all(
    vendor: Vendor, pages: list[dict[str, Any]], found: list[int], complete: bool
) -> None:
    vendor.says(*pages)
    listed = imocha_client(vendor.url).list_reports(start_at=NOON, end_at=NOON + DAY)
    assert [report.test_invitation_id for report in listed] == found
    assert listed.complete is complete


# Tests and links (4)


@pytest.mark.parametrize(("tests", "pages"), [(0, 1), (PAGE_SIZE, 2), (PAGE_SIZE + 1, 3), (2 * PAGE_SIZE + 30, 4)])
def test_tests_are_read_page_by_page(sandbox: Sandbox, tests: int, pages: int) -> None:
    sandbox.world.tests.clear()
    for number in range(tests):
        sandbox.world.add_test(number, f"Test {number}")
    assert [test.id for test in sandbox.imocha.list_tests()] == list(range(tests))
    assert sandbox.called("imocha") == ["GET /tests"] * pages


def test_fewer_tests_a_page_than_asked_for_are_not_the_end(vendor: Vendor) -> None:
    """iMocha may cap the page size at 50."""
    numbers = [range(50), range(50, 100), range(100, 133), range(0)]
    vendor.says(*[{"tests": [{"testId": number} for number in page], "count": 133} for page in numbers])
    assert [test.id for test in imocha_client(vendor.url).list_tests()] == list(range(133))


def test_a_second_page_is_not_read_before_it_is_needed(sandbox: Sandbox) -> None:
    for number in range(PAGE_SIZE):
        sandbox.world.add_test(1000 + number, "T")
    next(sandbox.imocha.list_tests())
    assert len(sandbox.called("imocha")) == 1


def test_pages_that_repeat_or_overlap_give_each_test_once(vendor: Vendor) -> None:
    first = [{"testId": number, "testName": "T"} for number in range(PAGE_SIZE)]
    second = [*first[1:], {"testId": PAGE_SIZE, "testName": "T"}]
    vendor.says(*[{"tests": page, "count": PAGE_SIZE} for page in (first, second, second)])
    assert [test.id for test in imocha_client(vendor.url).list_tests()] == list(range(PAGE_SIZE + 1))
    assert [dict(sent.query)["pageNo"] for sent in vendor.received] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("status", "active"), [("Active", True), ("Live", True), (None, True), ("In-Active", False), ("archived", False)]
)
def test_only_a_clear_word_makes_a_test_inactive(vendor: Vendor, status: str | None, active: bool) -> None:
    vendor.says({"tests": [{"testId": 1, "status": status}]})
    (found,) = imocha_client(vendor.url).list_tests()
    assert found.is_active is active


@pytest.mark.parametrize("item", [{"testName": "secret"}, {"testId": "secret"}, {"testId": 2**63}, "secret", None])
def test_what_is_no_test_is_left_out_and_the_list_is_not_complete(
    vendor: Vendor, item: Any, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.says({"tests": [{"testId": 1}, item, {"testId": 2}]}, {"tests": []})
    tests = imocha_client(vendor.url).list_tests()
    assert [test.id for test in tests] == [1, 2]
    assert not tests.complete
    assert "list_tests: record" in caplog.text
    assert "secret" not in caplog.text


def test_a_list_of_tests_is_complete_when_it_was_read_to_its_end(vendor: Vendor) -> None:
    vendor.says({"tests": [{"testId": 1}], "count": 2}, {"tests": [{"testId": 2}], "count": 2}, {"tests": []})
    tests = imocha_client(vendor.url).list_tests()
    assert next(tests).id == 1
    assert not tests.complete
    assert [test.id for test in tests] == [2]
    assert tests.complete


@pytest.mark.parametrize("pages", [[{"tests": []}], [{}], [{"tests": [{"testId": 1}], "count": 133}, {"tests": []}]])
def test_a_list_of_tests_that_is_empty_or_short_is_not_complete(vendor: Vendor, pages: list[Any]) -> None:
    vendor.says(*pages)
    tests = imocha_client(vendor.url).list_tests()
    list(tests)
    assert not tests.complete


def _tests(*pages: Sequence[int], count: Any) -> list[dict[str, Any]]:
    return [{"tests": [{"testId": number} for number in page], "count": count} for page in (*pages, ())]


@pytest.mark.parametrize(
    ("pages", "complete"),
    [
        (_tests([1, 2, 2], count=3), True),
        (_tests([1, 2, 2], count=2), True),
        (_tests([1, 2, 2], count=4), False),
        (_tests([1, 2], [3, 3], count=4), True),
        (_tests([2, 3], [3, 4], count=4), False),  # 1 came before them meanwhile
        (_tests([1, 2], count="2"), True),
        (_tests([1, 2], count="3.0"), False),
        (_tests([1, 2], count="many"), True),
        (_tests([1, 2], count="1e999"), True),
        (_tests([1, 2], count=-1), True),
    ],
)
def test_a_list_of_tests_is_complete_when_it_has_as_many_records_as_imocha_says(
    vendor: Vendor, pages: list[Any], complete: bool
) -> None:
    vendor.says(*pages)
    tests = imocha_client(vendor.url).list_tests()
    found = [test.id for test in tests]
    assert len(found) == len(set(found))
    assert tests.complete is complete


@pytest.mark.parametrize(
    "body",
    [
        {"errors": ["try again later"]},
        {"tests": [{"testId": 1}], "errors": ["some could not be read"]},
        {"result": {"tests": [], "Errors": "odd"}},
        {"result": None, "errors": {"code": 1}},
    ],
)
def test_an_answer_that_names_errors_is_no_fact(vendor: Vendor, body: Any) -> None:
    vendor.says(*[body] * 7)  # a window is asked for in halves, down to an hour
    imocha = imocha_client(vendor.url)
    with pytest.raises(UnexpectedAnswerError, match="names errors"):
        list(imocha.list_tests())
    with pytest.raises(UnexpectedAnswerError, match="names errors"):
        imocha.list_attempts(state="completed", start_at=NOON, end_at=NOON + DAY)


def test_a_write_whose_answer_names_errors_may_have_been_applied(vendor: Vendor) -> None:
    vendor.says(*[{"result": None, "errors": ["odd"]}] * 2)
    imocha = imocha_client(vendor.url)
    with pytest.raises(OutcomeUnknownError):
        imocha.cancel(5)
    with pytest.raises(OutcomeUnknownError):
        imocha.create_gdpr_request("ann@example.com")


def test_smaller_pages_are_asked_for_when_a_hundred_are_refused(vendor: Vendor) -> None:
    vendor.says({"errors": ["pageSize must not be more than 50"]}, status=400)
    vendor.says(*[{"tests": [{"testId": number} for number in page]} for page in (range(50), range(50, 60), ())])
    tests = imocha_client(vendor.url).list_tests()
    assert [test.id for test in tests] == list(range(60))
    assert tests.complete
    asked = [(dict(sent.query)["pageNo"], dict(sent.query)["pageSize"]) for sent in vendor.received]
    assert asked == [("1", "100"), ("1", "50"), ("2", "50"), ("3", "50")]


@pytest.mark.slow
def test_a_list_of_tests_that_never_ends_is_ended_with_an_error(vendor: Vendor) -> None:
    vendor.says(*[{"tests": [{"testId": number}]} for number in range(MAX_PAGES + 1)])
    with pytest.raises(UnexpectedAnswerError, match=f"more than {MAX_PAGES} pages"):
        list(imocha_client(vendor.url).list_tests())
    assert len(vendor.received) == MAX_PAGES


def test_links_come_with_their_settings(sandbox: Sandbox) -> None:
    (link,) = sandbox.imocha.list_test_links(101)
    assert (link.id, link.name, link.is_api_link, link.status) == (900101, "Default", True, "active")
    now = datetime(2026, 7, 2, tzinfo=UTC)
    assert settings_of(link, now=now) == InviteSettings(
        start_at=now, end_at=now + timedelta(days=7), time_zone_id=1200, proctoring_mode="disabled"
    )
    with pytest.raises(NotFoundError):
        sandbox.imocha.list_test_links(1)


# Invitations (5)


@pytest.fixture
def invited(sandbox: Sandbox) -> Invitation:
    """Ann, invited to a test without an e-mail."""
    made = sandbox.imocha.invite(101, email="ann@example.com", name="Ann", send_email=False)
    return sandbox.world.invitations[made.id]


def finish(invitation: Invitation, state: str = "Complete", **given: Any) -> None:
    invitation.state, invitation.points, invitation.total = state, 34, 50
    invitation.attempted_on = invitation.changed_at = datetime(2026, 7, 2, 12, 30, tzinfo=UTC)
    for key, value in given.items():
        setattr(invitation, key, value)


def test_an_invitation_sends_an_email_only_when_asked(sandbox: Sandbox, invited: Invitation) -> None:
    assert (invited.state, sandbox.world.mails) == ("Pending", [])
    again = sandbox.imocha.invite(101, email="Ann@example.com", name="Ann", send_email=True)
    assert (again.id, again.status) == (invited.id, AttemptStatus.PENDING)
    assert [mail["to"] for mail in sandbox.world.mails] == ["ann@example.com"]


def test_an_invitation_takes_the_settings_given(sandbox: Sandbox, invited: Invitation) -> None:
    settings = InviteSettings(start_at=NOON, end_at=NOON + 999 * DAY, time_zone_id=1720, proctoring_mode="video")
    sandbox.imocha.invite(
        101, email="ann@example.com", name="Ann", send_email=False, callback_url="https://e.com/c", settings=settings
    )
    assert invited.start == datetime(2026, 7, 2, 12, tzinfo=UTC)
    assert (invited.time_zone_id, invited.proctoring, invited.callback_url) == (1720, "video", "https://e.com/c")


def test_an_invitation_by_link_uses_that_link(sandbox: Sandbox) -> None:
    made = sandbox.imocha.invite_by_link(101, 900101, email="ann@example.com", name="Ann", send_email=False)
    assert made.id in sandbox.world.invitations
    with pytest.raises(NotFoundError, match="test link not found"):
        sandbox.imocha.invite_by_link(101, 1, email="ann@example.com", name="Ann", send_email=False)


def test_a_finished_attempt_is_reattempted_under_a_new_id(sandbox: Sandbox, invited: Invitation) -> None:
    finish(invited)
    window: dict[str, Any] = {"start_at": NOON, "end_at": NOON + 999 * DAY, "time_zone_id": 1200}
    made = sandbox.imocha.reattempt(invited.id, send_email=True, **window)
    assert made.id != invited.id
    assert made.status is AttemptStatus.UNKNOWN, "a reattempt's answer has no status (5.4)"
    assert sandbox.imocha.reattempt(invited.id, send_email=False, **window) == made
    assert len(sandbox.world.mails) == 1


@pytest.mark.parametrize("status", [403, 400])
def test_a_running_attempt_cannot_be_reattempted(sandbox: Sandbox, invited: Invitation, status: int) -> None:
    sandbox.world.switches["refused_reattempt"] = status
    invited.state = "In Progress"
    with pytest.raises(ReattemptNotAllowedError, match=f"answered {status} to reattempt .*in inprogress state"):
        sandbox.imocha.reattempt(invited.id, start_at=NOON, end_at=NOON + DAY, time_zone_id=1, send_email=True)


def test_a_reattempt_refused_for_another_reason_is_what_the_status_says(sandbox: Sandbox, invited: Invitation) -> None:
    sandbox.world.faults.append(Fault(vendor="imocha", path_contains="reattempt", status=403, message="No permission"))
    with pytest.raises(NotPermittedError, match="No permission"):
        sandbox.imocha.reattempt(invited.id, start_at=NOON, end_at=NOON + DAY, time_zone_id=1, send_email=True)


def test_a_pending_invitation_is_cancelled_once(sandbox: Sandbox, invited: Invitation) -> None:
    sandbox.imocha.cancel(invited.id)
    assert invited.state == "Cancelled"
    with pytest.raises(RequestRejectedError, match="can not be cancelled"):
        sandbox.imocha.cancel(invited.id)


# Reports (7)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_report_is_read(sandbox: Sandbox, invited: Invitation, as_text: bool) -> None:
    sandbox.world.switches["numbers_as_text"] = as_text
    finish(invited, "Test Left")
    report = sandbox.imocha.get_report(invited.id)
    assert (report.test_invitation_id, report.test_id, report.status) == (invited.id, 101, AttemptStatus.TEST_LEFT)
    assert (report.candidate_points, report.total_test_points, report.score_percentage) == (34, 50, 68)
    assert (report.test_name, report.performance_category, report.time_taken) == (
        "Python Developer",
        "Proficient",
        1234,
    )
    assert report.attempted_on == invited.attempted_on
    assert report.sections[0].section_time_taken == 1234
    assert report.is_final


def test_a_report_is_read_whatever_the_case_of_its_keys_and_whatever_is_missing(vendor: Vendor) -> None:
    sections = [{"SectionName": "A", "CandidateScore": "1.5"}, {"sectionname": "B", "sectionTimeTaken": 60, "x": 1}]
    vendor.says(
        {"Status": "Complete", "PerformanceCategory": "Beginner", "TotalTestPoints": "10.00", "Sections": sections},
        {"status": "Terminated", "sections": None, "attemptedOn": "", "pdfReportUrl": None, "scorePercentage": None},
    )
    imocha = imocha_client(vendor.url)
    first, second = imocha.get_report(1), imocha.get_report(1)
    assert (first.performance_category, first.total_test_points, first.is_final) == ("Beginner", 10, True)
    assert [(part.section_name, part.candidate_score, part.section_time_taken) for part in first.sections] == [
        ("A", 1.5, None),
        ("B", None, 60),
    ]
    assert second == Report(status=AttemptStatus.TERMINATED)
    assert not second.is_final, "ended, but not scored yet"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-07-12T06:37:04.1412345Z", datetime(2024, 7, 12, 6, 37, 4, 141234, tzinfo=UTC)),
        ("2024-07-12T06:37:04.14", datetime(2024, 7, 12, 6, 37, 4, 140000, tzinfo=UTC)),
        ("2020-10-09T13:21:53", datetime(2020, 10, 9, 13, 21, 53, tzinfo=UTC)),
        ("2020-10-09T13:21:53+05:30", datetime(2020, 10, 9, 7, 51, 53, tzinfo=UTC)),
        ("2020-10-09", datetime(2020, 10, 9, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_time_without_a_zone_is_utc(vendor: Vendor, text: str | None, moment: datetime | None) -> None:
    vendor.says({"attemptedOn": text})
    assert imocha_client(vendor.url).get_report(1).attempted_on == moment


def test_the_report_of_another_attempt_is_not_taken_for_it(vendor: Vendor) -> None:
    vendor.says({"testInvitationId": "2", "status": "Complete"}, {"testInvitationId": "1", "status": "Complete"})
    imocha = imocha_client(vendor.url)
    with pytest.raises(UnexpectedAnswerError, match="another attempt"):
        imocha.get_report(1)
    assert imocha.get_report(1).status is AttemptStatus.COMPLETE


def test_a_time_that_is_none_is_left_out(vendor: Vendor) -> None:
    vendor.says({"attemptedOn": "yesterday", "status": "Complete", "totalTestPoints": 50})
    report = imocha_client(vendor.url).get_report(1)
    assert (report.attempted_on, report.is_final) == (None, True)


@pytest.mark.parametrize(("how", "kind"), [("status", None), (404, NotFoundError), ("errors", RequestRejectedError)])
def test_a_report_that_is_not_ready_says_so_in_one_of_three_ways(
    sandbox: Sandbox, invited: Invitation, how: Any, kind: type[ApiError] | None
) -> None:
    sandbox.world.switches["report_not_ready"] = how
    finish(invited, report_ready=False)
    if kind is None:
        assert not sandbox.imocha.get_report(invited.id).is_final
    else:
        with pytest.raises(kind):
            sandbox.imocha.get_report(invited.id)


# The report as PDF (7.2)

PDF = b"%PDF-1.4 " + bytes(range(256)) * 1000 + b"%%EOF\n"


def file(content: bytes, **headers: str) -> Answer:
    return 200, {"Content-Type": "application/pdf"} | headers, content


def broken_off() -> Answer:
    return file(PDF[:1000], **{"Content-Length": str(len(PDF))})


@pytest.mark.parametrize("pdf_as", ["url", "bytes"])
@pytest.mark.parametrize("linked", [True, False])
def test_a_report_is_opened_from_its_link_or_from_the_endpoint(
    sandbox: Sandbox, invited: Invitation, pdf_as: str, linked: bool
) -> None:
    sandbox.world.switches["pdf_as"] = pdf_as
    finish(invited)
    report = sandbox.imocha.get_report(invited.id) if linked else Report()
    with sandbox.imocha.open_report_pdf(invited.id, report) as content:
        assert content.tell() == 0
        assert f"Report of invitation {invited.id}".encode() in content.read()
    assert (f"GET /reports/{invited.id}/pdf" in sandbox.called("imocha")) is not linked


def test_the_key_is_not_sent_to_the_links_host(vendor: Vendor, elsewhere: Vendor) -> None:
    elsewhere.answers = [file(PDF), (302, {"Location": f"{elsewhere.url}/moved"}, ""), file(PDF)]
    vendor.says({"pdfReport": f"{elsewhere.url}/r.pdf"})
    imocha = imocha_client(vendor.url)
    for report in (Report(pdfReportUrl=f"{elsewhere.url}/link"), Report()):
        with imocha.open_report_pdf(5, report) as content:
            assert content.read() == PDF
    assert [sent.target for sent in elsewhere.received] == ["/link", "/r.pdf", "/moved"]
    assert all("x-api-key" not in sent.headers for sent in elsewhere.received)


def test_too_many_requests_at_the_links_host_slow_down_no_request_to_imocha(vendor: Vendor, elsewhere: Vendor) -> None:
    class Counting(Unlimited):
        slowed = 0

        def slow_down(self) -> None:
            self.slowed += 1

    limiter = Counting()
    elsewhere.answers, vendor.answers = [(429, {}, "")], [file(PDF)]
    link = Report(pdfReportUrl=f"{elsewhere.url}/link")
    with imocha_client(vendor.url, limiter=limiter).open_report_pdf(5, link) as content:
        assert content.read() == PDF
    assert limiter.slowed == 0


def test_the_key_is_not_sent_where_the_endpoint_redirects_to(vendor: Vendor, elsewhere: Vendor) -> None:
    vendor.answers = [(302, {"Location": f"{elsewhere.url}/storage"}, "")]
    elsewhere.answers = [file(PDF)]
    with imocha_client(vendor.url).open_report_pdf(5, Report()) as content:
        assert content.read() == PDF
    (sent,) = elsewhere.received
    assert (sent.target, "x-api-key" in sent.headers) == ("/storage", False)


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, "gone"),
        (403, {}, "the link has expired"),
        (401, {}, ""),
        (503, {}, ""),
        (429, {}, ""),
        None,
        (200, {"Content-Type": "text/html"}, "<html>Sign in</html>"),
        file(b""),
        broken_off(),
    ],
)
def test_a_link_that_does_not_give_the_pdf_is_given_up_for_the_endpoint(
    vendor: Vendor, elsewhere: Vendor, answer: Answer | None
) -> None:
    elsewhere.answers = [answer]
    vendor.answers = [file(PDF)]
    with imocha_client(vendor.url).open_report_pdf(5, Report(pdfReportUrl=elsewhere.url)) as content:
        assert content.read() == PDF
    assert [sent.target for sent in vendor.received] == ["/reports/5/pdf"]


@pytest.mark.parametrize("link", ["file:///etc/passwd", "ftp://example.com/r", "report.pdf", "http://[", "http://*.a/"])
def test_a_link_that_is_no_web_address_is_given_up_for_the_endpoint(vendor: Vendor, link: str) -> None:
    vendor.answers = [file(PDF)]
    with imocha_client(vendor.url).open_report_pdf(5, Report(pdfReportUrl=link)) as content:
        assert content.read() == PDF


def test_a_pdf_that_is_too_large_is_not_asked_for_again(vendor: Vendor) -> None:
    vendor.answers = [file(PDF), file(PDF), file(PDF)]
    imocha = imocha_client(vendor.url)
    for report in (Report(pdfReportUrl=f"{vendor.url}/link"), Report()):
        with pytest.raises(ReportFileError, match="larger than") as caught:
            imocha.open_report_pdf(5, report, max_bytes=len(PDF) - 1)
        assert caught.value.retry is Retry.LATER
    assert [sent.target for sent in vendor.received] == ["/link", "/reports/5/pdf"]
    with imocha.open_report_pdf(5, Report(), max_bytes=len(PDF)) as content:
        assert content.read() == PDF


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (file(b"<html>"), "is not a PDF"),
        (broken_off(), "broke off"),
        ((404, {}, ""), "answered 404"),
        ((403, {}, ""), "answered 403"),
        ((400, {}, '{"errors": ["report is not available"]}'), "answered 400"),
        ((200, {"Content-Type": "application/json", "Content-Length": "999"}, '{"pdfReport": "ht'), "broke off"),
    ],
)
def test_without_a_pdf_the_error_says_why_and_may_be_tried_again(vendor: Vendor, answer: Answer, said: str) -> None:
    vendor.answers = [answer]
    with pytest.raises(ReportFileError, match=said) as caught:
        imocha_client(vendor.url).open_report_pdf(5, Report())
    assert caught.value.retry is Retry.SOON


@pytest.mark.parametrize(
    "body", ["null", "5", "[]", "{}", '{"pdfReport": "ftp://x"}', "not json", '{"errors": ["no"]}']
)
def test_an_endpoint_that_names_no_link_is_unexpected(vendor: Vendor, body: str) -> None:
    vendor.answers = [(200, {"Content-Type": "application/json; charset=utf-8"}, body)]
    with pytest.raises(UnexpectedAnswerError, match="no link to a PDF"):
        imocha_client(vendor.url).open_report_pdf(5, Report())


@pytest.mark.parametrize("shape", ['"{}"', '{{"result": {{"PdfReport": "{}"}}, "errors": null}}', '{{"result": "{}"}}'])
def test_the_endpoints_link_is_found_in_any_envelope(vendor: Vendor, elsewhere: Vendor, shape: str) -> None:
    vendor.answers = [(200, {"Content-Type": "application/json"}, shape.format(elsewhere.url))]
    elsewhere.answers = [file(PDF)]
    with imocha_client(vendor.url).open_report_pdf(5, Report()) as content:
        assert content.read() == PDF


def test_an_endpoint_that_fails_is_not_taken_for_a_lost_write(vendor: Vendor) -> None:
    vendor.answers = [(503, {}, ""), None, (429, {"Retry-After": "90"}, "")]
    imocha = imocha_client(vendor.url)
    for _ in range(2):
        with pytest.raises(VendorDownError):
            imocha.open_report_pdf(5, Report())
    with pytest.raises(RateLimitedError) as caught:
        imocha.open_report_pdf(5, Report())
    assert caught.value.retry_after == 90


@pytest.mark.parametrize(
    ("status", "message", "seconds"),
    [
        (403, "Out of call volume quota. Quota will be replenished in 00:10:30.", 630),
        (403, "Out of call volume quota. Quota will be replenished in 99:00:00.", 3600),
        (403, "Out of bandwidth QUOTA.", 900),
        (429, "The assigned quota is exhausted", 900),
        (429, "Rate limit is exceeded. Try again in 45 seconds.", 45),
        (429, "Rate limit is exceeded. Try again in 999999999 seconds.", 3600),
    ],
)
def test_a_spent_quota_says_what_it_is_and_is_waited_for(
    vendor: Vendor, status: int, message: str, seconds: float
) -> None:
    vendor.says({"statusCode": status, "message": message}, status=status)
    with pytest.raises(RateLimitedError) as caught:
        imocha_client(vendor.url).get_report(5)
    assert (caught.value.retry, caught.value.retry_after) == (Retry.SOON, seconds)
    assert ("quota of calls is spent" in str(caught.value)) == ("quota" in message.casefold())
    assert "permission" not in str(caught.value)
    assert len(vendor.received) == 1


# Retrieve Invites (6.4)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_ended_attempts_of_a_window_are_listed(
    sandbox: Sandbox, invited: Invitation, legacy: bool, as_text: bool
) -> None:
    sandbox.world.switches.update(legacy_attempt_keys=legacy, numbers_as_text=as_text)
    other = sandbox.imocha.invite(102, email="ben@example.com", name="Ben", send_email=False)
    sandbox.imocha.cancel(other.id)
    finish(invited)
    changed = datetime(2026, 7, 2, 12, 30, tzinfo=UTC)
    sandbox.world.invitations[other.id].changed_at = changed
    window = {"start_at": changed - DAY, "end_at": changed + DAY}
    (done,) = sandbox.imocha.list_attempts(state="completed", **window)
    assert (done.test_invitation_id, done.test_id, done.status) == (invited.id, 101, AttemptStatus.COMPLETE)
    (gone,) = sandbox.imocha.list_attempts(state="cancelled", **window)
    assert (gone.test_invitation_id, gone.status) == (other.id, AttemptStatus.CANCELLED)
    assert sandbox.imocha.list_attempts(state="completed", start_at=changed + DAY, end_at=changed + 2 * DAY) == []


@pytest.mark.parametrize("as_404", [True, False])
def test_no_attempts_may_be_an_empty_list_or_not_found(sandbox: Sandbox, as_404: bool) -> None:
    sandbox.world.switches["empty_sweep_is_404"] = as_404
    assert sandbox.imocha.list_attempts(state="expired", start_at=NOON, end_at=NOON + DAY) == []


def test_a_window_that_is_refused_is_asked_for_in_halves(sandbox: Sandbox, invited: Invitation) -> None:
    sandbox.world.switches.update(sweep_limit_days=2, empty_sweep_is_404=True)
    finish(invited)
    end = datetime(2026, 7, 2, 13, tzinfo=UTC)
    attempts = sandbox.imocha.list_attempts(state="completed", start_at=end - 8 * DAY, end_at=end)
    assert [attempt.test_invitation_id for attempt in attempts] == [invited.id]
    assert len([call for call in sandbox.called("imocha") if "testattempts" in call]) == 7


@pytest.mark.parametrize("status", [401, 200])
def test_a_window_that_is_read_in_halves_leaves_no_gap(vendor: Vendor, status: int) -> None:
    vendor.says({"result": None, "errors": ["Date & time is not valid"]}, status=status)
    vendor.says(*[{"result": {"testAttempts": []}}] * 2)
    imocha_client(vendor.url).list_attempts(state="completed", start_at=NOON, end_at=NOON + timedelta(seconds=7201))
    _, first, second = (sent.json for sent in vendor.received)
    assert first == {"StartDateTime": NOON_TEXT, "EndDateTime": second["StartDateTime"]}
    assert second["EndDateTime"] == "2026-07-02T14:00:01Z"


def test_a_refusal_of_an_hour_is_not_about_the_window(vendor: Vendor) -> None:
    for _ in range(9):
        vendor.says({"result": None, "errors": ["Date & time is not valid"]}, status=401)
    with pytest.raises(RequestRejectedError, match="Date & time"):
        imocha_client(vendor.url).list_attempts(state="completed", start_at=NOON, end_at=NOON + timedelta(hours=4))
    assert len(vendor.received) == 3


# Erasure and units (8)


def test_a_candidates_records_are_erased_one_or_all(sandbox: Sandbox, invited: Invitation) -> None:
    imocha = sandbox.imocha
    for test_id in (102, 103):
        imocha.invite(test_id, email="ann@example.com", name="Ann", send_email=False)
    other = imocha.invite(101, email="ben@example.com", name="Ben", send_email=False)
    imocha.create_gdpr_request("ann@example.com", invitation_id=invited.id)
    assert invited.id not in sandbox.world.invitations
    assert len(sandbox.world.invitations) == 3
    assert imocha.create_gdpr_request("ann@example.com")
    assert list(sandbox.world.invitations) == [other.id]
    assert not imocha.create_gdpr_request("ann@example.com")
    sandbox.world.faults.append(Fault(vendor="imocha", path_contains="/gdpr", status=400))
    with pytest.raises(RequestRejectedError):
        imocha.create_gdpr_request("ann@example.com")


def test_business_units_are_listed(sandbox: Sandbox) -> None:
    (unit,) = sandbox.imocha.list_business_units()
    assert unit["businessUnitName"] == "Main"
