"""The provider's metadata: complete and true. Airflow itself refuses what is not valid."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from pkgutil import iter_modules, resolve_name

import lever_imocha
import pytest
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
from lever_imocha.hooks.imocha import ImochaHook
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.provider_info import get_provider_info

KINDS = {"hooks": BaseHook, "operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger}
ROOT = Path(lever_imocha.__file__).parent


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_with_something_for_others_is_listed(kind: str) -> None:
    listed = {module for entry in get_provider_info()[kind] for module in entry["python-modules"]}
    found = set()
    for module in iter_modules([str(ROOT / kind)]):
        name = f"lever_imocha.{kind}.{module.name}"
        own = [
            item
            for item in vars(importlib.import_module(name)).values()
            if inspect.isclass(item) and issubclass(item, KINDS[kind]) and item.__module__ == name
        ]
        if any(not inspect.isabstract(item) for item in own) and module.name not in ("base", "polling"):
            found.add(name)
    assert listed == found


def test_every_class_that_is_named_exists() -> None:
    info = get_provider_info()
    for path in (
        *info["extra-links"],
        *info["notifications"],
        *(t["hook-class-name"] for t in info["connection-types"]),
    ):
        assert inspect.isclass(resolve_name(path))


@pytest.mark.parametrize("hook", [LeverHook, ImochaHook])
def test_a_hook_and_the_metadata_describe_the_same_form(hook: type[LeverHook] | type[ImochaHook]) -> None:
    (form,) = (t for t in get_provider_info()["connection-types"] if t["connection-type"] == hook.conn_type)
    behaviour = hook.get_ui_field_behaviour()
    assert behaviour["hidden_fields"] == form["ui-field-behaviour"]["hidden-fields"] == ["schema", "login"]
    assert behaviour["placeholders"]["port"] == "443"
