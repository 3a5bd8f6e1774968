"""Rule by rule: lever.md 15. The sandbox answers over HTTP; nothing here reads its memory."""

from __future__ import annotations

import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from tests.sandbox.conftest import Receiver, Sandbox

CONTACT = {"name": "", "headline": "", "location": "", "phones": [], "emails": [], "links": []}
FIELDS = [
    {"type": "text", "text": "Test", "required": True},
    {"type": "dropdown", "text": "Status", "options": [{"text": "Complete"}, {"text": "Test Left"}]},
    {"type": "date", "text": "Attempted on"},
]


def ids(answer: dict[str, Any]) -> list[str]:
    return [row["id"] for row in answer["data"]]


def found(sandbox: Sandbox, query: str) -> list[str]:
    return ids(sandbox.lever.ok("GET", f"opportunities?{query}"))


def template(sandbox: Sandbox) -> dict[str, Any]:
    body = sandbox.lever.ok("POST", "form_templates", {"text": "iMocha Assessment", "fields": FIELDS})
    made: dict[str, Any] = body.get("data", body)
    return made


def filled(made: dict[str, Any], *values: Any) -> dict[str, Any]:
    fields = [field | {"value": value} for field, value in zip(made["fields"], values, strict=True)]
    return {"baseTemplateId": made["id"], "fields": fields}


def upload(sandbox: Sandbox, key: str, name: str = "report.pdf", *, user: bool = True) -> requests.Response:
    query = f"?perform_as={sandbox.user()}" if user else ""
    return sandbox.lever("POST", f"opportunities/{key}/files{query}", files={"file": (name, b"%PDF-1.4")})


# The door


