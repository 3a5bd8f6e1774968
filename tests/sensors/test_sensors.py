"""What the sensors find on the sandbox: at once, on a worker, and in the triggerer."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from lever_imocha.errors import (
    CredentialsError,
    LedgerError,
    LeverImochaError,
    RateLimitedError,
    SettingsError,
    VendorDownError,
    WaitFailedError,
)
from lever_imocha.operators.imocha import ImochaInviteOperator
from lever_imocha.sensors.base import PollSensor
from lever_imocha.sensors.imocha import ImochaAttemptSensor
from lever_imocha.sensors.lever import LeverStageSensor
from lever_imocha.triggers.imocha import ImochaAttemptTrigger
from lever_imocha.triggers.lever import LeverStageTrigger
from lever_imocha.triggers.polling import PollTrigger

from include.sandbox.world import Fault, World

NOTHING: Any = {}


def deferred(sensor: PollSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(NOTHING)
    return caught.value


def rebuilt(trigger: Any) -> PollTrigger:
    """Make the trigger anew, as the triggerer does."""
    path, parameters = trigger.serialize()
    made: PollTrigger = resolve_name(path)(**parameters)
    assert made.serialize() == (path, parameters)
    return made


async def fired(trigger: PollTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("it ended without an event")


def stage_sensor(**given: Any) -> LeverStageSensor:
    parameters: Any = {"task_id": "arrived", "stage": "Offer", "poke_interval": 0.05} | given
    return LeverStageSensor(**parameters)


def attempt_sensor(ids: Any, **given: Any) -> ImochaAttemptSensor:
    return ImochaAttemptSensor(**{"task_id": "ended", "invitation_ids": ids, "poke_interval": 0.05} | given)


def invite(world: World, email: str = "ann@example.com") -> int:
    return ImochaInviteOperator(task_id="i", test_id=101, email=email, name="Ann").execute(NOTHING)


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("stage", ["Offer", "offer"])
def test_who_is_in_the_stage_is_found_at_once(world: World, deferrable: bool, stage: str) -> None:
    there = world.add_opportunity(stage="Offer")
    world.add_opportunity(stage="Assessment")
    world.archive(world.add_opportunity(stage="Offer")["id"], "Withdrew")
    assert stage_sensor(stage=stage, deferrable=deferrable).execute(NOTHING) == [there["id"]]


def test_only_those_of_a_posting_and_since_a_time(world: World) -> None:
    long_there = world.add_opportunity(stage="Offer")
    since = datetime.now(UTC) + timedelta(seconds=30)
    world.shift = timedelta(minutes=1)
    posting = world.postings[0]
    came = world.add_opportunity(stage="Offer", applications=[{"id": "a1", "posting": posting["id"]}])
    other = world.add_opportunity(stage="Offer")
    found = stage_sensor().execute(NOTHING)
    assert sorted(found) == sorted([long_there["id"], came["id"], other["id"]])
    assert sorted(stage_sensor(since=since.isoformat()).execute(NOTHING)) == sorted([came["id"], other["id"]])
    assert stage_sensor(since=since, posting=posting["text"]).execute(NOTHING) == [came["id"]]
    assert stage_sensor(since="None", posting=posting["id"]).execute(NOTHING) == [came["id"]]


@pytest.mark.parametrize("wrong", [{"stage": "Ofer"}, {"posting": "Ofer"}, {"since": "noon"}, {"since": "2026-01-01"}])
def test_a_wrong_parameter_is_named_at_once(world: World, wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        stage_sensor(deferrable=True, **wrong).execute(NOTHING)


def test_waiting_in_the_triggerer_ends_when_somebody_comes(world: World) -> None:
    sensor = stage_sensor(deferrable=True, timeout=60)
    waits = deferred(sensor)
    assert (waits.method_name, waits.timeout) == ("execute_complete", timedelta(seconds=60))
    trigger = rebuilt(waits.trigger)
    candidate = world.add_opportunity(stage="Assessment")

    async def story() -> dict[str, Any]:
        waiting = asyncio.create_task(fired(trigger))
        await asyncio.to_thread(world.move, candidate["id"], "Offer")
        return await waiting

    event = asyncio.run(story())
    assert sensor.execute_complete(NOTHING, event) == [candidate["id"]]


def test_waiting_on_a_worker_ends_with_airflows_own_timeout(world: World) -> None:
    with pytest.raises(AirflowSensorTimeout):
        stage_sensor(timeout=0).execute(NOTHING)


TIME_IS_OUT = {"error": "Trigger timeout"}


def resumed(sensor: PollSensor, event: dict[str, Any] | None) -> Any:
    """Resume the task as Airflow does: with the trigger's event, or None when the time is out."""
    if event is None:
        return sensor.resume_execution("__fail__", TIME_IS_OUT, NOTHING)
    return sensor.resume_execution("execute_complete", {"event": event}, NOTHING)


