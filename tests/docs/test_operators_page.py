"""docs/operators.md: its table is what the code takes."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
TOLD_ONCE = {"lever_conn_id": "lever_default", "imocha_conn_id": "imocha_default", "perform_as": None}
"""What the page says of every operator, and their defaults."""


def rows() -> list[tuple[str, str, str]]:
    """Module, class and parameters of each row; a row without a module is of the one above."""
    found, module = [], ""
    for line in re.findall(r"^\| .*`.* \|$", PAGE, re.MULTILINE):
        modules, classes, parameters, _ = (cell.strip() for cell in line[1:-1].split("|"))
        module = modules.strip("`") or module
        found += [(module, name, parameters) for name in re.findall(r"`(\w+(?:Operator|Sensor))`", classes)]
    return found


def test_the_table_has_every_operator_and_sensor_for_others() -> None:
    modules = {module for module, _, _ in rows()}
    assert len(modules) == 4
    of_code = {
        name
        for module in modules
        for name, item in vars(import_module(f"lever_imocha.{module}")).items()
        if inspect.isclass(item) and item.__module__ == f"lever_imocha.{module}" and not name.startswith("_")
    }
    assert of_code - {name for _, name, _ in rows()} == {"LeverOperator", "ImochaOperator"}


@pytest.mark.parametrize(("module", "name", "told"), rows(), ids=lambda cell: cell if "Lever" in cell else "")
def test_a_row_has_the_parameters_of_the_code(module: str, name: str, told: str) -> None:
    kind: Any = getattr(import_module(f"lever_imocha.{module}"), name)
    taken: dict[str, Any] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("lever_imocha.") and "__init__" in vars(base):
            taken = dict(inspect.signature(vars(base)["__init__"]).parameters) | taken
    defaults = {key: value.default for key, value in taken.items() if key not in ("self", "kwargs")}
    own = {key: value for key, value in defaults.items() if key not in TOLD_ONCE or value != TOLD_ONCE[key]}
    shown = dict(re.findall(r"`(\w+)(?:=(\w+))?`", told))
    required = {key for key, value in own.items() if value is inspect.Parameter.empty}
    assert set(shown) == set(own)
    assert {key for key, value in shown.items() if not value} - {"deferrable"} == required
    assert {key: repr(own[key]) for key, value in shown.items() if value} == {k: v for k, v in shown.items() if v}
    assert set(defaults) - {"deferrable"} == set(kind.template_fields)
