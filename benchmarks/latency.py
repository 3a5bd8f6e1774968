"""Measures the time from a move in Lever to the invitation, and from an attempt's end to the completed stage.

``python -m benchmarks.latency --single 10 --burst 100``: real Airflow on this machine against the sandbox, deliveries
and callbacks posted to the receivers as the vendors would.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from datetime import datetime
from typing import Any

import requests
from lever_imocha.domain.signatures import lever_signature
from lever_imocha.settings import RateLimits

from dev import postgres, services
from dev.demo import PYTHON, Scenario, wait_for
from dev.environment import RUN, prepare

PREFIX, KEY, SECRET = "bench_", "a-signature-token", "the-callback-secret"


class Bench(Scenario):
    """Drives the sandbox and Airflow, and posts what the vendors would."""

    def __init__(self, sandbox: str, airflow: str) -> None:
        super().__init__(sandbox, airflow)
        self._receivers = f"{airflow}/lever-imocha/webhooks"
        self._count = 0

    def add_many(self, count: int) -> list[dict[str, str]]:
        """Add candidates with a test's tag, in a stage before the trigger stage."""
        people = []
        for _ in range(count):
            self._count += 1
            email = f"bench{self._count}@example.com"
            given = {"name": "B", "emails": [email], "tags": [PYTHON], "stage": "Recruiter screen"}
            people.append({"id": self.admin("POST", "candidates", given)["id"], "email": email})
        return people

    def enter(self, opportunity_id: str) -> float:
        """Move a candidate to Assessment and post the webhook.

        :return: the time of the move, in seconds since 1970.
        """
        self.admin("POST", f"candidates/{opportunity_id}/move", {"stage": "Assessment"})
        started, token = time.time(), f"{opportunity_id}{time.time_ns()}"
        at = int(started * 1000)
        body = {
            "event": "candidateStageChange",
            "data": {"opportunityId": opportunity_id},
            "token": token,
            "triggeredAt": at,
            "signature": lever_signature(KEY, token, at),
        }
        requests.post(f"{self._receivers}/lever", json=body, timeout=10).raise_for_status()
        return started

    def invitation_of(self, email: str) -> dict[str, Any] | None:
        """Find the candidate's invitation at iMocha; None if there is none."""
        return next((item for item in self.admin("GET", "invitations") if item["email"] == email), None)

    def invited(self) -> set[str]:
        """Return the addresses of everybody who is invited."""
        return {item["email"] for item in self.admin("GET", "invitations")}

    def completed(self) -> set[str]:
        """Return the ids of everybody who was moved on."""
        opportunities = self.admin("GET", "opportunities")
        return {item["id"] for item in opportunities if item["stageText"] == "Assessment Complete"}

    def end(self, invitation: dict[str, Any]) -> float:
        """End the attempt and post the callback.

        :return: the time of the end, in seconds since 1970.
        """
        started = time.time()
        self.admin("POST", f"invitations/{invitation['id']}/finish", {"score": 34, "total": 50})
        body = {"TestInvitationId": invitation["id"], "Status": "Complete", "AttemptedOnUtc": str(datetime.now())}  # noqa: DTZ005
        requests.post(invitation["callback_url"], json=body, timeout=10).raise_for_status()
        return started


