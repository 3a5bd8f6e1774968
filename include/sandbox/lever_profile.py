"""Lever's records on an opportunity's profile: forms, files, notes (lever.md 7 to 9)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request, Response, UploadFile

from include.sandbox.lever_rules import (
    acting_user,
    bad_request,
    find,
    in_order,
    opportunity_of,
    page,
    refused,
    shown,
    time_filter,
)
from include.sandbox.world import World, new_id

_MAX_FILE = 30 * 1024 * 1024
_FORMATS = (".docx", ".doc", ".js", ".jpg", ".png", ".pdf", ".txt")
_TIMES = ("createdAt", "updatedAt", "completedAt", "uploadedAt", "size")
_FORM_TYPES = (
    "currency", "date", "dropdown", "multiple-choice", "multiple-select", "text", "textarea", "yes-no",
)  # fmt: skip
_KINDS: dict[str, Any] = {"date": int, "currency": (int, float), "multiple-select": list}  # the others are text


def _as_switched(world: World, item: dict[str, Any]) -> dict[str, Any]:
    """Give times as numbers or as text: which of them Lever does is not documented (lever.md 7, 8)."""
    if not world.switches["times_as_text"]:
        return item
    return item | {name: str(item[name]) for name in _TIMES if item.get(name) is not None}


def _answer(world: World, item: dict[str, Any]) -> Any:
    """Wrap an item in `data` or not: which of them Lever does is not documented (lever.md 7, 8)."""
    item = _as_switched(world, item)
    return {"data": item} if world.switches["form_answers_wrapped"] else item


def add_template_routes(app: FastAPI, world: World) -> None:
    """Add calls for templates of profile forms (lever.md 7.2)."""

    def save(key: str, body: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        fields = body.get("fields")
        if not body.get("text") or not isinstance(fields, list) or not fields:
            raise bad_request("text and at least one field are required")
        for number, field in enumerate(fields):
            if field.get("type") not in _FORM_TYPES or not field.get("text"):
                raise bad_request(f"unknown type or no text at /fields/{number}")
        made = [{"id": new_id(), "required": False} | field for field in fields]
        blank = {"instructions": "", "group": None, "secretByDefault": False}
        world.templates[key] = {"id": key, "createdAt": world.now_ms()} | blank | body | known | {"fields": made}
        return world.templates[key]

    @app.get("/form_templates")
    def list_templates(request: Request) -> Any:
        with world.lock:
            return page(world, request, in_order(_as_switched(world, one) for one in world.templates.values()))

    @app.get("/form_templates/{key}")
    def get_template(key: str) -> Any:
        return _answer(world, find("form_templates", world.templates.values(), key))

    @app.post("/form_templates", status_code=201)
    def create_template(body: dict[str, Any]) -> Any:
        with world.lock:
            return _answer(world, save(new_id(), body, {}))

    @app.put("/form_templates/{key}")
    def update_template(key: str, body: dict[str, Any]) -> Any:
        with world.lock:
            created_at = find("form_templates", world.templates.values(), key)["createdAt"]
            return _answer(world, save(key, body, {"createdAt": created_at, "updatedAt": world.now_ms()}))

    @app.delete("/form_templates/{key}", status_code=204, response_model=None)
    def delete_template(key: str) -> None:
        with world.lock:
            del world.templates[find("form_templates", world.templates.values(), key)["id"]]


def _check_form(world: World, template: dict[str, Any], fields: list[dict[str, Any]]) -> None:
    """Check that a form has all the template's fields, in order, with fitting values (lever.md 7.3).

    :raises RefusedError: 400, it has not; never with the switch `strict_forms` off.
    """
    if not world.switches["strict_forms"]:
        return
    wanted = [(field["type"], field["text"]) for field in template["fields"]]
    if [(field.get("type"), field.get("text")) for field in fields] != wanted:
        raise bad_request("fields do not match the template at /fields")
    for number, (field, own) in enumerate(zip(fields, template["fields"], strict=True)):
        if "id" in field and not world.switches["form_ids_allowed"]:
            raise bad_request(f"unexpected key id at /fields/{number}")
        _check_value(own, field.get("value"), f"at /fields/{number}")


def _check_value(own: dict[str, Any], value: Any, where: str) -> None:
    """Check a value against its field's type (lever.md 7.1)."""
    if value is None:
        if own.get("required"):
            raise bad_request(f"value required {where}")
        return
    if not isinstance(value, _KINDS.get(own["type"], str)) or (own["type"] == "text" and "\n" in value):
        raise bad_request(f"value has the wrong type {where}")
    options = [option["text"] for option in own.get("options") or []]
    chosen = {"dropdown": [value], "multiple-choice": [value], "multiple-select": value}.get(own["type"], [])
    if own["type"] == "yes-no":
        options, chosen = ["yes", "no"], [value]
    if any(choice not in options for choice in chosen):
        raise bad_request(f"no such option {where}")


