"""Airflow's page of connections in a real browser: the form, and what its Test button says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect

from include.sandbox.server import serve
from include.sandbox.world import World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("airflow")]
PATHS = {"lever": "lever/v1", "imocha": "imocha/v3"}
NAMES = {"lever": "Lever", "imocha": "iMocha"}
SECRETS = {"lever": "webhook_tokens", "imocha": "callback_secret"}
HOSTS = {"lever": "https://api.lever.co/v1", "imocha": "https://apiv3.imocha.io/v3"}


@pytest.fixture(scope="module")
def page(api: TestClient, chromium: Browser) -> Iterator[Page]:
    """The page of connections, as an administrator sees it."""
    token = api.headers["Authorization"].removeprefix("Bearer ")
    with serve(api.app) as url:
        context = chromium.new_context(viewport={"width": 1400, "height": 1100})
        context.add_cookies([{"name": "_token", "value": token, "url": url}])
        tab = context.new_page()
        tab.goto(f"{url}/connections")
        yield tab
        context.close()


def press_test(page: Page, conn_id: str) -> str:
    """Press the button in a connection's row; return what the page then says."""
    page.reload()
    page.get_by_role("row").filter(has_text=conn_id).get_by_role("button", name="Test Connection").click()
    said = page.get_by_role("status").filter(has_text="Test Connection")
    expect(said).to_be_visible(timeout=30_000)
    return said.inner_text()


@pytest.mark.parametrize("vendor", PATHS)
def test_a_connection_is_made_in_the_form_and_tested(
    page: Page, api: TestClient, world: World, sandbox_url: str, vendor: str
) -> None:
    conn_id = f"{vendor}_by_form"
    api.delete(f"/api/v2/connections/{conn_id}")
    page.get_by_role("button", name="Add Connection").click()
    page.locator("input[name=connection_id]").fill(conn_id)
    kind = page.get_by_role("combobox").last
    kind.fill(NAMES[vendor])
    kind.press("Enter")
    expect(page.locator("input[name=host]")).to_have_attribute("placeholder", HOSTS[vendor])
    page.locator("input[name=host]").fill(f"{sandbox_url}/{PATHS[vendor]}")
    page.locator("input[name=port]").fill("443")
    page.locator("input[name=password]").fill(f"{vendor}-key")
    page.get_by_role("button", name="Extra Fields", exact=True).click()
    page.locator(f"#element_{SECRETS[vendor]}").fill("a-secret-of-some-length")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text=conn_id)).to_be_visible()
    kept = api.get(f"/api/v2/connections/{conn_id}").json()
    assert (kept["conn_type"], kept["port"]) == (vendor, 443)
    assert SECRETS[vendor] in kept["extra"]
    assert "a-secret" not in kept["extra"]
    assert f"{NAMES[vendor]} accepts the API key." in press_test(page, conn_id)


@pytest.mark.parametrize("vendor", PATHS)
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"password": "wrong"}, "Check the API key in the Airflow connection's password."),
        ({"host": "{url}"}, "answered 404"),
        ({"host": "http://127.0.0.1:9"}, "gave no answer"),
    ],
    ids=["key", "path", "silent host"],
)
def test_the_button_says_what_is_wrong(
    page: Page, api: TestClient, world: World, sandbox_url: str, vendor: str, wrong: dict[str, str], sentence: str
) -> None:
    conn_id = f"{vendor}_wrong"
    given = {"host": f"{sandbox_url}/{PATHS[vendor]}", "password": f"{vendor}-key"} | wrong
    given["host"] = given["host"].format(url=f"{sandbox_url}/{vendor}")
    api.delete(f"/api/v2/connections/{conn_id}")
    made = api.post("/api/v2/connections", json={"connection_id": conn_id, "conn_type": vendor, "port": 443} | given)
    assert made.status_code == 201
    said = press_test(page, conn_id)
    assert "Test Connection Failed" in said
    assert sentence in said
    if "host" in wrong:
        assert f"Check the connection's host; it is usually {HOSTS[vendor]}." in said
