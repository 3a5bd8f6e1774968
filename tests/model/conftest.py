"""One sandbox and one ledger for all schedules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev import postgres
from tests.model.scene import Scene, open_scene


@pytest.fixture(scope="session")
def scene(postgres_url: str, ledger_template: str) -> Iterator[Scene]:
    url = postgres.create_database(postgres_url, "ledger_model", template=ledger_template)
    with open_scene(url) as scene:
        yield scene
