"""One sandbox and one ledger for all schedules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev import postgres
from tests.model.harness import Harness, open_harness


@pytest.fixture(scope="session")
def harness(postgres_url: str, ledger_template: str) -> Iterator[Harness]:
    url = postgres.create_database(postgres_url, "ledger_model", template=ledger_template)
    with open_harness(url) as harness:
        yield harness
