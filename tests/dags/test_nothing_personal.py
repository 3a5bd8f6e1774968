"""Nothing personal leaves the two vendors: the whole story, and then a search through all that was logged, kept and told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import metadata
from sqlalchemy import select, text

from include.sandbox.world import Fault, World
from tests.airflow_versions import callbacks_know_the_error
from tests.conftest import HOME
from tests.support import PYTHON, SQL, KeyPair

POINTS, TOTAL = 34567.17, 50432.29
PERSONAL = (
    "Zebulon", "Quixworth", "canary.example", "34567.17", "50432.29", "pdfreport", "IMInstructions",
    "lever-key", "imocha-key",
)  # fmt: skip
"""Parts of names, addresses, scores, links and keys, which nothing else has in it."""
SETTINGS = """
perform_as: people-ops@canary.example
activation: {existing: invite}
explain: {notes: true, status_tags: true}
write_back: {note: true}
mask_deleted: true
poll: {attempts: 0.1, wait: 1}
limits: {per_hour: 5}
"""


def everywhere(world: World, ledger_url: str, told: Path, logged: str) -> dict[str, list[str]]:
    """Where something personal is found: a part of it -> the places."""
    with engine_for(ledger_url).connect() as connection:
        texts = {
            f"ledger: {table.name}.{column.name}": str(list(connection.execute(select(column)).scalars()))
            for table in metadata.sorted_tables
            for column in table.columns
        }
    texts |= {"logs": logged, "alerts": told.read_text() if told.exists() else ""}
    with sqlite3.connect(f"{HOME}/airflow.db") as airflow:
        texts["Airflow's database"] = "\n".join(airflow.iterdump())
    return {
        part: places
        for part in PERSONAL
        if (places := [place for place, words in texts.items() if part.lower() in words.lower()])
    }


@callbacks_know_the_error
@pytest.mark.slow
def test_names_addresses_scores_and_links_are_found_nowhere(
    dags: Any,
    world: World,
    ledger_url: str,
    settings: Callable[[str], None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = tmp_path / "told"
    alerts = {
        "notifier": "tests.notifications.recorder.Recorder",
        "arguments": {"path": str(told), "text": "{{ alert }}"},
    }
    settings(f"{SETTINGS}alerts: {json.dumps(alerts)}\n")
    world.switches["rate_limit"] = False
    world.users[0]["email"] = "people-ops@canary.example"

    def run(name: str, state: str, **conf: Any) -> None:
        assert str(dags.dags[f"lever_imocha_{name}"].test(run_conf=conf).state.value) == state, name

    def candidate(word: str, *tags: str, emails: bool = True) -> str:
        address = f"zebulon.{word}@canary.example"
        return str(
            world.add_opportunity(
                stage="Assessment",
                tags=list(tags),
                emails=[address] if emails else [],
                name=f"Zebulon Quixworth {word}",
            )["id"]
        )

    written, deleted = candidate("written", SQL), candidate("deleted", SQL)
    candidate("held", PYTHON, emails=False)
    refused = candidate("refused", PYTHON)
    said = "Zebulon Quixworth <zebulon.refused@canary.example> is refused, see https://x.example/pdfreport/1.pdf"
    value = "'34567.17 / 50432.29' is no number, nor is https://x.example/pdfreport/1.pdf"
    world.faults.append(Fault(vendor="imocha", method="POST", path_contains="/101/invite", status=400, message=said))
    run("invite", "failed")
    assert len(world.mails) == 2
    links, keys = Ledger(engine=engine_for(ledger_url)).sealed_links, KeyPair(3072)
    asked = links.ask(written, [102], public_key=keys.public, shown="", reason="no e-mail came", actor="eve")
    assert asked is not None
    run("invite", "success", sweep=False)
    assert len(world.mails) == 3
    sealed = links.take(asked, 102, opportunity_id=written, actor="eve")
    assert keys.open(str(sealed)) in [invitation.url for invitation in world.invitations.values()]
    links.ask(written, [102], public_key=keys.public, shown="", reason="it was not seen", actor="eve")
    run("invite", "success", sweep=False)
    for invitation in world.invitations.values():
        world.finish(invitation, points=POINTS, total=TOTAL)
    world.faults.append(
        Fault(vendor="lever", method="POST", path_contains="/forms", status=400, message=value, times=2)
    )
    run("write_back", "failed")
    world.delete(deleted)
    run("invite", "success", full=True)
    Ledger(engine=engine_for(ledger_url)).queue.release_waiting()
    with engine_for(ledger_url).begin() as connection:
        connection.execute(text("UPDATE lever_imocha.work_items SET not_before = NULL WHERE kind <> 'mask'"))
    run("write_back", "success")
    assert world.forms[written]
    assert "Zebulon Quixworth refused" in str(world.opportunities[refused])
    world.lacking_permissions.add("Find all tags")
    run("doctor", "failed", try_writes_on=written)
    run("sync_tags", "failed", opportunity=written)
    world.lever_key = "another"
    run("invite", "failed")
    world.lever_key = "lever-key"
    run("invite", "success")
    run("retention", "success")
    captured = "".join(capfd.readouterr()) + caplog.text
    for known in (written, deleted, refused):
        assert known in captured
    for trouble in ("answered 400 to invite", "going to be masked", "the API key lacks", "well again"):
        assert trouble in told.read_text()
    found = everywhere(world, ledger_url, told, captured)
    names = found.pop("Zebulon", []) + found.pop("Quixworth", [])
    assert set(names) == {"ledger: opportunities.name"}
    assert found == {}