def test_soft_fail_skips_when_the_time_is_out_in_every_mode(world: World) -> None:
    for deferrable in (True, False):
        sensor = stage_sensor(deferrable=deferrable, timeout=0, soft_fail=True)
        with pytest.raises(AirflowSkipException):
            resumed(sensor, None) if deferrable else sensor.execute(NOTHING)
    with pytest.raises(AirflowSensorTimeout):
        resumed(stage_sensor(deferrable=True), None)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wrong_key_is_skipped_with_never_fail_only(world: World, deferrable: bool) -> None:
    world.lever_key = "another"
    with pytest.raises(CredentialsError):
        stage_sensor(deferrable=deferrable, soft_fail=True).execute(NOTHING)
    with pytest.raises(AirflowSkipException):
        stage_sensor(deferrable=deferrable, never_fail=True).execute(NOTHING)


def test_what_a_person_must_mend_while_it_waits_is_skipped_with_never_fail_only() -> None:
    event = {"error": "Check the API key."}
    with pytest.raises(WaitFailedError):
        resumed(stage_sensor(deferrable=True, soft_fail=True), event)
    with pytest.raises(AirflowSkipException):
        resumed(stage_sensor(deferrable=True, never_fail=True), event)


class OutageTrigger(PollTrigger):
    """Meets an outage, then finds something."""

    poll_interval = 0.01
    parameters: dict[str, Any] = {}  # noqa: RUF012 - a property elsewhere

    def __init__(self, *errors: LeverImochaError) -> None:
        super().__init__()
        self.errors = list(errors)

    def look(self) -> list[str]:
        if self.errors:
            raise self.errors.pop(0)
        return ["found"]


def test_what_passes_by_itself_is_waited_out() -> None:
    outages = [
        VendorDownError(vendor="Lever", call="list_stages", status=503),
        RateLimitedError(vendor="Lever", call="list_stages", status=429, retry_after=0.01),
        LedgerError("The ledger does not answer.", temporary=True),
    ]
    assert asyncio.run(fired(OutageTrigger(*outages))) == {"found": ["found"]}


def asked_to_wait(world: World, seconds: float) -> None:
    """Let Lever ask once for a longer wait than a client waits by itself: it gives up at once."""
    world.faults.append(Fault(vendor="lever", path_contains="/opportunities", status=429, retry_after=seconds))


def test_an_outage_does_not_end_the_wait_in_the_triggerer(world: World) -> None:
    there = world.add_opportunity(stage="Offer")
    asked_to_wait(world, 40)
    assert rebuilt(deferred(stage_sensor(deferrable=True)).trigger).look() == [there["id"]]
    assert world.faults == []


def test_the_triggerer_does_not_look_before_the_vendor_wants_it(world: World) -> None:
    world.add_opportunity(stage="Offer")
    asked_to_wait(world, 3600)
    trigger = rebuilt(deferred(stage_sensor(deferrable=True)).trigger)
    looks = len(world.calls)

    async def story() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fired(trigger), 0.5)

    asyncio.run(story())
    assert len(world.calls) == looks


@pytest.mark.parametrize(("asked", "timeout", "waited"), [(600, 7200, 600), (3600, 7200, 3600), (3600, 300, 300)])
def test_a_worker_does_not_look_again_before_the_vendor_wants_it_and_the_time_is_out(
    world: World, asked: float, timeout: float, waited: float
) -> None:
    there = world.add_opportunity(stage="Offer")
    asked_to_wait(world, asked)
    sensor = stage_sensor(deferrable=False, mode="reschedule", timeout=timeout)
    context: Any = {"ti": SimpleNamespace(get_first_reschedule_date=lambda context: None)}
    with pytest.raises(AirflowRescheduleException) as caught:
        sensor.execute(context)
    wait = (caught.value.reschedule_date - datetime.now(UTC)).total_seconds()
    assert waited - 60 < wait <= waited
    assert sensor.execute(context) == [there["id"]]
    assert sensor._get_next_poke_interval(0.0, lambda: 0.0, 1) == 0.05


