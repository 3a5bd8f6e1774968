"""Starts and stops Airflow's services, each a process group with a log and a pid file in ``.run``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from dev import postgres
from dev.environment import BIN, ROOT, RUN, RUNNING, login, prepare

SERVICES = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}
CONTAINERS = RUN / "containers"
"""What the services of compose.yaml keep in their volumes, where they run as processes."""
_PIDS = RUN / "pids"


def free_port(wanted: int) -> int:
    """Return the port wanted, or any free one if it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(name: str, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path = ROOT) -> int:
    """Start one service in the background; return its process id, which is that of its process group, too.

    :param name: of its log and pid file.
    """
    _PIDS.mkdir(parents=True, exist_ok=True)
    (RUN / "logs").mkdir(exist_ok=True)
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with (RUN / "logs" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]], cwd=cwd, env=inherited | dict(environment), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    (_PIDS / name).write_text(str(process.pid))
    return process.pid


def start_airflow(environment: dict[str, str]) -> None:
    """Start the four services and wait until all of them report themselves healthy; `make env` is theirs from then on."""
    RUNNING.touch(mode=0o600)
    RUNNING.write_text(json.dumps(environment))
    for name, command in SERVICES.items():
        start(name, command, environment)
    await_airflow(environment)


def await_airflow(environment: Mapping[str, str]) -> None:
    """Wait until all of Airflow's services report themselves healthy."""
    url = f"{environment['AIRFLOW__API__BASE_URL']}/api/v2/monitor/health"
    for _ in range(240):
        with contextlib.suppress(requests.RequestException, ValueError):
            health = requests.get(url, timeout=2).json()
            if all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor", "triggerer")):
                _warm_up(environment)
                return
        time.sleep(0.5)
    sys.exit(f"Airflow did not become healthy in two minutes; see {RUN / 'logs'}")


def _warm_up(environment: Mapping[str, str]) -> None:
    """Let the api server build the API for tasks: it does so at the first call, which blocks all others for 8 s."""
    requests.get(f"{environment['AIRFLOW__CORE__EXECUTION_API_SERVER_URL']}health", timeout=120)


def _alive(pid: int) -> bool:
    """Return whether a process group runs; reap it if it is an ended child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop() -> None:
    """Stop every service, then PostgreSQL."""
    pids = [int(path.read_text()) for path in _PIDS.glob("*")] if _PIDS.exists() else []
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
        for _ in range(40):
            pids = [pid for pid in pids if _alive(pid)]
            if not pids:
                break
            time.sleep(0.25)
    for path in _PIDS.glob("*"):
        path.unlink()
    RUNNING.unlink(missing_ok=True)
    for directory in (RUN / "postgres", CONTAINERS / "postgres"):
        postgres.stop(directory)


def main() -> None:
    """Run ``python -m dev.services up | down``."""
    parser = argparse.ArgumentParser(prog="python -m dev.services", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--port", type=int, default=18080, help="of the API server, where it is free; 0: any")
    options = parser.parse_args()
    stop()
    if options.command == "down":
        return
    environment = prepare(port=free_port(options.port))
    start_airflow(environment)
    user, password = login()
    sys.stdout.write(f"Airflow is up: {environment['AIRFLOW__API__BASE_URL']}  login {user} / {password}\n")
    sys.stdout.write("Next: Admin > Connections, then Dags > lever_imocha_setup; docs/setup.md has the steps\n")
    sys.stdout.write(f"Logs: {RUN / 'logs'}; stop with: make down\n")


if __name__ == "__main__":
    main()
