"""The three laws of harm, through whole DAGs: what is wrong with one harms no other, and nothing is done on one witness."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery

from include.sandbox.app import create_app
from include.sandbox.server import serve
from include.sandbox.world import Fault, Invitation, World
from tests.support import PYTHON

pytestmark = pytest.mark.slow

INVITE, WRITE_BACK = "lever_imocha_invite", "lever_imocha_write_back"
SETTINGS = "perform_as: people-ops@example.com\nactivation: {existing: invite}\npoll: {attempts: 0.1, wait: 1}\n"
PARAMETERS = {"full": False, "dry_run": False, "allow_cancelling": False, "over_limit": "wait"}
"""`DAG.test` keeps those of the last run."""


def run(dags: Any, dag: str, **given: Any) -> str:
    return str(dags.dags[dag].test(run_conf=PARAMETERS | given if dag == INVITE else given).state.value)


def candidate(world: World, who: str, *, name: str = "Ann Example") -> dict[str, Any]:
    return world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=[f"{who}@example.com"], name=name)


def invitation_of(world: World, who: str) -> Invitation:
    (found,) = (one for one in world.invitations.values() if one.email == f"{who}@example.com")
    return found


def stage(world: World, opportunity: dict[str, Any]) -> str:
    return next(str(one["text"]) for one in world.stages if one["id"] == opportunity["stage"])


def fail(world: World, vendor: str, path: str, **given: Any) -> None:
    world.faults.append(Fault(vendor=vendor, path_contains=path, times=999, **given))


def test_reports_and_forms_that_fail_for_ever_stop_only_their_own(
    dags: Any, world: World, settings: Callable[[str], None]
) -> None:
    names = ("down", "odd", "refused", "good")
    people = {name: candidate(world, name) for name in names}
    assert run(dags, INVITE) == "success"
    for name in names:
        world.finish(invitation_of(world, name))
    fail(world, "imocha", f"/reports/{invitation_of(world, 'down').id}", method="GET", status=500)
    odd = {"status": "Complete", "candidatePoints": "many", "totalTestPoints": 50}
    fail(world, "imocha", f"/reports/{invitation_of(world, 'odd').id}", method="GET", status=200, body=odd)
    fail(world, "lever", f"/{people['refused']['id']}/forms", method="POST", status=403)
    assert run(dags, WRITE_BACK) == "failed", "for what failed newly"
    assert {name: stage(world, one) for name, one in people.items()} == {
        "down": "Assessment", "odd": "Assessment", "refused": "Assessment", "good": "Assessment Complete",
    }  # fmt: skip
    late = candidate(world, "late")
    assert run(dags, INVITE) == "success"
    world.finish(invitation_of(world, "late"))
    assert run(dags, WRITE_BACK) == "success"
    assert stage(world, late) == "Assessment Complete"


@pytest.mark.parametrize("by_webhook", [False, True])
def test_a_name_that_no_table_can_hold_harms_nobody(
    dags: Any, world: World, settings: Callable[[str], None], ledger: Ledger, by_webhook: bool
) -> None:
    assert run(dags, INVITE) == "success"
    people = [
        candidate(world, f"a{n}", name=name)
        for n, name in enumerate(("Ann\x00", "Ann\u202e", "x" * 100_000, "Ann Example"))
    ]
    if by_webhook:
        for n, one in enumerate(people):
            ledger.deliveries.record(
                NewDelivery(vendor="lever", key=str(n), event="candidateStageChange", opportunity_id=one["id"])
            )
    else:
        assert run(dags, INVITE, full=True) == "success"
    assert run(dags, INVITE) == "success"
    assert sorted(mail["to"] for mail in world.mails) == [f"a{n}@example.com" for n in range(4)]
    assert {one.name for one in world.invitations.values()} >= {"Ann", "Ann Example"}


def test_one_answer_not_found_cancels_nobody_and_the_report_is_written(
    dags: Any, world: World, settings: Callable[[str], None], ledger: Ledger
) -> None:
    settings(SETTINGS + "mask_deleted: true\n")
    pending, done = candidate(world, "pending"), candidate(world, "done")
    assert run(dags, INVITE) == "success"
    world.finish(invitation_of(world, "done"))
    fail(world, "lever", f"/{pending['id']}", method="GET", status=404)
    fail(world, "lever", f"/{done['id']}", status=404)
    ledger.deliveries.record(
        NewDelivery(vendor="lever", key="1", event="candidateArchiveChange", opportunity_id=pending["id"])
    )
    run(dags, INVITE)
    run(dags, WRITE_BACK)
    assert invitation_of(world, "pending").state == "Pending"
    world.faults.clear()
    ledger.queue.release_waiting([pending["id"], done["id"]])
    assert run(dags, INVITE) == "success"
    assert run(dags, WRITE_BACK) == "success"
    assert invitation_of(world, "pending").state == "Pending"
    assert stage(world, done) == "Assessment Complete"
    assert not [call for call in world.calls if "gdpr" in call["path"]]


def test_another_account_s_key_cancels_nobody_and_says_so(
    dags: Any, world: World, settings: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    settings(SETTINGS + "cancel_when: {stage_left: true}\n")
    for number in range(6):
        candidate(world, f"a{number}")
    assert run(dags, INVITE) == "success"
    other = World()
    other.switches["rate_limit"] = False
    with serve(create_app(other)) as url, monkeypatch.context() as patched:
        connection = {"conn_type": "lever", "host": f"{url}/lever/v1", "password": "lever-key"}
        patched.setenv("AIRFLOW_CONN_LEVER_DEFAULT", json.dumps(connection))
        assert run(dags, INVITE, full=True) == "failed"
        assert "put back the account's key" in "".join(capfd.readouterr())
    assert [one.state for one in world.invitations.values()] == ["Pending"] * 6
    assert run(dags, INVITE, full=True) == "success"
    assert [one.state for one in world.invitations.values()] == ["Pending"] * 6


def test_a_sweep_that_would_cancel_many_asks_first(dags: Any, world: World, settings: Callable[[str], None]) -> None:
    people = [candidate(world, f"a{number}") for number in range(8)]
    assert run(dags, INVITE) == "success"
    for one in people:
        world.archive(one["id"], "Withdrew")
    assert run(dags, INVITE) == "success"
    assert [one.state for one in world.invitations.values()] == ["Pending"] * 8
    assert run(dags, INVITE, allow_cancelling=True) == "success"
    assert [one.state for one in world.invitations.values()] == ["Cancelled"] * 8


def test_a_template_that_cannot_be_filled_is_left_as_it_is_and_nobody_is_invited(
    dags: Any, world: World, settings: Callable[[str], None], sandbox_url: str
) -> None:
    settings(SETTINGS + "write_back: {update_template: true}\n")
    field = {"type": "yes-no", "text": "Recommended?", "description": "", "required": True}
    requests.post(
        f"{sandbox_url}/lever/v1/form_templates",
        json={"text": "iMocha Assessment", "fields": [field]},
        auth=("lever-key", ""),
        timeout=10,
    ).raise_for_status()
    before = json.dumps(world.templates, default=str)
    candidate(world, "a")
    assert run(dags, INVITE) == "failed"
    assert (world.invitations, world.mails) == ({}, [])
    assert json.dumps(world.templates, default=str) == before


@pytest.mark.parametrize("status", [401, 500])
def test_a_future_window_and_lists_of_others_that_are_refused_hide_no_ended_attempt(
    dags: Any, world: World, settings: Callable[[str], None], status: int
) -> None:
    one = candidate(world, "a")
    assert run(dags, INVITE) == "success"
    world.finish(invitation_of(world, "a"))
    world.switches["future_sweep"] = status
    for word in ("cancelled", "expired"):
        fail(world, "imocha", f"state={word}", status=status, body={"result": None, "errors": ["state"]})
    assert run(dags, WRITE_BACK) == "success"
    assert stage(world, one) == "Assessment Complete"


@pytest.mark.parametrize(
    "text", ["retention: {people: P10000Y}", "poll: {overlap: .inf}", "alerts: {waiting: 1.0e+30}"]
)
def test_dags_are_read_whatever_stands_in_the_settings(
    dags: Any, world: World, settings: Callable[[str], None], text: str, tmp_path: Path
) -> None:
    from tests.airflow_versions import read_dags

    settings(f"perform_as: people-ops@example.com\n{text}\n")
    assert read_dags().import_errors == {}
    assert run(dags, INVITE) == "failed"
