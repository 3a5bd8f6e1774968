"""Lever's Data API v1: every call that the workflow, or a DAG of your own, needs, described once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from lever_imocha.clients.answers import NoFactError
from lever_imocha.clients.transport import MAX_PAGES, ApiClient, Call, VendorError
from lever_imocha.domain.forms import FormTemplate
from lever_imocha.domain.lever import (
    Identified,
    LeverFile,
    Note,
    Opportunity,
    Posting,
    ProfileForm,
    Stage,
    Tag,
    TemplateFrame,
    User,
    Webhook,
)
from lever_imocha.errors import NotFoundError, RequestRejectedError, UnexpectedAnswerError

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Params = list[tuple[str, str]]
Key = Callable[[Any], str]

PAGE_SIZE = 100
_RESTARTS = 3
_EMPTY_PAGES = 10
"""So many in a row, though more are announced, are trouble at Lever's: a thousand would take two minutes of all calls."""
_UPLOAD_SECONDS = 300
"""For 30 MB and Lever's answer."""


def read_error(_status: int, body: Any) -> VendorError:
    """Read Lever's error body: a code and a message (lever.md 2.3)."""
    if not isinstance(body, dict):
        return VendorError()
    return VendorError(code=str(body.get("code") or ""), message=str(body.get("message") or ""))


def _one(model: type[M]) -> Callable[[Any], M]:
    """Make a parser for one object, in ``data`` (lever.md 3.1), bare, or in ``data`` twice (lever.md 11.1)."""

    def parse(body: Any) -> M:
        while isinstance(body, dict) and isinstance(body.get("data"), dict) and "id" not in body:
            body = body["data"]
        return model.model_validate(body)

    return parse


def _opportunity(opportunity_id: str) -> Callable[[Any], Opportunity]:
    """Make a parser for one opportunity; an answer that could be taken for another, or for one that has left, says nothing."""

    def parse(body: Any) -> Opportunity:
        opportunity = _one(Opportunity)(body)
        if opportunity.id != opportunity_id:
            raise NoFactError("the answer is about another opportunity")
        if opportunity.stage is None:  # a part of an opportunity would look like one that has left, without tags
            raise NoFactError("the answer names no stage")
        return opportunity

    return parse


def _nothing(body: Any) -> None:
    """Read an answer of which nothing is needed."""


def _millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def _many(name: str, values: Sequence[str]) -> Params:
    return [(name, value) for value in values]


def _page(body: Any) -> tuple[list[Any], str | None]:
    """Return a page's items and the next page's token; one bare object is a list of one (lever.md 7.3).

    :raises NoFactError: it is none of these, as an empty answer, or names an error; then nothing is known about the list.
    """
    if isinstance(body, list):
        return body, None
    items = body.get("data", body) if body is not None else None
    if not (isinstance(items, list) or (isinstance(items, dict) and "id" in items)):
        raise NoFactError("the answer has no list")
    if "data" in body and (body.get("errors") or body.get("code")):
        raise NoFactError("the answer names errors")
    token = body.get("next") if body.get("hasNext") else None
    if body.get("hasNext") and not (token and isinstance(token, str)):
        raise NoFactError("the answer says that there is another page, and not where")
    return items if isinstance(items, list) else [items], token


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Listed(Iterator[M]):
    """The records of a list; a page is read when it is needed."""

    def __init__(
        self, read: Callable[[Listed[M]], Iterator[M]], unexpected: Callable[[str], UnexpectedAnswerError]
    ) -> None:
        self._records, self._unexpected = read(self), unexpected
        self.skipped = 0
        """How many records could not be read so far, and were left out."""
        self.unreadable: set[str] = set()
        """The ids of those of them that have one."""

    def __next__(self) -> M:
        """Return the next record."""
        return next(self._records)

    def whole(self) -> Iterator[M]:
        """Return the records for who makes what is not among them.

        :raises UnexpectedAnswerError: at the end, if some could not be read: it may be one of these.
        """
        yield from self
        self.check_whole()

    def check_whole(self) -> None:
        """Raise `UnexpectedAnswerError` if some records that were read until now could not be."""
        if self.skipped:
            raise self._unexpected(f"{self.skipped} records cannot be read, so that what is not found may be there")

    def leave_out(self, record: Any) -> None:
        """Count a record that cannot be read."""
        self.skipped += 1
        with suppress(ValueError, RecursionError):
            self.unreadable.add(Identified.model_validate(record).id)


