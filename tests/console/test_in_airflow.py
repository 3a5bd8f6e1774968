"""The console as a part of Airflow: what each version of Airflow does with the plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from tests.console.conftest import CONSOLE, LogIn

pytestmark = pytest.mark.xdist_group("airflow")

SERVER = "http://airflow.example"
VIEWS = [("nav", "Tests"), ("dag_run", "Candidates"), ("task_instance", "Candidates")]
BELOW = f"""
import json
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient

browser = TestClient(create_app(), base_url="{SERVER}", follow_redirects=False)
user = SimpleAuthManagerUser(username="eve", role="ADMIN")
token = get_auth_manager().generate_jwt(user)
plugins = browser.get("/airflow/api/v2/plugins", headers={{"Authorization": f"Bearer {{token}}"}}).json()["plugins"]
print(json.dumps({{
    "links": [view["href"] for plugin in plugins for view in plugin["external_views"]],
    "to": browser.get("/airflow{CONSOLE}").headers["location"],
    "closed": browser.get("/airflow{CONSOLE}/").status_code,
}}))
"""


def test_the_plugin_is_loaded_and_its_pages_are_where_airflow_shows_them(login: LogIn) -> None:
    browser = login("eve")
    assert browser.get("/api/v2/plugins/importErrors").json()["import_errors"] == []
    (ours,) = (one for one in browser.get("/api/v2/plugins").json()["plugins"] if one["name"] == "lever_imocha")
    assert [(view["destination"], view["name"]) for view in ours["external_views"]] == VIEWS
    assert browser.get(ours["external_views"][0]["href"]).status_code == 200


def test_without_the_slash_at_its_end_the_address_leads_to_the_console(login: LogIn, api_server: TestClient) -> None:
    answer = api_server.get(CONSOLE)
    assert answer.status_code == 307
    there = urljoin(f"{SERVER}{CONSOLE}", answer.headers["Location"])
    assert there == f"{SERVER}{CONSOLE}/"
    assert api_server.get(there).status_code == 401
    assert login("ann").get(there).status_code == 200


@pytest.mark.slow
@pytest.mark.each_airflow
@pytest.mark.usefixtures("api_server")  # which has made Airflow's database
def test_below_a_base_path_airflow_finds_every_page_of_it() -> None:
    """In a process of its own: Airflow reads its base path when it is imported."""
    environment = os.environ | {"AIRFLOW__API__BASE_URL": f"{SERVER}/airflow", "PYTHONPATH": f"plugins{os.pathsep}."}
    done = subprocess.run(
        [sys.executable, "-c", BELOW], env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=120
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["links"]) == len(VIEWS)
    assert all(link.startswith(f"/airflow{CONSOLE}/") for link in found["links"])
    assert urljoin(f"{SERVER}/airflow{CONSOLE}", found["to"]) == f"{SERVER}/airflow{CONSOLE}/"
    assert found["closed"] == 401
