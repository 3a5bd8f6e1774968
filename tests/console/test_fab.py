"""Rights under the FAB auth manager, which most installations use: with its own roles, and with a role made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lever_imocha.ledger.values import CANDIDATE_WORK

from tests.console.conftest import CONSOLE
from tests.support import PYTHON
from tests.workflows.conftest import Stack

pytestmark = [pytest.mark.slow, pytest.mark.each_airflow, pytest.mark.xdist_group("airflow")]

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
ASKED = {"act": "look_again", "reason": "the address is there now"}
DAG = "DAG:lever_imocha_invite"
ROLES = {
    "viewer": "Viewer",
    "user": "User",
    "op": "Op",
    "admin": "Admin",
    "public": "Public",
    "recruiter": [("can_read", DAG)],
    "coordinator": [("can_read", DAG), ("can_edit", DAG), ("can_create", "DAG Runs")],
    "elsewhere": [("can_read", "DAG:another")],
}


@pytest.fixture(scope="module")
def server() -> Iterator[TestClient]:
    from airflow.api_fastapi.app import create_app, init_auth_manager, purge_cached_app
    from airflow.utils.db import initdb

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "AIRFLOW__CORE__AUTH_MANAGER", "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
        )
        patch.setenv("AIRFLOW__FAB__UPDATE_FAB_PERMS", "True")
        initdb()
        purge_cached_app()
        with TestClient(create_app(), headers={"Accept": "application/json"}, follow_redirects=False) as client:
            yield client
        purge_cached_app()
    init_auth_manager()  # that of the other tests, whose server goes on


def _user(security: Any, name: str) -> Any:
    role = ROLES[name]
    if isinstance(role, str):
        made = security.find_role(role)
    else:
        made = security.add_role(name)
        for action, resource in role:
            security.add_permission_to_role(made, security.create_permission(action, resource))
    return security.find_user(name) or security.add_user(name, name, "x", f"{name}@example.com", made, password=name)


@pytest.fixture
def browser(server: TestClient, ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], TestClient]:
    from airflow.api_fastapi.app import get_auth_manager

    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)

    def log_in(name: str) -> TestClient:
        manager = get_auth_manager()
        with manager.flask_app.app_context():  # type: ignore[attr-defined]
            server.cookies.set("_token", manager.generate_jwt(_user(manager.security_manager, name)))  # type: ignore[attr-defined]
        return server

    server.cookies.clear()
    return log_in


@pytest.mark.parametrize(
    ("name", "reads", "acts", "sees_names"),
    [
        ("viewer", True, False, False),
        ("user", True, True, False),
        ("op", True, True, True),
        ("admin", True, True, True),
        ("recruiter", True, False, False),
        ("coordinator", True, True, False),
        ("public", False, False, False),
        ("elsewhere", False, False, False),
    ],
)
def test_what_each_of_fabs_roles_may_read_and_do(
    browser: Callable[[str], TestClient], stack: Stack, name: str, reads: bool, acts: bool, sees_names: bool
) -> None:
    opportunity = stack.candidate(PYTHON, name="Ada Lovelace", emails=[])
    stack.run_invite()
    tab = browser(name)
    for page in ("/", "/people", f"/people/{opportunity}", "/flow.csv", "/health", "/static/console.js", "/none"):
        answer = tab.get(CONSOLE + page)
        assert answer.status_code == ((404 if page == "/none" else 200) if reads else 403)
        assert "Lovelace" not in answer.text or sees_names
    assert tab.get(f"{CONSOLE}/people?q=lovelace").status_code == ((200 if sees_names else 403) if reads else 403)
    posted = tab.post(f"{CONSOLE}/people/{opportunity}/requests", data=ASKED, headers=OWN_PAGE)
    assert posted.status_code == (202 if acts else 403)
    assert bool(stack.ledger.queue.starting_runs(CANDIDATE_WORK)) is acts


def test_nobody_and_a_session_that_has_ended(browser: Callable[[str], TestClient], server: TestClient) -> None:
    assert server.get(f"{CONSOLE}/people").status_code == 401
    assert server.get(f"{CONSOLE}/static/console.js").status_code == 401
    tab = browser("op")
    tab.cookies.set("_token", "x.y.z")
    assert tab.get(f"{CONSOLE}/people").status_code == 401
