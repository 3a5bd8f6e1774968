"""What a page costs: statements, whatever the number of people and of requests.

What is of one subject is one statement (`as_one` in ledger/overview/shared.py), which gives it as it stood at one moment: all of
*Traffic*, a list of people, a timeline, evidence with its chains. A page that names tests or stages has one more, for the
names. It is not one for each page: *Attention* and *Health* put together what several parts of the ledger keep for others,
too, and each of these statements reads few rows by an index. One for all would be a second copy of their queries.
"""

from __future__ import annotations

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from lever_imocha.console.app import create_app
from lever_imocha.console.rights import Viewer
from lever_imocha.domain.acts import Act
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.overview.people import PeopleFilter
from lever_imocha.settings import parse_settings

from benchmarks.ledger_million import recorded
from tests.support import PYTHON, SQL
from tests.workflows.conftest import SETTINGS, Stack

PAGES = {
    "/": 6, "/?kind=held&why=no+e-mail+address": 3, "/people": 2, "/people?q=ann": 2, "/people/{}": 3,
    "/people/{}/evidence": 3, "/people/{}/evidence.json": 2, "/run?dag_id=lever_imocha_invite&run_id=1": 2, "/flow": 2,
    "/flow.csv": 2, "/traffic": 1, "/health": 3, "/requests/1": 1,
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_a_few_statements(stack: Stack, ledger_url: str, page: str) -> None:
    stack.settings = parse_settings(f"{SETTINGS}limits: {{per_hour: 2}}")
    opportunity = stack.candidate(PYTHON, SQL)
    for _ in range(3):
        stack.candidate(PYTHON, emails=[])
        stack.candidate(PYTHON)
    stack.run_invite()
    shown = {person.opportunity_id: "" for person in stack.ledger.people.listed(PeopleFilter())}
    for act in (Act.LOOK_AGAIN, Act.SEND_AGAIN, Act.RELEASE):
        stack.ledger.requests.add_bulk(act, shown, about="all", reason="because", actor="ann")

    async def viewer(_request: Request) -> Viewer:
        return Viewer(name="ann", may_act=True, may_see_names=True)

    client = TestClient(create_app(open_ledger=lambda **_: stack.ledger, viewer=viewer))
    with recorded(engine_for(ledger_url)) as statements:
        assert client.get(page.format(opportunity)).status_code == 200
    assert len(statements) == PAGES[page]  # of Attention, two are about the activation, while some of it wait
