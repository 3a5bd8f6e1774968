"""The console's addresses. Whoever gets here may read: the application has found out before (`app`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.concurrency import run_in_threadpool

from lever_imocha.console import pages
from lever_imocha.console.acts import REPLAY
from lever_imocha.console.rendering import page
from lever_imocha.console.rights import CONNECTION, Viewer, require_own_page
from lever_imocha.console.words import Words
from lever_imocha.domain.acts import Act
from lever_imocha.domain.clock import Clock
from lever_imocha.domain.sealing import checked_key
from lever_imocha.domain.standing import ProblemKind, Standing
from lever_imocha.ledger.evidence import as_json
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.sealed_links import KEPT_FOR

router = APIRouter()
Id = Annotated[int, Path(gt=0, lt=2**63)]
_STATIC = FilePath(__file__).parent / "static"
_FILES = frozenset(path.name for path in _STATIC.iterdir())
_MAX_BODY = 8 * 1024


class Why(BaseModel):
    """Why a person asks for something.

    :param reason: why, in the person's words.
    :param dry_run: only say what would happen.
    """

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300, pattern=r"^[^\x00-\x1f]*$")
    ]
    dry_run: bool = False


class AskedAct(Why):
    """What a person asks for."""

    act: Act


class AskedAgain(Why):
    """That a person asks for a delivery to be done again."""

    act: Literal[Act.REPLAY] = Act.REPLAY


class AskedForOne(AskedAct):
    """What a person asks for about one candidate.

    :param test_id: about which test, where the act is about one.
    :param public_key: show the test links, too, sealed with this key: see `domain.sealing`.
    """

    test_id: Annotated[int, Field(gt=0, lt=2**63)] | None = None
    public_key: Annotated[str, AfterValidator(checked_key)] | None = None


class AskedForAll(AskedAct):
    """What a person asks for about all who have the same problem."""

    kind: ProblemKind
    why: str


class PeopleQuery(BaseModel):
    """A filter of the page *People*."""

    model_config = ConfigDict(extra="forbid")

    q: pages.Search = ""
    standing: str = ""
    test: pages.Number = ""
    entered_from: pages.Day = ""
    entered_to: pages.Day = ""


class Searched(PeopleQuery):
    """The same, and where its list goes on."""

    after: pages.Cursor = ""


class AskedForListed(PeopleQuery, AskedAct):
    """What a person asks for about all whom a filter lists."""


A = TypeVar("A", bound=Why)
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True)
class PageContext:
    """What a page is made with.

    :param open_ledger: opens the ledger, to read, or to write.
    :param lever_page: returns the address of an opportunity's page in Lever.
    """

    open_ledger: Callable[..., Ledger]
    lever_page: Callable[[str], str]
    clock: Clock

    def page(self, viewer: Viewer, *, named: bool = True) -> tuple[Ledger, Words]:
        """Open what a page is read from, and the words that it is said in.

        :param named: the page names tests, stages or postings, so that their names are read.
        """
        ledger, now = self.open_ledger(), self.clock()
        if not named:
            return ledger, Words(now=now, full_names=viewer.may_see_names)
        return ledger, pages.words(ledger, now=now, full_names=viewer.may_see_names)


def _context(request: Request) -> PageContext:
    context: PageContext = request.app.state.context
    return context


def _opened(request: Request, *, named: bool = True) -> tuple[Ledger, Words]:
    """Open what a page is read from, and the words that it is said in."""
    return _context(request).page(request.state.viewer, named=named)


@router.get("/static/{name}")
def static(name: str) -> FileResponse:
    """Send a script, a style or a picture."""
    if name not in _FILES:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(_STATIC / name, headers={"Cache-Control": "private, max-age=86400"})


@router.get("/")
def attention(request: Request, kind: ProblemKind | None = None, why: str = "", skip: pages.Count = 0) -> Response:
    """Show for whom something is in the way."""
    ledger, words = _opened(request)
    return page(request, "attention.html", pages.attention(ledger, words, kind=kind, why=why, skip=skip))


@router.get("/people")
def people(
    request: Request,
    q: pages.Search = "",
    standing: str = "",
    test: pages.Number = "",
    entered_from: pages.Day = "",
    entered_to: pages.Day = "",
    after: pages.Cursor = "",
) -> Response:
    """List people, by filters."""
    wanted = pages.Wanted(
        q=q, standing=standing, test=test, entered_from=entered_from, entered_to=entered_to, after=after
    )
    return _people(request, wanted)


@router.post("/people")
async def search(request: Request) -> Response:
    """List people, by filters that stand in no address, as a name may be one of them."""
    wanted = pages.Wanted(**(await _read(request, Searched)).model_dump())
    response = await run_in_threadpool(_people, request, wanted)
    response.headers["HX-Push-Url"] = f"{request.scope['root_path']}/people{pages.address(wanted)}"
    return response


def _people(request: Request, wanted: pages.Wanted) -> Response:
    ledger, words = _opened(request)
    return page(request, "people.html", pages.people(ledger, words, wanted), standings=list(Standing))


@router.get("/people/{opportunity_id}")
def person(request: Request, opportunity_id: str) -> Response:
    """Show everything about one person."""
    ledger, words = _opened(request)
    data = pages.person(ledger, words, opportunity_id)
    if data is None:
        raise HTTPException(404, "Nobody with this id was ever seen in a trigger stage.")
    return page(request, "person.html", data | {"lever": _context(request).lever_page(opportunity_id)})


@router.get("/people/{opportunity_id}/evidence")
def evidence(request: Request, opportunity_id: str) -> Response:
    """Show why somebody was (not) invited, moved or archived, and whether what is written of it is unbroken."""
    ledger, words = _opened(request)
    data = _evidence(ledger, opportunity_id)
    lines = pages.evidence_lines(data, words)
    return page(request, "evidence.html", data, lines=lines, lever=_context(request).lever_page(opportunity_id))


@router.get("/people/{opportunity_id}/evidence.json")
def evidence_file(request: Request, opportunity_id: str) -> Response:
    """Send the same as a file."""
    ledger, _ = _opened(request, named=False)
    return Response(
        as_json(_evidence(ledger, opportunity_id)),
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="evidence.json"'},
    )


def _evidence(ledger: Ledger, opportunity_id: str) -> dict[str, Any]:
    data = ledger.evidence.of(opportunity_id)
    if data is None:
        raise HTTPException(404, "Nothing is known of this id: it was never seen in a trigger stage, or is forgotten.")
    return data


@router.get("/run")
def run(request: Request, dag_id: str, run_id: str, task_id: str = "", map_index: str = "") -> Response:
    """Show who was worked on in a run of a DAG, or in one of its tasks; for one candidate, everything about them."""
    ledger, words = _opened(request)
    run_id = run_id.replace(" ", "+")  # Airflow 3.1 does not encode it in the address, and no id has a space
    data = pages.run(ledger, words, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
    if task_id and len(data["people"]) == 1:
        return person(request, data["people"][0]["opportunity_id"])
    return page(request, "run.html", data)


@router.get("/flow")
def flow(request: Request, weeks: pages.Weeks = 12) -> Response:
    """Show how many come how far, and how long it takes."""
    ledger, words = _opened(request)
    return page(request, "flow.html", pages.flow(ledger, words, weeks=weeks))


@router.get("/flow.csv")
def flow_csv(request: Request, weeks: pages.Weeks = 12) -> Response:
    """Send the same as a file."""
    ledger, words = _opened(request)
    return Response(
        pages.flow_csv(pages.flow(ledger, words, weeks=weeks)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="flow.csv"'},
    )


@router.get("/traffic")
def traffic(request: Request) -> Response:
    """Show what the vendors send, what is queued, how the rate limits stand."""
    ledger, words = _opened(request, named=False)
    return page(request, "traffic.html", pages.traffic(ledger, words))


@router.get("/health")
def health(request: Request) -> Response:
    """Show what the last check and the last runs have found."""
    ledger, words = _opened(request, named=False)
    return page(request, "health.html", pages.health(ledger, words))


@router.post("/requests")
async def ask_for_all(request: Request) -> Response:
    """Ask for something about all who have the same problem."""
    return await _answered(request, AskedForAll, _ask_for_all)


@router.post("/people/requests")
async def ask_for_listed(request: Request) -> Response:
    """Ask for something about all whom a filter lists."""
    return await _answered(request, AskedForListed, _ask_for_listed)


@router.get("/requests/{bulk_id}")
def progress(request: Request, bulk_id: Id) -> Response:
    """Show how far a request about many is."""
    ledger, words = _opened(request, named=False)
    return page(request, "progress.html", _found(pages.progress(ledger, words, bulk_id)))


@router.post("/requests/{bulk_id}/stop")
def stop(request: Request, bulk_id: Id) -> Response:
    """Withdraw what is left of a request about many."""
    who: Viewer = request.state.viewer
    require_own_page(request, who)
    context = _context(request)
    ledger, words = context.page(who, named=False)
    _found(pages.progress(ledger, words, bulk_id))
    ledger = context.open_ledger(write=True)
    ledger.requests.stop(bulk_id, actor=who.name)
    return page(request, "progress.html", _found(pages.progress(ledger, words, bulk_id)))


def _found(data: dict[str, Any] | None) -> dict[str, Any]:
    if data is None:
        raise HTTPException(404, "There is no request of this number.")
    return data


@router.post("/people/{opportunity_id}/requests")
async def ask(request: Request, opportunity_id: str) -> Response:
    """Ask for something about one person."""
    return await _answered(request, AskedForOne, partial(_ask, opportunity_id))


@router.post("/people/{opportunity_id}/links/{request_id}/{test_id}")
def take_link(request: Request, opportunity_id: str, request_id: Id, test_id: Id) -> Response:
    """Hand out a sealed test link to who has asked for it, once: it is removed as it is read."""
    who: Viewer = request.state.viewer
    require_own_page(request, who)
    _require_names(who)
    context, mine = _context(request), {"opportunity_id": opportunity_id, "actor": who.name}
    ledger, words = context.page(who)
    if (sealed := context.open_ledger(write=True).sealed_links.take(request_id, test_id, **mine)) is not None:
        return JSONResponse({"sealed": sealed})
    if not ledger.sealed_links.is_coming(request_id, test_id, **mine):
        minutes = KEPT_FOR.seconds // 60
        why = f"it was shown already, {minutes} minutes are over, or the timeline says why"
        raise HTTPException(410, f"There is no link: {why}. Ask for it again.")
    said = f"The link is shown here when the e-mail is sent. {pages.stands(ledger, words, opportunity_id)}"
    return JSONResponse({"said": said}, status_code=202)


@router.post("/deliveries/{delivery_id}/requests")
async def ask_again(request: Request, delivery_id: int) -> Response:
    """Ask for what a stored delivery asked for to be done again."""
    return await _answered(request, AskedAgain, partial(_ask_again, delivery_id))


async def _answered(
    request: Request, kind: type[A], record: Callable[[PageContext, Viewer, A], dict[str, Any]]
) -> Response:
    """Have what was posted recorded, if its sender may act; answer what will happen.

    :param record: records it, unless the person only wants to know what would happen; returns the page's data.
    """
    who: Viewer = request.state.viewer
    require_own_page(request, who)
    asked = await _read(request, kind)
    data = await run_in_threadpool(record, _context(request), who, asked)
    return page(request, "asked.html", data, status=200 if asked.dry_run else 202)


def _ask_again(delivery_id: int, context: PageContext, who: Viewer, asked: AskedAgain) -> dict[str, Any]:
    """Record a request for each opportunity that a delivery is about; return what will happen.

    :raises HTTPException: 409 when it is about none that is known, or not stored any more.
    """
    ledger, _ = context.page(who)
    concerned = ledger.deliveries.concerned(delivery_id)
    if not concerned:
        raise HTTPException(409, "This delivery is about nobody who is known, or is not kept any more.")
    count = added = len(concerned)
    if not asked.dry_run:
        ledger, shown = context.open_ledger(write=True), dict.fromkeys(concerned, f"delivery {delivery_id}")
        added = ledger.requests.add(asked.act, shown, reason=asked.reason, actor=who.name, delivery_id=delivery_id)
    about = {"act": asked.act, "test_id": None, "will": REPLAY["will"], "dry_run": asked.dry_run}
    return about | {"count": count, "total": count, "sample": [], "bulk": None, "already": not added}


def _ask_for_all(context: PageContext, who: Viewer, asked: AskedForAll) -> dict[str, Any]:
    """Record requests about all of a group, up to a number; return what will happen.

    :raises HTTPException: 409 when there is nobody, or it is not possible for them.
    """
    ledger, words = context.page(who)
    plan, shown = pages.plan(ledger, words, kind=asked.kind, why=asked.why, act=asked.act)
    return _add_bulk(context, who, asked, plan, shown)


def _ask_for_listed(context: PageContext, who: Viewer, asked: AskedForListed) -> dict[str, Any]:
    """Do the same for all whom a filter lists."""
    ledger, words = context.page(who)
    wanted = pages.Wanted(**asked.model_dump(include=set(PeopleQuery.model_fields)))
    plan, shown = pages.plan_for_listed(ledger, words, wanted, asked.act)
    return _add_bulk(context, who, asked, plan, shown)


def _add_bulk(
    context: PageContext, who: Viewer, asked: AskedAct, plan: dict[str, Any], shown: dict[str, str]
) -> dict[str, Any]:
    """Record who is concerned, which is what runs; nothing, if the person only wants to know."""
    plan |= {"dry_run": asked.dry_run, "bulk": None, "already": False}
    if asked.dry_run:
        return plan
    _, words = context.page(who)
    ledger = context.open_ledger(write=True)
    bulk_id = ledger.requests.add_bulk(
        asked.act, shown, about=plan["says"], reason=asked.reason, actor=who.name, test_id=plan["test_id"]
    )
    told = _found(pages.progress(ledger, words, bulk_id))
    return plan | told | {"already": told["bulk"]["asked"] == 0}


def _ask(opportunity_id: str, context: PageContext, who: Viewer, asked: AskedForOne) -> dict[str, Any]:
    """Record a request, if it is possible now; return what will happen.

    :raises HTTPException: 404 for nobody we know, 409 for what is not possible now.
    """
    ledger, words = context.page(who)
    person = pages.person(ledger, words, opportunity_id)
    if person is None:
        raise HTTPException(404, "Nobody with this id was ever seen in a trigger stage.")
    wanted = (asked.act, asked.test_id)
    offer = next((act for act in person["acts"] if (act["act"], act["test_id"]) == wanted), None)
    if offer is None:
        raise HTTPException(409, f"{asked.act} is not possible for this candidate now: {person['person']['why']}")
    if asked.public_key is not None and not offer["links_of"]:
        _require_names(who)
        raise HTTPException(409, f"{asked.act} shows no test link: {Act.SEND_AGAIN} does.")
    links: list[dict[str, Any]] = []
    added = 1
    if not asked.dry_run:
        ledger, shown = context.open_ledger(write=True), f"{person['person']['standing']}: {person['person']['why']}"
        if asked.public_key is None:
            added = ledger.requests.add(
                asked.act, {opportunity_id: shown}, reason=asked.reason, actor=who.name, test_id=asked.test_id
            )
        else:
            links = _ask_for_links(ledger, opportunity_id, offer["links_of"], words, shown, asked, who)
    about = {"act": asked.act, "test_id": asked.test_id, "will": offer["will"], "dry_run": asked.dry_run}
    return about | {"count": 1, "total": 1, "sample": [], "bulk": None, "links": links, "already": not added}


def _ask_for_links(
    ledger: Ledger, opportunity_id: str, test_ids: list[int], words: Words, shown: str, asked: AskedForOne, who: Viewer
) -> list[dict[str, Any]]:
    """Record a request whose test links are to be shown; return where each is to be had.

    :raises HTTPException: 409 when the same is asked for already.
    """
    request_id = ledger.sealed_links.ask(
        opportunity_id,
        test_ids,
        public_key=str(asked.public_key),
        shown=shown,
        reason=asked.reason,
        actor=who.name,
    )
    if request_id is None:
        raise HTTPException(409, "It is asked for already. When that is done, ask for it again, with the link.")
    path = f"/people/{quote(opportunity_id, safe='')}/links/{request_id}"
    return [{"test_id": test_id, "test": words.test(test_id), "path": f"{path}/{test_id}"} for test_id in test_ids]


def _require_names(who: Viewer) -> None:
    if not who.may_see_names:
        raise HTTPException(
            403, f"You may not see test links: that takes the right to read the connection {CONNECTION}."
        )


async def _read(request: Request, kind: type[B]) -> B:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise HTTPException(400, "The body is too large.")
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            return kind.model_validate_json(bytes(body))
        return kind.model_validate(dict(parse_qsl(body.decode(), keep_blank_values=True)))
    except (ValidationError, UnicodeDecodeError) as error:
        wrong = error.errors()[0] if isinstance(error, ValidationError) else {"loc": ("body",), "msg": "not UTF-8"}
        raise HTTPException(400, f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
