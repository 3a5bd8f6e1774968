"""Lever's API as the client sees it (sections refer to lever.md)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from lever_imocha.clients.lever import PAGE_SIZE, LeverClient
from lever_imocha.clients.transport import MAX_PAGES
from lever_imocha.domain.forms import FormTemplate, merged_fields, our_fields
from lever_imocha.errors import (
    CredentialsError,
    LeverImochaError,
    NotFoundError,
    OutcomeUnknownError,
    RequestRejectedError,
    UnexpectedAnswerError,
    VendorDownError,
)

from include.sandbox.world import Fault, new_id
from tests.clients.conftest import Answer, Counts, Sandbox, Vendor, lever_client

NOON = datetime(2026, 7, 2, 12, tzinfo=UTC)
NOON_MS = "1782993600000"
TOKEN = "%5B3%2C1491435120000%2C%225599cc20-77ec-4a26-9b06-5dd6a0a5f1a3%22%5D"
TEMPLATE = FormTemplate(id="t1", text="Ours")


def pdf() -> io.BytesIO:
    return io.BytesIO(b"%PDF-1.4 report")


THING = {"id": "x", "text": "X", "event": "candidateStageChange"}
"""Enough of every kind of object for a client to read it."""


@dataclass(frozen=True)
class Described:
    """A call of the client, and what Lever receives for it; lists are of one page."""

    do: Callable[[LeverClient], Any]
    method: str
    target: str
    body: Any = None
    repeatable: bool = True
    answer: Any = field(default_factory=lambda: THING)

    def run(self, lever: LeverClient) -> Any:
        result = self.do(lever)
        return list(result) if isinstance(result, Iterator) else result


CALLS = {
    "check": Described(lambda api: api.check(), "GET", "/stages?limit=1"),
    "list_opportunities": Described(
        lambda api: api.list_opportunities(
            stage_ids=["a", "lead-new"], tags=["x & y", "z"], posting_ids=["p", "q"], contact_ids=["c", "d"],
            archived=False, advanced_at_start=NOON, updated_at_start=NOON, email="ann+1@example.com",
            expand=["applications", "stage"],
        ),
        "GET",
        "/opportunities?confidentiality=all&stage_id=a&stage_id=lead-new&tag=x+%26+y&tag=z&posting_id=p&posting_id=q"
        "&contact_id=c&contact_id=d&expand=applications&expand=stage&archived=false"
        f"&advanced_at_start={NOON_MS}&updated_at_start={NOON_MS}&email=ann%2B1%40example.com&limit=100",
    ),
    "get_opportunity": Described(
        lambda api: api.get_opportunity("o/1?", expand=["stage"]), "GET", "/opportunities/o%2F1%3F?expand=stage",
        answer={"id": "o/1?", "stage": "offer"},
    ),
    "update_stage": Described(
        lambda api: api.update_stage("o1", "offer", perform_as="u1"),
        "PUT", "/opportunities/o1/stage?perform_as=u1", {"stage": "offer"}, repeatable=False,
        answer={"id": "o1", "stage": "offer"},
    ),
    "add_tags": Described(
        lambda api: api.add_tags("o1", ("a", "b"), perform_as="u1"),
        "POST", "/opportunities/o1/addTags?perform_as=u1", {"tags": ["a", "b"]},
    ),
    "remove_tags": Described(
        lambda api: api.remove_tags("o1", ("a", "b"), perform_as="u1"),
        "POST", "/opportunities/o1/removeTags?perform_as=u1", {"tags": ["a", "b"]},
    ),
    "list_notes": Described(lambda api: api.list_notes("o1"), "GET", "/opportunities/o1/notes?limit=100"),
    "create_note": Described(
        lambda api: api.create_note("o1", "hello", perform_as="u1"),
        "POST", "/opportunities/o1/notes?perform_as=u1", {"value": "hello"}, repeatable=False,
    ),
    "update_note": Described(
        lambda api: api.update_note("o1", "n1", "hello", perform_as="u1"),
        "PUT", "/opportunities/o1/notes/n1?perform_as=u1", {"values": [{"value": "hello"}]},
    ),
    "list_form_templates": Described(
        lambda api: api.list_form_templates(),
        "GET", "/form_templates?include=id&include=text&include=group&include=fields&limit=100",
    ),
    "get_form_template": Described(lambda api: api.get_form_template("t1"), "GET", "/form_templates/t1"),
    "create_form_template": Described(
        lambda api: api.create_form_template(text="Ours", fields=[{"type": "text", "text": "Score"}]),
        "POST", "/form_templates",
        {
            "text": "Ours", "instructions": "", "secretByDefault": False,
            "fields": [{"type": "text", "text": "Score"}],
        },
        repeatable=False,
    ),
    "list_forms": Described(lambda api: api.list_forms("o1"), "GET", "/opportunities/o1/forms?limit=100"),
    "create_form": Described(
        lambda api: api.create_form("o1", template_id="t1", fields=[{"value": None}], secret=None, perform_as="u1"),
        "POST", "/opportunities/o1/forms?perform_as=u1", {"baseTemplateId": "t1", "fields": [{"value": None}]},
        repeatable=False,
    ),
    "create_secret_form": Described(
        lambda api: api.create_form("o1", template_id="t1", fields=[], secret=True, perform_as="u1"),
        "POST", "/opportunities/o1/forms?perform_as=u1", {"baseTemplateId": "t1", "fields": [], "secret": True},
        repeatable=False,
    ),
    "list_files": Described(lambda api: api.list_files("o1"), "GET", "/opportunities/o1/files?limit=100"),
    "list_stages": Described(lambda api: api.list_stages(), "GET", "/stages?limit=100"),
    "get_stage": Described(lambda api: api.get_stage("lead-new"), "GET", "/stages/lead-new"),
    "list_tags": Described(lambda api: api.list_tags(), "GET", "/tags?limit=100"),
    "find_user": Described(
        lambda api: api.find_user("pat@example.com"), "GET", "/users?email=pat%40example.com&limit=100"
    ),
    "list_postings": Described(lambda api: api.list_postings(), "GET", "/postings?confidentiality=all&limit=100"),
    "get_posting": Described(lambda api: api.get_posting("p1"), "GET", "/postings/p1"),
    "list_webhooks": Described(lambda api: api.list_webhooks(), "GET", "/webhooks?limit=100"),
    "create_webhook": Described(
        lambda api: api.create_webhook(url="https://example.com/hook", event="candidateStageChange"),
        "POST", "/webhooks", {"url": "https://example.com/hook", "event": "candidateStageChange"}, repeatable=False,
    ),
    "delete_webhook": Described(lambda api: api.delete_webhook("w1"), "DELETE", "/webhooks/w1"),
}  # fmt: skip

each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


# What is sent


@each_call
def test_a_call_is_sent_as_lever_documents_it(vendor: Vendor, call: Described) -> None:
    vendor.says({"data": call.answer})
    call.run(lever_client(vendor.url))
    (sent,) = vendor.received
    assert (sent.method, sent.target) == (call.method, call.target)
    assert sent.json == call.body
    assert sent.headers["authorization"] == "Basic bGV2ZXIta2V5Og=="  # lever-key, no password


@each_call
def test_a_call_whose_answer_is_lost_is_sent_again_only_where_that_does_no_harm(
    vendor: Vendor, call: Described
) -> None:
    vendor.answers = [None]
    vendor.says({"data": call.answer})
    if call.repeatable:
        call.run(lever_client(vendor.url))
    else:
        with pytest.raises(OutcomeUnknownError):
            call.run(lever_client(vendor.url))
    assert len(vendor.received) == (2 if call.repeatable else 1)


UNREADABLE = pytest.mark.parametrize(
    "answer",
    [
        (200, {}, ""),
        (201, {}, "null"),
        (200, {"Content-Type": "text/html"}, "<html>Welcome</html>"),
        (200, {}, '{"data": {"id": "o1", "sta'),
        (200, {}, '{"data": {"stage": []}}'),
        (200, {"Content-Length": "500"}, '{"data": {"id": "o1"'),
        (200, {"Content-Encoding": "gzip"}, "no gzip"),
    ],
    ids=["empty", "null", "HTML", "cut", "another shape", "broken off", "not unpacked"],
)


@UNREADABLE
@pytest.mark.parametrize("name", ["add_tags", "remove_tags", "update_note", "delete_webhook"])
def test_a_write_whose_answer_is_not_needed_is_done_whatever_the_answer_says(
    vendor: Vendor, name: str, answer: Answer
) -> None:
    vendor.answers = [answer]
    assert CALLS[name].run(lever_client(vendor.url)) is None
    assert len(vendor.received) == 1


@UNREADABLE
@pytest.mark.parametrize(
    "name", ["update_stage", "create_note", "create_form", "create_form_template", "create_webhook"]
)
def test_a_write_whose_answer_is_needed_and_cannot_be_read_is_looked_up(
    vendor: Vendor, name: str, answer: Answer
) -> None:
    vendor.answers = [answer]
    with pytest.raises(OutcomeUnknownError):
        CALLS[name].run(lever_client(vendor.url))
    assert len(vendor.received) == 1


@UNREADABLE
def test_a_form_template_that_was_changed_is_read_where_the_answer_cannot_be(vendor: Vendor, answer: Answer) -> None:
    vendor.says({"data": {"text": "Ours"}})
    vendor.answers.append(answer)
    vendor.says({"data": {"id": "t1", "text": "Ours"}})
    assert lever_client(vendor.url).update_form_template(TEMPLATE, fields=[]).id == "t1"
    assert [one.method for one in vendor.received] == ["GET", "PUT", "GET"]


def test_the_key_is_checked(sandbox: Sandbox) -> None:
    sandbox.lever.check()
    with pytest.raises(CredentialsError, match="Check the API key"):
        lever_client(f"{sandbox.url}/lever/v1", key="other").check()


# Answers (3.1)


@pytest.mark.parametrize("wrapped", [lambda x: {"data": x}, lambda x: x, lambda x: {"data": {"data": x}}])
def test_an_object_may_come_wrapped_bare_or_wrapped_twice(vendor: Vendor, wrapped: Callable[[Any], Any]) -> None:
    vendor.says(wrapped({"id": "w1", "event": "candidateHired", "data": {"id": "not this"}}))
    assert lever_client(vendor.url).create_webhook(url="https://example.com", event="candidateHired").id == "w1"


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"data": [{"id": "a"}, {"id": "b"}], "hasNext": False}, ["a", "b"]),
        ({"data": [{"id": "a"}], "next": "unused"}, ["a"]),
        ({"data": [{"id": "a"}], "next": "unused", "hasNext": False}, ["a"]),
        ({"data": []}, []),
        ({"data": {"id": "a"}}, ["a"]),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
        ([], []),
        ({"id": "a", "fields": []}, ["a"]),
    ],
)
def test_a_list_may_come_wrapped_bare_or_as_its_only_item(vendor: Vendor, body: Any, ids: list[str]) -> None:
    vendor.says(body)
    assert [form.id for form in lever_client(vendor.url).list_forms("o1")] == ids
    assert len(vendor.received) == 1


def test_numbers_may_be_text_and_the_reverse(vendor: Vendor) -> None:
    opportunity = {"id": 7, "stage": 8, "createdAt": NOON_MS, "lastAdvancedAt": int(NOON_MS), "stageChanges": []}
    vendor.says({"data": opportunity})
    found = lever_client(vendor.url).get_opportunity("7")
    assert (found.id, found.stage, found.created_at, found.last_advanced_at) == ("7", "8", NOON, NOON)


def test_unknown_fields_are_ignored_and_optional_ones_may_be_missing_or_null(vendor: Vendor) -> None:
    nothing = dict.fromkeys(
        ["name", "emails", "archived", "tags", "stageChanges", "applications", "createdAt", "dataProtection"]
    )
    least = {"id": "o1", "stage": "offer"}
    vendor.says({"data": least}, {"data": least | {"new": {"a": [1]}} | nothing})
    lever = lever_client(vendor.url)
    bare, full = lever.get_opportunity("o1"), lever.get_opportunity("o1")
    assert bare == full
    assert (bare.email, bare.tags, bare.posting_ids, bare.may_contact) == (None, (), (), True)
    assert bare.entered_stage_at == datetime.fromtimestamp(0, tz=UTC)


def test_a_record_that_is_odd_is_left_out_counted_and_named_without_its_content(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = "5c3a1b9e-3f5e-4d0a-9c55-0a8f4c1d2e3f"
    odd = [{"name": "Ann Example"}, {"id": uuid, "text": {"name": "Ann Example"}}, {"id": "Ann Example", "text": []}]
    vendor.says({"data": [{"id": "a", "text": "A"}, *odd, "Ann", None, {"id": "b", "text": "B"}]})
    counted = Counts()
    assert [stage.text for stage in lever_client(vendor.url, metrics=counted).list_stages()] == ["A", "B"]
    assert counted.counts["skipped_records.lever"] == 5
    assert f"list_stages: record {uuid} is skipped: fields not as expected: text" in caplog.text
    assert "list_stages: record number 2 of the page is skipped: fields not as expected: id" in caplog.text
    assert "Ann" not in caplog.text


def test_an_opportunity_whose_id_is_empty_or_becomes_so_when_it_is_cleaned_is_left_out(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": "o1"}, {"id": ""}, {"id": "\u0000"}]})
    listed = lever_client(vendor.url).list_opportunities()
    assert [one.id for one in listed] == ["o1"]
    assert (listed.skipped, listed.unreadable) == (2, set())


def test_another_opportunity_than_the_one_asked_for_is_not_taken_for_it(vendor: Vendor) -> None:
    vendor.says({"data": {"id": "o2", "emails": ["bob@example.com"]}})
    with pytest.raises(UnexpectedAnswerError, match="another opportunity"):
        lever_client(vendor.url).get_opportunity("o1")


@pytest.mark.parametrize("part", [{}, {"stage": None}, {"stage": {"text": "Offer"}}])
def test_a_part_of_an_opportunity_is_not_taken_for_one_that_has_left(vendor: Vendor, part: dict[str, Any]) -> None:
    vendor.says({"data": {"id": "o1"} | part})
    with pytest.raises(UnexpectedAnswerError, match="no stage"):
        lever_client(vendor.url).get_opportunity("o1")


def test_half_a_surrogate_pair_in_a_name_is_removed(vendor: Vendor) -> None:
    vendor.answers = [
        (200, {}, '{"data": {"id": "a", "stage": "offer", "name": "Ann\\ud800\\u0000", "tags": ["\\udfffx"]}}')
    ]
    read = lever_client(vendor.url).get_opportunity("a")
    assert (read.name, read.tags) == ("Ann", ("x",))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": "x", "message": "y"},
        {"data": None},
        {"data": "text"},
        "text",
        5,
        None,
        {"data": {}},
        {"data": {"0": {"id": "a"}}},
        {"data": [], "errors": ["x"]},
        {"data": [{"id": "a"}], "code": "x"},
    ],
    ids=str,
)
def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one(vendor: Vendor, body: Any) -> None:
    vendor.says(body)
    with pytest.raises(UnexpectedAnswerError):
        list(lever_client(vendor.url).list_stages())


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_is_not_taken_for_an_empty_list(vendor: Vendor, status: int) -> None:
    vendor.answers = [(status, {}, "")]
    with pytest.raises(UnexpectedAnswerError, match="no list"):
        list(lever_client(vendor.url).list_files("o1"))


def test_who_looks_for_something_to_make_it_is_told_of_records_that_cannot_be_read(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": ""}, {"id": "n1"}, {"id": "n2", "fields": 5}, None]})
    notes = lever_client(vendor.url).list_notes("o1").whole()
    assert next(notes).id == "n1"
    with pytest.raises(UnexpectedAnswerError, match="3 records cannot be read"):
        next(notes)


def test_pages_that_lead_in_a_circle_end_with_an_error(vendor: Vendor) -> None:
    tokens = ["one", "two", "three", "one", "two"]
    vendor.says(*[{"data": [{"id": token}], "next": token, "hasNext": True} for token in tokens])
    with pytest.raises(UnexpectedAnswerError, match="leads back to an earlier one"):
        list(lever_client(vendor.url).list_stages())
    assert len(vendor.received) == 4


@pytest.mark.slow
def test_a_list_that_never_ends_is_ended_with_an_error(vendor: Vendor) -> None:
    pages = [{"data": [{"id": "a"}], "next": f"t{number}", "hasNext": True} for number in range(MAX_PAGES + 1)]
    vendor.says(*pages)
    with pytest.raises(UnexpectedAnswerError, match=f"more than {MAX_PAGES} pages"):
        list(lever_client(vendor.url).list_stages())
    assert len(vendor.received) == MAX_PAGES


def test_pages_may_be_empty_but_not_for_ever(vendor: Vendor) -> None:
    pages: list[list[dict[str, str]]] = [[], [{"id": "a"}], *[[]] * 9, [{"id": "b"}], *[[]] * 20]
    vendor.says(*[{"data": page, "next": f"t{number}", "hasNext": True} for number, page in enumerate(pages)])
    stages = lever_client(vendor.url).list_stages
    with pytest.raises(UnexpectedAnswerError, match="10 pages are empty"):
        list(stages())
    assert len(vendor.received) == 22


@pytest.mark.parametrize("token", [None, "", {"page": 2}, ["2"]])
def test_another_page_without_an_address_is_an_error(vendor: Vendor, token: object) -> None:
    vendor.says({"data": [{"id": "a"}], "next": token, "hasNext": True})
    with pytest.raises(UnexpectedAnswerError, match="another page"):
        list(lever_client(vendor.url).list_stages())


# Lists (3)


def test_the_page_token_is_sent_back_as_it_came(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": "a"}], "next": TOKEN, "hasNext": True}, {"data": [{"id": "b"}], "hasNext": False})
    found = lever_client(vendor.url).list_opportunities(stage_ids=["s1", "s2"])
    assert [opportunity.id for opportunity in found] == ["a", "b"]
    first, second = vendor.received
    assert second.query == [*first.query, ("offset", TOKEN)]
    assert "offset=%255B3%252C" in second.target


def test_one_page_is_read_at_a_time(sandbox: Sandbox) -> None:
    for _ in range(PAGE_SIZE + 1):
        sandbox.world.add_opportunity(stage="Assessment")
    found = sandbox.lever.list_opportunities()
    for _ in range(PAGE_SIZE):
        next(found)
    assert len(sandbox.called("lever")) == 1
    assert len(list(found)) == 1
    assert len(sandbox.called("lever")) == 2


def test_a_record_that_moves_to_a_later_page_while_it_is_read_is_returned_once(sandbox: Sandbox) -> None:
    made = {sandbox.world.add_opportunity(stage="Assessment")["id"] for _ in range(PAGE_SIZE + 20)}
    found = sandbox.lever.list_opportunities()
    first = next(found)
    sandbox.world.move(first.id, "Offer")
    ids = [first.id] + [opportunity.id for opportunity in found]
    assert len(ids) == len(made)
    assert set(ids) == made
    assert len(sandbox.called("lever")) == 2


def lost_token(vendor: Vendor) -> None:
    vendor.says({"code": "BadRequestError", "message": f"Invalid offset token {TOKEN}"}, status=400)


def test_a_list_begins_anew_when_lever_no_longer_knows_the_token(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": "a"}], "next": TOKEN, "hasNext": True})
    lost_token(vendor)
    vendor.says(
        {"data": [{"id": "b"}, {"id": "a"}], "next": "new", "hasNext": True},
        {"data": [{"id": "c"}], "hasNext": False},
    )
    assert [stage.id for stage in lever_client(vendor.url).list_stages()] == ["a", "b", "c"]
    offsets = [dict(sent.query).get("offset") for sent in vendor.received]
    assert offsets == [None, TOKEN, None, "new"]


def test_a_list_does_not_begin_anew_for_ever(vendor: Vendor) -> None:
    for _ in range(10):
        vendor.says({"data": [{"id": "a"}], "next": TOKEN, "hasNext": True})
        lost_token(vendor)
    with pytest.raises(RequestRejectedError, match="Invalid offset token"):
        list(lever_client(vendor.url).list_stages())
    assert len(vendor.received) == 8


def test_another_refusal_ends_a_list(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": "a"}], "next": TOKEN, "hasNext": True})
    vendor.says({"code": "BadRequestError", "message": "limit is too large"}, status=400)
    with pytest.raises(RequestRejectedError, match="limit is too large"):
        list(lever_client(vendor.url).list_stages())
    assert len(vendor.received) == 2


# Opportunities (4, 5)


@pytest.mark.parametrize(
    ("wanted", "other", "filters"),
    [
        ({"stage": "Offer"}, {}, lambda o: {"stage_ids": [o["stage"], "lead-new"]}),
        ({"tags": ["iMocha", "b"]}, {"tags": ["imocha"]}, lambda o: {"tags": ["iMocha", "c"]}),
        ({"applications": [{"id": "a1", "posting": "p1"}]}, {}, lambda o: {"posting_ids": ["p1", "p2"]}),
        ({}, {}, lambda o: {"contact_ids": [o["contact"]]}),
        ({"archived": {"reason": "r", "archivedAt": 1782972986091}}, {}, lambda o: {"archived": True}),
        ({}, {"archived": {"reason": "r", "archivedAt": 1782972986091}}, lambda o: {"archived": False}),
        ({"emails": ["ann+1@example.com"]}, {"emails": ["b@c.de"]}, lambda o: {"email": "ann+1@example.com"}),
        ({"lastAdvancedAt": int(NOON_MS)}, {"lastAdvancedAt": int(NOON_MS) - 1}, lambda o: {"advanced_at_start": NOON}),
        ({"updatedAt": int(NOON_MS)}, {"updatedAt": None}, lambda o: {"updated_at_start": NOON}),
        ({"confidentiality": "confidential"}, {}, lambda o: {"confidentiality": "confidential"}),
    ],
)
def test_a_filter_finds_what_it_says(
    sandbox: Sandbox, wanted: dict[str, Any], other: dict[str, Any], filters: Callable[[Any], dict[str, Any]]
) -> None:
    made = sandbox.world.add_opportunity(**{"stage": "Assessment"} | wanted)
    sandbox.world.add_opportunity(**{"stage": "Assessment"} | other)
    assert [found.id for found in sandbox.lever.list_opportunities(**filters(made))] == [made["id"]]


def test_confidential_opportunities_are_listed_unless_they_are_left_out(sandbox: Sandbox) -> None:
    sandbox.world.add_opportunity(stage="Assessment", confidentiality="confidential")
    other = sandbox.world.add_opportunity(stage="Assessment")
    assert len(list(sandbox.lever.list_opportunities())) == 2
    (found,) = sandbox.lever.list_opportunities(confidentiality="non-confidential")
    assert found.id == other["id"]


def test_an_opportunity_is_read_with_its_posting_when_asked(sandbox: Sandbox) -> None:
    made = sandbox.world.add_opportunity(
        stage="Assessment", emails=["ann@example.com"], applications=[{"id": "a1", "posting": "p1"}]
    )
    lever = sandbox.lever
    plain = lever.get_opportunity(made["id"])
    full = lever.get_opportunity(made["id"], expand=["applications", "stage"])
    assert plain.posting_ids == ()
    assert full.posting_ids == ("p1",)
    assert plain.stage == full.stage == made["stage"]
    assert plain.email == "ann@example.com"
    with pytest.raises(RequestRejectedError, match="posting is not expandable"):
        lever.get_opportunity(made["id"], expand=["posting"])
    with pytest.raises(NotFoundError, match="get_opportunity"):
        lever.get_opportunity("nobody")


@pytest.fixture
def user(sandbox: Sandbox) -> str:
    """A Lever user to act as, in an account that demands one on every write."""
    sandbox.world.switches["perform_as_required"] = True
    return str(sandbox.world.users[0]["id"])


@pytest.fixture
def ann(sandbox: Sandbox) -> str:
    return str(sandbox.world.add_opportunity(stage="Assessment", emails=["ann@example.com"], tags=["a"])["id"])


def test_a_stage_is_changed_in_the_users_name(sandbox: Sandbox, ann: str, user: str) -> None:
    answer = sandbox.lever.update_stage(ann, "offer", perform_as=user)
    assert answer.stage == sandbox.world.opportunities[ann]["stage"] == "offer"
    assert sandbox.world.opportunities[ann]["stageChanges"][-1]["userId"] == user
    with pytest.raises(NotFoundError):
        sandbox.lever.update_stage(ann, "nowhere", perform_as=user)


def test_tags_are_added_and_removed(sandbox: Sandbox, ann: str, user: str) -> None:
    added = sandbox.lever.add_tags(ann, ["b", "c"], perform_as=user)
    assert added is not None
    assert added.tags == ("a", "b", "c")
    answer = sandbox.lever.remove_tags(ann, ["a", "c", "not there"], perform_as=user)
    assert answer is not None
    assert answer.tags == ("b",)
    assert sandbox.world.opportunities[ann]["tags"] == ["b"]
    assert answer.email is None, "the answers of these writes hold no contact data (5.1)"


# Notes (9)


def test_a_note_is_left_and_found_again(sandbox: Sandbox, ann: str, user: str) -> None:
    made = sandbox.lever.create_note(ann, "first\nsecond", perform_as=user)
    (found,) = sandbox.lever.list_notes(ann)
    assert (found.id, found.value) == (made.id, "first\nsecond")
    assert sandbox.world.notes[ann][0]["user"] == user
    sandbox.lever.update_note(ann, made.id, "third", perform_as=user)
    assert [(note.id, note.value) for note in sandbox.lever.list_notes(ann)] == [(made.id, "third")]


def test_a_created_note_may_be_named_by_note_id_only(vendor: Vendor) -> None:
    vendor.says({"data": {"noteId": "n1"}})
    assert lever_client(vendor.url).create_note("o1", "x", perform_as="u1").id == "n1"


def test_a_note_shows_its_whole_thread(vendor: Vendor) -> None:
    fields = [{"type": "note", "value": "one"}, "odd", {"type": "note", "value": None}, {"value": "two"}]
    vendor.says({"data": [{"id": "n1", "fields": fields}, {"id": "n2", "fields": None}]})
    assert [note.value for note in lever_client(vendor.url).list_notes("o1")] == ["one\n\ntwo", ""]


# Forms and templates (7)


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_template_is_made_listed_and_read(sandbox: Sandbox, wrapped: bool, as_text: bool) -> None:
    sandbox.world.switches.update(form_answers_wrapped=wrapped, times_as_text=as_text)
    made = sandbox.lever.create_form_template(text="iMocha Assessment", fields=our_fields())
    (listed,) = sandbox.lever.list_form_templates()
    assert sandbox.lever.get_form_template(made.id) == made
    assert (listed.id, listed.text, listed.fields) == (made.id, made.text, made.fields)
    assert [field.text for field in made.fields] == [field["text"] for field in our_fields()]


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_update_of_a_template_changes_its_fields_only(sandbox: Sandbox, wrapped: bool) -> None:
    sandbox.world.switches["form_answers_wrapped"] = wrapped
    frame = {"text": "Ours", "instructions": "Do not edit", "group": "g1", "secretByDefault": True}
    score = {"id": "f1", "type": "text", "text": "Score", "required": False, "hint": "kept"}
    templates, auth = f"{sandbox.url}/lever/v1/form_templates", ("lever-key", "")
    requests.post(templates, json=frame | {"fields": [score]}, auth=auth, timeout=5).raise_for_status()
    (template,) = sandbox.lever.list_form_templates()
    updated = sandbox.lever.update_form_template(template, fields=merged_fields(template))
    (kept,) = requests.get(templates, auth=auth, timeout=5).json()["data"]
    assert frame.items() <= kept.items()
    assert kept["fields"][0] == score
    assert len(updated.fields) == len(kept["fields"]) == len(our_fields())


@pytest.mark.parametrize("group", [None, "", "g1", {"id": "g1", "name": "Product"}])
def test_an_update_of_a_template_sends_nothing_that_it_did_not_have(vendor: Vendor, group: Any) -> None:
    vendor.says({"id": "t1", "text": "Ours", "group": group, "fields": []}, {"data": {"id": "t1", "text": "Ours"}})
    lever_client(vendor.url).update_form_template(TEMPLATE, fields=[{"type": "text", "text": "Score"}])
    read, written = vendor.received
    assert (read.method, read.target) == ("GET", "/form_templates/t1")
    assert (written.method, written.target) == ("PUT", "/form_templates/t1")
    frame = {"text": "Ours"} | ({"group": "g1"} if group else {})
    assert written.json == frame | {"fields": [{"type": "text", "text": "Score"}]}


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_form_is_made_and_listed(sandbox: Sandbox, ann: str, user: str, wrapped: bool, as_text: bool) -> None:
    sandbox.world.switches.update(form_answers_wrapped=wrapped, times_as_text=as_text)
    template = sandbox.lever.create_form_template(text="T", fields=[{"type": "text", "text": "Score"}])
    fields = [{"type": "text", "text": "Score", "value": "34 / 50"}]
    made = sandbox.lever.create_form(ann, template_id=template.id, fields=fields, secret=None, perform_as=user)
    (found,) = sandbox.lever.list_forms(ann)
    assert (found.id, found.base_template_id) == (made.id, template.id)
    assert found.fields[0]["value"] == "34 / 50"
    assert sandbox.world.forms[ann][0]["user"] == user
    with pytest.raises(RequestRejectedError, match="do not match the template"):
        sandbox.lever.create_form(ann, template_id=template.id, fields=[], secret=None, perform_as=user)


def test_deleted_forms_are_left_out(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": "gone", "deletedAt": NOON_MS}, {"id": "here", "deletedAt": None, "fields": None}]})
    (found,) = lever_client(vendor.url).list_forms("o1")
    assert (found.id, found.fields) == ("here", ())


# Files (8)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_file_is_uploaded_with_its_name_and_bytes(sandbox: Sandbox, ann: str, user: str, wrapped: bool) -> None:
    sandbox.world.switches["form_answers_wrapped"] = wrapped
    content = io.BytesIO(b"%PDF-" + bytes(range(256)) * 500)
    made = sandbox.lever.upload_file(ann, name="iMocha report 7.pdf", content=content, perform_as=user)
    (listed,) = sandbox.lever.list_files(ann)
    assert (listed.id, listed.name, listed.status) == (made.id, "iMocha report 7.pdf", "processed")
    assert sandbox.world.files[ann][0]["content"] == content.getvalue()


def test_an_upload_is_one_part_named_file(vendor: Vendor) -> None:
    vendor.says({"data": {"id": "f1", "name": "r.pdf", "size": "15", "uploadedAt": NOON_MS, "status": None}})
    lever_client(vendor.url).upload_file("o1", name="r.pdf", content=pdf(), perform_as="u1")
    (sent,) = vendor.received
    assert (sent.method, sent.target) == ("POST", "/opportunities/o1/files?perform_as=u1")
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert sent.body.count(b"Content-Disposition") == 1
    assert (
        b'Content-Disposition: form-data; name="file"; filename="r.pdf"\r\nContent-Type: application/pdf' in sent.body
    )
    assert b"\r\n\r\n%PDF-1.4 report\r\n" in sent.body


def test_an_upload_after_too_many_requests_is_whole_again(sandbox: Sandbox, ann: str, user: str) -> None:
    sandbox.world.faults.append(Fault(vendor="lever", path_contains="/files", status=429, times=2))
    sandbox.lever.upload_file(ann, name="r.pdf", content=pdf(), perform_as=user)
    assert [file["content"] for file in sandbox.world.files[ann]] == [b"%PDF-1.4 report"]


@pytest.mark.parametrize("mode", ["drop", "status"])
def test_an_upload_whose_answer_is_lost_is_not_repeated(sandbox: Sandbox, ann: str, user: str, mode: str) -> None:
    sandbox.world.faults.append(Fault(vendor="lever", path_contains="/files", mode=mode, apply=True, times=9))
    with pytest.raises(OutcomeUnknownError, match="upload_file"):
        sandbox.lever.upload_file(ann, name="r.pdf", content=pdf(), perform_as=user)
    assert len(sandbox.world.files[ann]) == 1


# Reference data (6)


def test_stages_come_in_pipeline_order_word_ids_included(sandbox: Sandbox) -> None:
    stages = list(sandbox.lever.list_stages())
    assert [stage.text for stage in stages] == [stage["text"] for stage in sandbox.world.stages]
    assert sandbox.lever.get_stage("lead-new") == stages[0]
    with pytest.raises(NotFoundError, match="stages gone was not found"):
        sandbox.lever.get_stage("gone")


def test_tags_that_differ_by_case_are_two(sandbox: Sandbox) -> None:
    sandbox.world.add_opportunity(stage="Offer", tags=["Full-time", "Full-Time"])
    sandbox.world.add_opportunity(stage="Offer", tags=["Full-time"])
    assert sorted(tag.text for tag in sandbox.lever.list_tags()) == ["Full-Time", "Full-time"]


def test_a_user_is_found_by_the_address_itself(vendor: Vendor) -> None:
    others = [{"id": "u0", "email": None}, {"id": "u1", "email": "pat+ops@example.com"}]
    vendor.says(
        {"data": [*others, {"id": "u2", "email": "Pat@Example.com"}], "hasNext": False},
        {"data": others, "hasNext": False},
    )
    lever = lever_client(vendor.url)
    found = lever.find_user("pat@example.com")
    assert found is not None
    assert found.id == "u2"
    assert "Example.com" not in repr(found)
    assert lever.find_user("pat@example.com") is None


def test_a_user_who_may_be_one_that_cannot_be_read_is_not_said_to_be_missing(vendor: Vendor) -> None:
    vendor.says({"data": [{"id": "a", "email": "ann@example.com", "deactivatedAt": "yes"}]})
    with pytest.raises(UnexpectedAnswerError, match="1 records cannot be read"):
        lever_client(vendor.url).find_user("ann@example.com")


def test_postings_are_listed_and_read(sandbox: Sandbox) -> None:
    (posting,) = sandbox.lever.list_postings()
    assert (posting.text, posting.state, posting.tags) == ("Python Engineer", "published", ())
    assert sandbox.lever.get_posting(posting.id) == posting
    with pytest.raises(NotFoundError):
        sandbox.lever.get_posting(new_id())


# Webhooks (11.1)


def test_a_webhooks_token_is_in_the_answer_that_made_it_only(sandbox: Sandbox) -> None:
    made = sandbox.lever.create_webhook(url="https://example.com/hook", event="candidateStageChange")
    assert made.configuration is not None
    assert len(made.configuration["signatureToken"]) == 48
    assert made.configuration["signatureToken"] not in repr(made)
    (listed,) = sandbox.lever.list_webhooks()
    assert (listed.id, listed.event, listed.url) == (made.id, "candidateStageChange", "https://example.com/hook")
    assert "signatureToken" not in (listed.configuration or {})
    sandbox.lever.delete_webhook(made.id)
    assert sandbox.world.webhooks.entries == []


def test_a_webhook_that_is_gone_already_is_deleted(vendor: Vendor) -> None:
    vendor.answers = [None]  # deleted, and the answer lost: the second try finds nothing
    vendor.says({"code": "ResourceNotFound", "message": "webhook was not found"}, status=404)
    lever_client(vendor.url).delete_webhook("w1")
    assert [sent.method for sent in vendor.received] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFoundError), (503, VendorDownError), (400, RequestRejectedError)]
)
def test_errors_carry_the_vendors_words(vendor: Vendor, status: int, kind: type[LeverImochaError]) -> None:
    for _ in range(6):
        vendor.says({"code": "Code", "message": "Stage was not found"}, status=status)
    with pytest.raises(kind, match=r"Lever answered \d+ to get_stage \(Code: Stage was not found\)"):
        lever_client(vendor.url).get_stage("s1")
