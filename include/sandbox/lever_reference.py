"""Records that Lever's other records refer to, and the registry of webhooks (lever.md 6, 11.1)."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

from fastapi import FastAPI, Request

from include.sandbox import webhooks
from include.sandbox.lever_rules import Row, bad_request, find, in_order, page, shown
from include.sandbox.world import World

_POSTING = ("user", "owner", "hiringManager", "followers")


def _counted(texts: Counter[str]) -> list[Row]:
    return [([text.lower(), text], {"text": text, "count": count}) for text, count in texts.items()]


def add_reference_routes(app: FastAPI, world: World) -> None:
    """Add calls that read stages, tags, sources, archive reasons, users and postings."""

    @app.get("/stages")
    def list_stages(request: Request) -> Any:
        return page(world, request, in_order(world.stages))

    @app.get("/stages/{key}")
    def get_stage(key: str) -> Any:
        return {"data": find("stages", world.stages, key)}

    @app.get("/tags")
    def list_tags(request: Request) -> Any:
        """List tags in alphabetical order without regard to case; an unused tag is not listed (lever.md 6.2)."""
        with world.lock:
            counts = Counter(tag for one in world.opportunities.values() for tag in one["tags"])
            if not world.switches["unseen_tags_vanish"]:
                counts.update(dict.fromkeys(world.tags_ever, 0))
            return page(world, request, _counted(counts))

    @app.get("/sources")
    def list_sources(request: Request) -> Any:
        with world.lock:
            counts = Counter(source for one in world.opportunities.values() for source in one["sources"])
            return page(world, request, _counted(counts))

    @app.get("/archive_reasons")
    def list_reasons(request: Request) -> Any:
        kind = request.query_params.get("type")
        return page(world, request, in_order(one for one in world.archive_reasons if kind in (None, one["type"])))

    @app.get("/archive_reasons/{key}")
    def get_reason(key: str) -> Any:
        return {"data": find("archive_reasons", world.archive_reasons, key)}

    @app.get("/users")
    def list_users(request: Request) -> Any:
        """List users: only active ones unless all are asked for (lever.md 6.4)."""
        email = request.query_params.get("email", "").strip().lower()
        gone_too = request.query_params.get("includeDeactivated") == "true"
        users = [user for user in world.users if gone_too or user.get("deactivatedAt") is None]
        found = [user for user in users if email in ("", user["email"].lower())]
        return page(world, request, [([user.get("createdAt", 0), user["id"]], user) for user in found])

    @app.get("/users/{key}")
    def get_user(key: str) -> Any:
        return {"data": find("users", world.users, key)}

    @app.get("/postings")
    def list_postings(request: Request) -> Any:
        query = request.query_params
        secrecy = query.get("confidentiality", "non-confidential")
        found = [
            one
            for one in world.postings
            if secrecy in ("all", one.get("confidentiality", "non-confidential"))
            and (world.switches["confidential_access"] or one.get("confidentiality") != "confidential")
            and query.get("state", one.get("state")) == one.get("state")
        ]
        return page(world, request, in_order(found), _POSTING)

    @app.get("/postings/{key}")
    def get_posting(key: str, request: Request) -> Any:
        return {"data": shown(world, request, find("postings", world.postings, key), _POSTING)}


def add_webhook_routes(app: FastAPI, world: World) -> None:
    """Add the registry: nothing must be unique; only the creating answer has the signature token (lever.md 11.1)."""

    @app.get("/webhooks")
    def list_webhooks() -> Any:
        return {"data": [webhooks.shown(webhook) for webhook in world.webhooks.entries]}

    @app.post("/webhooks", status_code=201)
    def create_webhook(body: dict[str, Any]) -> Any:
        with world.lock:
            problem = webhooks.problem_with(body)
            if problem:
                raise bad_request(problem)
            return {"data": webhooks.shown(world.webhooks.register(body, token=secrets.token_hex(24)), token=True)}

    @app.put("/webhooks")
    @app.put("/webhooks/")
    def update_webhooks(body: dict[str, Any]) -> Any:
        with world.lock:
            changed = []
            for given in body.get("data") or []:
                webhook = find("webhooks", world.webhooks.entries, given.get("id"))
                origins = ((given.get("configuration") or {}).get("conditions") or {}).get("origins")
                after = {"url": given.get("url", webhook["url"]), "origins": origins or webhook["origins"]}
                problem = webhooks.problem_with({"event": webhook["event"], "url": after["url"]})
                if problem:
                    raise bad_request(problem)
                webhook.update(after, updatedAt=world.now_ms())
                changed.append(webhooks.shown(webhook))
            return {"data": changed}

    @app.delete("/webhooks/{key}", status_code=204, response_model=None)
    def delete_webhook(key: str) -> None:
        with world.lock:
            world.webhooks.entries.remove(find("webhooks", world.webhooks.entries, key))
