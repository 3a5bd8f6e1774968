"""Lever's opportunities: list, read, create, move, tag, archive (lever.md 4, 5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request

from include.sandbox.lever_rules import (
    acting_user,
    bad_request,
    contact_of,
    find,
    opportunity_of,
    page,
    shown,
    text_list,
    time_filter,
)
from include.sandbox.world import World, new_id

Check = Callable[[dict[str, Any]], bool]

_EXPANDABLE = ("applications", "stage", "owner", "followers", "sourcedBy", "contact")
_CONTACT = ("name", "headline", "location", "phones", "emails", "links")
_BLANK = {"name": "", "headline": "", "location": "", "phones": [], "emails": [], "links": []}


def _postings(opportunity: dict[str, Any]) -> set[str]:
    return {application["posting"] for application in opportunity["applications"]}


def _reason(opportunity: dict[str, Any]) -> set[str]:
    return {opportunity["archived"]["reason"]} if opportunity["archived"] else set()


_MANY: dict[str, Callable[[dict[str, Any]], set[str]]] = {
    "archive_reason_id": _reason,
    "archived_posting_id": lambda one: _postings(one) if one["archived"] else set(),
    "contact_id": lambda one: {one["contact"]},
    "location": lambda one: {one.get("opportunityLocation", "unspecified")},
    "origin": lambda one: {one["origin"]},
    "posting_id": _postings,
    "source": lambda one: set(one["sources"]),
    "stage_id": lambda one: {one["stage"]},
    "tag": lambda one: set(one["tags"]),
}


_TIMES: dict[str, Callable[[dict[str, Any]], int | None]] = {
    "created_at": lambda one: one["createdAt"],
    "updated_at": lambda one: one["updatedAt"],
    "advanced_at": lambda one: one["lastAdvancedAt"],
    "archived_at": lambda one: (one["archived"] or {}).get("archivedAt"),
}
_FLAGS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "archived": lambda one: one["archived"] is not None,
    "snoozed": lambda one: one["snoozedUntil"] is not None,
}


def _many(name: str, values: set[str]) -> Check:
    """Make a filter of which one value must match exactly (lever.md 4.3)."""
    return lambda one: bool(values & _MANY[name](one))


def _flag(name: str, value: str) -> Check:
    """Make a filter for true or false; without it both pass."""
    return lambda one: value == str(_FLAGS[name](one)).lower()


def _email(value: str) -> Check:
    """Make a filter by e-mail address without regard to case.

    :raises RefusedError: 400, the value is not an address.
    """
    wanted = value.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", wanted):
        raise bad_request("Email address is not valid")
    return lambda one: wanted in [email.lower() for email in one["emails"]]


def _confidentiality(world: World, asked: str) -> Check:
    """Make a filter that lets confidential ones pass only if asked for and permitted (lever.md 1.4, 4.3)."""
    if asked not in ("all", "confidential", "non-confidential"):
        raise bad_request("must be confidential, non-confidential or all at /confidentiality")
    seen = {"confidential", "non-confidential"} if asked == "all" else {asked}
    if not world.switches["confidential_access"]:
        seen -= {"confidential"}
    return lambda one: one["confidentiality"] in seen


def _checks(world: World, request: Request) -> list[Check]:
    """Read the filters of a query; all of them must match (lever.md 4.3)."""
    query = request.query_params
    checks = [_confidentiality(world, query.get("confidentiality", "non-confidential"))]
    checks += [_many(name, set(query.getlist(name))) for name in _MANY if name in query]
    checks += [_flag(name, query[name]) for name in _FLAGS if name in query]
    checks += [time_filter(request, name, value) for name, value in _TIMES.items()]
    if "email" in query:
        checks.append(_email(query["email"]))
    return checks


def _without_contact(world: World, request: Request, opportunity: dict[str, Any]) -> dict[str, Any]:
    """Make the answer of most writes: the opportunity with the contact's data blank (lever.md 5.1)."""
    seen = shown(world, request, opportunity, _EXPANDABLE) | _BLANK
    return {"data": {key: value for key, value in seen.items() if key != "opportunityLocation"}}