def _show(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p95 = ordered[max(0, round(len(ordered) * 0.95) - 1)]
    print(f"{what}: n={len(ordered)} p50={statistics.median(ordered):.2f} p95={p95:.2f} max={ordered[-1]:.2f} s")


def _busiest(moments: list[float]) -> int:
    """Return the greatest number of calls within any period of one second."""
    return max((sum(at <= other < at + 1 for other in moments) for at in moments), default=0)


def measure(bench: Bench, *, single: int, burst: int) -> None:
    """Measure candidates one after the other, then all at once."""
    to_invite: list[float] = []
    to_stage: list[float] = []
    for person in bench.add_many(single + 1):
        started = bench.enter(person["id"])
        wait_for(lambda person=person: bench.invitation_of(person["email"]) is not None, "the invitation")  # type: ignore[misc]
        to_invite.append(time.time() - started)
        time.sleep(1)
        started = bench.end(bench.invitation_of(person["email"]) or {})
        done = lambda person=person: (  # noqa: E731
            bench.admin("GET", f"opportunities/{person['id']}")["stageText"] == "Assessment Complete"
        )
        wait_for(done, "the completed stage")
        to_stage.append(time.time() - started)
        print(f"  {to_invite[-1]:.2f} {to_stage[-1]:.2f}", flush=True)
        time.sleep(2)
    if single:
        print("the first is a warm-up and not counted")
        _show("move -> invitation", to_invite[1:])
        _show("end -> completed stage", to_stage[1:])
    if burst:
        measure_burst(bench, burst)


def measure_burst(bench: Bench, count: int) -> None:
    """Many at once, and one more in the middle; then all of them end their attempts at once."""
    people, (lone,) = bench.add_many(count), bench.add_many(1)
    mine = {person["email"] for person in people}
    bench.admin("DELETE", "calls")
    started = min(bench.enter(person["id"]) for person in people)
    wait_for(lambda: len(bench.invited() & mine) >= count // 3, "a third", 600)
    lone_started = bench.enter(lone["id"])
    wait_for(lambda: lone["email"] in bench.invited(), "the lone candidate", 600)
    print(f"one who came in the middle: invited after {time.time() - lone_started:.1f} s")
    wait_for(lambda: mine <= bench.invited(), "all invitations", 600)
    _show_burst(bench, f"{count} moved at once: all invited", started, calls_each=1)
    bench.admin("DELETE", "calls")
    ids = {person["email"]: person["id"] for person in [*people, lone]}
    invitations = [item for item in bench.admin("GET", "invitations") if item["email"] in ids]
    started = min(bench.end(invitation) for invitation in invitations)
    wait_for(lambda: set(ids.values()) <= bench.completed(), "all completed stages", 1500)
    _show_burst(bench, f"{len(ids)} ended at once: all moved on", started, calls_each=4)


def _show_burst(bench: Bench, what: str, started: float, *, calls_each: int) -> None:
    took = time.time() - started
    calls = [call for call in bench.admin("GET", "calls") if call["vendor"] == "lever"]
    imocha = [call for call in bench.admin("GET", "calls") if call["vendor"] == "imocha"]
    refused = sum(call["status"] == 429 for call in [*calls, *imocha])
    count = int(what.split()[0])
    bound = count * calls_each / RateLimits().lever
    print(
        f"{what} after {took:.1f} s, {took / bound:.2f} x the bound of {bound:.0f} s;"
        f" calls each: Lever {len(calls) / count:.2f}, iMocha {len(imocha) / count:.2f};"
        f" 429s {refused}, most Lever calls in any second {_busiest([call['at'] for call in calls])}"
    )


def main() -> None:
    """Start Airflow and the sandbox, measure, stop them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--single", type=int, default=10)
    parser.add_argument("--burst", type=int, default=100)
    options = parser.parse_args()
    services.stop()
    base_url = postgres.start(RUN / "postgres")
    for name in ("airflow", "ledger"):
        postgres.drop_database(base_url, PREFIX + name)
    port, sandbox_port = services.free_port(18080), services.free_port(18091)
    environment = prepare(prefix=PREFIX, port=port)
    airflow = environment["AIRFLOW__API__BASE_URL"]
    (RUN / "bench.yaml").write_text(
        f"perform_as: people-ops@example.com\npublic_url: {airflow}\npoll: {{schedule: '0 0 1 1 *'}}\n"
        "activation: {existing: invite}\nlimits: {per_hour: 100000}\n"
    )
    environment["LEVER_IMOCHA_SETTINGS"] = str(RUN / "bench.yaml")
    sandbox = f"http://127.0.0.1:{sandbox_port}"
    for vendor, path, extra in (
        ("lever", "lever/v1", {"webhook_tokens": [KEY]}),
        ("imocha", "imocha/v3", {"callback_secret": SECRET}),
    ):
        connection = {"conn_type": vendor, "host": f"{sandbox}/{path}", "password": f"{vendor}-key", "extra": extra}
        environment[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"] = json.dumps(connection)
    services.start("sandbox", ["python", "-m", "include.sandbox", "--port", str(sandbox_port)], environment)
    services.start_airflow(environment)
    try:
        bench = Bench(sandbox, airflow)
        for dag_id in ("lever_imocha_invite", "lever_imocha_write_back"):
            wait_for(lambda dag_id=dag_id: bench.is_known(dag_id), f"{dag_id} to be read")  # type: ignore[misc]
            bench.api("PATCH", dag_id, {"is_paused": False})
        time.sleep(10)
        measure(bench, single=options.single, burst=options.burst)
    finally:
        services.stop()
    sys.exit(0)


if __name__ == "__main__":
    main()
