"""Whom of the last arrivals changed settings would have treated otherwise, told without a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lever_imocha.domain.arrivals import ArrivalFacts
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.ledger.values import NewEntry
from lever_imocha.settings import parse_settings
from lever_imocha.settings_check import main
from lever_imocha.workflows.settings_change import SettingsChange, decide_anew

from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

MONTH = timedelta(days=30)


def facts(stack: Stack, opportunity_id: str) -> ArrivalFacts:
    (kept,) = (
        one.facts
        for one in stack.ledger.entries.decided_since(stack.clock() - MONTH)
        if one.opportunity_id == opportunity_id
    )
    assert kept is not None
    return kept


def compared(stack: Stack, text: str) -> SettingsChange:
    calls = len(stack.world.calls)
    found = decide_anew(stack.ledger, parse_settings(text), since=stack.clock() - MONTH)
    assert len(stack.world.calls) == calls, "no vendor is asked"
    return found


def differences(found: SettingsChange) -> Mapping[tuple[str, str], list[str]]:
    return {(one.would, one.was): sorted(one.opportunity_ids) for one in found.differences}


def test_what_a_decision_rests_on_is_kept_and_nothing_else_about_the_person(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "rules: [{tags: [Engineering], tests: [102]}, {}]")
    posting = stack.world.postings[0]["id"]
    tags = (PYTHON, "Engineering", "plays the cello", "iMocha alumni")
    one = stack.candidate(*tags, origin="referred", applications=[{"id": "a", "posting": posting}])
    stack.run_invite()
    kept = facts(stack, one)
    assert set(kept.tags) == {PYTHON, "Engineering", "iMocha alumni"}
    assert (kept.posting_ids, kept.origin, kept.tests) == ((posting,), "referred", (101, 102))
    assert kept.rule is not None
    assert kept.rule.trigger_stage_id == stack.world.stage_id("Assessment")
    assert kept.rule_version is not None
    assert "cello" not in kept.model_dump_json()
    other = stack.candidate(PYTHON)
    stack.settings = parse_settings(SETTINGS + "rules: [{tags: [Engineering], tests: [102]}, {delay: 1}]")
    stack.run_invite()
    assert facts(stack, other).rule_version not in (None, kept.rule_version)


def test_an_address_that_a_recruiter_has_written_into_a_tag_is_not_kept(stack: Stack) -> None:
    one = stack.candidate("iMocha: for ann@example.com [999]")
    stack.run_invite()
    assert facts(stack, one).tags == ("iMocha: for [removed] [999]",)
    assert not differences(compared(stack, SETTINGS))


def test_the_same_settings_would_decide_everything_as_it_was(stack: Stack) -> None:
    text = SETTINGS + "rules: [{skip_origins: [internal]}]\nlimits: {per_hour: 3}"
    stack.settings = parse_settings(text)
    for tags, given in (
        ([PYTHON], {}),
        ([PYTHON, SQL], {}),
        ([], {}),
        (["iMocha: Gone [999]"], {}),
        ([PYTHON], {"emails": []}),
        ([PYTHON], {"origin": "internal"}),
        ([PYTHON], {"dataProtection": {"contact": {"allowed": False}}}),
        ([SQL], {}),
    ):
        stack.candidate(*tags, **given)
    moved = stack.candidate(PYTHON)
    stack.run_invite()
    stack.world.move(moved, "Offer")
    stack.run_invite(full=True)
    found = compared(stack, text)
    assert (found.differences, found.same + found.not_by_settings, found.problems) == ([], 9, [])
    assert found.same >= 8


def test_each_change_names_whom_it_is_about(stack: Stack) -> None:
    python, untagged = stack.candidate(PYTHON), stack.candidate()
    referred = stack.candidate(SQL, origin="referred")
    gone, unmailed = stack.candidate("iMocha: Gone [999]"), stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    assert differences(compared(stack, SETTINGS + "rules: [{skip_origins: [referred]}]")) == {
        ("left alone: its rule skips this origin", "invited to test 102"): [referred]
    }
    assert differences(compared(stack, SETTINGS + "rules: [{tests: [102]}]")) == {
        ("invited to test 101, test 102", "invited to test 101"): [python],
        ("invited to test 102", "left alone: no assessment tag"): [untagged],
    }
    assert differences(compared(stack, SETTINGS + "tags: {map: {'iMocha: Gone [999]': 101}}")) == {
        ("invited to test 101", "held: unknown test"): [gone]
    }
    nobody = compared(stack, SETTINGS + "rules: [{trigger_stage: Offer}]")
    assert nobody.problems == [
        "rules[0].trigger_stage: 'Offer' is in no settings that were used; write its id instead, and its rule can be compared"
    ]
    assert {would for would, _ in differences(nobody)} == {"left alone: moved on"}
    assert unmailed in str(differences(nobody))


def test_whom_no_rule_concerned_is_compared_and_who_has_moved_on_is_not(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "rules: [{postings: [Python Engineer]}]")
    applied: dict[str, Any] = {"applications": [{"id": "a", "posting": stack.world.postings[0]["id"]}]}
    unconcerned, moved = stack.candidate(PYTHON), stack.candidate(PYTHON, **applied)
    stack.run_invite()
    stack.world.move(moved, "Offer")
    stack.run_invite(full=True)
    found = compared(stack, SETTINGS + "rules: [{}]")
    assert differences(found) == {("invited to test 101", "left alone: moved on"): [unconcerned]}


@pytest.mark.parametrize(
    ("was", "words"), [("leave", "held: was in the stage before"), ("invite", "invited to test 101")]
)
def test_who_was_there_before_the_activation_is_compared_as_such(stack: Stack, was: str, words: str) -> None:
    default = "perform_as: people-ops@example.com\n"
    stack.settings = parse_settings(f"{default}activation: {{existing: {was}}}")
    there = stack.candidate(PYTHON)
    stack.run_invite()
    later = stack.candidate(PYTHON)
    stack.run_invite()
    assert facts(stack, there).before_activation
    assert not facts(stack, later).before_activation
    found = compared(stack, f"{default}activation: {{existing: adopt}}")
    (((would, before), ids),) = differences(found).items()
    assert (would, ids) == ("adopted to test 101", [there])
    assert before.startswith(words)
    assert found.same == 1


def test_the_command_prints_whom_a_file_is_about(
    stack: Stack, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
    python = stack.candidate(PYTHON)
    stack.run_invite()
    entered = datetime.now(UTC) - timedelta(days=1)
    entry = NewEntry(opportunity_id="old-one", stage_id="s", entered_at=entered, eligibility="tests [1]")
    stack.ledger.entries.record([entry], seen_by="sweep")
    (old,) = stack.ledger.entries.pending("old-one")
    stack.ledger.entries.decide(old.id, decision=Action.IGNORE, reason=Reason.NO_TAG)
    changed = tmp_path / "changed.yaml"
    changed.write_text(SETTINGS + "tags: {prefix: 'Test:'}")
    said = CliRunner().invoke(main, [str(changed)])
    assert said.exit_code == 0, said.output
    assert said.output.splitlines() == [
        "changed.yaml: the arrivals of the last 30 days",
        "0 would be decided as they were",
        f"1 would be left alone: no assessment tag, and were invited to test 101: {python}",
        "1 came before the facts of a decision were kept: nothing can be told",
        "who is in a stage already when the settings come to ask for a test is invited: activation.existing",
    ]
    changed.write_text(SETTINGS + "rules:\n  - form_template: Ours #2\n")
    assert "'Ours' is read, and not 'Ours #2'" in CliRunner().invoke(main, [str(changed)]).output.splitlines()[0]
    changed.write_text("rules: []")
    wrong = CliRunner().invoke(main, [str(changed)])
    assert wrong.exit_code == 1
    assert "perform_as: is missing" in wrong.output
