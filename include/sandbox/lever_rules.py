"""Rules for every call of Lever's API: errors, pages, include and expand, the acting user (lever.md 2, 3, 5.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from fastapi import Request

from include.sandbox.errors import RefusedError
from include.sandbox.lever_permissions import TO_EXPAND_APPLICATIONS
from include.sandbox.world import World

Row = tuple[list[Any], dict[str, Any]]  # what a list is ordered by, and the item


def refused(status: int, code: str, message: str) -> RefusedError:
    """Make an error answer in Lever's format (lever.md 2.3)."""
    return RefusedError(status, {"code": code, "message": message})


def not_found(kind: str, key: object) -> RefusedError:
    """Make the 404 for an unknown id."""
    return refused(404, "ResourceNotFound", f"{kind} {key} was not found")


def bad_request(message: str) -> RefusedError:
    """Make the 400 for a wrong parameter or body."""
    return refused(400, "BadRequestError", message)


def find(kind: str, items: Iterable[dict[str, Any]], key: object) -> dict[str, Any]:
    """Return the item with an id.

    :param kind: what the items are, for the error text.
    :raises RefusedError: 404, there is none.
    """
    for item in items:
        if item["id"] == key:
            return item
    raise not_found(kind, key)


def opportunity_of(world: World, key: str) -> dict[str, Any]:
    """Find an opportunity.

    :raises RefusedError: 404, there is none; 403, it is confidential and the key has no access (lever.md 1.4).
    """
    if key not in world.opportunities:
        raise not_found("opportunities", key)
    opportunity = world.opportunities[key]
    if opportunity["confidentiality"] == "confidential" and not world.switches["confidential_access"]:
        raise refused(403, "Forbidden", "This API key may not see confidential data")
    return opportunity


def text_list(body: dict[str, Any], name: str) -> list[str]:
    """Read a list of texts from a body.

    :raises RefusedError: 400, it is anything else.
    """
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_request(f"must be an array of strings at /{name}")
    return value


def whole_number(request: Request, name: str) -> int | None:
    """Read a number or time from the query; None if it is not there.

    :raises RefusedError: 400, it is not a whole number.
    """
    value = request.query_params.get(name)
    if value is not None and not value.isdecimal():
        raise bad_request(f"must be a whole number at /{name}")
    return None if value is None else int(value)


def acting_user(world: World, request: Request, *, required: bool = False) -> str | None:
    """Read the user id in `perform_as`, which may be a deactivated user's (lever.md 5.4).

    :raises RefusedError: 400, it is required and missing; 404, no such user.
    """
    user = request.query_params.get("perform_as")
    if user is None and (required or world.switches["perform_as_required"]):
        raise bad_request("Missing required parameter: perform_as")
    if user is not None and user not in [known["id"] for known in world.users]:
        raise refused(404, "ResourceNotFound", "user was not found")
    return user


def time_filter(
    request: Request, name: str, time_of: Callable[[dict[str, Any]], int | None]
) -> Callable[[dict[str, Any]], bool]:
    """Make a time filter, inclusive at both ends; an item without a time passes only if neither is given (lever.md 4.3)."""
    start, end = whole_number(request, f"{name}_start"), whole_number(request, f"{name}_end")
    if start is None and end is None:
        return lambda _: True
    return lambda item: (start or 0) <= (time_of(item) or -1) <= (end if end is not None else 1 << 60)


def contact_of(world: World, key: str) -> dict[str, Any]:
    """Return a contact, taken from one of its opportunities (lever.md 4.7).

    :raises RefusedError: 404, no opportunity has it.
    """
    for opportunity in world.opportunities.values():
        if opportunity["contact"] == key:
            names = ("name", "headline", "isAnonymized", "emails", "phones", "dataProtection")
            return {
                "id": key, "location": {"name": opportunity["location"]}, **{name: opportunity[name] for name in names}
            }  # fmt: skip
    raise not_found("contacts", key)


