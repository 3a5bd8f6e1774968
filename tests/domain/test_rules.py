"""The rules, exhaustively where they are tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.explanations import ShownTest, hold_problem, status_tag
from lever_imocha.domain.forms import (
    FormTemplate,
    check_template,
    fill_form,
    is_same_form,
    merged_fields,
    missing_fields,
    our_fields,
)
from lever_imocha.domain.imocha import (
    Attempt,
    AttemptStatus,
    InviteSettings,
    Report,
    TestLink,
    default_link,
    read_status,
    settings_of,
)
from lever_imocha.domain.lever import Opportunity, ProfileForm, User
from lever_imocha.domain.rules import ResolvedRule, select_rule
from lever_imocha.domain.tags import StatusTag, TagScheme, asked_tests, doubtful_tags, doubtful_tests, wanted_tests
from lever_imocha.errors import AssessmentError, SettingsError
from lever_imocha.redaction import redact
from lever_imocha.runtime.batches import batches
from pydantic import ValidationError

NOW = datetime(2026, 7, 2, 12, tzinfo=UTC)
SCHEME = TagScheme(prefix="iMocha:", mapping={"Python test": 101})
RULE = ResolvedRule(trigger_stage_id="lead-new", completed_stage_id="done", form_template="t")


def opportunity(**given: Any) -> Opportunity:
    return Opportunity.model_validate({"id": "o", "stage": "lead-new", "emails": ["a@example.com"]} | given)


@pytest.mark.parametrize(
    ("tags", "ids"),
    [
        (["iMocha: Python [101]", "Engineering"], [101]),
        (["iMocha: C [x] [7]"], [7]),
        (["Python test"], [101]),
        (["IMOCHA: x [5]", "imocha - x [6]", "iMocha x [7]", "#iMocha; x[8]"], [5, 6, 7, 8]),
        (["Engineering [5]", "Mocha: x [5]", "iMochax: y [5]", "x iMocha: y [5]"], []),
        ([" iMocha: x [5]", "iMocha : x [6]", "iMocha:\u00a0x\u00a0[7]", "iM\u200bocha: x [8]\u200b"], [5, 6, 7, 8]),
        (["iMocha\uff1a x \uff3b\uff15\uff3d", "iMocha: x [ 6 ] ", "iMocha:x[7]"], [5, 6, 7]),
        (["Python\u00a0test "], [101]),
        (["iMocha: Python \u301057\u3011", "iMocha: Python [57]."], [None, None]),
        (["iMocha: no number", "iMocha: [0x1]"], [None, None]),
        (["iMocha: a [1]", "iMocha: b [1]", "iMocha: c [2]"], [1, 2]),
    ],
)
def test_which_tests_tags_name(tags: list[str], ids: list[int | None]) -> None:
    assert [test.test_id for test in wanted_tests(tags, SCHEME)] == ids


FORM = "iMocha: <test's name> [<test's number>]"


@pytest.mark.parametrize(
    ("tag", "correct"),
    [
        ("iMocha: Python Developer", FORM),
        ("imocha - Python", FORM),
        ("IMOCHA;x", FORM),
        ("iMocha: Python [101", FORM),
        ("iMocha Python Developer", FORM),
        ("iMocha", FORM),
        ("iMoca: Python [57]", FORM),
        ("Mocha: Python [57]", FORM),
        ("\u0456Mocha: Python [57]", FORM),  # a Cyrillic letter that looks alike
        ("PYTHON TEST", "Python test"),
        ("Python-test", "Python test"),
    ],
)
def test_a_tag_that_is_meant_for_a_test_and_names_none_says_how_it_should_be_written(tag: str, correct: str) -> None:
    (wanted,) = wanted_tests(["Engineering", tag], SCHEME) or doubtful_tests(["Engineering", tag], SCHEME)
    assert (wanted.tag, wanted.test_id, wanted.correct) == (tag, None, correct)
    assert str(wanted) == f"{tag}: write it as {correct}"


@pytest.mark.parametrize(
    ("tag", "correct"),
    [
        ("c++", "C++"),
        ("C #", "C#"),
        ("c", "C"),
        ("\uff23\uff0b\uff0b", ""),
        ("-C-", "C++ or C# or C"),
        ("++", ""),
        ("C\u2013", "C++ or C# or C"),
    ],
)
def test_tags_with_the_same_letters_are_not_taken_for_each_other(tag: str, correct: str) -> None:
    (*wanted,) = wanted_tests([tag], TagScheme(prefix="iMocha:", mapping={"C++": 5, "C#": 6, "C": 7}))
    assert [test.correct for test in wanted] == ([] if tag == "++" else [correct])


def test_a_tag_that_only_begins_with_our_word_stops_nobody_who_has_a_right_one() -> None:
    tags = ["iMocha alumni", "iMocha: x [1]"]
    assert [test.test_id for test in wanted_tests(tags, SCHEME)] == [1]
    assert doubtful_tags(tags, SCHEME) == ["iMocha alumni"]
    assert [test.test_id for test in wanted_tests(["iMocha: x", "iMocha: y [1]"], SCHEME)] == [None, 1]


@pytest.mark.parametrize("tag", ["Python [57]", "Mobile [57]", "iMoca", "Imo [57]"])
def test_what_is_only_a_little_like_our_tag_asks_for_nothing(tag: str) -> None:
    assert asked_tests([tag], SCHEME, ()) == ()


def test_a_prefix_without_letters_is_taken_as_it_is() -> None:
    scheme = TagScheme(prefix="#", mapping={"!": 5})
    assert wanted_tests(["", "-", "x", "x [1]"], scheme) == ()
    assert [test.test_id for test in wanted_tests(["# x [1]", "!"], scheme)] == [1, 5]


_BLANKS = st.text(alphabet=" \t\u00a0\u3000\u200b", max_size=3)


@given(st.data(), st.integers(1, 10**15), st.text(alphabet="abcXYZ 0().", max_size=12))
def test_our_tag_however_it_is_typed_is_never_silent(data: st.DataObject, number: int, name: str) -> None:
    blanks = [data.draw(_BLANKS) for _ in range(4)]
    word = data.draw(st.sampled_from(["iMocha", "imocha", "IMOCHA", "\uff49Mocha"]))
    colon = data.draw(st.sampled_from([":", "\uff1a", " :", "-", ";", "::"]))
    end = data.draw(st.sampled_from([f"[{number}]", f"\uff3b{number}\uff3d", f"[ {number} ]", "", "[", f"[{number}"]))
    tag = f"{blanks[0]}{word}{blanks[1]}{colon}{blanks[2]}{name}{blanks[3]}{end}{blanks[0]}"
    complete = end.endswith(("]", "\uff3d"))
    (wanted,) = wanted_tests([tag], SCHEME)
    assert wanted.test_id == (number if complete else None)
    assert bool(wanted.correct) is not complete


@given(st.data(), st.sampled_from(StatusTag))
def test_a_status_tag_however_it_is_typed_names_no_test(data: st.DataObject, status: StatusTag) -> None:
    blank = data.draw(_BLANKS)
    typed = data.draw(st.sampled_from([status.value, status.upper(), status.lower(), status.replace(":", " - ")]))
    tag = blank + typed.replace(" ", f" {blank}") + blank
    assert wanted_tests([tag], SCHEME) == ()
    assert doubtful_tags([tag], SCHEME) == []


@pytest.mark.parametrize("tag", [" iMocha: invited", "iMocha:\u00a0on hold"])
def test_a_status_tag_with_other_blanks_names_no_test(tag: str) -> None:
    assert wanted_tests([tag], SCHEME) == ()


def test_a_rules_tags_are_known_whatever_their_blanks() -> None:
    rule = ResolvedRule(trigger_stage_id="lead-new", completed_stage_id="x", form_template="t", tags=("very urgent",))
    assert select_rule(opportunity(tags=["very\u00a0urgent "]), [rule]) is rule
    assert select_rule(opportunity(tags=["Very urgent"]), [rule]) is None


@given(st.integers(1, 10**15), st.text(max_size=40))
def test_a_tag_we_make_is_read_back_as_its_test(test_id: int, name: str) -> None:
    (wanted,) = wanted_tests([SCHEME.tag_for(test_id, name)], SCHEME)
    assert wanted.test_id == test_id


def test_the_first_rule_that_matches_counts() -> None:
    by_posting = ResolvedRule(
        trigger_stage_id="lead-new", completed_stage_id="x", form_template="t", posting_ids=("p",)
    )
    by_tag = ResolvedRule(trigger_stage_id="lead-new", completed_stage_id="y", form_template="t", tags=("urgent",))
    rules = [by_posting, by_tag, RULE]
    assert select_rule(opportunity(applications=[{"posting": {"id": "p"}}]), rules) is by_posting
    assert select_rule(opportunity(tags=["urgent"], applications=["id only"]), rules) is by_tag
    assert select_rule(opportunity(), rules) is RULE
    assert select_rule(opportunity(stage={"id": "offer", "text": "Offer"}), rules) is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Pending", AttemptStatus.PENDING),
        ("In Progress", AttemptStatus.IN_PROGRESS),
        ("inprogress", AttemptStatus.IN_PROGRESS),
        ("Complete", AttemptStatus.COMPLETE),
        ("Completed", AttemptStatus.COMPLETE),
        ("TestLeft", AttemptStatus.TEST_LEFT),
        ("Test Left", AttemptStatus.TEST_LEFT),
        ("Terminated", AttemptStatus.TERMINATED),
        ("cancelled", AttemptStatus.CANCELLED),
        ("Canceled", AttemptStatus.CANCELLED),
        ("Expired", AttemptStatus.EXPIRED),
        ("None", AttemptStatus.UNKNOWN),
        (None, AttemptStatus.UNKNOWN),
    ],
)
def test_the_spellings_of_a_status(word: str | None, status: AttemptStatus) -> None:
    assert read_status(word) is status
    assert Attempt.model_validate({"testInvitationId": "7", "teststatus": word}).status is status


def test_which_statuses_are_open_and_which_ended() -> None:
    assert [status.value for status in AttemptStatus if status.is_open] == ["pending", "in_progress", "unknown"]
    assert [status.value for status in AttemptStatus if status.can_begin] == ["pending", "unknown"]
    assert [status.value for status in AttemptStatus if status.is_ended] == ["complete", "test_left", "terminated"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-07-12T06:37:04.1412345", datetime(2024, 7, 12, 6, 37, 4, 141234, tzinfo=UTC)),
        ("2024-07-12T06:37:04.14Z", datetime(2024, 7, 12, 6, 37, 4, 140000, tzinfo=UTC)),
        ("2024-07-12", datetime(2024, 7, 12, tzinfo=UTC)),
        ("2024-07-12T06:37:04+05:30", datetime(2024, 7, 12, 1, 7, 4, tzinfo=UTC)),
        ("2024-07-12T06:37:04+0530", datetime(2024, 7, 12, 1, 7, 4, tzinfo=UTC)),
        (" 2024-07-12 06:37:04 Z ", datetime(2024, 7, 12, 6, 37, 4, tzinfo=UTC)),
        ("2024-07-12T06:37", datetime(2024, 7, 12, 6, 37, tzinfo=UTC)),
        ("2024-07-12T06:37:04.123456789 +05:30", datetime(2024, 7, 12, 1, 7, 4, 123456, tzinfo=UTC)),
        ("", None),
    ],
)
def test_how_imochas_times_are_read(text: str, moment: datetime | None) -> None:
    assert Report.model_validate({"attemptedOn": text}).attempted_on == moment


@pytest.mark.parametrize(
    ("millis", "moment"),
    [
        (1782972986091, datetime(2026, 7, 2, 6, 16, 26, 91000, tzinfo=UTC)),
        ("1782972986091", datetime(2026, 7, 2, 6, 16, 26, 91000, tzinfo=UTC)),
        (1782972986091.6, datetime(2026, 7, 2, 6, 16, 26, 91000, tzinfo=UTC)),
        ("", None),
    ],
)
def test_how_levers_times_are_read(millis: object, moment: datetime | None) -> None:
    assert opportunity(createdAt=millis).created_at == moment


@pytest.mark.parametrize("millis", ["soon", 10**30, {}, "nan", True, 0, -5, 1782972986, 253402300799000])
def test_what_is_no_time_in_milliseconds_is_refused_where_something_rests_on_it(millis: object) -> None:
    assert opportunity(createdAt=millis).created_at is None
    with pytest.raises(ValidationError):
        User.model_validate({"id": "u", "deactivatedAt": millis})


def test_an_opportunity_without_times_or_lists_is_read() -> None:
    bare = Opportunity.model_validate({"id": 5, "emails": None, "tags": None, "stageChanges": None, "updatedAt": None})
    assert (bare.email, bare.posting_ids, bare.may_contact) == (None, (), True)
    assert bare.entered_stage_at == datetime.fromtimestamp(0, tz=UTC)
    later = {"toStageId": "a", "updatedAt": "1782972986091"}
    changed = Opportunity.model_validate({"id": "o", "lastAdvancedAt": 1582972986091, "stageChanges": [None, later]})
    assert changed.entered_stage_at.year == 2026


@pytest.mark.parametrize("last", [None, "yesterday", {}, {"updatedAt": None}, {"updatedAt": 1782972986}], ids=str)
def test_another_time_is_not_taken_for_that_of_the_last_change(last: object) -> None:
    """Who is in the stage for long would seem to come again."""
    earlier = {"toStageId": "a", "updatedAt": 1782972986091}
    with pytest.raises(ValidationError, match="stageChanges"):
        opportunity(stageChanges=[earlier, last], lastAdvancedAt=1782972986091)


@pytest.mark.parametrize(
    "given", [None, "", " ", " o1", "o 1", "o1\n", "o" * 501, True, [], {}, {"id": "o1"}], ids=repr
)
def test_what_is_no_id_is_not_taken_for_one(given: object) -> None:
    with pytest.raises(ValidationError):
        Opportunity.model_validate({"id": given})


@pytest.mark.parametrize(
    "given", [{"reason": "r"}, {"archivedAt": 1782972986091}, {"reason": " ", "archivedAt": 1782972986091}]
)
def test_a_time_or_a_reason_says_that_somebody_is_archived(given: dict[str, Any]) -> None:
    assert opportunity(archived=given).archived is not None


@pytest.mark.parametrize("given", ["", " ", {"id": None}, [], True, {"text": "x"}], ids=repr)
def test_ids_on_which_nothing_rests_are_left_out(given: object) -> None:
    found = opportunity(contact=given, archived={"reason": given, "archivedAt": 1782972986091})
    assert found.contact is None
    assert found.archived is not None
    assert found.archived.reason is None
    form = ProfileForm.model_validate({"id": "f", "baseTemplateId": given, "deletedAt": "yesterday"})
    assert (form.base_template_id, form.deleted_at) == (None, None)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (["ann@example.com"], "ann@example.com"),
        (["n/a", "ann@example.com"], "ann@example.com"),
        (["", " ", "-", "none", "ann@", "@example.com", "ann at example.com", "ann@home", "ann@b@example.com"], None),
        ([" ann@example.com\t\n"], "ann@example.com"),
        (["\u00a0ann@example.com\u200b", "bob@example.com"], "ann@example.com"),
        (["ann\u200b@exam\u00adple.com\ufeff"], "ann@example.com"),
        (["\u3000ann\uff20example.com"], "ann@example.com"),
        (["mailto:ann@example.com"], "ann@example.com"),
        (["MAILTO:ann%2Bx@example.com?subject=Hello"], "ann+x@example.com"),
        (["ann@example.com."], "ann@example.com"),
        (["ann@example.com, bob@example.com"], "ann@example.com"),
        (["ann@example.com,;"], "ann@example.com"),
        (["<ann@example.com>"], "ann@example.com"),
        (["Ann Example <ann@example.com>"], "ann@example.com"),
        (['"Ann" (home) <mailto:ann@example.com>.'], "ann@example.com"),
        (["'ann@example.com'"], "ann@example.com"),
        (["mail: ann@example.com"], "ann@example.com"),
        (["E-Mail:ann@example.com"], "ann@example.com"),
        (["mailto://ann@example.com"], "ann@example.com"),
        (["mailto:Ann%20%3Cann@example.com%3E"], "ann@example.com"),
        (["\u201cann@example.com\u201d", "bob@example.com"], "ann@example.com"),
        (["\u00abann@example.com\u00bb"], "ann@example.com"),
        (["\u2018ann@example.com\u2019"], "ann@example.com"),
        (["`ann@example.com`", "bob@example.com"], "ann@example.com"),
        (["**ann@example.com**."], "ann@example.com"),
        ([".ann@example.com"], ".ann@example.com"),
        (["ann@example.com|bob@example.com"], "ann@example.com"),
        (["ann@example.com\u3002"], "ann@example.com"),
        (["ann@example.com\u2026"], "ann@example.com"),
        (["https://x.example/?e=ann@example.com", "//ann@example.com"], None),
        (["ann@example.com-", "ann@example.com_", '"ann lee"@example.com'], None),
        (["ann @example.com"], None),
        (["ann.o'brien+jobs_1@mail.example-host.co.uk"], "ann.o'brien+jobs_1@mail.example-host.co.uk"),
        (["Ann@Example.COM"], "Ann@Example.COM"),
        (["ann@ex\u00e4mple.de"], "ann@ex\u00e4mple.de"),
        (["ann@-example.com", "ann@example..com", "ann@example.1", "a" * 65 + "@example.com"], None),
        (["a@" + "b." * 30_000 + "1"], None),
    ],
)
def test_the_first_usable_address_counts_as_people_type_addresses(typed: list[str], address: str | None) -> None:
    assert opportunity(emails=typed).email == address


def test_a_report_is_final_when_ended_and_scored() -> None:
    assert Report.model_validate({"Status": "Complete", "totalTestPoints": "50.00"}).is_final
    assert not Report.model_validate({"status": "Complete"}).is_final
    assert not Report.model_validate({"status": "In Progress", "totalTestPoints": 50}).is_final


# Forms


def template(*fields: dict[str, Any]) -> FormTemplate:
    return FormTemplate.model_validate({"id": "t", "text": "T", "fields": list(fields)})


REPORT = Report.model_validate(
    {
        "testName": "SQL\nBasics", "status": "TestLeft", "candidatePoints": 34.5, "totalTestPoints": "50.00",
        "timeTaken": 59, "attemptedOn": "2026-07-02T12:00:00Z",
        "sections": [{"sectionName": "One", "candidateScore": 1, "sectionScore": 2, "sectionTimeTaken": 61}],
    }
)  # fmt: skip


def test_a_form_has_the_templates_fields_in_order_each_with_a_value() -> None:
    own = template(*our_fields(), {"type": "text", "text": "Else", "id": "x", "prompt": "p"})
    filled = fill_form(own, REPORT, invitation_id=7)
    assert [field["text"] for field in filled] == [field.text for field in own.fields]
    values = {field["text"]: field["value"] for field in filled}
    assert values == {
        "Test": "SQL Basics", "Status": "Test Left", "Score": "34.5 / 50", "Percentage": "69 %",
        "Performance category": None, "Attempted on": 1782993600000, "Time taken": "59 s",
        "Sections": "One: 1 / 2 (1 min 1 s)", "Report": None, "Invitation": "7", "Else": None,
    }  # fmt: skip
    assert filled[-1]["prompt"] == "p"


def test_a_template_may_have_other_kinds_of_fields_for_ours() -> None:
    kinds = {"Score": "currency", "Status": "text", "Attempted on": "textarea", "Test": "yes-no"}
    filled = fill_form(template(*({"type": k, "text": t} for t, k in kinds.items())), REPORT, invitation_id=7)
    assert [field["value"] for field in filled] == [None, "Test Left", "2026-07-02 12:00 UTC", None]


def test_required_fields_that_cannot_be_filled_are_an_error_before_anything_is_sent() -> None:
    with pytest.raises(SettingsError, match="'Salary' cannot be filled"):
        check_template(template(*our_fields(), {"type": "text", "text": "Salary", "required": True}))
    check_template(template({"type": "text", "text": "Score", "required": True}))
    status = {"type": "dropdown", "text": "Status", "required": True, "options": [{"text": "Complete"}]}
    with pytest.raises(AssessmentError, match="has no option"):
        fill_form(template(status), REPORT, invitation_id=7)
    category = {"type": "text", "text": "Performance category", "required": True}
    assert fill_form(template(category), REPORT, invitation_id=7)[0]["value"] == "n/a"


def test_a_template_is_completed_with_what_it_lacks() -> None:
    own = template({"type": "text", "text": "score", "id": "1"}, {"type": "text", "text": "Mine"})
    assert "Score" not in missing_fields(own)
    merged = template(*merged_fields(own))
    assert missing_fields(merged) == []
    assert [field.text for field in merged.fields][:2] == ["score", "Mine"]


def test_a_form_is_known_by_its_invitation_or_by_all_its_values() -> None:
    filled = fill_form(template(*our_fields()), REPORT, invitation_id=7)
    assert is_same_form(filled, filled, 7)
    assert not is_same_form(filled, filled, 8)
    unmarked = fill_form(template(*our_fields()[:3]), REPORT, invitation_id=7)
    assert is_same_form(unmarked, unmarked, 7)
    assert not is_same_form([], unmarked, 7)


# Links


def link(**given: Any) -> TestLink:
    return TestLink.model_validate({"testLinkId": 1, "testLinkName": "x"} | given)


def test_which_link_is_the_default() -> None:
    named, api, other = link(testLinkName="default"), link(testLinkName="API"), link()
    assert default_link([other, api, named]) is named
    assert default_link([other, api]) is api
    assert default_link([other, link(isApiLink=True)]) == link(isApiLink=True)
    assert default_link([other, link(isApiLink=True, testLinkStatus="inactive")]) is None


def test_the_settings_a_link_hands_over() -> None:
    days = {"ScheduleType": "validityindays", "scheduleDetails": {"invitationValidityInDays": "7", "timeZoneId": 1200}}
    own = link(invitationSchedule=days, proctoringSettings={"proctoringMode": "video"}, stakeholderEmails="a@b.c")
    assert settings_of(own, now=NOW) == InviteSettings(
        start_at=NOW,
        end_at=NOW + timedelta(days=7),
        time_zone_id=1200,
        proctoring_mode="video",
        stakeholder_emails="a@b.c",
    )
    bound = {
        "scheduleType": "timebound",
        "scheduleDetails": {"startDateTime": "2026-08-01T00:00:00", "endDateTime": "2026-08-02T00:00:00Z",
                            "invitationValidityInDays": 7},
    }  # fmt: skip
    window = settings_of(link(invitationSchedule=bound), now=NOW)
    assert window.end_at == datetime(2026, 8, 2, tzinfo=UTC)
    assert settings_of(link(invitationSchedule=bound), now=NOW, validity_days=3).end_at == NOW + timedelta(days=3)
    assert settings_of(None, now=NOW, time_zone_id=200) == InviteSettings(time_zone_id=200)


@pytest.mark.parametrize(
    "schedule",
    [
        {
            "schedule_type": "ValidityInDays",
            "schedule_details": {"invitation_validity_in_days": 7, "time zone id": 1200},
        },
        {"SCHEDULE-TYPE": None, "SCHEDULE-DETAILS": {"INVITATIONVALIDITYINDAYS": "7", "TimeZoneID": "1200"}},
        {"scheduleDetails": {"invitationValidityInDays": 7.0, "timeZoneId": 1200.0}},
    ],
)
def test_a_links_schedule_is_read_in_every_spelling_of_its_keys(schedule: dict[str, Any]) -> None:
    settings = settings_of(link(invitation_schedule=schedule), now=NOW)
    assert settings == InviteSettings(start_at=NOW, end_at=NOW + timedelta(days=7), time_zone_id=1200)


@pytest.mark.parametrize(
    "given",
    [
        {"invitationSchedule": None, "proctoringSettings": None, "stakeholderEmails": None},
        {"invitationSchedule": [], "proctoringSettings": "disabled", "stakeholderEmails": ["a@b.c"]},
        {"invitationSchedule": "7 days", "proctoringSettings": {"proctoringMode": {}}, "stakeholderEmails": ""},
        {"invitationSchedule": {"scheduleType": [], "scheduleDetails": None}},
        {"invitationSchedule": {"scheduleType": "timebound", "scheduleDetails": []}},
        {"invitationSchedule": {"scheduleDetails": {"startDateTime": "soon", "endDateTime": {}, "timeZoneId": []}}},
    ],
)
def test_a_part_of_a_link_with_an_unknown_shape_is_no_setting_and_no_error(given: dict[str, Any]) -> None:
    assert settings_of(link(**given), now=NOW) == InviteSettings()


@pytest.mark.parametrize("days", [20, 20.0, "20", "20.0"])
def test_a_links_numbers_come_in_every_form(days: object) -> None:
    schedule = {"scheduleType": "validityindays", "scheduleDetails": {"invitationValidityInDays": days}}
    assert settings_of(link(invitationSchedule=schedule), now=NOW).end_at == NOW + timedelta(days=20)


@pytest.mark.parametrize("days", [None, "", "soon", -1, 0, 2.5, [], "nan", "inf"])
def test_what_is_no_number_of_days_is_left_to_imocha(days: object) -> None:
    schedule = {"scheduleType": "validityindays", "scheduleDetails": {"invitationValidityInDays": days}}
    assert settings_of(link(invitationSchedule=schedule), now=NOW) == InviteSettings()


def test_an_address_given_as_a_name_is_not_shown() -> None:
    assert opportunity(name="Ann Example").display_name == "Ann Example"
    assert opportunity(name="ann@example.com").display_name is None
    assert opportunity().display_name is None


def test_what_is_sent_and_addresses_of_every_form_are_taken_out_of_a_vendors_text() -> None:
    said = "no: ann@example.com, bob%40example.com, https://example.com/x; 34 / 50"
    assert redact(said, hidden=["34 / 50"]) == "no: [removed], [removed], [removed] [removed]"


# What the recruiter is told


@pytest.mark.parametrize(
    ("statuses", "on_hold", "tag"),
    [
        ([], True, StatusTag.ON_HOLD),
        ([AttemptStatus.PENDING], True, StatusTag.ON_HOLD),
        ([AttemptStatus.PENDING, AttemptStatus.IN_PROGRESS], False, StatusTag.STARTED),
        ([AttemptStatus.PENDING, AttemptStatus.COMPLETE], False, StatusTag.INVITED),
        ([AttemptStatus.EXPIRED, AttemptStatus.COMPLETE], False, StatusTag.EXPIRED),
        ([AttemptStatus.COMPLETE, AttemptStatus.TERMINATED], False, StatusTag.COMPLETE),
        ([AttemptStatus.COMPLETE, None], False, None),
        ([AttemptStatus.CANCELLED], False, StatusTag.CANCELLED),
        ([AttemptStatus.CANCELLED, AttemptStatus.COMPLETE], False, StatusTag.CANCELLED),
        ([AttemptStatus.CANCELLED, AttemptStatus.EXPIRED], False, StatusTag.EXPIRED),
        ([], False, None),
    ],
)
def test_the_status_a_recruiter_sees(
    statuses: list[AttemptStatus | None], on_hold: bool, tag: StatusTag | None
) -> None:
    assert status_tag(statuses, on_hold=on_hold) is tag


def test_a_missing_report_is_shown_before_anything_but_a_hold() -> None:
    statuses = [AttemptStatus.PENDING, AttemptStatus.COMPLETE]
    assert status_tag(statuses, on_hold=False, report_missing=True) is StatusTag.REPORT_MISSING
    assert status_tag(statuses, on_hold=True, report_missing=True) is StatusTag.ON_HOLD


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_TEST, Reason.NO_EMAIL, Reason.MAY_NOT_CONTACT])
def test_a_hold_that_a_recruiter_can_end_is_explained_with_its_fix(reason: Reason) -> None:
    problem = hold_problem(reason, "x")
    assert problem is not None
    assert str(problem).startswith(f"On hold: {reason} (x). ")
    assert str(problem).endswith(" The invitation then goes out by itself.")


def test_a_hold_that_a_recruiter_cannot_end_is_not() -> None:
    assert hold_problem(Reason.PER_CANDIDATE, "") is None
    assert hold_problem(Reason.BEFORE_ACTIVATION, "") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"status": AttemptStatus.PENDING, "invited_at": NOW}, "x: invited on 2026-07-02 12:00 UTC"),
        (
            {"status": AttemptStatus.PENDING, "invited_at": NOW, "expires_at": NOW + timedelta(days=1)},
            "x: invited on 2026-07-02 12:00 UTC, can be taken until 2026-07-03 12:00 UTC",
        ),
        ({"status": AttemptStatus.UNKNOWN}, "x: invited"),
        ({"status": AttemptStatus.IN_PROGRESS}, "x: started"),
        ({"status": AttemptStatus.TEST_LEFT}, "x: ended, the report follows"),
        ({"status": AttemptStatus.COMPLETE, "written": True}, "x: ended, the report is in the forms and files here"),
        ({"status": AttemptStatus.CANCELLED}, "x: the invitation was cancelled"),
    ],
)
def test_what_a_note_says_of_a_test(given: dict[str, Any], said: str) -> None:
    assert str(ShownTest(name="x", **given)) == said


@given(st.lists(st.integers(), max_size=200), st.integers(1, 40), st.integers(1, 40))
def test_batches_keep_everything_and_are_even(items: list[int], singles: int, most: int) -> None:
    parts = batches(items, singles, most)
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert len(parts) == (len(items) if len(items) <= singles else min(len(items), most))
    assert not parts or max(map(len, parts)) - min(map(len, parts)) <= 1
