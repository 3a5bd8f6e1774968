"""What is wrong with one name of the settings stops only what needs this name."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lever_imocha.clients.transport import TRIES
from lever_imocha.errors import ApiError, AssessmentError, SettingsError, UnexpectedAnswerError, VendorDownError
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Work
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.resolved_settings import problems_of_last_sweep, refresh_resolved

from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack

REQUIRED = {"type": "text", "text": "Salary", "required": True}
SCORE = {"type": "text", "text": "Score", "required": False}


def use(stack: Stack, text: str) -> None:
    stack.settings = parse_settings(SETTINGS + text)


def problems(stack: Stack) -> tuple[str, ...]:
    """What the run's end tells."""
    return problems_of_last_sweep(stack.ledger)


def posting(stack: Stack, text: str, state: str = "published") -> dict[str, Any]:
    new = stack.world.postings[0] | {"id": f"posting-{len(stack.world.postings)}", "text": text, "state": state}
    stack.world.postings.append(new)
    return new


def applied(stack: Stack, to: dict[str, Any], **given: Any) -> str:
    return stack.candidate(PYTHON, applications=[{"id": "a", "posting": to["id"]}], **given)


def test_a_closed_posting_of_the_same_title_belongs_to_the_rule(stack: Stack) -> None:
    use(stack, "rules: [{postings: [Python Engineer]}]")
    applied(stack, stack.world.postings[0])
    applied(stack, posting(stack, "Python Engineer", "closed"))
    assert stack.run_invite() == ["invite", "invite"]
    assert problems(stack) == ()


def test_who_may_be_of_a_rule_with_postings_waits_while_lever_does_not_say_the_posting(stack: Stack) -> None:
    """Another rule may ask for another test."""
    use(stack, "rules: [{postings: [Python Engineer], validity_days: 3}, {}, {trigger_stage: Offer}]")
    waits, goes, elsewhere = (
        applied(stack, stack.world.postings[0], stage=one) for one in ("Assessment",) * 2 + ("Offer",)
    )
    stack.world.opportunities[goes]["applications"] = []
    stack.world.switches["applications_expand"] = False
    workflow = stack.invite_workflow()
    assert set(workflow.collect()) == {waits, goes, elsewhere}
    with pytest.raises(UnexpectedAnswerError, match="by its id only"):
        workflow.act(waits)
    assert [str(workflow.act(one)) for one in (goes, elsewhere)] == ["invite", "invite"]
    stack.world.switches["applications_expand"] = True
    assert stack.run_invite(force=True) == ["invite"]
    last = list(stack.world.invitations.values())[-1]
    assert last.start is not None
    assert last.end == last.start + timedelta(days=3), "as its own rule says"


def test_a_renamed_posting_stops_only_its_own_candidates_until_the_settings_are_corrected(stack: Stack) -> None:
    first, second = stack.world.postings[0], posting(stack, "SQL Engineer")
    use(stack, "rules: [{postings: [Python Engineer], validity_days: 3}, {}]")
    stack.run_invite()
    first["text"] = "Senior Python Engineer"
    waits, goes = applied(stack, first), applied(stack, second)
    assert sorted(map(str, stack.run_invite())) == ["invite", "waits: settings"]
    assert stack.ledger.assessments.of(goes)
    assert problems(stack) == (
        "rules[0].postings: 'Python Engineer' does not exist in Lever any more; it is called 'Senior Python Engineer'"
        " now: write that",
    )
    assert stack.run_invite(full=True) == []
    use(stack, "rules: [{postings: [Senior Python Engineer], validity_days: 3}, {}]")
    assert stack.run_invite() == ["invite"]
    assert stack.ledger.assessments.of(waits)
    assert problems(stack) == ()


@pytest.mark.parametrize("broken", ["postings: [Nowhere]", "trigger_stage: Nowhere", "completed_stage: Nowhere"])
def test_an_unknown_name_stops_only_its_own_rule(stack: Stack, broken: str) -> None:
    use(stack, f"rules: [{{{broken}}}, {{trigger_stage: Offer}}]")
    stack.candidate(PYTHON, stage="Offer", emails=["ann@example.com"])
    stack.candidate(PYTHON, stage="Assessment", emails=["bob@example.com"])
    stack.run_invite()
    assert [invitation.email for invitation in stack.world.invitations.values()] == ["ann@example.com"]
    (problem,) = problems(stack)
    key, name = broken.split(": ")
    assert problem.startswith(f"rules[0].{key}: {name.strip('[]')!r} does not exist in Lever; there are: ")