class LeverClient:
    """Typed calls to Lever.

    Every method can raise the subclasses of `ApiError`. Writes on an opportunity name the acting user
    (`perform_as`, a user id) because some accounts require it (lever.md 5.4); None leaves it out.

    :param client: sends the calls.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @property
    def ahead(self) -> timedelta | None:
        """By how much Lever's clock was ahead of ours at its last answer; None if it did not say."""
        return self._client.server_clock.ahead

    def guarded(self, guard: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `guard` before every write inside, after the turn was given; see `ApiClient.guarded`."""
        return self._client.guarded(guard)

    def check(self) -> None:
        """Check the key with a small read.

        :raises CredentialsError: Lever does not accept the key.
        """
        self._client.send(
            Call(
                name="list_stages", method="GET", path="/stages", params=[("limit", "1")], parse=_page, repeatable=True
            )
        )

    def _list(
        self,
        name: str,
        path: str,
        model: type[M],
        *,
        params: Params | None = None,
        key: Key = lambda item: item.id,
        keep: Callable[[Any], bool] = lambda item: True,
    ) -> Listed[M]:
        """Read a list page by page; return each item once.

        Records move between pages while they are read (lever.md 3.3), so an id is returned only the first time, and
        the list starts again from its beginning when Lever no longer knows a page's token.
        """
        read = partial(self._read_list, name, path, model, params or [], key, keep)
        return Listed(read, partial(self._client.unexpected, name))

    def _read_list(
        self,
        name: str,
        path: str,
        model: type[M],
        params: Params,
        key: Key,
        keep: Callable[[Any], bool],
        listed: Listed[M],
    ) -> Iterator[M]:
        seen: set[str] = set()
        for items in self._pages(name, path, params):
            for item in self._client.parse_items(name, model, items, skipped=listed.leave_out):
                if keep(item) and key(item) not in seen:
                    seen.add(key(item))
                    yield item

    def _pages(self, name: str, path: str, params: Params) -> Iterator[list[Any]]:
        tokens: set[str] = set()
        token: str | None = None
        restarts = empty = 0
        for _ in range(MAX_PAGES):
            offset = [("offset", token)] if token else []
            call = Call(
                name=name,
                method="GET",
                path=path,
                parse=_page,
                repeatable=True,
                params=[*params, ("limit", str(PAGE_SIZE)), *offset],
            )
            try:
                items, token = self._client.send(call)
            except RequestRejectedError as error:
                if not token or "offset token" not in error.detail or restarts >= _RESTARTS:
                    raise
                token, restarts = None, restarts + 1
                tokens.clear()
                continue
            yield items
            if not token:
                return
            if token in tokens:
                raise self._client.unexpected(name, "a page leads back to an earlier one")
            tokens.add(token)
            empty = 0 if items else empty + 1
            if empty == _EMPTY_PAGES:
                raise self._client.unexpected(name, f"{empty} pages are empty, and more are announced")
        raise self._client.unexpected(name, f"the list has more than {MAX_PAGES} pages")

    def _get(self, name: str, path: str, model: type[M]) -> M:
        return self._client.send(Call(name=name, method="GET", path=path, parse=_one(model), repeatable=True))

    def _write(
        self,
        name: str,
        method: str,
        path: str,
        parse: Callable[[Any], T],
        *,
        json: Any = None,
        files: Any = None,
        perform_as: str | None = None,
        repeatable: bool = False,
        answer_needed: bool = True,
        hidden: Sequence[str] = (),
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> T:
        return self._client.send(
            Call(
                name=name,
                method=method,
                path=path,
                json=json,
                files=files,
                parse=parse,
                params=[("perform_as", perform_as)] if perform_as else [],
                repeatable=repeatable,
                answer_needed=answer_needed,
                hidden=hidden,
                timeout=timeout,
                deadline=deadline,
            )
        )

    # Opportunities (lever.md 4, 5)

    def list_opportunities(
        self,
        *,
        stage_ids: Sequence[str] = (),
        archived: bool | None = None,
        advanced_at_start: datetime | None = None,
        updated_at_start: datetime | None = None,
        archived_at_start: datetime | None = None,
        tags: Sequence[str] = (),
        posting_ids: Sequence[str] = (),
        contact_ids: Sequence[str] = (),
        email: str | None = None,
        confidentiality: str = "all",
        expand: Sequence[str] = (),
    ) -> Listed[Opportunity]:
        """List opportunities that match every filter; several values of one filter are alternatives (lever.md 4.3).

        Times are timezone-aware, and an opportunity of exactly that time matches.

        :param stage_ids: in one of these stages.
        :param archived: only archived ones, or only others; None for both.
        :param advanced_at_start: entered its stage, or was archived, at or after this time.
        :param confidentiality: ``all``, ``confidential`` or ``non-confidential``.
        :param expand: fields to return as objects instead of ids.
        """
        params = [("confidentiality", confidentiality)]
        params += _many("stage_id", stage_ids) + _many("tag", tags) + _many("posting_id", posting_ids)
        params += _many("contact_id", contact_ids) + _many("expand", expand)
        if archived is not None:
            params.append(("archived", str(archived).lower()))
        if advanced_at_start is not None:
            params.append(("advanced_at_start", _millis(advanced_at_start)))
        if updated_at_start is not None:
            params.append(("updated_at_start", _millis(updated_at_start)))
        if archived_at_start is not None:
            params.append(("archived_at_start", _millis(archived_at_start)))
        if email is not None:
            params.append(("email", email))
        return self._list("list_opportunities", "/opportunities", Opportunity, params=params)

    def list_deleted_opportunities(self, *, deleted_at_start: datetime) -> Iterator[Opportunity]:
        """List opportunities deleted at or after a time; no other call returns them (lever.md 4.5)."""
        params = [("deleted_at_start", _millis(deleted_at_start))]
        return self._list("list_deleted_opportunities", "/opportunities/deleted", Opportunity, params=params)

    def get_opportunity(self, opportunity_id: str, *, expand: Sequence[str] = ()) -> Opportunity:
        """Read one opportunity (lever.md 4.4).

        :raises NotFoundError: it is unknown or deleted.
        :raises UnexpectedAnswerError: the answer is about another one, say from a cache on the way, or names no stage.
        """
        path, params, parse = (
            _path("opportunities", opportunity_id),
            _many("expand", expand),
            _opportunity(opportunity_id),
        )
        return self._client.send(
            Call(name="get_opportunity", method="GET", path=path, params=params, parse=parse, repeatable=True)
        )

    def update_stage(self, opportunity_id: str, stage_id: str, *, perform_as: str | None) -> Opportunity:
        """Move to a stage (lever.md 5.1).

        Not sent again if the answer is lost, or cannot be read: what a move to the same stage causes is not documented,
        and only the candidate's stage proves the move.
        """
        path, parse = _path("opportunities", opportunity_id, "stage"), _opportunity(opportunity_id)
        return self._write("update_stage", "PUT", path, parse, json={"stage": stage_id}, perform_as=perform_as)

    def add_tags(self, opportunity_id: str, tags: Sequence[str], *, perform_as: str | None) -> Opportunity | None:
        """Add tags; Lever creates unknown ones (lever.md 5.2).

        :return: without contact data, which are blank (lever.md 5.1); None when the answer cannot be read.
        """
        return self._change_tags("add_tags", "addTags", opportunity_id, tags, perform_as)

    def remove_tags(self, opportunity_id: str, tags: Sequence[str], *, perform_as: str | None) -> Opportunity | None:
        """Remove tags (lever.md 5.2).

        :return: as of `add_tags`.
        """
        return self._change_tags("remove_tags", "removeTags", opportunity_id, tags, perform_as)

    def _change_tags(
        self, name: str, act: str, opportunity_id: str, tags: Sequence[str], perform_as: str | None
    ) -> Opportunity | None:
        path, parse = _path("opportunities", opportunity_id, act), _opportunity(opportunity_id)
        return self._write(
            name,
            "POST",
            path,
            parse,
            json={"tags": list(tags)},
            perform_as=perform_as,
            repeatable=True,
            answer_needed=False,
        )

    # Notes (lever.md 9)

    def list_notes(self, opportunity_id: str) -> Listed[Note]:
        """List the notes on an opportunity."""
        return self._list("list_notes", _path("opportunities", opportunity_id, "notes"), Note)

    def create_note(self, opportunity_id: str, value: str, *, perform_as: str | None, secret: bool = False) -> Note:
        """Create a note.

        :param secret: only for those who may see sensitive information.
        """
        path = _path("opportunities", opportunity_id, "notes")
        body = {"value": value} | ({"secret": True} if secret else {})
        return self._write(
            "create_note", "POST", path, _one(Note), json=body, perform_as=perform_as, hidden=value.splitlines()
        )

    def update_note(self, opportunity_id: str, note_id: str, value: str, *, perform_as: str) -> None:
        """Replace a note's whole thread by one text; only notes created through the API can be updated."""
        path = _path("opportunities", opportunity_id, "notes", note_id)
        body = {"values": [{"value": value}]}
        self._write(
            "update_note",
            "PUT",
            path,
            _nothing,
            json=body,
            perform_as=perform_as,
            repeatable=True,
            answer_needed=False,
            hidden=value.splitlines(),
        )

    # Profile forms and their templates (lever.md 7)

    def list_form_templates(self) -> Iterator[FormTemplate]:
        """List active form templates with their fields (lever.md 7.2)."""
        include = _many("include", ("id", "text", "group", "fields"))
        return self._list("list_form_templates", "/form_templates", FormTemplate, params=include)

    def get_form_template(self, template_id: str) -> FormTemplate:
        """Read one form template (lever.md 7.2)."""
        return self._get("get_form_template", _path("form_templates", template_id), FormTemplate)

    def create_form_template(self, *, text: str, fields: Sequence[dict[str, Any]]) -> FormTemplate:
        """Create a form template."""
        body = {"text": text, "instructions": "", "secretByDefault": False, "fields": list(fields)}
        return self._write("create_form_template", "POST", "/form_templates", _one(FormTemplate), json=body)

    def update_form_template(self, template: FormTemplate, *, fields: Sequence[dict[str, Any]]) -> FormTemplate:
        """Replace a form template's fields.

        The call replaces the whole template (lever.md 7.2), so everything else is read first and sent back unchanged;
        without it, secret forms would become visible to everybody.
        """
        path = _path("form_templates", template.id)
        frame = self._get("get_form_template", path, TemplateFrame)
        body = frame.model_dump(by_alias=True, exclude_none=True) | {"fields": list(fields)}
        parse = _one(FormTemplate)
        done = self._write("update_form_template", "PUT", path, parse, json=body, repeatable=True, answer_needed=False)
        return done or self.get_form_template(template.id)

    def list_forms(self, opportunity_id: str) -> Listed[ProfileForm]:
        """List the forms on an opportunity without the deleted ones, which Lever still returns."""
        path = _path("opportunities", opportunity_id, "forms")
        return self._list("list_forms", path, ProfileForm, keep=lambda form: form.deleted_at is None)

    def create_form(
        self,
        opportunity_id: str,
        *,
        template_id: str,
        fields: Sequence[dict[str, Any]],
        secret: bool | None,
        perform_as: str | None,
    ) -> ProfileForm:
        """Create a form, which cannot be changed or deleted (lever.md 7.3).

        :param fields: all of the template's, in its order, each with a `value`.
        :param secret: None leaves it to the template.
        """
        body: dict[str, Any] = {"baseTemplateId": template_id, "fields": list(fields)}
        if secret is not None:
            body["secret"] = secret
        path = _path("opportunities", opportunity_id, "forms")
        values = [str(field["value"]) for field in fields if field.get("value") not in (None, "")]
        return self._write(
            "create_form", "POST", path, _one(ProfileForm), json=body, hidden=values, perform_as=perform_as
        )

    # Files (lever.md 8)

    def list_files(self, opportunity_id: str) -> Listed[LeverFile]:
        """List the files on an opportunity."""
        return self._list("list_files", _path("opportunities", opportunity_id, "files"), LeverFile)

    def upload_file(
        self,
        opportunity_id: str,
        *,
        name: str,
        content: BinaryIO,
        perform_as: str,
        content_type: str = "application/pdf",
    ) -> LeverFile:
        """Upload a file, a PDF if nothing else is said.

        :param content: at most 30 MB, read from its present position.
        """
        path = _path("opportunities", opportunity_id, "files")
        files = {"file": (name, content, content_type)}
        return self._write(
            "upload_file",
            "POST",
            path,
            _one(LeverFile),
            files=files,
            perform_as=perform_as,
            timeout=120,
            deadline=_UPLOAD_SECONDS,
        )

    # Reference data (lever.md 6)

    def list_stages(self) -> Iterator[Stage]:
        """List all stages in pipeline order."""
        return self._list("list_stages", "/stages", Stage)

    def get_stage(self, stage_id: str) -> Stage:
        """Read one stage."""
        return self._get("get_stage", _path("stages", stage_id), Stage)

    def list_tags(self) -> Iterator[Tag]:
        """List all tags that are in use (lever.md 6.2)."""
        return self._list("list_tags", "/tags", Tag, key=lambda tag: tag.text)

    def list_users(self) -> Iterator[User]:
        """List all active users (lever.md 6.4)."""
        return self._list("list_users", "/users", User)

    def find_user(self, email: str, *, deactivated_too: bool = False) -> User | None:
        """Find the active user with an e-mail address, without regard to case (lever.md 6.4).

        :param deactivated_too: find a deactivated one when no active one has the address.
        :raises UnexpectedAnswerError: none of those that can be read has it, and there are others.
        """
        params = [("email", email), *([("includeDeactivated", "true")] if deactivated_too else [])]
        users = self._list("list_users", "/users", User, params=params)
        found = [user for user in users if (user.email or "").casefold() == email.casefold()]
        if not found:
            users.check_whole()
        return next(iter(sorted(found, key=lambda user: not user.is_active)), None)

    def list_postings(self) -> Iterator[Posting]:
        """List all postings, confidential ones included if the key has access."""
        return self._list("list_postings", "/postings", Posting, params=[("confidentiality", "all")])

    def get_posting(self, posting_id: str) -> Posting:
        """Read one posting."""
        return self._get("get_posting", _path("postings", posting_id), Posting)

    # Webhooks (lever.md 11.1)

    def list_webhooks(self) -> Listed[Webhook]:
        """List registered webhooks, without their signature tokens."""
        return self._list("list_webhooks", "/webhooks", Webhook)

    def create_webhook(self, *, url: str, event: str) -> Webhook:
        """Register a webhook; only this answer has its signature token (lever.md 11.1)."""
        return self._write("create_webhook", "POST", "/webhooks", _one(Webhook), json={"url": url, "event": event})

    def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook; it is no error if it does not exist, since a first try may have removed it."""
        path = _path("webhooks", webhook_id)
        with suppress(NotFoundError):
            self._write("delete_webhook", "DELETE", path, _nothing, repeatable=True, answer_needed=False)
