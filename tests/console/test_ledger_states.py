"""A ledger that cannot be used as it should: each page says what to do, in HTML and as JSON, and soon."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from threading import Event

import pytest
import requests
from fastapi import Request
from fastapi.testclient import TestClient
from lever_imocha.console.app import create_app
from lever_imocha.console.rights import Viewer
from lever_imocha.errors import LedgerError
from lever_imocha.ledger.database import HEAD, engine_for
from lever_imocha.ledger.repository import Ledger
from sqlalchemy import text

from include.sandbox.server import serve
from tests.console.conftest import CONSOLE, LogIn

pytestmark = pytest.mark.xdist_group("airflow")

FIVE_SECONDS = 8  # and what a busy machine adds; without the limit each would take 10 s and more
PAGES = ["/", "/people", "/people/x", "/flow", "/flow.csv", "/traffic", "/health"]


def says(browser: TestClient, said: str) -> None:
    for page in PAGES:
        for accept in ("text/html", "application/json"):
            answer = browser.get(CONSOLE + page, headers={"Accept": accept})
            assert answer.status_code == 503
            assert answer.headers["Content-Type"].startswith(accept)
            assert said in (answer.text if accept == "text/html" else answer.json()["said"])


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0001", "this package needs"),
        ("9999", f"newer than this package, which knows {HEAD}: install the version"),
    ],
)
def test_a_ledger_of_another_version_is_told_with_what_to_upgrade(
    login: LogIn, own_ledger_url: str, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    engine = engine_for(own_ledger_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE lever_imocha.alembic_version SET version_num = :it"), {"it": version})
    browser = login("ann")
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", own_ledger_url)
    says(browser, said)


def test_a_ledger_that_is_upgraded_while_the_server_runs_is_told(
    login: LogIn, own_ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = login("ann")
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", own_ledger_url)
    assert browser.get(f"{CONSOLE}/people").status_code == 200
    engine = engine_for(own_ledger_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE lever_imocha.stage_entries RENAME COLUMN decision TO verdict"))
    answer = browser.get(f"{CONSOLE}/people")
    assert answer.status_code == 503
    assert "restart what began before it" in answer.text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "that the server runs"),
        ("sqlite:///x", "needs PostgreSQL"),
        ("nonsense", "is not a database URL"),
    ],
)
def test_a_ledger_that_cannot_be_reached_is_told(
    login: LogIn, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    browser = login("ann")
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", url)
    says(browser, said)


def test_a_ledger_that_is_not_migrated_is_told_with_the_command(
    login: LogIn, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = login("ann")
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", postgres_url)
    says(browser, "python -m lever_imocha.ledger upgrade")


def test_a_ledger_without_an_address_is_told_with_the_connection_to_make(
    login: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = login("ann")
    monkeypatch.delenv("LEVER_IMOCHA_LEDGER")
    says(browser, "make the Airflow connection lever_imocha_ledger")


@pytest.fixture
def silent_url() -> Iterator[str]:
    """The address of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://x@127.0.0.1:{server.getsockname()[1]}/x"


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_given_up_within_five_seconds(
    login: LogIn, silent_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = login("ann")
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", silent_url)
    begin = time.monotonic()
    answer = browser.get(f"{CONSOLE}/people")
    assert time.monotonic() - begin < FIVE_SECONDS
    assert answer.status_code == 503
    assert "that the server runs" in answer.text


@pytest.mark.slow
def test_a_page_is_given_up_within_five_seconds_whatever_hangs() -> None:
    ends = Event()

    def hangs(**_: bool) -> Ledger:
        ends.wait(60)
        raise LedgerError("it was the end of the test")

    async def viewer(_request: Request) -> Viewer:
        return Viewer(name="ann", may_act=True, may_see_names=True)

    with serve(create_app(open_ledger=hangs, viewer=viewer)) as url:
        begin = time.monotonic()
        answer = requests.get(f"{url}/people", headers={"Accept": "application/json"}, timeout=30)
        assert time.monotonic() - begin < FIVE_SECONDS
        ends.set()
    assert answer.status_code == 503
    assert "has not answered within 5 s" in answer.json()["said"]


@pytest.mark.slow
def test_a_table_that_is_locked_is_waited_for_five_seconds_at_most(login: LogIn, ledger_url: str) -> None:
    browser = login("ann")
    assert browser.get(f"{CONSOLE}/people").status_code == 200
    with engine_for(ledger_url).begin() as connection:
        connection.execute(text("LOCK TABLE lever_imocha.stage_entries"))
        begin = time.monotonic()
        answer = browser.get(f"{CONSOLE}/people")
        assert time.monotonic() - begin < FIVE_SECONDS
    assert answer.status_code == 503
    assert "took too long" in answer.text
    assert browser.get(f"{CONSOLE}/people").status_code == 200