def _user(world: World, key: str) -> Any:
    return next((user for user in world.users if user["id"] == key), None)


def _applications(_world: World, value: list[dict[str, Any]], opportunity: dict[str, Any]) -> Any:
    common = {
        "type": "posting", "candidateId": opportunity["id"], "opportunityId": opportunity["id"], "postingOwner": None,
        "postingHiringManager": None, "name": opportunity["name"], "createdAt": opportunity["createdAt"],
        "archived": opportunity["archived"],
    }  # fmt: skip
    return [common | application for application in value]


_EXPANDED: dict[str, Callable[[World, Any, dict[str, Any]], Any]] = {
    "applications": _applications,
    "contact": lambda world, value, _: contact_of(world, value),
    "followers": lambda world, value, _: [_user(world, key) for key in value],
    "hiringManager": lambda world, value, _: _user(world, value),
    "owner": lambda world, value, _: _user(world, value),
    "sourcedBy": lambda world, value, _: _user(world, value),
    "stage": lambda world, value, _: find("stages", world.stages, value),
    "user": lambda world, value, _: _user(world, value),
}


def shown(world: World, request: Request, item: dict[str, Any], expandable: Iterable[str] = ()) -> dict[str, Any]:
    """Return an item as the query asks: `expand` replaces ids by objects, `include` selects fields (lever.md 3.4).

    :param expandable: the fields that may be expanded.
    :raises RefusedError: 400, another field shall be expanded.
    """
    expand, include = request.query_params.getlist("expand"), request.query_params.getlist("include")
    for name in expand:
        if name not in expandable:
            raise bad_request(f"{name} is not expandable")
    seen = dict(item)
    if "applications" in item and "applications" not in expand:
        seen["applications"] = [application["id"] for application in item["applications"]]
    if not world.switches["applications_expand"] or TO_EXPAND_APPLICATIONS & world.lacking_permissions:
        expand = [name for name in expand if name != "applications"]
        if "applications" in item:
            seen["applications"] = [application["id"] for application in item["applications"]]
    for name in expand:
        if item.get(name) is not None:
            seen[name] = _EXPANDED[name](world, item[name], item)
    return {key: value for key, value in seen.items() if not include or key in {*include, *expand}}


def page(world: World, request: Request, rows: Iterable[Row], expandable: Iterable[str] = ()) -> dict[str, Any]:
    """Return a page of a list as it is now; the token in `next` names the next page's first row (lever.md 3.3).

    :raises RefusedError: 400, wrong limit or unknown token.
    """
    limit, token, path = whole_number(request, "limit"), request.query_params.get("offset"), request.url.path
    limit = 100 if limit is None else limit
    if not 1 <= limit <= 100:
        raise bad_request("must be between 1 and 100 at /limit")
    ordered = sorted(rows, key=lambda row: row[0])
    if token is not None:
        if (path, token) not in world.tokens:
            raise bad_request(f"Invalid offset token: {token}")
        ordered = [row for row in ordered if row[0] >= world.tokens[path, token]]
    answer: dict[str, Any] = {"data": [shown(world, request, item, expandable) for _, item in ordered[:limit]]}
    answer["hasNext"] = len(ordered) > limit
    if answer["hasNext"]:
        answer["next"] = _token(world, path, ordered[limit][0])
    return answer


def _token(world: World, path: str, key: list[Any]) -> str:
    """Make a page token: the row's key, percent-encoded; a negative number in it stands for descending order."""
    given = [abs(part) if isinstance(part, int) else part for part in key]
    token = quote(json.dumps(given, separators=(",", ":")), safe="")
    world.tokens[path, token] = key
    return token


def in_order(items: Iterable[dict[str, Any]]) -> list[Row]:
    """Return rows in the order in which the items were created."""
    return [([number, item["id"]], item) for number, item in enumerate(items)]
