"""The workflows without Airflow: processes that work through a burst as fast as the rate limits let them.

``python -m benchmarks.workflows --candidates 1000``. Exits 1 when inviting or writing back takes more than 1.05 times
what the needed calls to Lever take at the configured rate.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import requests
from more_itertools import distribute

from dev import postgres, services
from dev.demo import PYTHON, connections, wait_for
from dev.environment import RUN

AT_MOST = 1.05


_services: Any = None
"""What a process has open: for as long as it lives, as a task does."""


def _open() -> None:
    global _services
    from lever_imocha.runtime.services import Services

    _services = Services.open(lever_conn_id="lever_default", imocha_conn_id="imocha_default")


def _invite(ids: list[str]) -> None:
    workflow = _services.invite_workflow()
    for opportunity_id in ids:
        workflow.act(opportunity_id)


def _write_back(ids: list[str]) -> None:
    workflow = _services.write_back_workflow()
    for opportunity_id in ids:
        workflow.write_back(opportunity_id)


def _is_open(_number: int) -> bool:
    time.sleep(0.5)  # so that each process answers once
    return _services is not None


class Burst:
    """Many candidates, played on the sandbox and worked on by several processes.

    :param sandbox: the sandbox's address.
    """

    def __init__(self, sandbox: str, *, candidates: int, workers: int) -> None:
        self._sandbox, self._candidates, self._workers = sandbox, candidates, workers

    def _admin(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, f"{self._sandbox}/admin/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def is_there(self) -> bool:
        """Tell whether the sandbox answers."""
        try:
            return isinstance(self._admin("GET", "invitations"), list)
        except requests.RequestException:
            return False

    def play(self) -> list[str]:
        """Have all invited, then all written back; return what was too slow."""
        _open()
        _services.invite_workflow().collect(full=True)  # from now on the settings are in use
        for number in range(self._candidates):
            given = {"name": "B", "emails": [f"b{number}@example.com"], "tags": [PYTHON], "stage": "Assessment"}
            self._admin("POST", "candidates", given)
        ids = _services.invite_workflow().collect(full=True)
        slow = self._time("invited", ids, _invite, calls_each=1)
        for invitation in self._admin("GET", "invitations"):
            self._admin("POST", f"invitations/{invitation['id']}/finish", {"score": 34, "total": 50})
        _services.write_back_workflow().prepare()
        ids = _services.attempt_sweep().poll()
        return slow + self._time("written back", ids, _write_back, calls_each=4)

    def _time(self, what: str, ids: list[str], work: Callable[[list[str]], None], *, calls_each: int) -> list[str]:
        from lever_imocha.settings import RateLimits

        if len(ids) != self._candidates:
            return [f"{len(ids)} are due of {self._candidates} that should be {what}"]
        self._admin("DELETE", "calls")
        context = multiprocessing.get_context("spawn")
        with context.Pool(self._workers, initializer=_open) as pool:
            pool.map(_is_open, range(self._workers), chunksize=1)
            started = time.monotonic()
            pool.map(work, [list(part) for part in distribute(self._workers, ids)], chunksize=1)
            took = time.monotonic() - started
        calls = self._admin("GET", "calls")
        bound = len(ids) * calls_each / RateLimits().lever
        each = {vendor: sum(call["vendor"] == vendor for call in calls) / len(ids) for vendor in ("lever", "imocha")}
        print(
            f"{len(ids)} {what} after {took:.1f} s, {took / bound:.2f} x the bound of {bound:.0f} s; calls each: "
            f"Lever {each['lever']:.2f}, iMocha {each['imocha']:.2f}; 429s {sum(c['status'] == 429 for c in calls)}",
            flush=True,
        )
        return [f"{what}: {took / bound:.2f} x the bound"] if took > AT_MOST * bound else []


def main() -> None:
    """Start PostgreSQL and the sandbox, play, stop them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workflows", description=__doc__)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    from lever_imocha.ledger.database import engine_for, upgrade

    base_url = postgres.start(RUN / "postgres")
    postgres.drop_database(base_url, "workflows")
    url = postgres.create_database(base_url, "workflows")
    upgrade(engine_for(url))
    (RUN / "workflows.yaml").write_text(
        "perform_as: people-ops@example.com\nactivation: {existing: invite}\nlimits: {per_hour: 100000}\n"
    )
    port = services.free_port(18092)
    sandbox = f"http://127.0.0.1:{port}"
    os.environ |= connections(sandbox) | {
        "LEVER_IMOCHA_SETTINGS": str(RUN / "workflows.yaml"),
        "LEVER_IMOCHA_LEDGER": url,
        "AIRFLOW_HOME": str(RUN / "airflow"),
    }
    services.start("sandbox", ["python", "-m", "include.sandbox", "--port", str(port)], dict(os.environ))
    try:
        burst = Burst(sandbox, candidates=options.candidates, workers=options.workers)
        wait_for(burst.is_there, "the sandbox")
        slow = burst.play()
    finally:
        engine_for(url).dispose()
        services.stop()
    for line in slow:
        print(f"WRONG: {line}")
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
