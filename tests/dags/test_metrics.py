"""What StatsD receives from Airflow while the DAGs run."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from include.sandbox.world import Fault, World
from tests.airflow_versions import restart_stats
from tests.support import PYTHON


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, list[str]]]]:
    """Reads what came so far: name -> values as sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(listener.getsockname()[1]))
        restart_stats()

        def read() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            while True:
                try:
                    name, _, value = listener.recv(4096).decode().partition(":")
                except BlockingIOError:
                    return found
                if name.startswith("airflow.lever_imocha."):
                    found.setdefault(name.removeprefix("airflow.lever_imocha."), []).append(value)

        yield read
    monkeypatch.undo()
    restart_stats()


@pytest.mark.slow
def test_counts_and_times_from_the_move_to_the_report(
    dags: Any, world: World, settings: Callable[[str], None], received: Callable[[], dict[str, list[str]]]
) -> None:
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=["ann@example.com"])
    world.add_opportunity(stage="Assessment", tags=[PYTHON], emails=[])
    world.faults.append(Fault(vendor="imocha", status=429, retry_after=0))
    assert str(dags.dags["lever_imocha_invite"].test().state.value) == "success"
    (invitation,) = world.invitations.values()
    world.finish(invitation)
    assert str(dags.dags["lever_imocha_write_back"].test().state.value) == "success"
    got = received()
    once = {name: got.get(name) for name in ("invited", "held.no_email", "written_back", "rate_limited.imocha")}
    assert set(map(str, once.values())) == {"['1|c']"}
    assert "refreshed" not in got
    for name in ("move_to_invitation", "end_to_write_back"):
        (value,) = got[name]
        assert value.endswith("|ms")
        assert 0 <= float(value.removesuffix("|ms")) < 600_000
    for vendor in ("lever", "imocha"):
        assert len(got[f"calls.{vendor}"]) == len([call for call in world.calls if call["vendor"] == vendor])