@pytest.mark.parametrize("auth", [None, ("another", ""), ("lever-key", "password"), ("", "lever-key")])
def test_only_the_key_with_an_empty_password_opens(sandbox: Sandbox, auth: tuple[str, str] | None) -> None:
    assert sandbox.lever("GET", "stages").status_code == 200
    answer = requests.get(f"{sandbox.lever.url}/stages", auth=auth, timeout=20)
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize("retry_after", [True, False])
@pytest.mark.parametrize("error_json", [True, False])
def test_after_a_burst_of_twenty_calls_come_429s(sandbox: Sandbox, retry_after: bool, error_json: bool) -> None:
    sandbox.switch(rate_limit=True, retry_after=retry_after, error_json=error_json)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: requests.get(f"{sandbox.lever.url}/stages", auth=("lever-key", ""), timeout=20), range(80)))  # fmt: skip
    good, refused = [[a for a in answers if a.status_code == status] for status in (200, 429)]
    assert len(good) + len(refused) == 80
    assert len(good) >= 20
    assert refused
    assert {"Retry-After" in answer.headers for answer in refused} == {retry_after}
    assert {bool(answer.content) for answer in refused} == {error_json}
    sandbox.advance(2)
    assert sandbox.lever("GET", "stages").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere", 404),
        ("GET", "opportunities/unknown", 404),
        ("GET", "stages/unknown", 404),
        ("GET", "opportunities?limit=many", 400),
        ("GET", "opportunities?updated_at_start=yesterday", 400),
        ("GET", "opportunities?email=nobody", 400),
        ("POST", "opportunities", 400),
        ("POST", "webhooks", 400),
    ],
)
def test_every_error_is_a_code_and_a_message(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    answer = sandbox.lever(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}


def test_unknown_ids_are_named(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    answer = sandbox.lever("PUT", f"opportunities/{key}/stage", {"stage": "unknown"})
    assert answer.json() == {"code": "ResourceNotFound", "message": "stages unknown was not found"}


# Lists


def test_a_list_has_pages_and_the_last_one_has_no_next(sandbox: Sandbox) -> None:
    made = {sandbox.candidate() for _ in range(3)}
    first = sandbox.lever.ok("GET", "opportunities?limit=2")
    assert first["hasNext"] is True
    last = sandbox.lever.ok("GET", "opportunities", params={"limit": 2, "offset": first["next"]})
    assert last["hasNext"] is False
    assert set(last) == {"data", "hasNext"}
    assert set(ids(first) + ids(last)) == made


def test_a_token_is_the_percent_encoded_key_of_the_next_row(sandbox: Sandbox) -> None:
    for _ in range(2):
        sandbox.candidate()
    first = sandbox.lever.ok("GET", "opportunities?limit=1")
    assert first["next"].startswith("%5B")
    (row,) = sandbox.lever.ok("GET", "opportunities", params={"offset": first["next"]})["data"]
    assert json.loads(unquote(first["next"])) == [1, row["lastAdvancedAt"], row["id"]]


@pytest.mark.parametrize("token", ["garbage", "%5B9%5D", "5", ""])
def test_other_tokens_are_refused(sandbox: Sandbox, token: str) -> None:
    answer = sandbox.lever("GET", "opportunities", params={"offset": token})
    assert answer.status_code == 400
    assert "Invalid offset token" in answer.json()["message"]


def test_a_token_is_good_for_its_own_list_only(sandbox: Sandbox) -> None:
    token = sandbox.lever.ok("GET", "stages?limit=1")["next"]
    assert len(sandbox.lever.ok("GET", "stages", params={"offset": token})["data"]) == 5
    assert sandbox.lever("GET", "users", params={"offset": token}).status_code == 400


@pytest.mark.parametrize(("limit", "status"), [(0, 400), (1, 200), (100, 200), (101, 400)])
def test_a_page_has_one_to_a_hundred(sandbox: Sandbox, limit: int, status: int) -> None:
    assert sandbox.lever("GET", f"opportunities?limit={limit}").status_code == status


def test_without_a_limit_a_page_has_a_hundred(sandbox: Sandbox) -> None:
    for _ in range(101):
        sandbox.candidate()
    page = sandbox.lever.ok("GET", "opportunities")
    assert (len(page["data"]), page["hasNext"]) == (100, True)


def test_order_is_stage_then_last_advanced(sandbox: Sandbox) -> None:
    offer, old, new = sandbox.candidate("Offer"), sandbox.candidate(), ""
    sandbox.advance(60)
    new = sandbox.candidate()
    assert found(sandbox, "") == [new, old, offer]


def test_a_move_between_two_pages_shows_one_twice_or_not_at_all(sandbox: Sandbox) -> None:
    first = sandbox.candidate()
    second = sandbox.candidate()
    page = sandbox.lever.ok("GET", "opportunities?limit=1")
    seen, unseen = ids(page)[0], ({first, second} - set(ids(page))).pop()
    sandbox.move(seen, "Offer")
    sandbox.move(unseen, "New lead")
    rest = ids(sandbox.lever.ok("GET", "opportunities", params={"offset": page["next"]}))
    assert rest == [seen]


@pytest.mark.parametrize("name", ["tag", "source"])
def test_values_of_a_filter_are_alternatives_and_case_counts(sandbox: Sandbox, name: str) -> None:
    given: list[dict[str, Any]] = [{f"{name}s": values} for values in (["One"], ["Two", "x"], ["one"])]
    one, two, _ = [sandbox.candidate(**each) for each in given]
    assert set(found(sandbox, f"{name}=One&{name}=Two")) == {one, two}
    assert found(sandbox, f"{name}=two") == []


def test_filters_by_what_an_opportunity_is(sandbox: Sandbox) -> None:
    posting = sandbox.lever.ok("GET", "postings")["data"][0]["id"]
    own = sandbox.candidate("Offer", posting=posting, origin="agency", contact="c1", opportunityLocation="Berlin")
    other = sandbox.candidate()
    for query in (
        f"posting_id={posting}",
        "origin=agency&origin=sourced",
        "contact_id=c1",
        "location=Berlin",
        "stage_id=offer&stage_id=lead-new",
        "email=ANN1@example.com",
    ):
        assert found(sandbox, query) == [own], query
    assert found(sandbox, "location=unspecified") == [other]
    assert found(sandbox, "stage_id=offer&origin=applied") == []


def test_filters_by_archive(sandbox: Sandbox) -> None:
    posting = sandbox.lever.ok("GET", "postings")["data"][0]["id"]
    gone, there = sandbox.candidate(posting=posting), sandbox.candidate(posting=posting)
    sandbox.admin.ok("POST", f"candidates/{gone}/archive", {"reason": "Withdrew"})
    at = sandbox.opportunity(gone)["archived"]["archivedAt"]
    assert set(found(sandbox, "")) == {gone, there}
    assert found(sandbox, "archived=true") == [gone]
    assert found(sandbox, "archived=false") == [there]
    assert found(sandbox, f"archived_at_start={at}&archived_at_end={at}") == [gone]
    assert found(sandbox, f"archive_reason_id={sandbox.reason('Withdrew')}") == [gone]
    assert found(sandbox, f"archive_reason_id={sandbox.reason('Hired')}") == []
    assert found(sandbox, f"archived_posting_id={posting}") == [gone]
    assert set(found(sandbox, f"posting_id={posting}")) == {gone, there}


@pytest.mark.parametrize(("name", "field"), [("created_at", "createdAt"), ("advanced_at", "lastAdvancedAt")])
def test_time_filters_include_both_ends(sandbox: Sandbox, name: str, field: str) -> None:
    key = sandbox.candidate()
    at = sandbox.opportunity(key)[field]
    assert found(sandbox, f"{name}_start={at}&{name}_end={at}") == [key]
    assert found(sandbox, f"{name}_start={at + 1}") == []
    assert found(sandbox, f"{name}_end={at - 1}") == []


def test_updated_at_is_null_at_first_and_then_passes_no_filter(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    assert sandbox.opportunity(key)["updatedAt"] is None
    assert found(sandbox, "updated_at_start=0") == []
    assert found(sandbox, f"updated_at_end={10**15}") == []
    sandbox.move(key, "Offer")
    at = sandbox.opportunity(key)["updatedAt"]
    assert found(sandbox, f"updated_at_start={at}&updated_at_end={at}") == [key]


def test_confidential_ones_are_listed_only_on_demand(sandbox: Sandbox) -> None:
    secret, plain = sandbox.candidate(confidentiality="confidential"), sandbox.candidate()
    assert found(sandbox, "") == found(sandbox, "confidentiality=non-confidential") == [plain]
    assert found(sandbox, "confidentiality=confidential") == [secret]
    assert set(found(sandbox, "confidentiality=all")) == {secret, plain}
    assert sandbox.lever("GET", "opportunities?confidentiality=some").status_code == 400


def test_a_key_without_confidential_access_never_sees_them(sandbox: Sandbox) -> None:
    secret = sandbox.candidate(confidentiality="confidential")
    sandbox.switch(confidential_access=False)
    assert found(sandbox, "confidentiality=all") == []
    assert sandbox.lever("GET", f"opportunities/{secret}").status_code == 403


# Include and expand


def test_expand_puts_objects_in_the_place_of_ids(sandbox: Sandbox) -> None:
    user, posting = sandbox.user(), sandbox.lever.ok("GET", "postings")["data"][0]["id"]
    key = sandbox.candidate("Offer", owner=user, followers=[user], sourcedBy=user, posting=posting)
    plain = sandbox.opportunity(key)
    assert (plain["stage"], plain["owner"], plain["followers"]) == ("offer", user, [user])
    assert isinstance(plain["applications"][0], str)
    names = ["stage", "owner", "followers", "sourcedBy", "contact", "applications"]
    full = sandbox.lever.ok("GET", f"opportunities/{key}", params={"expand": names})["data"]
    assert full["stage"] == {"id": "offer", "text": "Offer"}
    assert full["owner"]["id"] == full["followers"][0]["id"] == full["sourcedBy"]["id"] == user
    assert full["contact"]["id"] == plain["contact"]
    assert full["contact"]["location"] == {"name": ""}
    assert full["applications"][0]["posting"] == posting
    assert set(full) == set(plain)


@pytest.mark.parametrize("path", ["opportunities/{}", "opportunities"])
def test_what_is_not_expandable_is_refused(sandbox: Sandbox, path: str) -> None:
    answer = sandbox.lever("GET", path.format(sandbox.candidate()) + "?expand=posting")
    assert (answer.status_code, answer.json()["message"]) == (400, "posting is not expandable")


def test_include_leaves_all_else_out_but_what_is_expanded(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    only = sandbox.lever.ok("GET", f"opportunities/{key}?include=name&include=tags&expand=stage")["data"]
    assert set(only) == {"name", "tags", "stage"}
    assert sandbox.lever.ok("GET", "opportunities?include=name")["data"] == [{"name": only["name"]}]


def test_stages_have_word_ids_and_their_order(sandbox: Sandbox) -> None:
    stages = sandbox.lever.ok("GET", "stages")["data"]
    assert [stages[0], stages[1], stages[-1]] == [
        {"id": "lead-new", "text": "New lead"},
        {"id": "applicant-new", "text": "New applicant"},
        {"id": "offer", "text": "Offer"},
    ]


# Writes


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "stage", {"stage": "offer"}),
        ("POST", "addTags", {"tags": ["new"]}),
        ("POST", "removeTags", {"tags": ["old"]}),
        ("POST", "addSources", {"sources": ["new"]}),
        ("POST", "removeSources", {"sources": ["old"]}),
        ("PUT", "archived", {"reason": None}),
    ],
)
def test_writes_answer_with_blank_contact_data(sandbox: Sandbox, method: str, path: str, body: Any) -> None:
    key = sandbox.candidate(tags=["old"], sources=["old"], opportunityLocation="Berlin")
    answer = sandbox.lever.ok(method, f"opportunities/{key}/{path}", body)["data"]
    assert {name: answer[name] for name in CONTACT} == CONTACT
    assert "opportunityLocation" not in answer
    after = sandbox.opportunity(key)
    assert after["name"]
    assert after["emails"]
    assert {name: answer[name] for name in ("id", "stage", "tags", "sources", "archived")} == {
        name: after[name] for name in ("id", "stage", "tags", "sources", "archived")
    }


def test_links_are_the_contacts_and_their_answer_is_real(sandbox: Sandbox) -> None:
    one, other = sandbox.candidate(contact="c1"), sandbox.candidate(contact="c1")
    answer = sandbox.lever.ok("POST", f"opportunities/{one}/addLinks", {"links": ["https://example.com"]})["data"]
    assert answer["name"]
    assert answer["links"] == sandbox.opportunity(other)["links"] == ["https://example.com"]
    sandbox.lever.ok("POST", f"opportunities/{other}/removeLinks", {"links": ["https://example.com"]})
    assert sandbox.opportunity(one)["links"] == []


def test_a_new_tag_comes_into_being_and_goes_when_nobody_has_it(sandbox: Sandbox) -> None:
    key = sandbox.candidate(tags=["b"])
    sandbox.lever.ok("POST", f"opportunities/{key}/addTags", {"tags": ["A", "a"]})
    assert sandbox.opportunity(key)["tags"] == ["b", "A", "a"]
    listed = sandbox.lever.ok("GET", "tags")["data"]
    assert [(tag["text"], tag["count"]) for tag in listed] == [("A", 1), ("a", 1), ("b", 1)]
    sandbox.lever.ok("POST", f"opportunities/{key}/removeTags", {"tags": ["A"]})
    assert [tag["text"] for tag in sandbox.lever.ok("GET", "tags")["data"]] == ["a", "b"]
    sandbox.switch(unseen_tags_vanish=False)
    assert {"text": "A", "count": 0} in sandbox.lever.ok("GET", "tags")["data"]


@pytest.mark.parametrize("body", [{}, {"tags": "one"}, {"tags": [1]}])
def test_tags_are_a_list_of_texts(sandbox: Sandbox, body: Any) -> None:
    assert sandbox.lever("POST", f"opportunities/{sandbox.candidate()}/addTags", body).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "stage", {"stage": "applicant-new"}),
        ("POST", "addTags", {"tags": ["one"]}),
        ("POST", "removeTags", {"tags": ["another"]}),
    ],
)
def test_what_is_so_already_changes_nothing(sandbox: Sandbox, method: str, path: str, body: Any) -> None:
    key = sandbox.candidate(tags=["one"])
    before = sandbox.opportunity(key)
    sandbox.advance(60)
    sandbox.lever.ok(method, f"opportunities/{key}/{path}", body)
    assert sandbox.opportunity(key) == before