def test_two_stages_of_one_name_stop_only_their_own_rule(stack: Stack) -> None:
    use(stack, "rules: [{trigger_stage: Assessment}, {trigger_stage: Offer}]")
    stack.run_invite()
    stack.world.stages.append({"id": "twin", "text": "Assessment"})
    waits, goes = stack.candidate(PYTHON), stack.candidate(PYTHON, stage="Offer")
    assert sorted(map(str, stack.run_invite())) == ["invite", "waits: settings"]
    assert stack.ledger.assessments.of(goes)
    assert "rules[0].trigger_stage: 'Assessment' is the name of 2 in Lever" in problems(stack)[0]
    stack.world.stages.pop()
    assert stack.run_invite() == ["invite"]
    assert stack.ledger.assessments.of(waits)


def test_a_renamed_trigger_stage_is_not_left(stack: Stack) -> None:
    use(stack, "cancel_when: {stage_left: true}\nrules: [{trigger_stage: Assessment}, {trigger_stage: Offer}]")
    stack.candidate(PYTHON)
    stack.run_invite()
    next(stage for stage in stack.world.stages if stage["text"] == "Assessment")["text"] = "Tests"
    stack.run_invite(full=True)
    assert stack.invitation().state == "Pending"
    assert "it is called 'Tests' now" in problems(stack)[0]


def test_a_renamed_completed_stage_does_not_hold_back_who_has_begun(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    next(stage for stage in stack.world.stages if stage["text"] == "Assessment Complete")["text"] = "Done"
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(opportunity) == "Done"


def test_no_rule_that_can_be_used_is_an_error_with_all_problems(stack: Stack) -> None:
    use(stack, "rules: [{trigger_stage: Nowhere}, {completed_stage: Nirvana}]")
    stack.candidate(PYTHON)
    with pytest.raises(SettingsError) as caught:
        stack.run_invite()
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "rules[0].trigger_stage",
        "rules[1].completed_stage",
    ]


def test_a_key_that_may_not_list_postings_stops_only_rules_with_postings(stack: Stack) -> None:
    use(stack, "rules: [{trigger_stage: Offer, postings: [Python Engineer], completed_stage: New lead}, {}]")
    stack.fault(vendor="lever", path_contains="/postings", status=403, times=10)
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    assert "rules[0].postings: 'Python Engineer' cannot be looked up" in problems(stack)[0]


@pytest.mark.parametrize("path", ["/stages", "/users", "/postings", "/form_templates"])
def test_a_list_of_names_that_is_in_trouble_stops_nobody_for_a_day(stack: Stack, path: str, ledger_url: str) -> None:
    use(stack, "rules: [{postings: [Python Engineer]}]")
    for _ in range(2):  # then all names were looked up, for both kinds of work
        applied(stack, stack.world.postings[0])
        stack.run_invite()
        stack.finish()
        stack.run_write_back()
    stack.fault(vendor="lever", method="GET", path_contains=path, status=503, times=10_000)
    late = applied(stack, stack.world.postings[0])
    assert stack.run_invite() == ["invite"]
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(late) == "Assessment Complete"
    stack.ledger = Ledger(engine=engine_for(ledger_url), clock=lambda: datetime.now(UTC) + timedelta(hours=25))
    for templates, needed in ((False, ("/stages", "/postings")), (True, ("/stages", "/users", "/form_templates"))):
        with pytest.raises(VendorDownError) if path in needed else nullcontext():
            refresh_resolved(stack.ledger, stack.lever, stack.settings, now=stack.clock(), templates=templates)


