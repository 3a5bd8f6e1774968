"""Changes the settings file as a person would: the keys that change, with all comments left where they are."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lever_imocha.errors import SettingsError
from lever_imocha.settings import parse_settings

Changes = Mapping[tuple[str | int, ...], Any]


def with_changes(text: str, changes: Changes) -> str:
    """Return a settings file's text with some values changed.

    :param changes: path -> value, such as ``("rules", 0, "trigger_stage")``. What a path such as ``("rules", 0)`` leads to is
        new, and comes before what was there.
    :raises SettingsError: the text cannot be read, or could not be used afterwards.
    """
    if not changes:
        return text
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        data = yaml.load(text) or yaml.map()
    except YAMLError:
        raise SettingsError(["the settings file is not YAML; correct it first"]) from None
    try:
        for path, value in changes.items():
            _set(data, path, value)
    except (LookupError, TypeError, AttributeError):
        parse_settings(text)  # says what is not as it should be
        raise
    out = io.StringIO()
    yaml.dump(data, out)
    parse_settings(out.getvalue())
    return out.getvalue()


def _set(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    *parents, last = path
    for part, following in zip(parents, path[1:], strict=True):
        if not isinstance(part, int) and data.get(part) in (None, []):
            data[part] = [{}] if isinstance(following, int) else {}  # without a list of rules there is the default one
        data = data[part]
    if isinstance(last, int):
        data.insert(last, value)
    else:
        data[last] = value


def may_write(path: Path) -> bool:
    """Tell whether the file can be replaced here."""
    return os.access(path.parent, os.W_OK)


def write(path: Path, text: str) -> bool:
    """Replace the file in one step; return False where it may not be written."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        if path.exists():
            new.chmod(path.stat().st_mode)
        os.replace(new, path)
    except OSError:
        return False
    return True


def described(changes: Changes) -> list[str]:
    """Return the changes as lines of a log; the acting user's address is personal and left out."""
    return [
        f"{_key(path)}: {'(the e-mail address of the user you chose)' if path == ('perform_as',) else value}"
        for path, value in changes.items()
    ]


def _key(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