def add_form_routes(app: FastAPI, world: World) -> None:
    """Add calls for profile forms, which cannot be changed once created (lever.md 7.3)."""

    @app.get("/opportunities/{key}/forms")
    def list_forms(key: str, request: Request) -> Any:
        with world.lock:
            opportunity_of(world, key)
            forms = in_order(_as_switched(world, form) for form in world.forms.get(key, []))
            return page(world, request, forms, ("user", "stage"))

    @app.get("/opportunities/{key}/forms/{form}")
    def get_form(key: str, form: str, request: Request) -> Any:
        with world.lock:
            found = find("forms", world.forms.get(opportunity_of(world, key)["id"], []), form)
            return {"data": shown(world, request, _as_switched(world, found), ("user", "stage"))}

    @app.post("/opportunities/{key}/forms", status_code=201)
    def create_form(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity_of(world, key)
            user = acting_user(world, request)
            template = find("form_templates", world.templates.values(), body.get("baseTemplateId"))
            fields = body.get("fields")
            if not isinstance(fields, list):
                raise bad_request("is required at /fields")
            _check_form(world, template, fields)
            form = {
                "id": new_id(), "type": "form", "text": template["text"], "instructions": template["instructions"],
                "baseTemplateId": template["id"], "group": template["group"],
                "secret": body.get("secret", template["secretByDefault"]),
                "fields": [field | {"id": new_id()} for field in fields], "user": user, "stage": None,
                "createdAt": world.now_ms(), "completedAt": world.now_ms(), "deletedAt": None,
            }  # fmt: skip
            world.forms.setdefault(key, []).append(form)
            return _answer(world, form)


def add_file_routes(app: FastAPI, world: World) -> None:
    """Add calls for files; uploads and deletions must name the acting user (lever.md 8)."""

    def seen(file: dict[str, Any]) -> dict[str, Any]:
        return _as_switched(world, {name: value for name, value in file.items() if name != "content"})

    def found(key: str, file: str) -> dict[str, Any]:
        return find("files", world.files.get(opportunity_of(world, key)["id"], []), file)

    @app.get("/opportunities/{key}/files")
    def list_files(key: str, request: Request) -> Any:
        with world.lock:
            opportunity_of(world, key)
            in_time = time_filter(request, "uploaded_at", lambda file: file["uploadedAt"])
            files = [seen(file) for file in world.files.get(key, []) if in_time(file)]
            answer = page(world, request, in_order(files))
            return answer if world.switches["form_answers_wrapped"] else answer["data"]

    @app.post("/opportunities/{key}/files", status_code=201)
    def upload_file(key: str, file: UploadFile, request: Request) -> Any:
        content, ext = file.file.read(), PurePath(file.filename or "").suffix
        with world.lock:
            opportunity_of(world, key)
            acting_user(world, request, required=True)
            if len(content) > _MAX_FILE:
                raise bad_request("file is larger than 30 MB")
            new, status = new_id(), "processed" if ext.lower() in _FORMATS else "unsupported"
            stored = {
                "id": new, "name": file.filename, "ext": ext, "status": status, "size": len(content),
                "downloadUrl": f"https://hire.lever.co/candidates/{key}/files/{new}/download",
                "uploadedAt": world.now_ms(), "content": content,
            }  # fmt: skip
            world.files.setdefault(key, []).append(stored)
            return _answer(world, seen(stored))

    @app.get("/opportunities/{key}/files/{file}")
    def get_file(key: str, file: str) -> Any:
        return _answer(world, seen(found(key, file)))

    @app.get("/opportunities/{key}/files/{file}/download")
    def download_file(key: str, file: str) -> Response:
        stored = found(key, file)
        if stored["status"] != "processed":
            raise refused(422, "UnprocessableEntity", "The file could not be processed")
        return Response(stored["content"], media_type="application/pdf")

    @app.delete("/opportunities/{key}/files/{file}", status_code=204, response_model=None)
    def delete_file(key: str, file: str, request: Request) -> None:
        with world.lock:
            stored = found(key, file)
            acting_user(world, request, required=True)
            world.files[key].remove(stored)


def _comment(world: World, given: dict[str, Any], stage: str, user: str | None) -> dict[str, Any]:
    """Make one entry of a note's thread; its time must not lie in the future (lever.md 9)."""
    value, now = given.get("value"), world.now_ms()
    if not isinstance(value, str):
        raise bad_request("is required at /value")
    if given.get("createdAt", now) > now:
        raise bad_request("must be in the past at /createdAt")
    return {
        "type": "note", "text": "Comment", "value": value, "stage": stage, "user": user,
        "score": given.get("score"), "createdAt": given.get("createdAt", now),
    }  # fmt: skip


def add_note_routes(app: FastAPI, world: World) -> None:
    """Add calls for notes; a new one leaves the opportunity's `updatedAt`, a changed one sets it (lever.md 4.2, 9)."""

    @app.get("/opportunities/{key}/notes")
    def list_notes(key: str, request: Request) -> Any:
        with world.lock:
            opportunity_of(world, key)
            return page(world, request, in_order(world.notes.get(key, [])), ("user",))

    @app.get("/opportunities/{key}/notes/{note}")
    def get_note(key: str, note: str, request: Request) -> Any:
        with world.lock:
            return {"data": shown(world, request, find("notes", world.notes.get(key, []), note), ("user",))}

    @app.post("/opportunities/{key}/notes", status_code=201)
    def create_note(key: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, user, thread = (
                opportunity_of(world, key),
                acting_user(world, request),
                world.notes.get(key, []),
            )
            field = _comment(world, body, opportunity["stage"], user)
            opportunity["lastInteractionAt"] = world.now_ms()
            if "note_id" in request.query_params:
                note = find("notes", thread, request.query_params["note_id"])
                note["fields"].append(field)
            else:
                note = {
                    "id": new_id(), "text": "Note", "fields": [field], "user": user,
                    "secret": body.get("secret", False), "completedAt": field["createdAt"], "deletedAt": None,
                    "createdAt": field["createdAt"],
                }  # fmt: skip
                world.notes.setdefault(key, []).append(note)
            return {"data": note | {"noteId": note["id"]}}

    @app.put("/opportunities/{key}/notes/{note}")
    def update_note(key: str, note: str, body: dict[str, Any], request: Request) -> Any:
        with world.lock:
            opportunity, user = opportunity_of(world, key), acting_user(world, request)
            known, values = find("notes", world.notes.get(key, []), note), body.get("values")
            if not isinstance(values, list) or not values:
                raise bad_request("is required at /values")
            known["fields"] = [_comment(world, value, opportunity["stage"], user) for value in values]
            opportunity["updatedAt"] = world.now_ms()
            return {"data": known}

    @app.delete("/opportunities/{key}/notes/{note}", status_code=204, response_model=None)
    def delete_note(key: str, note: str) -> None:
        with world.lock:
            find("notes", world.notes.get(key, []), note)["deletedAt"] = world.now_ms()
