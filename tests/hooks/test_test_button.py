"""The Test button, as Airflow's page sends it: every field of the form, the key masked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.xdist_group("airflow")
MASKED = "***"


def form(vendor: str, url: str, port: int, password: str, **extra: str) -> dict[str, Any]:
    path = {"lever": "lever/v1", "imocha": "imocha/v3"}[vendor]
    return {
        "connection_id": f"{vendor}_button", "conn_type": vendor, "description": "", "host": f"{url}/{path}",
        "login": "", "schema": "", "port": port, "password": password, "extra": "{}",
    } | extra  # fmt: skip


@pytest.mark.parametrize("vendor", ["lever", "imocha"])
def test_a_stored_key_is_tested_with_the_port_that_the_form_shows(
    api: TestClient, sandbox_url: str, vendor: str
) -> None:
    stored = form(vendor, sandbox_url, 443, f"{vendor}-key")
    api.delete(f"/api/v2/connections/{stored['connection_id']}")
    assert api.post("/api/v2/connections", json=stored).status_code == 201
    answer = api.post("/api/v2/connections/test", json=form(vendor, sandbox_url, 443, MASKED))
    assert (answer.status_code, answer.json()["status"]) == (200, True)
    assert "accepts the API key" in answer.json()["message"]
    answer = api.post("/api/v2/connections/test", json=form(vendor, sandbox_url, 443, "wrong"))
    assert (answer.status_code, answer.json()["status"]) == (200, False)
    assert "Check the API key" in answer.json()["message"]


@pytest.mark.parametrize("vendor", ["lever", "imocha"])
def test_a_new_key_is_tested_without_a_port(api: TestClient, sandbox_url: str, vendor: str) -> None:
    api.delete(f"/api/v2/connections/{vendor}_button")
    answer = api.post("/api/v2/connections/test", json=form(vendor, sandbox_url, 0, f"{vendor}-key"))
    assert (answer.status_code, answer.json()["status"]) == (200, True)


@pytest.mark.parametrize("vendor", ["lever", "imocha"])
def test_what_is_wrong_in_the_form_is_said_without_the_name_that_airflow_makes_up(
    api: TestClient, sandbox_url: str, vendor: str
) -> None:
    answer = api.post("/api/v2/connections/test", json=form(vendor, sandbox_url, 443, "")).json()
    assert answer == {"status": False, "message": "password is empty; put the API key into its field API key"}


def test_airflows_list_of_providers_shows_this_one(api: TestClient) -> None:
    providers = api.get("/api/v2/providers?limit=200").json()["providers"]
    (ours,) = [one for one in providers if one["package_name"] == "lever-imocha"]
    assert "iMocha" in ours["description"]
    assert "docs" in ours["description"]


FORMS = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

print(json.dumps({one.connection_type: one.model_dump(mode="json") for one in HookMetaService.hook_meta_data()}))
"""


@pytest.fixture(scope="module")
def forms() -> Any:
    """Read in a process of its own: Airflow 3.1 knows no forms once its list of hooks was asked for something else."""
    found = subprocess.run([sys.executable, "-c", FORMS], capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize(("vendor", "secret"), [("lever", "Webhook signature tokens"), ("imocha", "Callback secret")])
def test_the_form_shows_the_port_and_says_why_and_has_the_extras(forms: Any, vendor: str, secret: str) -> None:
    form = forms[vendor]
    port = form["standard_fields"]["port"]
    assert not port["hidden"]
    assert "443" in port["title"]
    shown = {field["schema"]["title"]: field["schema"] for field in form["extra_fields"].values()}
    assert set(shown) == {secret, "Time-out (seconds)", "CA bundle"}
    assert shown[secret]["format"] == "password"
