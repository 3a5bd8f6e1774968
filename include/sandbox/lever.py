"""Lever's Data API v1 as its contract describes it (sections refer to lever.md)."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request, Response, UploadFile
from fastapi.responses import JSONResponse

from include.sandbox.world import World, new_id

_BLANK = {"name": "", "headline": "", "location": "", "phones": [], "emails": [], "links": []}
_EXPANDABLE = {"applications", "stage", "owner", "followers", "sourcedBy", "contact"}
_MAX_FILE = 30 * 1024 * 1024


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"code": code, "message": message}


def _missing(kind: str, key: str) -> Refused:
    return Refused(404, "ResourceNotFound", f"{kind} {key} was not found")


def create_lever(world: World) -> FastAPI:
    """The API, to be mounted where the connection's host points."""
    app = FastAPI(title="Lever (sandbox)")

    @app.exception_handler(Refused)
    def _refused(_request: Request, error: Refused) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.middleware("http")
    async def _authenticate(request: Request, call_next: Any) -> Response:
        expected = "Basic " + base64.b64encode(f"{world.lever_key}:".encode()).decode()
        if not secrets.compare_digest(request.headers.get("authorization", ""), expected):
            return JSONResponse({"code": "Unauthorized", "message": "Invalid API key"}, 401)
        if world.switches["rate_limit"] and not world.take_token():
            headers = {"Retry-After": "1"} if world.switches["retry_after"] else {}
            body = {"code": "TooManyRequests", "message": "slow down"} if world.switches["error_json"] else None
            return JSONResponse(body, 429, headers) if body else Response(status_code=429, headers=headers)
        response: Response = await call_next(request)
        return response

    _opportunity_routes(app, world)
    _form_routes(app, world)
    _file_and_note_routes(app, world)
    _reference_routes(app, world)
    return app


def _opportunity(world: World, key: str) -> dict[str, Any]:
    if key not in world.opportunities:
        raise _missing("opportunities", key)
    return world.opportunities[key]


def _shown(world: World, opportunity: dict[str, Any], request: Request) -> dict[str, Any]:
    shown = dict(opportunity)
    expand = request.query_params.getlist("expand")
    for name in expand:
        if name not in _EXPANDABLE:
            raise Refused(400, "BadRequestError", f"{name} is not expandable")
    if "stage" in expand:
        shown["stage"] = next(stage for stage in world.stages if stage["id"] == shown["stage"])
    if "applications" not in expand:
        shown["applications"] = [application["id"] for application in shown["applications"]]
    include = request.query_params.getlist("include")
    return {key: value for key, value in shown.items() if not include or key in {*include, *expand}}


def _passes(opportunity: dict[str, Any], query: Any) -> bool:
    postings = {application["posting"] for application in opportunity["applications"]}
    confidentiality = query.get("confidentiality", "non-confidential")
    checks = [
        not query.getlist("stage_id") or opportunity["stage"] in query.getlist("stage_id"),
        not query.getlist("tag") or bool(set(opportunity["tags"]) & set(query.getlist("tag"))),
        not query.getlist("posting_id") or bool(postings & set(query.getlist("posting_id"))),
        not query.getlist("contact_id") or opportunity["contact"] in query.getlist("contact_id"),
        "email" not in query or query["email"].lower() in [email.lower() for email in opportunity["emails"]],
        confidentiality == "all" or opportunity["confidentiality"] == confidentiality,
        "archived" not in query or (opportunity["archived"] is not None) == (query["archived"] == "true"),
        int(query.get("advanced_at_start", 0)) <= opportunity["lastAdvancedAt"],
        int(query.get("advanced_at_end", 1 << 60)) >= opportunity["lastAdvancedAt"],
        "updated_at_start" not in query
        or (opportunity["updatedAt"] is not None and int(query["updated_at_start"]) <= opportunity["updatedAt"]),
    ]
    return all(checks)


def _position(world: World, opportunity: dict[str, Any]) -> tuple[int, int, str]:
    return world.rank(opportunity["stage"]), -opportunity["lastAdvancedAt"], opportunity["id"]


def _page(rows: list[tuple[Any, dict[str, Any]]], request: Request) -> dict[str, Any]:
    """Rows with their sort keys become a page; the token is the first key of the next one, percent-encoded (3.3)."""
    query = request.query_params
    limit = int(query.get("limit", 100))
    if not 1 <= limit <= 100:
        raise Refused(400, "BadRequestError", "limit must be between 1 and 100")
    rows.sort(key=lambda row: row[0])
    if "offset" in query:
        try:
            start = json.loads(unquote(query["offset"]))
        except ValueError:
            raise Refused(400, "BadRequestError", "Invalid offset token") from None
        rows = [row for row in rows if list(row[0]) >= start]
    page: dict[str, Any] = {"data": [row for _, row in rows[:limit]], "hasNext": len(rows) > limit}
    if page["hasNext"]:
        page["next"] = quote(json.dumps(list(rows[limit][0])))
    return page