def create_opportunity(world: World, given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Create an opportunity, for the contact who already has the e-mail address if there is one (lever.md 4.6).

    :return: the opportunity, and whether the contact was known.
    """
    emails = {email.lower() for email in given.get("emails") or []}
    known = [one for one in world.opportunities.values() if emails & {email.lower() for email in one["emails"]}]
    names = (*_CONTACT, "tags", "sources", "origin", "owner", "followers", "createdAt", "opportunityLocation")
    fields: dict[str, Any] = {name: given[name] for name in names if given.get(name) is not None}
    if known:
        fields |= {name: known[0][name] for name in (*_CONTACT, "contact")}
    for key in given.get("postings") or []:
        posting = find("postings", world.postings, key)
        where = posting.get("categories", {})
        inherited = [posting["text"], *(where.get(name) for name in ("department", "team", "location", "commitment"))]
        tags = [*fields.get("tags", []), *posting.get("tags", []), *filter(None, inherited)]
        fields |= {"tags": list(dict.fromkeys(tags)), "applications": [{"id": new_id(), "posting": key}]}
    opportunity = world.add_opportunity(stage=given.get("stage") or "lead-new", **fields)
    for application in opportunity["applications"]:
        world.announce("applicationCreated", opportunity, by_api=True, applicationId=application["id"])
    return opportunity, bool(known)


def add_opportunity_routes(app: FastAPI, world: World) -> None:
    """Add calls that read opportunities or change them."""

    @app.get("/opportunities")
    def list_opportunities(request: Request) -> Any:
        """List by stage, then last advanced first; a move while pages are read shifts the pages (lever.md 3.3)."""
        with world.lock:
            checks = _checks(world, request)
            rows = [
                ([world.rank(one["stage"]), -one["lastAdvancedAt"], one["id"]], one)
                for one in world.opportunities.values()
                if all(check(one) for check in checks)
            ]
            return page(world, request, rows, _EXPANDABLE)

    @app.post("/opportunities", status_code=201)
    def create(body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            acting_user(world, request, required=True)
            if body.get("stage") is not None:
                find("stages", world.stages, body["stage"])
            if len(body.get("postings") or []) > 1:
                raise bad_request("must be an array of one at /postings")
            opportunity, deduped = create_opportunity(world, body)
            return {"deduped": deduped, "data": shown(world, request, opportunity, _EXPANDABLE)}

    @app.get("/opportunities/deleted")
    def list_deleted(request: Request) -> Any:
        with world.lock:
            in_time = time_filter(request, "deleted_at", lambda one: one["deletedAt"])
            rows = [([-one["deletedAt"], one["id"]], one) for one in world.deleted if in_time(one)]
            return page(world, request, rows)

    @app.get("/opportunities/{key}")
    def get_opportunity(key: str, request: Request) -> Any:
        with world.lock:
            return {"data": shown(world, request, opportunity_of(world, key), _EXPANDABLE)}

    @app.get("/contacts/{key}")
    def get_contact(key: str) -> Any:
        with world.lock:
            return {"data": contact_of(world, key)}

    @app.put("/opportunities/{key}/stage")
    def update_stage(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, user = opportunity_of(world, key), acting_user(world, request)
            stage = find("stages", world.stages, body.get("stage"))
            world.move(key, stage["id"], user, by_api=True)
            return _without_contact(world, request, opportunity)

    @app.put("/opportunities/{key}/archived")
    def update_archived(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, _ = opportunity_of(world, key), acting_user(world, request)
            if "reason" not in body:
                raise bad_request("is required at /reason")
            if body["reason"] is not None:
                find("archive_reasons", world.archive_reasons, body["reason"])
            world.archive(key, body["reason"], by_api=True)
            return _without_contact(world, request, opportunity)

    for what in ("tags", "sources"):
        _add_list_routes(app, world, what)
    _add_link_routes(app, world)


def _add_list_routes(app: FastAPI, world: World, what: str) -> None:
    """Add calls for tags or sources: new ones go to the end, repeated ones change nothing (lever.md 5.1, 5.2)."""

    def change(key: str, body: dict[str, Any], request: Request, *, add: bool) -> Any:
        with world.lock:
            opportunity, _, given = opportunity_of(world, key), acting_user(world, request), text_list(body, what)
            if refused := world.refused_tags.intersection(given):
                raise bad_request(f"Invalid tag: {min(refused)}")
            own = opportunity[what]
            after = list(dict.fromkeys([*own, *given])) if add else [item for item in own if item not in given]
            if after != own:
                opportunity.update({what: after, "updatedAt": world.now_ms()})
            if what == "tags":
                world.tags_ever.update(after)
            return _without_contact(world, request, opportunity)

    @app.post(f"/opportunities/{{key}}/add{what.capitalize()}")
    def add(key: str, body: dict[str, Any], request: Request) -> Any:
        return change(key, body, request, add=True)

    @app.post(f"/opportunities/{{key}}/remove{what.capitalize()}")
    def remove(key: str, body: dict[str, Any], request: Request) -> Any:
        return change(key, body, request, add=False)


def _add_link_routes(app: FastAPI, world: World) -> None:
    """Add calls for links, which belong to the contact: all its opportunities show them (lever.md 5, 5.1)."""

    def change(key: str, body: dict[str, Any], request: Request, *, add: bool) -> Any:
        with world.lock:
            opportunity, _, given = opportunity_of(world, key), acting_user(world, request), text_list(body, "links")
            own = opportunity["links"]
            after = list(dict.fromkeys([*own, *given])) if add else [item for item in own if item not in given]
            for one in world.opportunities.values():
                if one["contact"] == opportunity["contact"]:
                    one["links"] = after
            seen = shown(world, request, opportunity, _EXPANDABLE)
            return {"data": {name: value for name, value in seen.items() if name != "opportunityLocation"}}

    @app.post("/opportunities/{key}/addLinks")
    def add_links(key: str, body: dict[str, Any], request: Request) -> Any:
        return change(key, body, request, add=True)

    @app.post("/opportunities/{key}/removeLinks")
    def remove_links(key: str, body: dict[str, Any], request: Request) -> Any:
        return change(key, body, request, add=False)
