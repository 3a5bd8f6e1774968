"""Which of a vendor's objects a name or an id means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lever_imocha.errors import SettingsError

_LISTED = 40


class Named(Protocol):
    """A stage, a posting, a form template."""

    @property
    def id(self) -> str:
        """Its id in Lever."""

    @property
    def text(self) -> str:
        """Its name, which people can change."""


def ids_of(name: str, known: Sequence[Named]) -> list[str]:
    """Return the ids of all that have this name, else of what has it as its id."""
    return [item.id for item in known if item.text == name] or [item.id for item in known if item.id == name]


def not_there(name: str, known: Sequence[Named]) -> str:
    """Say that nothing has a name, and which names there are."""
    names = ", ".join(repr(item.text) for item in known[:_LISTED]) or "none"
    return f"{name!r} does not exist in Lever; there are: {names}"


def find_id(name: str, known: Sequence[Named], *, key: str) -> str:
    """Return the id of what has this name, else of what has it as its id.

    :param key: the setting or parameter that says the name, for the error's text.
    :raises SettingsError: nothing has it, or several have it as their name.
    """
    found = ids_of(name, known)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(found)
        problem = f"{name!r} is the name of {len(found)} in Lever; rename one, or write the id: {ids}"
    else:
        problem = not_there(name, known)
    raise SettingsError([f"{key}: {problem}"])
