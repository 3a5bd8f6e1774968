"""What each operator for Lever does to the sandbox."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lever_imocha.errors import CredentialsError, NotFoundError, OutcomeUnknownError, SettingsError
from lever_imocha.operators.lever import (
    LeverAddTagsOperator,
    LeverCreateFormOperator,
    LeverCreateNoteOperator,
    LeverOperator,
    LeverRemoveTagsOperator,
    LeverUpdateStageOperator,
    LeverUploadFileOperator,
)

from include.sandbox.world import Fault, World

OPS = "people-ops@example.com"
FIRST: Any = {}
SECOND: Any = {"ti": SimpleNamespace(try_number=2)}
FIELDS: list[dict[str, Any]] = [
    {"type": "text", "text": "Referee", "required": True},
    {"type": "dropdown", "text": "Outcome", "options": [{"text": "Good"}, {"text": "Poor"}]},
    {"type": "date", "text": "Spoken on"},
    {"type": "yes-no", "text": "Again?"},
    {"type": "currency", "text": "Fee"},
]


@pytest.fixture
def candidate(world: World) -> dict[str, Any]:
    return world.add_opportunity(stage="Assessment", tags=["old"])


@pytest.fixture
def template(world: World) -> str:
    made = [{"id": f"f{number}", "required": False} | field for number, field in enumerate(FIELDS)]
    frame = {"instructions": "", "group": None, "secretByDefault": False, "createdAt": world.now_ms()}
    key = "6f2d2c9e-0c1b-4a5c-9a38-1d5f7f0e0001"
    world.templates[key] = {"id": key, "text": "Reference check", "fields": made} | frame
    return key


def run(operator: LeverOperator, context: Any = FIRST) -> str | None:
    return operator.execute(context)


@pytest.mark.parametrize("by_name", [True, False])
def test_a_stage_is_given_by_name_or_id(world: World, candidate: dict[str, Any], by_name: bool) -> None:
    target = world.stage_id("Assessment Complete")
    stage = "Assessment Complete" if by_name else target
    move = LeverUpdateStageOperator(task_id="move", opportunity_id=candidate["id"], stage=stage, perform_as=OPS)
    assert run(move) == target == candidate["stage"]
    assert candidate["stageChanges"][-1]["userId"] == world.users[0]["id"]
    assert [call["path"] for call in world.calls if "stages" in call["path"]] == ["/stages"] * by_name


def test_a_built_in_stage_is_given_by_its_id(world: World, candidate: dict[str, Any]) -> None:
    assert run(LeverUpdateStageOperator(task_id="m", opportunity_id=candidate["id"], stage="offer")) == "offer"
    assert candidate["stage"] == "offer"


def test_a_wrong_name_lists_those_there_are(world: World, candidate: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"stage: 'Ofer' does not exist in Lever; did you mean 'Offer'"):
        run(LeverUpdateStageOperator(task_id="m", opportunity_id=candidate["id"], stage="Ofer"))
    with pytest.raises(SettingsError, match="perform_as: no active Lever user"):
        run(LeverAddTagsOperator(task_id="m", opportunity_id=candidate["id"], tags=["a"], perform_as="no@example.com"))
    with pytest.raises(SettingsError, match="opportunity_id: is empty"):
        run(LeverAddTagsOperator(task_id="m", opportunity_id="None", tags=["a"]))
    assert candidate["tags"] == ["old"]


@pytest.mark.parametrize("tags", [["a", "b: [1]"], "['a', 'b: [1]']"])
def test_tags_are_added_and_removed(candidate: dict[str, Any], tags: Any) -> None:
    assert run(LeverAddTagsOperator(task_id="t", opportunity_id=candidate["id"], tags=tags)) is None
    assert candidate["tags"] == ["old", "a", "b: [1]"]
    assert run(LeverRemoveTagsOperator(task_id="t", opportunity_id=candidate["id"], tags=["old", "a"])) is None
    assert candidate["tags"] == ["b: [1]"]


def test_one_text_is_one_tag(candidate: dict[str, Any]) -> None:
    tag: Any = "iMocha: C, C++ [101]"
    run(LeverAddTagsOperator(task_id="t", opportunity_id=candidate["id"], tags=tag))
    assert candidate["tags"] == ["old", tag]


@pytest.mark.parametrize(("secret", "kept"), [("True", True), (False, False)])
def test_a_note_is_written(world: World, candidate: dict[str, Any], secret: Any, kept: bool) -> None:
    write = LeverCreateNoteOperator(task_id="n", opportunity_id=candidate["id"], text="Fine.", secret=secret)
    note_id = run(write)
    (note,) = world.notes[candidate["id"]]
    assert (note["id"], note["secret"], note["fields"][0]["value"]) == (note_id, kept, "Fine.")


def test_what_a_lost_answer_had_made_is_not_made_again(
    world: World, candidate: dict[str, Any], template: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("text")
    shared: Any = {"task_id": "t", "opportunity_id": candidate["id"], "perform_as": OPS}
    for kept, path, operator in (
        (world.notes, "notes", LeverCreateNoteOperator(text="Fine.", **shared)),
        (world.forms, "forms", LeverCreateFormOperator(template=template, values={"Referee": "Pat"}, **shared)),
        (world.files, "files", LeverUploadFileOperator(path=str(tmp_path / "a.txt"), **shared)),
    ):
        world.faults.append(Fault(vendor="lever", method="POST", path_contains=path, mode="drop", apply=True))
        with pytest.raises(OutcomeUnknownError):
            run(operator)
        (made,) = kept[candidate["id"]]
        assert run(operator, SECOND) == made["id"]
        assert len(kept[candidate["id"]]) == 1


@pytest.mark.slow
def test_what_was_there_before_the_run_is_not_what_a_lost_answer_had_made(
    world: World, candidate: dict[str, Any], template: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("text")
    world.switches["rate_limit"] = False  # it reckons with a clock that goes on
    shared: Any = {"task_id": "t", "opportunity_id": candidate["id"], "perform_as": OPS}
    again: Any = SECOND | {"dag_run": SimpleNamespace(run_after=world.now())}
    for kept, operator in (
        (world.notes, LeverCreateNoteOperator(text="Fine.", **shared)),
        (world.forms, LeverCreateFormOperator(template=template, values={"Referee": "Pat"}, **shared)),
        (world.files, LeverUploadFileOperator(path=str(tmp_path / "a.txt"), **shared)),
    ):
        world.shift = timedelta(days=-30)
        old = run(operator)
        world.shift = timedelta(0)
        new = run(operator, again)
        assert new != old
        assert [one["id"] for one in kept[candidate["id"]]] == [old, new]
        assert run(operator, again) == new


@pytest.mark.parametrize("by_name", [True, False])
def test_a_form_is_written_by_its_fields_texts(
    world: World, candidate: dict[str, Any], template: str, by_name: bool
) -> None:
    values = {"referee": "Pat", "Outcome": "good", "Spoken on": "2026-01-31", "Again?": "yes", "Fee": 12}
    name = "Reference check" if by_name else template
    made = run(LeverCreateFormOperator(task_id="f", opportunity_id=candidate["id"], template=name, values=values))
    (form,) = world.forms[candidate["id"]]
    assert form["id"] == made
    assert [field["value"] for field in form["fields"]] == ["Pat", "Good", 1769817600000, "yes", 12]


@pytest.mark.parametrize("values", ["{'Referee': 'Pat', 'Fee': None}", '{"Referee": "Pat", "Fee": null}'])
def test_a_rendered_dictionary_is_one(world: World, candidate: dict[str, Any], template: str, values: str) -> None:
    run(LeverCreateFormOperator(task_id="f", opportunity_id=candidate["id"], template=template, values=values))
    (form,) = world.forms[candidate["id"]]
    assert [field["value"] for field in form["fields"]] == ["Pat", None, None, None, None]


@pytest.mark.parametrize("values", ["Pat", "{'Referee'", None, ["Pat"]])
def test_values_that_are_no_dictionary_are_named(candidate: dict[str, Any], template: str, values: Any) -> None:
    with pytest.raises(SettingsError, match="values: cannot be read; give a dictionary"):
        run(LeverCreateFormOperator(task_id="f", opportunity_id=candidate["id"], template=template, values=values))


def test_wrong_values_are_all_named_and_nothing_is_sent(world: World, candidate: dict[str, Any], template: str) -> None:
    values = {"Nobody": "x", "Outcome": "So so", "Spoken on": "tomorrow"}
    with pytest.raises(SettingsError) as caught:
        run(LeverCreateFormOperator(task_id="f", opportunity_id=candidate["id"], template=template, values=values))
    assert [problem.split("'")[1::2][:2] for problem in caught.value.problems] == [
        ["Reference check", "Nobody"],
        ["Referee", "Reference check"],
        ["Outcome", "Reference check"],
        ["Spoken on", "Reference check"],
    ]
    assert world.forms == {}


@pytest.mark.parametrize(("name", "kept"), [(None, "refs.txt"), ("References.txt", "References.txt")])
def test_a_file_is_uploaded(
    world: World, candidate: dict[str, Any], tmp_path: Path, name: str | None, kept: str
) -> None:
    path = tmp_path / "refs.txt"
    path.write_text("good")
    upload = LeverUploadFileOperator(
        task_id="u", opportunity_id=candidate["id"], path=str(path), name=name, perform_as=OPS
    )
    file_id = run(upload)
    (file,) = world.files[candidate["id"]]
    assert (file["id"], file["name"]) == (file_id, kept)


def test_a_file_that_is_not_there_is_named(candidate: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"path: /no/where.pdf cannot be read \(FileNotFoundError\)"):
        run(LeverUploadFileOperator(task_id="u", opportunity_id=candidate["id"], path="/no/where.pdf", perform_as=OPS))


def test_errors_are_ours(world: World) -> None:
    with pytest.raises(NotFoundError):
        run(LeverAddTagsOperator(task_id="t", opportunity_id="unknown", tags=["a"]))
    world.lever_key = "another"
    with pytest.raises(CredentialsError):
        run(LeverAddTagsOperator(task_id="t", opportunity_id="unknown", tags=["a"]))


def test_every_text_is_a_template() -> None:
    assert set(LeverUploadFileOperator.template_fields) == {
        "lever_conn_id", "opportunity_id", "perform_as", "path", "name",
    }  # fmt: skip
