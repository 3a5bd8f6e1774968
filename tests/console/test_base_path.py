"""The console where a proxy serves Airflow below a path: every address on every page is below it, too."""

from __future__ import annotations

import re

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from lever_imocha.console.app import create_app
from lever_imocha.console.rights import Viewer
from lever_imocha.ledger.base import Author
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support import PYTHON
from tests.workflows.conftest import Stack

BASE = "/airflow/lever-imocha/console"
PAGES = ["/", "/people", "/people?q=nobody", "/people/{}", "/people/{}/evidence", "/run?dag_id=lever_imocha_invite&run_id=1",
         "/flow", "/traffic", "/health", "/none"]  # fmt: skip


@pytest.mark.parametrize("page", [PAGES[0], *(pytest.param(page, marks=pytest.mark.slow) for page in PAGES[1:])])
def test_every_address_is_below_the_base_path(stack: Stack, ledger_url: str, page: str) -> None:
    stack.ledger = Ledger(engine=engine_for(ledger_url), author=Author(run="lever_imocha_invite/1", task="act/0"))
    opportunity = stack.candidate(PYTHON, emails=[])
    stack.run_invite()

    async def viewer(_request: Request) -> Viewer:
        return Viewer(name="ann", may_act=True, may_see_names=True)

    app = Starlette(routes=[Mount(BASE, create_app(open_ledger=lambda **_: stack.ledger, viewer=viewer))])
    answer = TestClient(app).get(BASE + page.format(opportunity), headers={"Accept": "text/html"})
    assert answer.status_code == (404 if page == "/none" else 200)
    found = re.findall(r'(?:href|src|action|hx-get|hx-post)="([^"#]*)"', answer.text)
    inside = [address for address in found if not address.startswith("https://hire.")]
    assert len(inside) > 5
    assert [address for address in inside if not address.startswith((f"{BASE}/", "/airflow/dags/"))] == []
    assert any(address.startswith("/airflow/dags/lever_imocha_invite/runs/1") for address in inside) == ("{}" in page)
    current = re.findall(rf'href="{BASE}(/\w*)" aria-current', answer.text)
    assert current == ([] if page.startswith(("/run", "/none")) else [f"/{page[1:].split('/')[0].split('?')[0]}"])
