"""What vendors' texts are cleaned of."""

from __future__ import annotations

from typing import Any

import pytest
from lever_imocha.domain.forms import FormTemplate
from lever_imocha.domain.imocha import Callback, ImochaTest, Report, TestLink
from lever_imocha.domain.lever import Note, Opportunity, Stage
from pydantic import ValidationError

ODD = "A\x00n\x1b\x7f\x9fn\ud800\udfff"


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        (ODD, "Ann"),
        ("Ann\nLee\r\n\tX", "Ann Lee X"),
        ("A" * 501, "A" * 500),
        ("J\u00f6\U0001f600", "J\u00f6\U0001f600"),
        ("\x00", ""),
    ],
)
def test_names_and_tags_are_one_line_without_control_characters(name: str, cleaned: str) -> None:
    read = Opportunity.model_validate({"id": "1", "name": name, "tags": [name], "emails": [name]})
    assert (read.name, read.tags, read.emails) == (cleaned, (cleaned,), (cleaned,))
    assert Stage.model_validate({"id": "1", "text": name}).text == cleaned
    assert ImochaTest.model_validate({"testId": 1, "testName": name}).name == cleaned
    assert Report.model_validate({"sections": [{"sectionName": name}]}).sections[0].section_name == cleaned


def test_texts_of_many_lines_keep_their_lines() -> None:
    note = Note.model_validate({"id": "1", "fields": [{"value": f"{ODD}\n\tLee"}, {"value": "x" * 100_001}]})
    assert note.value == "Ann\n\tLee\n" + "x" * 100_000


def test_texts_at_any_depth_are_cleaned() -> None:
    field = {"type": "text", "text": ODD, "options": [{"text": ODD}], ODD: [ODD]}
    read = FormTemplate.model_validate({"id": "1", "text": "T", "fields": [field]}).fields[0]
    assert read.model_dump(exclude_none=True) == {
        "type": "text", "text": "Ann", "options": [{"text": "Ann"}], "Ann": ["Ann"], "required": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (ImochaTest, {"testId": 2**63}),
        (TestLink, {"testLinkId": 10**400}),
        (Callback, {"testInvitationId": 2**63, "status": "Complete"}),
        (Report, {"totalTestPoints": float("inf")}),
        (Report, {"candidatePoints": float("nan")}),
        (Report, {"candidatePoints": "Infinity"}),
    ],
)
def test_numbers_that_cannot_be_worked_with_do_not_fit(model: Any, data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(data)
