"""Lever's profile forms: the fields of our own template, and how a report fills the fields of any template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from lever_imocha.domain.imocha import AttemptStatus, Report, Section
from lever_imocha.domain.types import NONE_IF_INVALID, Id, NameText, Text, VendorModel
from lever_imocha.errors import AssessmentError, SettingsError


class TemplateField(VendorModel):
    """One field of a form template; unknown keys are kept, since a form must repeat them (lever.md 7.3)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Text = ""
    text: Text = ""
    description: Any = None
    required: bool | None = False
    id: Annotated[Id | None, NONE_IF_INVALID] = None
    options: list[dict[str, Any]] | None = None


def _fields(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read fields that are not as documented as none: a template that is not seen would be made once more."""
    try:
        return read(value)
    except ValidationError:
        return ()


class FormTemplate(VendorModel):
    """A profile form template (lever.md 7.2)."""

    id: Id
    text: NameText = ""
    fields: Annotated[tuple[TemplateField, ...], WrapValidator(_fields)] = ()


STATUS_WORDS = {
    AttemptStatus.COMPLETE: "Complete",
    AttemptStatus.TEST_LEFT: "Test Left",
    AttemptStatus.TERMINATED: "Terminated",
}
INVITATION_FIELD = "Invitation"
_TYPES = {
    "Test": "text",
    "Status": "dropdown",
    "Score": "text",
    "Percentage": "text",
    "Performance category": "text",
    "Attempted on": "date",
    "Time taken": "text",
    "Sections": "textarea",
    "Report": "text",
    INVITATION_FIELD: "text",
}
_RESULT = ("Status", "Score", "Percentage", "Performance category", "Time taken", "Sections")


def our_fields() -> list[dict[str, Any]]:
    """Return the fields of the template that we create, in their order, in Lever's format (lever.md 7.1)."""
    return [
        {"type": kind, "text": text, "description": "", "required": False}
        | ({"options": [{"text": word} for word in STATUS_WORDS.values()]} if kind == "dropdown" else {})
        for text, kind in _TYPES.items()
    ]


def missing_fields(template: FormTemplate) -> list[str]:
    """List the texts of our fields that a template lacks; case and extra blanks make no difference."""
    present = {_name(field.text) for field in template.fields}
    return [text for text in _TYPES if _name(text) not in present]


def unfit_fields(template: FormTemplate) -> list[str]:
    """List the texts of our fields whose type cannot hold what is written there, so that they stay empty."""
    ours = {_name(text) for text in _TYPES}
    return [field.text for field in template.fields if _name(field.text) in ours and not _can_hold(field)]


def merged_fields(template: FormTemplate) -> list[dict[str, Any]]:
    """Return a template's own fields, followed by those of ours that it lacks."""
    lacking = set(missing_fields(template))
    own = [field.model_dump(exclude_none=True) for field in template.fields]
    return own + [field for field in our_fields() if field["text"] in lacking]


def check_template(template: FormTemplate) -> None:
    """Check that every required field can be filled.

    :raises SettingsError: one line for every required field that no report can fill.
    """
    problems = [
        f"form template {template.text!r}: its required field {field.text!r} {problem}"
        for field in template.fields
        if field.required and (problem := _why_unfillable(field))
    ]
    if problems:
        raise SettingsError(problems)


def _why_unfillable(field: TemplateField) -> str | None:
    if _name(field.text) not in map(_name, _TYPES) or not _can_hold(field):
        return "cannot be filled from a report; make it optional in Lever or name another form_template"
    if _name(field.text) == _name("Status") and not any(_fit(field, word) for word in STATUS_WORDS.values()):
        return (
            f"has none of the options {', '.join(STATUS_WORDS.values())}; add them in Lever, make it optional there, or"
            " name another form_template"
        )
    return None


def fill_form(template: FormTemplate, report: Report, *, invitation_id: int, revision: int = 1) -> list[dict[str, Any]]:
    """Return the fields of a new profile form: the template's, in its order, each with a `value` (lever.md 7.3).

    :param revision: 1 when a report is written back, more when it is written again: the form's invitation says so.
    :return: times are in milliseconds since 1970, as Lever wants them; a field that cannot be filled has None.
    :raises AssessmentError: a required field has no value for this report.
    """
    values = {_name(text): value for text, value in _values(report, _reference(invitation_id, revision)).items()}
    filled = []
    for field in template.fields:
        value = _fit(field, values.get(_name(field.text)))
        if value is None and field.required:
            if field.type not in ("text", "textarea"):
                raise AssessmentError(
                    f"form template {template.text!r}: required field {field.text!r} has no option for this report;"
                    f" give it the options {', '.join(STATUS_WORDS.values())}, or make it optional in Lever"
                )
            value = "n/a"
        filled.append(field.model_dump(exclude_none=True) | {"required": bool(field.required), "value": value})
    return filled


def form_with(template: FormTemplate, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of a new profile form with values that somebody wrote by the fields' texts.

    :param values: a field that is not named is left empty. A date is a date or time, also as ISO text; a choice is one
        of the field's options, in any case; other values are sent as they are.
    :raises SettingsError: one line for every text that the template lacks, every value that does not fit, and every
        required field without one.
    """
    given = {_name(text): value for text, value in values.items()}
    known = {_name(field.text) for field in template.fields}
    texts = ", ".join(repr(field.text) for field in template.fields) or "none"
    problems = [
        f"values: template {template.text!r} has no field {text!r}; it has: {texts}"
        for text in values
        if _name(text) not in known
    ]
    filled = []
    for field in template.fields:
        value = _written(field, given.get(_name(field.text)))
        if value is None and (field.required or given.get(_name(field.text)) not in (None, "")):
            problems.append(f"values: field {field.text!r} of template {template.text!r} needs {_wanted(field)}")
        filled.append(field.model_dump(exclude_none=True) | {"required": bool(field.required), "value": value})
    if problems:
        raise SettingsError(problems)
    return filled


def _written(field: TemplateField, value: Any) -> Any:
    """Return the value in Lever's form; None if there is none, or it does not fit."""
    if field.type == "date":
        return _fit(field, _date(value))
    if field.type in ("text", "textarea", "dropdown", "multiple-choice"):
        return _fit(field, value if value is None or isinstance(value, datetime) else str(value))
    return None if value == "" else value


def _date(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _wanted(field: TemplateField) -> str:
    options = ", ".join(repr(str(option.get("text", ""))) for option in field.options or [])
    return f"one of {options}" if options else "a date, such as 2026-01-31" if field.type == "date" else "a value"


def is_same_form(
    existing: Sequence[Mapping[str, Any]],
    wanted: Sequence[Mapping[str, Any]],
    invitation_id: int,
    *,
    revision: int = 1,
) -> bool:
    """Return whether an existing form is the one we want to create.

    :param existing: its fields; if one of them is the invitation's, only this one is compared, else all values.
    """
    for field in existing:
        if _name(str(field.get("text", ""))) == _name(INVITATION_FIELD):
            return str(field.get("value")).strip() == _reference(invitation_id, revision)
    have = {_name(str(field.get("text", ""))): str(field.get("value")) for field in existing}
    want = {_name(str(field["text"])): str(field["value"]) for field in wanted if field["value"] is not None}
    return bool(want) and all(have.get(key) == value for key, value in want.items())


def says_the_same(existing: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a form has the result that we would write now.

    The link of the report may be another one each time it is read, and the test may have been renamed.
    """
    have, want = (
        {_name(str(field.get("text", ""))): _said(field.get("value")) for field in fields}
        for fields in (existing, wanted)
    )
    return all(have.get(name, "") == want[name] for name in map(_name, _RESULT) if name in want)


def _said(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _reference(invitation_id: int, revision: int) -> str:
    return str(invitation_id) if revision == 1 else f"{invitation_id}, corrected report {revision}"


def report_file_name(invitation_id: int, *, revision: int = 1) -> str:
    """Return the name of the PDF in Lever; it contains the invitation id, by which the file is found again."""
    return f"iMocha report {invitation_id}{f' corrected {revision}' if revision > 1 else ''}.pdf"


def _name(text: str) -> str:
    return " ".join(text.split()).casefold()


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _section(section: Section) -> str:
    took = _duration(section.section_time_taken)
    score = f"{_number(section.candidate_score)} / {_number(section.section_score)}"
    return f"{' '.join(section.section_name.split())}: {score}" + (f" ({took})" if took else "")


def _percentage(report: Report) -> str | None:
    if report.score_percentage is not None:
        return f"{_number(report.score_percentage)} %"
    if report.candidate_points is None or not report.total_test_points:
        return None
    return f"{round(report.candidate_points * 100 / report.total_test_points)} %"


def _values(report: Report, reference: str) -> dict[str, str | datetime | None]:
    scored = report.candidate_points is not None and report.total_test_points is not None
    return {
        "Test": report.test_name,
        "Status": STATUS_WORDS.get(report.status),
        "Score": f"{_number(report.candidate_points)} / {_number(report.total_test_points)}" if scored else None,
        "Percentage": _percentage(report),
        "Performance category": report.performance_category,
        "Attempted on": report.attempted_on,
        "Time taken": _duration(report.time_taken),
        "Sections": "\n".join(_section(section) for section in report.sections) or None,
        "Report": report.pdf_report_url,
        INVITATION_FIELD: reference,
    }


def _can_hold(field: TemplateField) -> bool:
    return field.type in ("text", "textarea", "dropdown", "multiple-choice") or (
        field.type == "date" and _name(field.text) == _name("Attempted on")
    )


def _fit(field: TemplateField, value: str | datetime | None) -> Any:
    if value is None or value == "":
        return None
    if field.type == "date":
        return int(value.timestamp() * 1000) if isinstance(value, datetime) else None
    text = f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else value
    if field.type == "textarea":
        return text
    if field.type == "text":
        return " ".join(text.split())
    if field.type in ("dropdown", "multiple-choice"):
        options = [str(option.get("text", "")) for option in field.options or []]
        return next((option for option in options if _name(option) == _name(text)), None)
    return None
