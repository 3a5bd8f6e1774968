"""Triggers wake at once when a delivery comes."""

from __future__ import annotations

import asyncio
import json
from pkgutil import resolve_name
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from lever_imocha.domain.acts import Act
from lever_imocha.errors import NotPermittedError
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import CANDIDATE_WORK, NewDelivery, Work
from lever_imocha.triggers.deliveries import DeliveryTrigger
from lever_imocha.triggers.ended_attempts import EndedAttemptsTrigger
from lever_imocha.triggers.listener import NotificationListener

from include.sandbox.world import Fault, World
from tests.ledger.test_repository import invited


@pytest.fixture(autouse=True)
def _ledger_in_environment(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)


def told(vendor: str = "lever") -> NewDelivery:
    if vendor == "imocha":
        return NewDelivery(vendor=vendor, key="t", event="complete", invitation_id=7)
    return NewDelivery(vendor=vendor, key="t", event="candidateStageChange", opportunity_id="op")


async def _first(trigger: BaseTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError


def _somebody_listens(url: str) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND query ~ '^LISTEN'"
    with engine_for(url).connect() as connection:
        return connection.exec_driver_sql(query).first() is not None


@pytest.mark.parametrize("vendor", ["lever", "imocha"])
def test_a_delivery_fires_at_once_although_the_poll_is_slow(ledger: Ledger, ledger_url: str, vendor: str) -> None:
    invited(ledger)

    async def story() -> dict[str, Any]:
        fired = asyncio.create_task(_first(DeliveryTrigger(vendor=vendor, poll_interval=600)))
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(_somebody_listens, ledger_url):
                pass
        await asyncio.to_thread(ledger.deliveries.record, told(vendor))
        return await asyncio.wait_for(fired, 20)

    assert asyncio.run(story()) == {"vendor": vendor, "opportunity_ids": ["op"]}


def test_what_a_person_has_asked_for_fires_too(ledger: Ledger) -> None:
    for act, vendor in ((Act.LOOK_AGAIN, "lever"), (Act.WRITE_AGAIN, "imocha")):
        ledger.requests.add(act, {"op": "held"}, reason="because", actor="ann")
        assert asyncio.run(_first(DeliveryTrigger(vendor=vendor)))["opportunity_ids"] == ["op"]


def test_it_fires_again_while_work_is_left_and_not_after(ledger: Ledger) -> None:
    ledger.deliveries.record(told())

    async def story() -> int:
        events = 0
        trigger = DeliveryTrigger(vendor="lever", poll_interval=0.1, repeat_interval=0.05)
        async with asyncio.timeout(20):
            async for _ in trigger.run():
                events += 1
                if events == 3:
                    ledger.queue.finish(ledger.queue.claim("op", [Work.INVITE], worker="w")[Work.INVITE])
                    await asyncio.to_thread(ledger.deliveries.record, told("imocha"))
                    return events
        return events

    assert asyncio.run(story()) == 3
    assert ledger.queue.due(CANDIDATE_WORK) == []


def test_a_trigger_survives_a_ledger_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", "postgresql://u@127.0.0.1:1/x")

    async def story() -> None:
        async with NotificationListener("lever") as listener:
            await listener.wait(0.01)
            await listener.wait(0.01)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("fault", "payload"),
    [
        (
            {"status": 403, "message": "Ann may not"},
            {
                "error": "iMocha answered 403 to list_attempts (the vendor's words are in the task's log)."
                f" {NotPermittedError.advice}"
            },
        ),
        ({"status": 429, "retry_after": 60}, {"due": []}),
    ],
    ids=["a person is needed", "it passes"],
)
def test_waiting_ends_only_with_an_error_that_a_person_has_to_mend(
    ledger: Ledger,
    sandbox_world: World,
    sandbox_url: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    payload: dict[str, Any],
) -> None:
    for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
        connection = {"conn_type": vendor, "host": f"{sandbox_url}/{path}", "password": f"{vendor}-key"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))
    sandbox_world.faults.append(Fault(vendor="imocha", path_contains="testattempts", times=9, **fault))
    trigger = EndedAttemptsTrigger(
        lever_conn_id="lever_default", imocha_conn_id="imocha_default", poll_interval=0.1, wait=0.3
    )
    assert asyncio.run(_first(trigger)) == payload
    assert any(call["path"].endswith("testattempts") for call in sandbox_world.calls)


@pytest.mark.parametrize(
    "trigger",
    [
        DeliveryTrigger(vendor="lever"),
        EndedAttemptsTrigger(lever_conn_id="l", imocha_conn_id="i", poll_interval=1, wait=2),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_the_triggerer_makes_a_trigger_anew_from_its_path_and_arguments(
    trigger: DeliveryTrigger | EndedAttemptsTrigger,
) -> None:
    path, given = trigger.serialize()
    made = resolve_name(path)(**given)
    assert type(made) is type(trigger)
    assert made.serialize() == (path, given)
