"""What iMocha's answers hold: objects and lists in envelopes of several kinds (imocha.md 2.3), read page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from pydantic import BaseModel

from lever_imocha.clients.answers import NoFactError, read_body, target_of
from lever_imocha.clients.report_files import broke_off
from lever_imocha.clients.transport import MAX_PAGES, ApiClient
from lever_imocha.domain.imocha import ImochaTest, Report
from lever_imocha.domain.types import fold_key
from lever_imocha.errors import RequestRejectedError, UnexpectedAnswerError

M = TypeVar("M", bound=BaseModel)

PAGE_SIZE = 100
SMALLER_PAGE_SIZE = 50
"""iMocha refuses more at one of its lists (imocha.md 2.2)."""

NAMES_ERRORS = "the answer names errors"


def check_errors(body: Any) -> None:
    """Check that an answer of status 200 names no errors.

    :raises NoFactError: it does, so that nothing in it, and nothing that is absent, is a fact.
    """
    while isinstance(body, dict):
        if any(fold_key(key) == "errors" and value for key, value in body.items()):
            raise NoFactError(NAMES_ERRORS)
        body = next((body[key] for key in body if fold_key(key) in ("result", "data")), None)


def inner_of(body: Any) -> Any:
    """Return the object itself: some answers wrap it in ``result`` or ``data``."""
    while isinstance(body, dict):
        inner = next((body[key] for key in body if fold_key(key) in ("result", "data")), None)
        if not isinstance(inner, dict):
            return body
        body = inner
    return body


def one(model: type[M]) -> Callable[[Any], M]:
    """Make a parser for one object."""
    return lambda body: model.model_validate(inner_of(body))


def items_of(key: str) -> Callable[[Any], list[Any]]:
    """Make a parser for a list, bare or under a key of any spelling; null and absent are an empty list.

    It raises `NoFactError` where something else stands in the list's place.
    """
    names = (fold_key(key), "result", "data")

    def parse(body: Any) -> list[Any]:
        check_errors(body)
        inner = inner_of(body)
        if isinstance(inner, list):
            return inner
        found = [value for name, value in inner.items() if fold_key(name) in names and value is not None]
        lists = [value for value in found if isinstance(value, list)]
        if found and not lists:
            raise NoFactError("the answer has no list")
        return lists[0] if lists else []

    return parse


def _folded(body: Any) -> dict[str, Any]:
    inner = inner_of(body)
    return {fold_key(key): value for key, value in inner.items()} if isinstance(inner, dict) else {}


def _count(given: Any) -> int | None:
    """Return a count that iMocha says as a number, a decimal or text (imocha.md 11.6); None for anything else."""
    try:
        return int(float(given)) if isinstance(given, int | float | str) and not isinstance(given, bool) else None
    except (ValueError, OverflowError):
        return None


def said_count(body: Any) -> int:
    """Return how many records there are in all, as far as iMocha says (imocha.md 4.1)."""
    return _count(_folded(body).get("count")) or 0


@dataclass(frozen=True)
class ReportsPage:
    """One page of the list of reports.

    :param total: how many there are in all; None where iMocha does not say.
    """

    items: list[Any]
    total: int | None
    has_next: bool


def reports_page(body: Any) -> ReportsPage:
    """Read one page of the list of reports (imocha.md 7.4)."""
    items, said = items_of("reports")(body), _folded(body)
    return ReportsPage(items, _count(said.get("totalcount")), bool(said.get("hasnextpage")))


class ListedTests(Iterator[ImochaTest]):
    """The account's tests; a page is read when it is needed."""

    def __init__(self, client: ApiClient, read_page: Callable[[int, int], tuple[list[Any], int]]) -> None:
        self._client, self._read_page = client, read_page
        self._tests = self._read()
        self.complete = False
        """Whether these are all tests. Ask when all were read.

        False as long as they were not; when a record was skipped, when there are fewer than iMocha says, and when
        there are none, which is more often trouble at iMocha's than the truth. What is absent then is not known to be.
        A test that one page has twice was counted twice, too; one that another page had before has only moved there.
        """

    def __next__(self) -> ImochaTest:
        """Return the next test."""
        return next(self._tests)

    def _read(self) -> Iterator[ImochaTest]:
        seen: set[int] = set()
        listed = skipped = said = 0
        for items, count in self._pages():
            page = self._client.parse_items("list_tests", ImochaTest, items)
            unseen = [test for test in page if test.id not in seen]
            new = {test.id: test for test in unseen}
            yield from new.values()
            seen.update(new)
            listed, skipped, said = listed + len(unseen), skipped + len(items) - len(page), max(said, count)
            if not new:
                self.complete = bool(seen) and not skipped and listed >= said
                return
        raise self._client.unexpected("list_tests", f"the list has more than {MAX_PAGES} pages")

    def _pages(self) -> Iterator[tuple[list[Any], int]]:
        """Read page by page; if iMocha refuses pages of this size, read smaller ones from the beginning."""
        try:
            first, size = self._read_page(1, PAGE_SIZE), PAGE_SIZE
        except RequestRejectedError:
            first, size = self._read_page(1, SMALLER_PAGE_SIZE), SMALLER_PAGE_SIZE
        yield first
        for number in range(2, MAX_PAGES + 1):
            yield self._read_page(number, size)


class ListedReports(Iterator[Report]):
    """The reports of a window of time; a page is read when it is needed."""

    def __init__(self, client: ApiClient, read_page: Callable[[int], ReportsPage]) -> None:
        self._client, self._read_page = client, read_page
        self._reports = self._read()
        self.complete = False
        """Whether these are all, each once, and as many as iMocha says, which may count one twice. Ask when all were read."""

    def __next__(self) -> Report:
        """Return the next report."""
        return next(self._reports)

    def _read(self) -> Iterator[Report]:
        seen: set[int] = set()
        listed = skipped = 0
        for number in range(1, MAX_PAGES + 1):
            page = self._read_page(number)
            reports = self._client.parse_items("list_reports", Report, page.items)
            unseen = [
                (key, report)
                for report in reports
                if (key := report.test_invitation_id) is not None and key not in seen
            ]
            new = dict(unseen)
            yield from new.values()
            seen.update(new)
            listed, skipped = listed + len(unseen), skipped + len(page.items) - len(reports)
            if not (page.has_next and new):
                is_all = page.total is not None and len(seen) <= page.total <= listed
                self.complete = is_all and not skipped and not page.has_next
                return
        raise self._client.unexpected("list_reports", f"the list has more than {MAX_PAGES} pages")


def pdf_link(response: requests.Response) -> str:
    """Return the URL in an answer of the PDF endpoint: a redirect, or JSON with a link (imocha.md 7.2)."""
    if response.is_redirect:
        return target_of(response) or ""
    try:
        body = inner_of(json.loads(read_body(response)))
        links = [body] if isinstance(body, str) else list(body.values())
    except (ValueError, AttributeError, RecursionError):
        links = []
    except requests.RequestException:
        raise broke_off() from None
    link = next((value for value in links if isinstance(value, str) and value.startswith("http")), None)
    if link is None:
        raise UnexpectedAnswerError(vendor="iMocha", call="get_report_pdf", status=200, detail="no link to a PDF")
    return link
