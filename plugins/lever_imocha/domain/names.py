"""Which of a vendor's objects a name or an id means."""

from __future__ import annotations

import difflib
import uuid
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


def is_uuid(name: str) -> bool:
    """Tell whether a name is an id in Lever's usual form; words such as ``lead-new`` are ids, too (lever.md 6.1)."""
    try:
        return str(uuid.UUID(name)) == name.lower()
    except ValueError:
        return False


def ids_of(name: str, known: Sequence[Named]) -> list[str]:
    """Return the ids of all that have this name, else of what has it as its id."""
    return [item.id for item in known if item.text == name] or [item.id for item in known if item.id == name]


def near_misses(name: str, known: Sequence[Named]) -> list[str]:
    """Return the names that are most like one that nothing has, the likeliest first; capitals make no difference."""
    by_letters = {item.text.casefold(): item.text for item in known}
    return [by_letters[found] for found in difflib.get_close_matches(name.casefold(), by_letters, cutoff=0.75)]


def not_there(name: str, known: Sequence[Named]) -> str:
    """Say that nothing has a name, and which one was meant, or which names there are."""
    near = near_misses(name, known)
    if near:
        return f"{name!r} does not exist in Lever; did you mean {' or '.join(map(repr, near))}?"
    names = ", ".join(repr(item.text) for item in known[:_LISTED]) or "none"
    return f"{name!r} does not exist in Lever; there are: {names}"


def ambiguous(name: str, ids: Sequence[str]) -> str:
    """Say that several have the same name, and their ids, which Lever's pages do not show."""
    return f"{name!r} is the name of {len(ids)} in Lever; rename one, or write the id: {', '.join(ids)}"


def find_id(name: str, known: Sequence[Named], *, key: str) -> str:
    """Return the id of what has this name, else of what has it as its id.

    :param key: the setting or parameter that says the name, for the error's text.
    :raises SettingsError: nothing has it, or several have it as their name.
    """
    found = ids_of(name, known)
    if len(found) == 1:
        return found[0]
    raise SettingsError([f"{key}: {ambiguous(name, found) if found else not_there(name, known)}"])