def test_a_list_without_any_user_does_not_hold_up_a_report(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.fault(vendor="lever", method="GET", path_contains="/users", status=200, body={"data": []}, times=100)
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(opportunity) == "Assessment Complete"


@pytest.mark.parametrize("listed", ["none", "others"])
def test_a_stage_and_a_posting_that_one_list_lacks_are_still_there(stack: Stack, listed: str) -> None:
    use(stack, "rules: [{postings: [Python Engineer], validity_days: 3}, {}]")
    first, second = stack.world.postings[0], posting(stack, "Python Engineer", "closed")
    stack.run_invite()
    for path, all_ in (("/stages", stack.world.stages), ("/postings", stack.world.postings)):
        names = ("Assessment", "Assessment Complete", "Python Engineer")
        shown = [item for item in all_ if item["text"] not in names] if listed == "others" else []
        if path == "/postings":
            shown.append(first)
        body = {"data": shown, "hasNext": False}
        stack.fault(vendor="lever", method="GET", path_contains=f"{path}?", status=200, body=body, times=100)
    for to in (first, second):
        applied(stack, to)
    assert stack.run_invite() == ["invite", "invite"]
    assert problems(stack) == ()
    ends = [one.end - one.start for one in stack.world.invitations.values() if one.end and one.start]
    assert ends == [timedelta(days=3)] * 2, "by the first rule, also to the posting that the list lacks"


@pytest.mark.parametrize("path", ["/stages", "/users", "/postings"])
def test_a_list_in_trouble_before_the_first_report_does_not_hold_it_up(stack: Stack, path: str) -> None:
    use(stack, "rules: [{postings: [Python Engineer]}]")
    opportunity = applied(stack, stack.world.postings[0])
    stack.run_invite()
    stack.fault(vendor="lever", method="GET", path_contains=path, status=503, times=10_000)
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(opportunity) == "Assessment Complete"


@pytest.mark.parametrize("status", [401, 403, 503])
def test_what_was_looked_up_for_other_settings_or_before_a_refusal_counts_not(stack: Stack, status: int) -> None:
    stack.run_invite()
    if status == 503:
        use(stack, "rules: [{trigger_stage: Offer, completed_stage: New lead}]")
    stack.fault(vendor="lever", path_contains="/stages", status=status, times=10_000)
    with pytest.raises(ApiError, match="list_stages"):
        stack.run_invite()


@pytest.mark.parametrize("path", ["/users", "/postings"])
def test_a_list_in_trouble_from_the_beginning_stops_only_what_needs_it(stack: Stack, path: str) -> None:
    use(stack, "rules: [{postings: [Python Engineer]}, {trigger_stage: Offer}]")
    stack.fault(vendor="lever", method="GET", path_contains=path, status=503, times=10_000)
    stack.candidate(PYTHON, stage="Offer")
    assert stack.run_invite() == ["invite"]
    assert "Lever answered 503" in problems(stack)[0]
    stack.finish()
    with suppress(ApiError):
        stack.run_write_back()
    stack.world.faults.clear()
    applied(stack, stack.world.postings[0])
    assert stack.run_invite() == ["invite"]
    assert problems(stack) == ()
    stack.finish()
    stack.run_write_back()
    stack.run_write_back(force=True)
    assert len(stack.world.forms) == 2


# The acting user


def test_without_the_acting_user_invitations_go_on_and_what_writes_to_lever_waits(stack: Stack) -> None:
    use(stack, "explain: {status_tags: true, notes: true}")
    begun = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    one, other = stack.world.users
    one["deactivatedAt"], other["deactivatedAt"] = stack.world.now_ms(), None
    later = stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    assert problems(stack) == ("perform_as: no active Lever user has this e-mail address; name one who has",)
    stack.world.calls.clear()
    with pytest.raises(SettingsError, match="perform_as: no active Lever user"):
        stack.run_write_back()
    assert stack.writes() == []
    stack.world.users[0]["deactivatedAt"] = None
    assert stack.run_invite() == ["status shown", "status shown"]
    assert stack.world.opportunities[later]["tags"] == [PYTHON, "iMocha: invited"]
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(begun) == "Assessment Complete"


def test_a_key_that_may_not_read_users_still_invites(stack: Stack) -> None:
    stack.fault(vendor="lever", path_contains="/users", status=403, times=10)
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    assert problems(stack)[0].startswith("perform_as: the user cannot be looked up: Lever answered 403")


# Form templates


@pytest.mark.parametrize("settings", ["", "write_back: {update_template: true}"])
def test_a_template_that_cannot_be_filled_is_found_before_anyone_is_invited(stack: Stack, settings: str) -> None:
    use(stack, settings)
    stack.lever.create_form_template(text="iMocha Assessment", fields=[SCORE, REQUIRED])
    stack.world.calls.clear()
    stack.candidate(PYTHON)
    for run in (
        stack.run_invite,
        lambda: refresh_resolved(stack.ledger, stack.lever, stack.settings, now=stack.clock(), templates=True),
    ):
        with pytest.raises(SettingsError, match="required field 'Salary' cannot be filled"):
            run()
    assert stack.writes() == []


def test_a_template_stops_only_the_rules_that_name_it_until_it_is_mended(stack: Stack) -> None:
    use(stack, "rules: [{trigger_stage: Offer, form_template: Mine}, {}]")
    bad = stack.lever.create_form_template(text="Mine", fields=[SCORE, REQUIRED])
    stack.candidate(PYTHON, stage="Offer")
    stack.candidate(PYTHON)
    assert sorted(map(str, stack.run_invite())) == ["invite", "waits: settings"]
    assert problems(stack)[0].startswith("rules[0].form_template: form template 'Mine': its required field 'Salary'")
    stack.lever.update_form_template(bad, fields=[SCORE])
    assert stack.run_invite() == ["invite"]


def test_a_report_whose_template_is_fine_is_written_beside_one_whose_template_is_not(stack: Stack) -> None:
    use(stack, "rules: [{trigger_stage: Offer, form_template: Mine}, {}]")
    mine = stack.lever.create_form_template(text="Mine", fields=[SCORE])
    bad, good = stack.candidate(PYTHON, stage="Offer"), stack.candidate(PYTHON)
    stack.run_invite()
    stack.lever.update_form_template(mine, fields=[SCORE, REQUIRED])
    stack.finish()
    with pytest.raises(AssessmentError, match="'Salary' cannot be filled"):
        stack.run_write_back()
    stack.run_write_back()
    assert (stack.stage(bad), stack.stage(good)) == ("Offer", "Assessment Complete")


def test_a_report_goes_where_the_rule_of_the_candidate_s_posting_says_also_when_that_was_changed_since(
    stack: Stack,
) -> None:
    rules = (
        "rules: [{{postings: [Python Engineer], form_template: One}}, {{postings: [SQL Engineer], form_template: {}}}]"
    )
    second = posting(stack, "SQL Engineer")
    use(stack, rules.format("Two"))
    opportunity = applied(stack, second)
    assert stack.run_invite() == ["invite"]
    use(stack, rules.format("Three"))
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    (form,) = stack.world.forms[opportunity]
    assert stack.world.templates[form["baseTemplateId"]]["text"] == "Three"


def test_who_is_moved_to_another_trigger_stage_moves_on_as_the_rule_of_the_posting_says(stack: Stack) -> None:
    second = "{trigger_stage: Recruiter screen, completed_stage: Offer, postings: [Python Engineer]}"
    use(stack, f"write_back: {{tags: [assessed]}}\nrules: [{{}}, {second}]")
    opportunity = applied(stack, stack.world.postings[0])
    stack.run_invite()
    stack.world.move(opportunity, "Recruiter screen")
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]
    assert stack.stage(opportunity) == "Offer"


