"""The page about the set-up says what the doctor and the form say."""

from __future__ import annotations

from pathlib import Path

import pytest
from lever_imocha.workflows.doctor.permissions import FOR_ALL, FOR_NOTES, Permission

PAGE = (Path(__file__).parents[2] / "docs" / "setup.md").read_text()


@pytest.mark.parametrize("permission", FOR_ALL + FOR_NOTES, ids=lambda one: one.label)
def test_each_box_of_lever_s_key_is_there_with_its_use(permission: Permission) -> None:
    label = f'"{permission.label}"' if permission.seen else permission.label
    assert f"| {permission.group} | {label} | {permission.use} |" in PAGE
