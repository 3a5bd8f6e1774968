"""The console in Airflow's own API server, with users of every kind, a real ledger, and the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from lever_imocha.ledger.repository import Ledger

from include.sandbox.server import serve
from include.sandbox.world import World
from tests.workflows.conftest import Stack, make_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Frame, Page

LogIn = Callable[[str], TestClient]
OpenPage = Callable[..., "tuple[Page, Frame]"]
CONSOLE = "/lever-imocha/console"
ROLES = {"ann": "VIEWER", "bob": "USER", "eve": "OP", "eva": "OP", "stranger": None}
"""Ann reads; Bob also acts; Eve and Eva also see names; a stranger has an account and no rights."""


@pytest.fixture(scope="package")
def api_server() -> Iterator[TestClient]:
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.utils.db import initdb

    initdb()
    with TestClient(create_app(), headers={"Accept": "application/json"}, follow_redirects=False) as client:
        yield client
    purge_cached_app()


@pytest.fixture
def login(
    api_server: TestClient, ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], TestClient]:
    """Return a browser in which a user is logged in."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)

    def log_in(name: str) -> TestClient:
        user = SimpleAuthManagerUser(username=name, role=ROLES[name])
        api_server.cookies.set("_token", get_auth_manager().generate_jwt(user))
        return api_server

    api_server.cookies.clear()
    return log_in


@pytest.fixture
def stack(ledger: Ledger, sandbox_world: World, sandbox_url: str) -> Stack:
    return make_stack(ledger, sandbox_world, sandbox_url)


@pytest.fixture(scope="package")
def address(api_server: TestClient) -> Iterator[str]:
    """Airflow's API server on a real port."""
    with serve(api_server.app) as url:
        yield url


@pytest.fixture
def faults() -> list[str]:
    """What a browser has complained about; each test ends with none."""
    return []


@pytest.fixture
def open_page(chromium: Browser, address: str, login: LogIn, faults: list[str]) -> Iterator[OpenPage]:
    """Open a page of the console in Airflow's frame, as a user."""
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "lever-imocha" in message.location.get("url", ""):
            faults.append(message.text)

    def open_(user: str, page: str = "", **given: object) -> tuple[Page, Frame]:
        context = chromium.new_context(**given)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(60_000)  # Airflow's own page needs long where other tests run beside this one
        context.add_cookies([{"name": "_token", "value": login(user).cookies["_token"], "url": address}])
        tab = context.new_page()
        tab.on("console", note)
        tab.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        tab.goto(f"{address}/plugin/lever-imocha")
        element = tab.wait_for_selector("iframe")
        frame = element.content_frame() if element else None
        assert frame is not None
        frame.wait_for_selector("h1")
        if page:
            frame.goto(f"{address}{CONSOLE}/{page}")
        frame.wait_for_selector("h1")
        return tab, frame

    yield open_
    for context in contexts:
        context.close()
    assert faults == []