def test_a_worker_waits_out_an_outage_while_it_looks_names_up(world: World) -> None:
    there = world.add_opportunity(stage="Offer")
    world.faults.append(Fault(vendor="lever", path_contains="/stages", status=429, retry_after=600))
    sensor = stage_sensor(deferrable=False, mode="reschedule", timeout=7200)
    context: Any = {"ti": SimpleNamespace(get_first_reschedule_date=lambda context: None)}
    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context)
    assert world.faults == []
    assert sensor.execute(context) == [there["id"]]


def test_what_a_person_must_mend_is_told_at_once(world: World) -> None:
    trigger = rebuilt(deferred(stage_sensor(deferrable=True)).trigger)
    world.add_opportunity(stage="Offer")
    world.lever_key = "another"
    event = asyncio.run(fired(trigger))
    assert "Check the API key" in event["error"]
    with pytest.raises(WaitFailedError, match="Check the API key"):
        stage_sensor().execute_complete(NOTHING, event)


def test_a_vendors_words_are_not_kept_in_airflows_database(world: World) -> None:
    trigger = rebuilt(deferred(stage_sensor(deferrable=True)).trigger)
    world.faults.append(
        Fault(vendor="lever", method="GET", path_contains="/opportunities", status=403, message="Ann may not")
    )
    event = asyncio.run(fired(trigger))
    assert "Lever answered 403 to list_opportunities" in event["error"]
    assert "Ann" not in event["error"]


@pytest.mark.parametrize("event", [None, {}, {"found": []}, {"status": "success"}])
def test_an_event_of_another_shape_is_no_success(event: Any) -> None:
    with pytest.raises(WaitFailedError):
        stage_sensor().execute_complete(NOTHING, event)


@pytest.mark.parametrize("state", ["Complete", "Test Left", "Terminated"])
@pytest.mark.parametrize("form", ["list", "text"])
def test_the_attempts_that_have_ended_are_found(world: World, state: str, form: str) -> None:
    ended, pending = invite(world), invite(world, "ben@example.com")
    world.finish(world.invitations[ended], state=state)
    ids = [ended, pending]
    assert attempt_sensor(str(ids) if form == "text" else ids).execute(NOTHING) == [ended]


def test_waiting_for_an_attempt_in_the_triggerer(world: World) -> None:
    invitation_id = invite(world)
    sensor = attempt_sensor([invitation_id], deferrable=True)
    trigger = rebuilt(deferred(sensor).trigger)
    assert isinstance(trigger, ImochaAttemptTrigger)
    assert trigger.look() == []
    world.finish(world.invitations[invitation_id])
    assert sensor.execute_complete(NOTHING, asyncio.run(fired(trigger))) == [invitation_id]


@pytest.mark.parametrize("state", ["Cancelled", "Expired", "In Progress"])
def test_an_attempt_that_nobody_finished_has_not_ended(world: World, state: str) -> None:
    invitation_id = invite(world)
    world.invitations[invitation_id].state = state
    deferred(attempt_sensor([invitation_id], deferrable=True))


def test_the_loop_of_the_triggerer_goes_on_while_a_vendor_lets_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop itself answers in Lever's name: it could not if it waited for the answer."""
    opportunity = world.add_opportunity(stage="Offer")
    body = json.dumps({"data": [opportunity], "hasNext": False}).encode()
    trigger = LeverStageTrigger(
        lever_conn_id="lever_default", stage_id=opportunity["stage"], posting_id=None, since=None, poll_interval=0.0
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async def story() -> dict[str, Any]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            connection = {"conn_type": "lever", "host": f"http://{host}:{port}", "password": "lever-key"}
            monkeypatch.setenv("AIRFLOW_CONN_LEVER_DEFAULT", json.dumps(connection))
            return await fired(trigger)

    assert asyncio.run(story()) == {"found": [opportunity["id"]]}
