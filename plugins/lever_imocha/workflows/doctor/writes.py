"""Tries the permissions for writing: on nothing, and where the user has named an opportunity, there.

Lever has no call that says what a key may do. It answers 403 to a key that may not call something, and 404 to who asks for
something that does not exist (lever.md 1.4). So each write is asked for on an opportunity that does not exist: a 403 names
the missing box, and another refusal proves nothing.

On an opportunity, a tag is added and taken off again; a move goes to the stage where the candidate is. What could not be
taken back (a form, a file, a note) is sent in the name of a user who does not exist: Lever must refuse it. Nothing is left
in Lever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.lever import Opportunity, User
from lever_imocha.domain.names import ids_of
from lever_imocha.errors import NotFoundError, NotPermittedError, VendorRefusedError
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.findings import Finding, error, ok, unknown, warning
from lever_imocha.workflows.doctor.names import judged_user
from lever_imocha.workflows.doctor.permissions import (
    ADD_TAGS,
    CONFIDENTIAL,
    CREATE_FORM,
    CREATE_NOTE,
    DELETE_WEBHOOKS,
    FIND_OPPORTUNITY,
    KEYS,
    NOTHING,
    REMOVE_TAGS,
    UPDATE_NOTE,
    UPDATE_STAGE,
    UPLOAD_FILE,
    Permission,
    judged,
    known_or_none,
    missing,
    needs_notes,
    summed_up,
    tried,
)

TAG = "lever_imocha: trying the API key"


def check_refused(facts: Facts) -> Iterator[Finding]:
    """Look which writes Lever refuses to the key at all; nothing is written, as each is about nothing."""
    lever, user = facts.lever(), known_or_none(facts.user)
    if isinstance(tried(partial(lever.get_opportunity, NOTHING)), NotPermittedError):
        yield unknown(
            "what the API key may write: it is refused already to look for an opportunity that does not exist"
        )
        return
    writes = _writes(lever, NOTHING, user.id if user else NOTHING)
    if not needs_notes(facts):
        del writes[CREATE_NOTE], writes[UPDATE_NOTE]
    open_question = []
    for permission, write in writes.items():
        problem = tried(write)
        if isinstance(problem, NotPermittedError):
            yield missing(permission)
        elif problem is None or isinstance(problem, VendorRefusedError):
            open_question.append(permission.name)
        else:
            yield judged(permission, problem)
    if open_question:
        yield unknown(
            f"Lever does not say that the API key lacks {', '.join(open_question)}; it is certain once tried on a candidate",
            "run lever_imocha_doctor with Try writing on",
        )


def _writes(lever: LeverClient, key: str, user: str) -> dict[Permission, Callable[[], object]]:
    """Return each kind of write about an opportunity."""
    name, content = "lever_imocha.txt", BytesIO(b"trying the API key")
    return {
        UPDATE_STAGE: partial(lever.update_stage, key, NOTHING, perform_as=user),
        ADD_TAGS: partial(lever.add_tags, key, [TAG], perform_as=user),
        REMOVE_TAGS: partial(lever.remove_tags, key, [TAG], perform_as=user),
        CREATE_FORM: partial(lever.create_form, key, template_id=NOTHING, fields=[], secret=None, perform_as=user),
        UPLOAD_FILE: partial(
            lever.upload_file, key, name=name, content=content, content_type="text/plain", perform_as=user
        ),
        CREATE_NOTE: partial(lever.create_note, key, TAG, perform_as=user),
        UPDATE_NOTE: partial(lever.update_note, key, NOTHING, TAG, perform_as=user),
    }


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
        yield error(
            f"Lever has no opportunity {opportunity_id}, or it is confidential and the API key has no access to it",
            f"copy the id from the address of a candidate's page; or {KEYS}: make a new key with {CONFIDENTIAL}",
        )
        return
    except NotPermittedError:
        yield _unreadable(facts, opportunity_id)
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


def _unreadable(facts: Facts, opportunity_id: str) -> Finding:
    """Say what it means that the key may not read an opportunity (lever.md 1.4)."""
    if FIND_OPPORTUNITY.attempt is None or tried(partial(FIND_OPPORTUNITY.attempt, facts)) is not None:
        return unknown("writing is not tried, as the API key may not read an opportunity")
    return error(
        f"the API key may read others, but not opportunity {opportunity_id}: it is confidential, and the key has no access"
        " to those: they are never invited",
        f"{KEYS}: make a new key with {CONFIDENTIAL}",
    )


def _tried(facts: Facts, opportunity: Opportunity, user: User) -> Iterator[Finding]:
    lever, key = facts.lever(), opportunity.id
    yield from _try_tags(facts, key, user)
    move = tried(lambda: lever.update_stage(key, opportunity.stage or "", perform_as=user.id))
    yield judged(UPDATE_STAGE, move)
    by_nobody = _writes(lever, key, NOTHING)
    notes = (CREATE_NOTE, UPDATE_NOTE) if needs_notes(facts) else ()
    yield from (_judged_refusal(permission, by_nobody[permission]) for permission in (CREATE_FORM, UPLOAD_FILE, *notes))
    yield _judged_refusal(DELETE_WEBHOOKS, partial(lever.delete_webhook, NOTHING), changes=False)


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


def _judged_refusal(permission: Permission, call: Callable[[], object], *, changes: bool = True) -> Finding:
    """Judge a call that Lever has to refuse: only a key that may make it is told that there is no such user.

    :param changes: False where nothing could be changed, if Lever did not refuse it.
    """
    problem = tried(call)
    if problem is None and changes:
        left = "Lever accepted it in the name of a user who does not exist"
        return warning(f"{permission.name}: {left}", "Lever: look at the candidate's page and delete it")
    if isinstance(problem, NotPermittedError):
        return missing(permission)
    return ok(permission.name) if isinstance(problem, VendorRefusedError) else judged(permission, problem)