def _acting(world: World, request: Request, *, required: bool = False) -> str | None:
    user = request.query_params.get("perform_as")
    if user is None and (required or world.switches["perform_as_required"]):
        raise Refused(400, "BadRequestError", "Missing required parameter: perform_as")
    if user is not None and user not in [known["id"] for known in world.users]:
        raise Refused(404, "ResourceNotFound", "user was not found")
    return user


def _opportunity_routes(app: FastAPI, world: World) -> None:
    @app.get("/opportunities")
    def list_opportunities(request: Request) -> Any:
        with world.lock:
            rows = [
                (_position(world, row), _shown(world, row, request))
                for row in world.opportunities.values()
                if _passes(row, request.query_params)
            ]
            return _page(rows, request)

    @app.get("/opportunities/{key}")
    def get_opportunity(key: str, request: Request) -> Any:
        with world.lock:
            return {"data": _shown(world, _opportunity(world, key), request)}

    @app.put("/opportunities/{key}/stage")
    def update_stage(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, user = _opportunity(world, key), _acting(world, request)
            if body.get("stage") not in [stage["id"] for stage in world.stages]:
                raise _missing("stages", str(body.get("stage")))
            world.move(key, body["stage"], user)
            return {"data": _shown(world, opportunity, request) | _BLANK}

    @app.post("/opportunities/{key}/addTags")
    def add_tags(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, _ = _opportunity(world, key), _acting(world, request)
            new = [tag for tag in body["tags"] if tag not in opportunity["tags"]]
            if new:
                opportunity.update(tags=opportunity["tags"] + new, updatedAt=world.now_ms())
            return {"data": _shown(world, opportunity, request) | _BLANK}

    @app.post("/opportunities/{key}/removeTags")
    def remove_tags(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, _ = _opportunity(world, key), _acting(world, request)
            opportunity["tags"] = [tag for tag in opportunity["tags"] if tag not in body["tags"]]
            return {"data": _shown(world, opportunity, request) | _BLANK}


def _answer(world: World, item: Any) -> Any:
    """Forms, files and templates: wrapped or bare, times as numbers or text, since no recording tells (7, 8)."""
    if world.switches["times_as_text"] and isinstance(item, dict):
        item = item | {
            name: str(item[name]) for name in ("createdAt", "updatedAt", "uploadedAt", "size") if item.get(name)
        }
    return {"data": item} if world.switches["form_answers_wrapped"] else item


def _check_form(world: World, template: dict[str, Any], fields: list[dict[str, Any]]) -> None:
    if not world.switches["strict_forms"]:
        return
    wanted = [(field["type"], field["text"]) for field in template["fields"]]
    if [(field.get("type"), field.get("text")) for field in fields] != wanted:
        raise Refused(400, "BadRequestError", "fields do not match the template at /fields")
    for field, own in zip(fields, template["fields"], strict=True):
        if "id" in field and not world.switches["form_ids_allowed"]:
            raise Refused(400, "BadRequestError", "unexpected key id at /fields/0")
        _check_value(own, field.get("value"))


def _check_value(own: dict[str, Any], value: Any) -> None:
    where = f"at /fields/{own['text']}"
    if value is None:
        if own.get("required"):
            raise Refused(400, "BadRequestError", f"value required {where}")
        return
    kinds: dict[str, Any] = {
        "date": int, "currency": (int, float), "multiple-select": list, "text": str, "textarea": str,
    }  # fmt: skip
    if not isinstance(value, kinds.get(own["type"], str)) or (own["type"] == "text" and "\n" in value):
        raise Refused(400, "BadRequestError", f"value has the wrong type {where}")
    if own["type"] in ("dropdown", "multiple-choice") and value not in [option["text"] for option in own["options"]]:
        raise Refused(400, "BadRequestError", f"no such option {where}")


def _form_routes(app: FastAPI, world: World) -> None:
    @app.get("/form_templates")
    def list_templates() -> Any:
        return {"data": list(world.templates.values()), "hasNext": False}

    @app.get("/form_templates/{key}")
    def get_template(key: str) -> Any:
        if key not in world.templates:
            raise _missing("form_templates", key)
        return _answer(world, world.templates[key])

    def save(key: str, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("fields") or not body.get("text"):
            raise Refused(400, "BadRequestError", "text and at least one field are required")
        fields = [{"id": new_id(), "required": False} | field for field in body["fields"]]
        template = {"id": key, "createdAt": world.now_ms(), "group": None} | body | {"fields": fields}
        world.templates[key] = template
        return template

    @app.post("/form_templates", status_code=201)
    def create_template(body: dict[str, Any]) -> Any:
        with world.lock:
            return _answer(world, save(new_id(), body))

    @app.put("/form_templates/{key}")
    def update_template(key: str, body: dict[str, Any]) -> Any:
        with world.lock:
            get_template(key)
            return _answer(world, save(key, body))

    @app.get("/opportunities/{key}/forms")
    def list_forms(key: str) -> Any:
        _opportunity(world, key)
        return {"data": world.forms.get(key, []), "hasNext": False}

    @app.post("/opportunities/{key}/forms", status_code=201)
    def create_form(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            _opportunity(world, key)
            user = _acting(world, request)
            template = world.templates.get(body.get("baseTemplateId", ""))
            if template is None:
                raise _missing("form_templates", str(body.get("baseTemplateId")))
            _check_form(world, template, body.get("fields") or [])
            form = {
                "id": new_id(), "type": "form", "text": template["text"], "baseTemplateId": template["id"],
                "fields": [field | {"id": new_id()} for field in body["fields"]], "user": user, "stage": None,
                "createdAt": world.now_ms(), "deletedAt": None,
            }  # fmt: skip
            world.forms.setdefault(key, []).append(form)
            return _answer(world, form)


def _file_and_note_routes(app: FastAPI, world: World) -> None:
    @app.get("/opportunities/{key}/files")
    def list_files(key: str) -> Any:
        _opportunity(world, key)
        files = [
            {name: value for name, value in file.items() if name != "content"} for file in world.files.get(key, [])
        ]
        return {"data": files, "hasNext": False} if world.switches["form_answers_wrapped"] else files

    @app.post("/opportunities/{key}/files", status_code=201)
    def upload_file(key: str, file: UploadFile, request: Request) -> Any:
        content = file.file.read()
        with world.lock:
            _opportunity(world, key)
            _acting(world, request, required=True)
            if len(content) > _MAX_FILE:
                raise Refused(400, "BadRequestError", "file is larger than 30 MB")
            stored = {
                "id": new_id(), "name": file.filename, "ext": ".pdf", "status": "processed", "size": len(content),
                "uploadedAt": world.now_ms(),
            }  # fmt: skip
            world.files.setdefault(key, []).append(stored | {"content": content})
            return {"data": stored}

    @app.get("/opportunities/{key}/files/{file}/download")
    def download_file(key: str, file: str) -> Response:
        found = next((item for item in world.files.get(key, []) if item["id"] == file), None)
        if found is None:
            raise _missing("files", file)
        return Response(found["content"], media_type="application/pdf")

    @app.get("/opportunities/{key}/notes")
    def list_notes(key: str) -> Any:
        _opportunity(world, key)
        return {"data": world.notes.get(key, []), "hasNext": False}

    @app.post("/opportunities/{key}/notes", status_code=201)
    def create_note(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, user, note = _opportunity(world, key), _acting(world, request), new_id()
            if not isinstance(body.get("value"), str):
                raise Refused(400, "BadRequestError", "value is required")
            field = {"type": "note", "text": "Comment", "value": body["value"], "stage": opportunity["stage"]}
            stored = {"id": note, "text": "Note", "fields": [field], "user": user, "createdAt": world.now_ms()}
            world.notes.setdefault(key, []).append(stored)
            return {"data": stored | {"noteId": note}}


def _reference_routes(app: FastAPI, world: World) -> None:
    @app.get("/stages")
    def list_stages() -> Any:
        return {"data": world.stages, "hasNext": False}

    @app.get("/stages/{key}")
    def get_stage(key: str) -> Any:
        found = [stage for stage in world.stages if stage["id"] == key]
        if not found:
            raise _missing("stages", key)
        return {"data": found[0]}

    @app.get("/tags")
    def list_tags() -> Any:
        with world.lock:
            counts: dict[str, int] = {}
            for opportunity in world.opportunities.values():
                for tag in opportunity["tags"]:
                    counts[tag] = counts.get(tag, 0) + 1
        return {
            "data": [{"text": tag, "count": counts[tag]} for tag in sorted(counts, key=str.lower)],
            "hasNext": False,
        }

    @app.get("/users")
    def list_users(request: Request) -> Any:
        email = request.query_params.get("email")
        return {"data": [user for user in world.users if email in (None, user["email"])], "hasNext": False}

    @app.get("/postings")
    def list_postings() -> Any:
        return {"data": world.postings, "hasNext": False}

    @app.get("/postings/{key}")
    def get_posting(key: str) -> Any:
        found = [posting for posting in world.postings if posting["id"] == key]
        if not found:
            raise _missing("postings", key)
        return {"data": found[0]}

    @app.get("/webhooks")
    def list_webhooks() -> Any:
        return {"data": [webhook | {"configuration": {}} for webhook in world.webhooks]}

    @app.post("/webhooks", status_code=201)
    def create_webhook(body: dict[str, Any]) -> Any:
        webhook = {"id": new_id(), "event": body["event"], "url": body["url"],
                   "configuration": {"signatureToken": secrets.token_hex(24)}}  # fmt: skip
        world.webhooks.append(webhook)
        return {"data": webhook}

    @app.delete("/webhooks/{key}", status_code=204)
    def delete_webhook(key: str) -> None:
        world.webhooks[:] = [webhook for webhook in world.webhooks if webhook["id"] != key]
