"""The permissions that Lever's dialog for API keys offers and that we need, by the dialog's words (lever.md 1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from lever_imocha.errors import CredentialsError, NotFoundError, NotPermittedError, as_ours
from lever_imocha.workflows.doctor.facts import Facts, UnknownFactError
from lever_imocha.workflows.doctor.findings import Finding, Level, ok, unknown, warning

T = TypeVar("T")

KEYS = "Lever, Settings > Integrations and API > API Credentials"
CONFIDENTIAL = '"Allow access to confidential data"'
NOTHING = str(UUID(int=0))
"""The id of nothing in Lever."""


@dataclass(frozen=True)
class Permission:
    """One tick box of the dialog.

    :param label: beside the box.
    :param group: under which the dialog has it.
    :param use: what is not possible without it.
    :param attempt: reads something that needs it; None where no read does.
    :param seen: whether the label was seen; else it is a description.
    :param lack: how much its lack matters.
    """

    label: str
    group: str
    use: str
    attempt: Callable[[Facts], object] | None = None
    seen: bool = True
    lack: Level = Level.ERROR

    @property
    def name(self) -> str:
        """The label with its group."""
        quote = '"' if self.seen else ""
        return f"{quote}{self.label}{quote} ({self.group})"


def missing(permission: Permission) -> Finding:
    """Say that a key lacks a permission."""
    return Finding(
        permission.lack,
        f"the API key lacks {permission.name}: {permission.use}",
        f"{KEYS}: make a new key with this box and all others ticked, as a key cannot be changed; put it into the"
        " connection lever_default",
    )


def _on_one(things: Callable[[Facts], Sequence[Any]], call: str) -> Callable[[Facts], object]:
    """Return an attempt to read one of the things; while there is none, only a 403 tells something."""

    def attempt(facts: Facts) -> object:
        some = [thing.id for thing in things(facts)[:1]]
        try:
            found = getattr(facts.lever(), call)(*(some or [NOTHING]))
            return list(islice(found, 1)) if isinstance(found, Iterator) else found
        except NotFoundError:
            if some:
                raise
            raise UnknownFactError("something to try it on") from None

    return attempt


def _on_opportunity(call: str) -> Callable[[Facts], object]:
    return _on_one(lambda facts: facts.opportunities(), call)


def _deleted(facts: Facts) -> object:
    return list(facts.lever().list_deleted_opportunities(deleted_at_start=facts.now() - timedelta(hours=1)))


GET_APPLICATION = Permission(
    "Find an opportunity application", "Read", "who has applied waits where a rule has postings"
)
LIST_APPLICATIONS = Permission(
    "Find all opportunity applications", "List", "who has applied waits where a rule has postings"
)
UPDATE_STAGE = Permission("Update opportunity stage", "Write", "nobody is moved to the completed stage")
ADD_TAGS = Permission("Add opportunity tag", "Write", "tags are not synced, and no status is shown")
REMOVE_TAGS = Permission("Remove opportunities tag", "Write", "the tag sync leaves its tags on an opportunity")
CREATE_FORM = Permission("Create an opportunity form", "Write", "no report is written back")
UPLOAD_FILE = Permission("Upload an opportunities file", "Write", "no PDF is written back")
CREATE_TEMPLATE = Permission("Create a form template", "Write", "a person makes the form template")
UPDATE_TEMPLATE = Permission("Update a form template", "Write", "a person adds fields that a form template lacks")
CREATE_NOTE = Permission("Create an opportunity note", "Write", "no note is written")
UPDATE_NOTE = Permission("Update an opportunity note", "Write", "each problem has a note of its own")
FIND_OPPORTUNITY = Permission("Find an opportunity", "Read", "nobody is invited", _on_opportunity("get_opportunity"))
LIST_WEBHOOKS, CREATE_WEBHOOKS, DELETE_WEBHOOKS = (
    Permission(f"the box for {label}", group, use, seen=False, lack=Level.WARNING)
    for label, group, use in (
        ("listing webhooks", "List", "webhooks are registered by hand"),
        ("creating webhooks", "Write", "webhooks are registered by hand"),
        ("deleting webhooks", "Write", "webhooks are deleted by hand"),
    )
)

FOR_ALL = (
    Permission("Find all stages", "List", "no stage is known, nobody is invited", lambda facts: facts.stages.outcome()),
    Permission(
        "Find all opportunities", "List", "nobody is found in the trigger stage",
        lambda facts: facts.opportunities.outcome(),
    ),
    FIND_OPPORTUNITY,
    Permission("Find all users", "List", "no acting user, nothing is written to Lever", lambda facts: facts.user.outcome()),
    Permission(
        "Find all postings", "List", "rules with postings and the tag sync do not work",
        lambda facts: facts.postings.outcome(),
    ),
    Permission("Find all tags", "List", "tags are not synced", lambda facts: facts.tags.outcome()),
    Permission("Find all form templates", "List", "no report is written back", lambda facts: facts.templates.outcome()),
    Permission(
        "Find a form template", "Read", "a form template cannot be completed",
        _on_one(lambda facts: facts.templates(), "get_form_template"),
    ),
    Permission(
        "Find all opportunity forms", "List", "after a lost answer nobody can look whether the form is there",
        _on_opportunity("list_forms"),
    ),
    Permission(
        "Find all opportunity files", "List", "after a lost answer nobody can look whether the file is there",
        _on_opportunity("list_files"),
    ),
    Permission(
        "the box for listing deleted opportunities", "List", "invitations of the deleted stay open",
        _deleted, seen=False,
    ),
    GET_APPLICATION, LIST_APPLICATIONS, UPDATE_STAGE, ADD_TAGS, REMOVE_TAGS, CREATE_FORM, UPLOAD_FILE, CREATE_TEMPLATE,
    UPDATE_TEMPLATE, LIST_WEBHOOKS, CREATE_WEBHOOKS, DELETE_WEBHOOKS,
)  # fmt: skip
FOR_NOTES = (
    Permission(
        "Find all opportunity notes", "List", "after a lost answer nobody can look whether the note is there",
        _on_opportunity("list_notes"),
    ),
    CREATE_NOTE, UPDATE_NOTE,
)  # fmt: skip
"""What is needed in addition where the settings ask for notes."""


def judged(permission: Permission, problem: Exception | None) -> Finding:
    """Say what the outcome of trying a permission means."""
    if isinstance(problem, NotPermittedError):
        return missing(permission)
    if problem is None or isinstance(problem, NotFoundError):  # somebody deleted it a moment ago
        return ok(permission.name)
    if isinstance(problem, UnknownFactError | CredentialsError):
        return unknown(permission.name)
    said = as_ours(problem).public_message
    return warning(f"{permission.name} could not be tried: {said}", "run the doctor again later")


def tried(attempt: Callable[[], object]) -> Exception | None:
    """Return what trying something raised; None if nothing."""
    try:
        attempt()
    except Exception as error:
        return error
    return None


def summed_up(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Give one line for all that is well, one for all that cannot be told, and one for each other finding."""
    rest = list(findings)
    names = {level: [one.found for one in rest if one.level is level] for level in (Level.OK, Level.UNKNOWN)}
    if names[Level.OK]:
        yield ok(f"the API key has {', '.join(names[Level.OK])}")
    if names[Level.UNKNOWN]:
        why = "no candidate or form template is there yet, or another line says why"
        yield unknown(f"could not be tried ({why}): {', '.join(names[Level.UNKNOWN])}")
    yield from (one for one in rest if one.level not in names)


def check_reads(facts: Facts) -> Iterator[Finding]:
    """Try each permission for reading that the settings need."""
    yield from summed_up(
        judged(permission, tried(partial(permission.attempt, facts)))
        for permission in FOR_ALL + (FOR_NOTES if needs_notes(facts) else ())
        if permission.attempt
    )


def needs_notes(facts: Facts) -> bool:
    """Tell whether the settings ask for notes; yes while they cannot be read."""
    settings = known_or_none(facts.settings)
    return settings is None or settings.write_back.note or settings.explain.notes


def known_or_none(fact: Callable[[], T]) -> T | None:
    """Return a fact; None when it is not known."""
    try:
        return fact()
    except UnknownFactError:
        return None