def test_a_move_is_written_down_with_the_user_only_through_the_api(sandbox: Sandbox) -> None:
    key, user = sandbox.candidate(), sandbox.user()
    sandbox.move(key, "Recruiter screen")
    sandbox.lever.ok("PUT", f"opportunities/{key}/stage?perform_as={user}", {"stage": "offer"})
    after = sandbox.opportunity(key)
    assert [change.get("userId") for change in after["stageChanges"]] == [None, None, user]
    last = after["stageChanges"][-1]
    assert (last["toStageId"], last["toStageIndex"]) == ("offer", 5)
    assert after["lastAdvancedAt"] == after["lastInteractionAt"] == after["updatedAt"] == last["updatedAt"]


def test_an_archived_one_can_be_moved(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    sandbox.lever.ok("PUT", f"opportunities/{key}/archived", {"reason": sandbox.reason("Withdrew")})
    sandbox.lever.ok("PUT", f"opportunities/{key}/stage", {"stage": "offer"})
    after = sandbox.opportunity(key)
    assert after["stage"] == "offer"
    assert after["archived"] is not None


def test_only_the_first_archiving_counts_as_advancing(sandbox: Sandbox) -> None:
    key, path = sandbox.candidate(), "opportunities/{}/archived"
    sandbox.advance(60)
    sandbox.lever.ok("PUT", path.format(key), {"reason": sandbox.reason("Withdrew")})
    first = sandbox.opportunity(key)
    assert first["lastAdvancedAt"] == first["archived"]["archivedAt"] > first["stageChanges"][-1]["updatedAt"]
    sandbox.advance(60)
    sandbox.lever.ok("PUT", path.format(key), {"reason": sandbox.reason("Underqualified")})
    second = sandbox.opportunity(key)
    assert second["lastAdvancedAt"] == first["lastAdvancedAt"]
    assert second["archived"]["archivedAt"] == second["updatedAt"] == second["lastInteractionAt"]
    assert second["updatedAt"] > first["updatedAt"]
    sandbox.lever.ok("PUT", path.format(key), {"reason": None})
    assert sandbox.opportunity(key)["archived"] is None
    assert sandbox.lever("PUT", path.format(key), {"reason": "unknown"}).status_code == 404


@pytest.mark.parametrize("required", [True, False])
def test_perform_as_may_be_required(sandbox: Sandbox, required: bool) -> None:
    key = sandbox.candidate()
    sandbox.switch(perform_as_required=required)
    answer = sandbox.lever("PUT", f"opportunities/{key}/stage", {"stage": "offer"})
    assert answer.status_code == (400 if required else 200)
    if required:
        assert answer.json()["message"] == "Missing required parameter: perform_as"
    assert (sandbox.opportunity(key)["stage"] == "offer") is not required


def test_perform_as_takes_a_deactivated_user_but_no_stranger(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    everyone = sandbox.lever.ok("GET", "users?includeDeactivated=true")["data"]
    (gone,) = [user["id"] for user in everyone if user["deactivatedAt"]]
    assert gone not in ids(sandbox.lever.ok("GET", "users"))
    sandbox.lever.ok("PUT", f"opportunities/{key}/stage?perform_as={gone}", {"stage": "offer"})
    answer = sandbox.lever("PUT", f"opportunities/{key}/stage?perform_as=x", {"stage": "lead-new"})
    assert answer.status_code == 404


def test_moves_at_the_same_time_are_all_written_down(sandbox: Sandbox) -> None:
    key, stages = sandbox.candidate(), ["lead-new", "offer", "applicant-new", sandbox.stage("Assessment")] * 10

    def move(stage: str) -> int:
        url = f"{sandbox.lever.url}/opportunities/{key}/stage"
        return requests.put(url, json={"stage": stage}, auth=("lever-key", ""), timeout=20).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(move, stages)) == {200}
    after = sandbox.opportunity(key)
    changes = [(change["updatedAt"], change["toStageId"]) for change in after["stageChanges"]]
    assert changes == sorted(changes)
    assert len({at for at, _ in changes}) == len(changes)
    assert all(one[1] != other[1] for one, other in pairwise(changes))
    assert changes[-1][1] == after["stage"]


# Creating, deleting, anonymising


def test_a_new_opportunity_of_a_known_person_is_theirs(sandbox: Sandbox) -> None:
    old, user = sandbox.candidate(name="Ann Old", emails=["ann@example.com"]), sandbox.user()
    posting = sandbox.lever.ok("GET", "postings")["data"][0]["id"]
    body = {"name": "Ann New", "emails": ["ANN@example.com"], "tags": ["mine"], "postings": [posting]}
    assert sandbox.lever("POST", "opportunities", body).status_code == 400
    answer = sandbox.lever.ok("POST", f"opportunities?perform_as={user}", body)
    assert answer["deduped"] is True
    new = answer["data"]
    assert (new["name"], new["contact"]) == ("Ann Old", sandbox.opportunity(old)["contact"])
    assert new["stage"] == "lead-new"
    assert new["tags"] == ["mine", "Python Engineer", "Engineering", "Platform", "Berlin", "Full-time"]
    stranger = sandbox.lever.ok("POST", f"opportunities?perform_as={user}", {"name": "Bo", "emails": ["bo@x.example"]})
    assert stranger["deduped"] is False


def test_a_deleted_one_is_only_in_the_list_of_deleted(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    sandbox.admin.ok("DELETE", f"candidates/{key}")
    assert sandbox.lever("GET", f"opportunities/{key}").status_code == 404
    assert found(sandbox, "confidentiality=all") == []
    (row,) = sandbox.lever.ok("GET", "opportunities/deleted")["data"]
    assert row["id"] == key
    assert row["deletedBy"] == sandbox.user()
    assert sandbox.lever.ok("GET", f"opportunities/deleted?deleted_at_start={row['deletedAt'] + 1}")["data"] == []


def test_only_who_is_archived_and_not_hired_is_anonymised(sandbox: Sandbox) -> None:
    key = sandbox.candidate(tags=["kept"])
    for reason, status in ((None, 409), ("Hired", 409), ("Withdrew", 200)):
        sandbox.admin.ok("POST", f"candidates/{key}/archive", {"reason": reason})
        assert sandbox.admin("POST", f"candidates/{key}/anonymise").status_code == status
    after = sandbox.opportunity(key)
    assert (after["name"], after["emails"], after["isAnonymized"], after["tags"]) == ("", [], True, ["kept"])


# Forms, files, notes


@pytest.mark.parametrize("wrapped", [True, False])
def test_forms_files_and_templates_are_wrapped_or_bare(sandbox: Sandbox, wrapped: bool) -> None:
    sandbox.switch(form_answers_wrapped=wrapped)
    key, made = sandbox.candidate(), template(sandbox)
    answers = [
        sandbox.lever.ok("GET", f"form_templates/{made['id']}"),
        sandbox.lever.ok("POST", f"opportunities/{key}/forms", filled(made, "Python", "Complete", 1)),
        upload(sandbox, key).json(),
    ]
    assert [set(answer) == {"data"} for answer in answers] == [wrapped] * 3
    assert isinstance(sandbox.lever.ok("GET", f"opportunities/{key}/files"), dict if wrapped else list)


@pytest.mark.parametrize("text", [True, False])
def test_their_times_are_text_or_numbers(sandbox: Sandbox, text: bool) -> None:
    sandbox.switch(times_as_text=text)
    key, made = sandbox.candidate(), template(sandbox)
    form = sandbox.lever.ok("POST", f"opportunities/{key}/forms", filled(made, "Python", None, None))["data"]
    file = upload(sandbox, key).json()["data"]
    kind = str if text else int
    for value in (made["createdAt"], form["createdAt"], file["uploadedAt"], file["size"]):
        assert isinstance(value, kind)
    for what, field in (("forms", "createdAt"), ("files", "uploadedAt")):
        (row,) = sandbox.lever.ok("GET", f"opportunities/{key}/{what}")["data"]
        assert isinstance(row[field], kind)


def test_a_form_keeps_its_fields_with_ids_of_its_own(sandbox: Sandbox) -> None:
    key, made, user = sandbox.candidate(), template(sandbox), sandbox.user()
    body = filled(made, "Python", "Complete", 1418716800000)
    form = sandbox.lever.ok("POST", f"opportunities/{key}/forms?perform_as={user}", body)["data"]
    assert [field["value"] for field in form["fields"]] == ["Python", "Complete", 1418716800000]
    assert not {field["id"] for field in form["fields"]} & {field["id"] for field in made["fields"]}
    assert form["user"] == user
    assert ids(sandbox.lever.ok("GET", f"opportunities/{key}/forms")) == [form["id"]]
    one = sandbox.lever.ok("GET", f"opportunities/{key}/forms/{form['id']}?expand=user")["data"]
    assert one["user"]["id"] == user
    assert sandbox.lever("DELETE", f"opportunities/{key}/forms/{form['id']}").status_code == 405


def _bent(fields: list[dict[str, Any]], how: str) -> list[dict[str, Any]]:
    changed = {
        "missing": fields[:2],
        "extra": [*fields, {"type": "text", "text": "Extra", "value": None}],
        "order": fields[::-1],
        "text": [fields[0] | {"text": "test"}, *fields[1:]],
        "type": [fields[0] | {"type": "textarea"}, *fields[1:]],
        "required": [fields[0] | {"value": None}, *fields[1:]],
        "lines": [fields[0] | {"value": "two\nlines"}, *fields[1:]],
        "option": [fields[0], fields[1] | {"value": "complete"}, fields[2]],
        "date": [*fields[:2], fields[2] | {"value": "2020-01-01"}],
    }
    return changed[how]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("how", ["missing", "extra", "order", "text", "type", "required", "lines", "option", "date"])
def test_a_strict_form_must_be_the_template_in_every_way(sandbox: Sandbox, how: str, strict: bool) -> None:
    sandbox.switch(strict_forms=strict)
    key, made = sandbox.candidate(), template(sandbox)
    body = filled(made, "Python", "Complete", 1)
    body["fields"] = _bent(body["fields"], how)
    answer = sandbox.lever("POST", f"opportunities/{key}/forms", body)
    assert answer.status_code == (400 if strict else 201)
    forms = sandbox.lever.ok("GET", f"opportunities/{key}/forms")["data"]
    assert len(forms) == (0 if strict else 1)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_templates_field_ids_may_be_refused(sandbox: Sandbox, allowed: bool) -> None:
    sandbox.switch(form_ids_allowed=allowed)
    key, made = sandbox.candidate(), template(sandbox)
    body = filled(made, "Python", "Complete", 1)
    assert sandbox.lever("POST", f"opportunities/{key}/forms", body).status_code == (201 if allowed else 400)
    for field in body["fields"]:
        del field["id"]
    assert sandbox.lever("POST", f"opportunities/{key}/forms", body).status_code == 201


def test_templates_are_changed_as_a_whole_and_deleted(sandbox: Sandbox) -> None:
    made = template(sandbox)
    path = f"form_templates/{made['id']}"
    after = sandbox.lever.ok("PUT", path, {"text": "Other", "fields": FIELDS[:1]})["data"]
    assert (after["text"], len(after["fields"]), after["createdAt"]) == ("Other", 1, made["createdAt"])
    for body in (
        {"text": "x", "fields": []},
        {"fields": FIELDS},
        {"text": "x", "fields": [{"type": "score", "text": "s"}]},
    ):
        assert sandbox.lever("PUT", path, body).status_code == 400
    gone = sandbox.lever("DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert sandbox.lever.ok("GET", "form_templates")["data"] == []


def test_files_are_uploaded_by_somebody_and_read_back(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    assert upload(sandbox, key, user=False).status_code == 400
    file = upload(sandbox, key).json()["data"]
    path = f"opportunities/{key}/files/{file['id']}"
    assert (file["name"], file["ext"], file["status"]) == ("report.pdf", ".pdf", "processed")
    assert sandbox.lever("GET", f"{path}/download").content == b"%PDF-1.4"
    at = file["uploadedAt"]
    assert ids(sandbox.lever.ok("GET", f"opportunities/{key}/files?uploaded_at_start={at}")) == [file["id"]]
    assert ids(sandbox.lever.ok("GET", f"opportunities/{key}/files?uploaded_at_start={at + 1}")) == []
    assert sandbox.lever("GET", f"opportunities/{key}/files?uploaded_at_end=x").status_code == 400
    assert sandbox.lever("DELETE", path).status_code == 400
    gone = sandbox.lever("DELETE", f"{path}?perform_as={sandbox.user()}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert sandbox.lever("GET", path).status_code == 404


def test_a_file_that_lever_cannot_process_is_not_downloaded(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    file = upload(sandbox, key, "virus.exe").json()["data"]
    assert file["status"] == "unsupported"
    assert sandbox.lever("GET", f"opportunities/{key}/files/{file['id']}/download").status_code == 422


def test_a_file_has_at_most_30_megabytes(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    path = f"opportunities/{key}/files?perform_as={sandbox.user()}"
    answer = sandbox.lever("POST", path, files={"file": ("big.pdf", bytes(30 * 1024 * 1024 + 1))})
    assert answer.status_code == 400
    assert sandbox.lever.ok("GET", f"opportunities/{key}/files")["data"] == []


def test_a_note_does_not_touch_updated_at_until_it_is_changed(sandbox: Sandbox) -> None:
    key = sandbox.candidate()
    sandbox.move(key, "Offer")
    before = sandbox.opportunity(key)
    sandbox.advance(60)
    note = sandbox.lever.ok("POST", f"opportunities/{key}/notes", {"value": "Hello"})["data"]
    assert note["noteId"] == note["id"]
    after = sandbox.opportunity(key)
    assert after["updatedAt"] == before["updatedAt"]
    assert after["lastInteractionAt"] > before["lastInteractionAt"]
    path = f"opportunities/{key}/notes/{note['id']}"
    assert "noteId" not in sandbox.lever.ok("GET", path)["data"]
    sandbox.lever.ok("POST", f"opportunities/{key}/notes?note_id={note['id']}", {"value": "More"})
    assert [field["value"] for field in sandbox.lever.ok("GET", path)["data"]["fields"]] == ["Hello", "More"]
    sandbox.lever.ok("PUT", path, {"values": [{"value": "Changed"}]})
    assert [field["value"] for field in sandbox.lever.ok("GET", path)["data"]["fields"]] == ["Changed"]
    assert sandbox.opportunity(key)["updatedAt"] > before["updatedAt"]
    gone = sandbox.lever("DELETE", path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert sandbox.lever.ok("GET", path)["data"]["deletedAt"] is not None


def test_a_note_is_text_and_not_of_the_future(sandbox: Sandbox) -> None:
    path, future = f"opportunities/{sandbox.candidate()}/notes", 10**14
    for body in ({}, {"value": 5}, {"value": "x", "createdAt": future}):
        assert sandbox.lever("POST", path, body).status_code == 400


# Webhooks


def hook(sandbox: Sandbox, receiver: Receiver, event: str = "candidateStageChange", **given: Any) -> dict[str, Any]:
    sandbox.switch(webhook_retry_gaps=[0.01, 0.02, 0.03, 0.04, 0.05])
    made: dict[str, Any] = sandbox.lever.ok("POST", "webhooks", {"url": receiver.url, "event": event, **given})["data"]
    return made


def signed(body: dict[str, Any], key: str) -> bool:
    mac = hmac.new(key.encode(), f"{body['token']}{body['triggeredAt']}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(mac, body.get("signature", ""))


def test_the_registry_tells_the_token_once_and_takes_doubles(sandbox: Sandbox, receiver: Receiver) -> None:
    one, two = hook(sandbox, receiver), hook(sandbox, receiver)
    assert len(one["configuration"].pop("signatureToken")) == 48
    assert len(one["configuration"]["conditions"]["origins"]) == 6
    answer = sandbox.lever.ok("GET", "webhooks")
    assert set(answer) == {"data"}
    assert answer["data"] == [one, two | {"configuration": one["configuration"]}]
    other = {"id": one["id"], "url": receiver.url + "/other", "configuration": {"conditions": {"origins": ["agency"]}}}
    (changed,) = sandbox.lever.ok("PUT", "webhooks/", {"data": [other]})["data"]
    assert changed["url"] == other["url"]
    assert changed["configuration"] == other["configuration"]
    gone = sandbox.lever("DELETE", f"webhooks/{two['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert ids(sandbox.lever.ok("GET", "webhooks")) == [one["id"]]
    assert sandbox.lever("DELETE", f"webhooks/{two['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"event": "tagChange", "url": "https://example.com"},
        {"event": "candidateHired", "url": "http://example.com"},
        {"event": "candidateHired"},
        {
            "event": "candidateDeleted",
            "url": "https://example.com",
            "configuration": {"conditions": {"origins": ["agency"]}},
        },
    ],
)
def test_what_cannot_be_registered_is_refused(sandbox: Sandbox, body: Any) -> None:
    assert sandbox.lever("POST", "webhooks", body).status_code == 400
    assert sandbox.lever.ok("GET", "webhooks")["data"] == []


def test_a_stage_change_is_posted_signed_with_ids_only(sandbox: Sandbox, receiver: Receiver) -> None:
    made, key = hook(sandbox, receiver), sandbox.candidate()
    sandbox.move(key, "Assessment")
    path, headers, body = receiver.posts.get(timeout=20)
    assert path == "/hook"
    assert headers["User-Agent"] == "Lever-Webhooks"
    assert set(body) == {"triggeredAt", "event", "data", "signature", "token"}
    assert body["event"] == "candidateStageChange"
    assert isinstance(body["triggeredAt"], int)
    assert body["data"] == {
        "opportunityId": key,
        "candidateId": key,
        "contactId": sandbox.opportunity(key)["contact"],
        "toStageId": sandbox.stage("Assessment"),
        "fromStageId": "applicant-new",
    }
    token = made["configuration"]["signatureToken"]
    assert signed(body, token)
    assert not signed(body, token[::-1])
    assert not signed(body | {"triggeredAt": body["triggeredAt"] + 1}, token)


def test_one_registered_twice_is_told_twice_each_with_its_own_key(sandbox: Sandbox, receiver: Receiver) -> None:
    keys = [hook(sandbox, receiver)["configuration"]["signatureToken"] for _ in range(2)]
    sandbox.move(sandbox.candidate(), "Offer")
    bodies = receiver.bodies(2)
    assert [signed(body, key) for body in bodies for key in keys] == [True, False, False, True]
    assert bodies[0]["token"] != bodies[1]["token"]


@pytest.mark.parametrize("token", ["mine", None])
def test_a_webhook_made_by_hand_may_have_no_signature(sandbox: Sandbox, receiver: Receiver, token: str | None) -> None:
    body = {"url": receiver.url, "event": "candidateStageChange", "signatureToken": token}
    sandbox.admin.ok("POST", "webhooks", body)
    sandbox.move(sandbox.candidate(), "Offer")
    (body,) = receiver.bodies(1)
    assert ("signature" in body) is (token is not None)
    assert token is None or signed(body, token)


def test_nothing_else_makes_a_stage_change(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    key = sandbox.candidate("Assessment")
    sandbox.move(key, "Assessment")
    sandbox.lever.ok("POST", f"opportunities/{key}/addTags", {"tags": ["x"]})
    sandbox.lever.ok("POST", f"opportunities/{key}/notes", {"value": "x"})
    sandbox.admin.ok("POST", f"candidates/{key}/archive", {"reason": "Withdrew"})
    sandbox.admin.ok("POST", f"candidates/{key}/archive", {"reason": None})
    assert sandbox.deliveries() == []


def test_archiving_hiring_and_taking_it_back(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver, "candidateArchiveChange")
    hook(sandbox, receiver, "candidateHired")
    key, hired = sandbox.candidate(), sandbox.reason("Hired")
    sandbox.admin.ok("POST", f"candidates/{key}/archive", {"reason": "Hired"})
    change, hire = receiver.bodies(2)
    assert (change["event"], hire["event"]) == ("candidateArchiveChange", "candidateHired")
    assert change["data"]["fromArchived"] is None
    assert change["data"]["toArchived"] == sandbox.opportunity(key)["archived"]
    assert change["data"]["toArchived"]["reason"] == hired
    assert hire["data"]["opportunityId"] == key
    sandbox.admin.ok("POST", f"candidates/{key}/archive", {"reason": None})
    (back,) = receiver.bodies(1)
    assert back["data"]["toArchived"] is None
    assert back["data"]["fromArchived"] == change["data"]["toArchived"]
    assert len(sandbox.deliveries()) == 3


def test_deleting_and_applying_are_events_too(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver, "candidateDeleted")
    hook(sandbox, receiver, "applicationCreated")
    posting = sandbox.lever.ok("GET", "postings")["data"][0]["id"]
    new = sandbox.lever.ok("POST", f"opportunities?perform_as={sandbox.user()}", {"postings": [posting]})["data"]
    sandbox.admin.ok("DELETE", f"candidates/{new['id']}")
    applied, deleted = receiver.bodies(2)
    assert applied["data"]["applicationId"] == new["applications"][0]
    assert (deleted["event"], deleted["data"]["opportunityId"]) == ("candidateDeleted", new["id"])


def test_origins_are_a_condition(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver, configuration={"conditions": {"origins": ["agency"]}})
    applied, agency = sandbox.candidate(origin="applied"), sandbox.candidate(origin="agency")
    sandbox.move(applied, "Offer")
    sandbox.move(agency, "Offer")
    assert [one["body"]["data"]["opportunityId"] for one in sandbox.deliveries()] == [agency]


def test_the_test_request_is_signed_and_empty(sandbox: Sandbox, receiver: Receiver) -> None:
    made = hook(sandbox, receiver, "candidateHired")
    sandbox.admin.ok("POST", f"webhooks/{made['id']}/test")
    (body,) = receiver.bodies(1)
    assert (body["event"], body["data"]) == ("candidateHired", {})
    assert signed(body, made["configuration"]["signatureToken"])


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_sent_until_an_admin_switches_events_on(sandbox: Sandbox, receiver: Receiver, enabled: bool) -> None:
    hook(sandbox, receiver)
    sandbox.switch(webhooks_enabled=enabled)
    sandbox.move(sandbox.candidate(), "Offer")
    assert len(sandbox.deliveries()) == int(enabled)


@pytest.mark.parametrize("fires", [True, False])
def test_moves_through_the_api_are_announced_or_not(sandbox: Sandbox, receiver: Receiver, fires: bool) -> None:
    hook(sandbox, receiver)
    hook(sandbox, receiver, "candidateArchiveChange")
    sandbox.switch(webhook_on_api_moves=fires)
    by_api, by_hand = sandbox.candidate(), sandbox.candidate()
    sandbox.lever.ok("PUT", f"opportunities/{by_api}/stage", {"stage": "offer"})
    sandbox.lever.ok("PUT", f"opportunities/{by_api}/archived", {"reason": sandbox.reason("Withdrew")})
    sandbox.move(by_hand, "Offer")
    told = [one["body"]["data"]["opportunityId"] for one in sandbox.deliveries()]
    assert told == ([by_api, by_api] if fires else []) + [by_hand]


@pytest.mark.parametrize("wanted", [True, False])
def test_an_event_may_have_an_id(sandbox: Sandbox, receiver: Receiver, wanted: bool) -> None:
    hook(sandbox, receiver)
    sandbox.switch(webhook_event_id=wanted)
    sandbox.move(sandbox.candidate(), "Offer")
    (body,) = receiver.bodies(1)
    assert ("id" in body) is wanted


@pytest.mark.parametrize("new_token", [True, False])
def test_a_retry_has_the_same_token_or_a_new_one(sandbox: Sandbox, receiver: Receiver, new_token: bool) -> None:
    key = hook(sandbox, receiver)["configuration"]["signatureToken"]
    sandbox.switch(webhook_new_token=new_token)
    receiver.answers = [500]
    sandbox.move(sandbox.candidate(), "Offer")
    first, second = receiver.bodies(2)
    assert (first["token"] != second["token"]) is new_token
    assert (first == second) is not new_token
    assert first["data"] == second["data"]
    assert signed(first, key)
    assert signed(second, key)


@pytest.mark.parametrize("refusal", [500, 302, 404])
def test_what_is_not_taken_is_sent_five_times_more_and_then_dropped(
    sandbox: Sandbox, receiver: Receiver, refusal: int
) -> None:
    hook(sandbox, receiver)
    receiver.answers = [refusal] * 6
    sandbox.move(sandbox.candidate(), "Offer")
    assert len({json.dumps(body) for body in receiver.bodies(6)}) == 1
    (delivery,) = sandbox.deliveries()
    assert (delivery["answers"], delivery["state"]) == ([refusal] * 6, "dropped")
    sandbox.admin.ok("POST", f"deliveries/{delivery['number']}/rerun")
    assert receiver.bodies(1)[0]["data"] == delivery["body"]["data"]
    assert [one["state"] for one in sandbox.deliveries()] == ["dropped", "delivered"]


def test_any_2xx_ends_it(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    receiver.answers = [503, 202]
    sandbox.move(sandbox.candidate(), "Offer")
    (delivery,) = sandbox.deliveries()
    assert (delivery["answers"], delivery["state"]) == ([503, 202], "delivered")


def test_gaps_between_retries_are_waited_for(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    sandbox.switch(webhook_retry_gaps=[3600])
    receiver.answers = [500]
    sandbox.move(sandbox.candidate(), "Offer")
    receiver.bodies(1)
    (waiting,) = sandbox.deliveries()
    assert (waiting["answers"], waiting["state"]) == ([500], "waiting")
    sandbox.advance(3600)
    receiver.bodies(1)
    assert sandbox.deliveries()[0]["answers"] == [500, 200]


def test_a_receiver_that_is_down_is_a_failure(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.switch(webhook_retry_gaps=[0.01])
    sandbox.lever.ok("POST", "webhooks", {"url": "http://127.0.0.1:1/", "event": "candidateStageChange"})
    sandbox.move(sandbox.candidate(), "Offer")
    (delivery,) = sandbox.deliveries()
    assert (delivery["answers"], delivery["state"]) == ([0, 0], "dropped")


def test_the_api_does_not_wait_for_the_receiver(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    receiver.gate.clear()
    key = sandbox.candidate()
    sandbox.lever.ok("PUT", f"opportunities/{key}/stage", {"stage": "offer"})
    assert sandbox.deliveries(wait=0)[0]["answers"] == []
    receiver.gate.set()
    assert sandbox.deliveries()[0]["answers"] == [200]


def test_a_delivery_may_come_twice(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    sandbox.switch(webhook_delivery="duplicate")
    sandbox.move(sandbox.candidate(), "Offer")
    first, second = receiver.bodies(2)
    assert first == second


def test_a_delivery_may_be_lost(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    key = sandbox.candidate()
    sandbox.switch(webhook_delivery="lost")
    sandbox.move(key, "Offer")
    sandbox.switch(webhook_delivery="normal")
    sandbox.move(key, "Assessment")
    (body,) = receiver.bodies(1)
    assert body["data"]["toStageId"] == sandbox.stage("Assessment")
    assert [one["state"] for one in sandbox.deliveries()] == ["lost", "delivered"]


def test_a_delivery_may_come_late(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    key = sandbox.candidate()
    sandbox.switch(webhook_delivery="late", late_seconds=3600)
    sandbox.move(key, "Offer")
    sandbox.switch(webhook_delivery="normal")
    sandbox.move(key, "Assessment")
    assert receiver.bodies(1)[0]["data"]["toStageId"] == sandbox.stage("Assessment")
    assert [one["state"] for one in sandbox.deliveries()] == ["waiting", "delivered"]
    sandbox.advance(3600)
    (late,) = receiver.bodies(1)
    assert late["data"]["toStageId"] == "offer"


def test_deliveries_may_overtake_one_another(sandbox: Sandbox, receiver: Receiver) -> None:
    hook(sandbox, receiver)
    key = sandbox.candidate()
    sandbox.switch(webhook_delivery="reorder", late_seconds=3600)
    for stage in ("Offer", "Assessment", "New lead", "Offer"):
        sandbox.move(key, stage)
    bodies = receiver.bodies(4)
    order = [body["data"]["toStageId"] for body in bodies]
    assert order == [sandbox.stage("Assessment"), "offer", "offer", "lead-new"]
    assert bodies[0]["triggeredAt"] >= bodies[1]["triggeredAt"]


# Faults


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("apply", [True, False])
def test_a_write_may_fail_before_or_after_it_took_effect(sandbox: Sandbox, status: int, apply: bool) -> None:
    key = sandbox.candidate()
    fault = {"vendor": "lever", "method": "POST", "path_contains": "/notes", "status": status, "apply": apply}
    sandbox.admin.ok("POST", "faults", fault)
    assert sandbox.lever("POST", f"opportunities/{key}/notes", {"value": "x"}).status_code == status
    assert len(sandbox.lever.ok("GET", f"opportunities/{key}/notes")["data"]) == int(apply)
    assert sandbox.lever("POST", f"opportunities/{key}/notes", {"value": "x"}).status_code == 201


@pytest.mark.parametrize("apply", [True, False])
def test_a_connection_may_break(sandbox: Sandbox, apply: bool) -> None:
    key = sandbox.candidate()
    sandbox.admin.ok("POST", "faults", {"vendor": "lever", "method": "PUT", "mode": "drop", "apply": apply})
    with pytest.raises(requests.ConnectionError):
        sandbox.lever("PUT", f"opportunities/{key}/stage", {"stage": "offer"})
    assert (sandbox.opportunity(key)["stage"] == "offer") is apply


@pytest.mark.parametrize(
    "body",
    [{"no_such": 1}, {"webhook_delivery": "sometimes"}, {"pdf_as": 1}, {"strict_forms": "no"}, {"late_seconds": True}],
)
def test_a_switch_has_only_its_positions(sandbox: Sandbox, body: Any) -> None:
    before = sandbox.admin.ok("GET", "switches")
    assert sandbox.admin("POST", "switches", body).status_code == 400
    assert sandbox.admin.ok("GET", "switches") == before


def test_admin_calls_on_what_is_not_there_are_404(sandbox: Sandbox) -> None:
    assert sandbox.admin("POST", "candidates/unknown/move", {"stage": "Offer"}).status_code == 404
    assert sandbox.admin("POST", f"candidates/{sandbox.candidate()}/move", {"stage": "Nowhere"}).status_code == 404
    assert sandbox.admin("POST", "webhooks/unknown/test").status_code == 404
    assert sandbox.admin("POST", "deliveries/7/rerun").status_code == 404