def test_a_template_may_be_named_by_its_id(stack: Stack) -> None:
    mine = stack.lever.create_form_template(text="Mine", fields=[SCORE])
    use(stack, f"rules: [{{form_template: {mine.id}}}]")
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.finish()
    stack.run_write_back()
    assert [form["baseTemplateId"] for form in stack.world.forms[opportunity]] == [mine.id]
    assert list(stack.world.templates) == [mine.id]


def test_an_id_of_no_template_makes_none_of_that_name(stack: Stack) -> None:
    use(stack, "rules: [{form_template: 0c0f7bc5-5b9b-4d35-bbd5-6e2a1df0a1b5}]")
    with pytest.raises(SettingsError, match=r"rules\[0\].form_template: '0c0f.*' does not exist in Lever"):
        stack.run_invite()
    assert stack.world.templates == {}


def test_templates_are_listed_once_in_a_while_as_long_as_they_are_fine(stack: Stack) -> None:
    stack.lever.create_form_template(text="iMocha Assessment", fields=[SCORE])
    stack.world.calls.clear()
    for _ in range(3):
        stack.run_invite()
    use(stack, "write_back: {create_template: false}")
    stack.run_invite()
    assert [call["path"] for call in stack.world.calls if "form_templates" in call["path"]] == ["/form_templates"] * 2


@pytest.mark.parametrize("status", [403, 500])
def test_that_templates_cannot_be_listed_stops_no_invitation(stack: Stack, status: int) -> None:
    use(stack, "rules: [{}, {trigger_stage: Offer}, {trigger_stage: New lead}]")
    stack.fault(vendor="lever", path_contains="/form_templates", status=status, times=1000)
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    asked = sum("/form_templates" in call["path"] for call in stack.world.calls)
    assert asked == (1 if status == 403 else TRIES), "once, however many rules there are"


def test_what_an_earlier_version_has_looked_up_is_still_understood(stack: Stack) -> None:
    stack.run_invite()
    known = stack.ledger.cache.get("lever")
    assert known is not None
    rules = [{key: value for key, value in rule.items() if key != "usable"} for rule in known["rules"]]
    stack.ledger.cache.put("lever", {"perform_as": known["user_id"], "rules": rules, "templates": {}})
    stack.ledger.queue.enqueue([stack.candidate(PYTHON)], Work.INVITE)
    assert stack.run_invite(sweep=False) == ["invite"]
