"""Tries the permissions for writing, on an opportunity that the user has named.

Lever has no call that says what a key may do. A tag is added and taken off again; a move goes to the stage where the
candidate is. What could not be taken back (a form, a file, a note) is sent in the name of a user who does not exist: Lever
must refuse it, with 403 if the key may not do it at all. Nothing is left in Lever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from uuid import UUID

from lever_imocha.domain.lever import Opportunity, User
from lever_imocha.domain.names import ids_of
from lever_imocha.errors import NotFoundError, NotPermittedError, VendorRefusedError
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.findings import Finding, error, ok, unknown, warning
from lever_imocha.workflows.doctor.names import judged_user
from lever_imocha.workflows.doctor.permissions import (
    ADD_TAGS,
    CREATE_FORM,
    CREATE_NOTE,
    REMOVE_TAGS,
    UPDATE_STAGE,
    UPLOAD_FILE,
    Permission,
    judged,
    missing,
    summed_up,
    tried,
)

TAG = "lever_imocha: trying the API key"
_NOBODY = str(UUID(int=0))


def check_writes(facts: Facts, opportunity_id: str) -> Iterator[Finding]:
    """Try each permission for writing that the settings need.

    :param opportunity_id: the user has agreed that it is tried on.
    """
    user = facts.user()
    if user is None or not user.is_active:
        yield judged_user(user)
        return
    try:
        opportunity = facts.lever().get_opportunity(opportunity_id)
    except NotFoundError:
        yield error(f"Lever has no opportunity {opportunity_id}", "copy the id from the address of a candidate's page")
        return
    except NotPermittedError:
        yield unknown("writing is not tried, as the API key may not read an opportunity")
        return
    if opportunity.stage is None or opportunity.stage in trigger_stages(facts):
        yield error(
            f"opportunity {opportunity_id} is in a trigger stage: writing is not tried, as it could mean an invitation",
            "name one that is in another stage",
        )
        return
    yield from summed_up(_tried(facts, opportunity, user))


def trigger_stages(facts: Facts) -> set[str]:
    """Return the ids of the stages where writing could mean an invitation."""
    return {found for rule in facts.settings().rules for found in ids_of(rule.trigger_stage, facts.stages())}


def _tried(facts: Facts, opportunity: Opportunity, user: User) -> Iterator[Finding]:
    lever, key, settings = facts.lever(), opportunity.id, facts.settings()
    yield from _try_tags(facts, key, user)
    move = tried(lambda: lever.update_stage(key, opportunity.stage or "", perform_as=user.id))
    yield judged(UPDATE_STAGE, move)
    form = partial(lever.create_form, key, template_id=_NOBODY, fields=[], secret=None, perform_as=_NOBODY)
    yield _judged_refusal(CREATE_FORM, form)
    name, content = "lever_imocha.txt", BytesIO(b"trying the API key")
    file = partial(lever.upload_file, key, name=name, content=content, content_type="text/plain", perform_as=_NOBODY)
    yield _judged_refusal(UPLOAD_FILE, file)
    if settings.write_back.note or settings.explain.notes:
        yield _judged_refusal(CREATE_NOTE, partial(lever.create_note, key, TAG, perform_as=_NOBODY))


def _try_tags(facts: Facts, key: str, user: User) -> Iterator[Finding]:
    lever = facts.lever()
    added = tried(lambda: lever.add_tags(key, [TAG], perform_as=user.id))
    yield judged(ADD_TAGS, added)
    if isinstance(added, VendorRefusedError):
        yield unknown(REMOVE_TAGS.name)
        return
    taken_off = tried(lambda: lever.remove_tags(key, [TAG], perform_as=user.id))
    yield judged(REMOVE_TAGS, taken_off)
    if taken_off is not None:
        yield warning(f"opportunity {key} still has the tag {TAG!r}", "Lever: take it off")


def _judged_refusal(permission: Permission, call: Callable[[], object]) -> Finding:
    """Judge a call that Lever has to refuse: only a key that may make it is told that there is no such user."""
    problem = tried(call)
    if problem is None:
        left = "Lever accepted it in the name of a user who does not exist"
        return warning(f"{permission.name}: {left}", "Lever: look at the candidate's page and delete it")
    if isinstance(problem, NotPermittedError):
        return missing(permission)
    return ok(permission.name) if isinstance(problem, VendorRefusedError) else judged(permission, problem)
