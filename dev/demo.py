"""A demonstration: real Airflow against the sandbox, eight candidates, and a table of expected and actual results."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from dev import postgres, services
from dev.environment import RUN, login, prepare

PYTHON, SQL = "iMocha: Python Developer [101]", "iMocha: SQL Basics [102]"
PREFIX, TOKEN, SECRET = "demo_", "the-demo-signature-token", "the-demo-callback-secret"
WRITTEN_BACK = "invitations 1, e-mails 1, complete, forms 1, files 1, Assessment Complete"
SETTINGS = """\
perform_as: people-ops@example.com
activation: {existing: invite}
poll: {schedule: "SCHEDULE", attempts: 2, wait: 600, full_sweep: 1}
write_back: {report_retry: [5]}
"""
console = Console()


@dataclass
class Candidate:
    """A candidate of the demonstration: expected and actual result."""

    name: str
    expected: str
    tags: list[str]
    emails: list[str]
    id: str = ""
    happened: str = ""
    ok: bool = field(default=False)


class Scenario:
    """Drives the sandbox as recruiter and candidates, and Airflow through its public REST API."""

    def __init__(self, sandbox: str, airflow: str, user_and_password: tuple[str, str] | None = None) -> None:
        self._sandbox, self._airflow = sandbox, airflow
        user, password = user_and_password or login()
        token = requests.post(f"{airflow}/auth/token", json={"username": user, "password": password}, timeout=10)
        self._headers = {"Authorization": f"Bearer {token.json()['access_token']}"}

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Send an admin call to the sandbox."""
        answer = requests.request(method, f"{self._sandbox}/admin/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Send a call to Airflow's REST API."""
        url = f"{self._airflow}/api/v2/dags/{path}"
        answer = requests.request(method, url, json=body, headers=self._headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def start(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        return str(self.api("POST", f"{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}})["dag_run_id"])

    def state(self, dag_id: str, run: str) -> str:
        """Return a run's state."""
        return str(self.api("GET", f"{dag_id}/dagRuns/{run}")["state"])

    def run(self, dag_id: str, conf: dict[str, Any] | None = None) -> None:
        """Start a run and wait until it has succeeded."""
        run = self.start(dag_id, conf)
        wait_for(lambda: self.state(dag_id, run) in ("success", "failed"), f"{dag_id} to end")
        console.print(f"    [dim]{dag_id}: {self.state(dag_id, run)}[/dim]")

    def is_known(self, dag_id: str) -> bool:
        """Return whether Airflow has parsed the DAG."""
        try:
            self.api("GET", dag_id)
        except requests.HTTPError:
            return False
        return True

    def add(self, candidate: Candidate) -> None:
        """Add a candidate and move them to Assessment, as a recruiter does."""
        given = {"name": candidate.name, "emails": candidate.emails, "tags": candidate.tags}
        candidate.id = self.admin("POST", "candidates", given)["id"]
        self.move(candidate, "Assessment")

    def move(self, candidate: Candidate, stage: str) -> None:
        """Move a candidate, as a recruiter does."""
        self.admin("POST", f"candidates/{candidate.id}/move", {"stage": stage})

    def move_back(self, candidate: Candidate) -> None:
        """Move a candidate out of Assessment and in again, as a recruiter does."""
        self.move(candidate, "Recruiter screen")
        self.move(candidate, "Assessment")

    def invitations(self, candidate: Candidate) -> list[dict[str, Any]]:
        """List a candidate's invitations at iMocha."""
        return [item for item in self.admin("GET", "invitations") if item["email"] in candidate.emails]

    def mails(self, candidate: Candidate) -> int:
        """Count the e-mails that a candidate got."""
        return sum(mail["to"] in candidate.emails for mail in self.admin("GET", "mails"))

    def compare(self, candidate: Candidate) -> None:
        """Read a candidate's result from both vendors and compare it with the expected one."""
        seen = self.admin("GET", f"opportunities/{candidate.id}")
        own = self.invitations(candidate)
        parts = [f"invitations {len(own)}", f"e-mails {self.mails(candidate)}"]
        parts += [item["state"].lower() for item in own]
        parts += [f"proctoring {item['proctoring']}" for item in own if item["proctoring"] != "disabled"]
        parts += [f"forms {len(seen['forms'])}, files {len(seen['files'])}", seen["stageText"]]
        candidate.happened = ", ".join(parts)
        candidate.ok = candidate.happened == candidate.expected


def wait_for(ready: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait until a condition is met.

    :param what: named in the error.
    :raises TimeoutError: it was not met in time.
    """
    ends = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > ends:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.3)


def candidates() -> dict[str, Candidate]:
    """Return the candidates of the scenario with their expected results."""

    def mail(name: str) -> list[str]:
        return [f"{name}@example.com"]

    untouched = "invitations 0, e-mails 0, forms 0, files 0, Assessment"
    return {
        "done": Candidate("Dana Done", WRITTEN_BACK, [PYTHON], mail("dana")),
        "again": Candidate("Alex Again", "invitations 1, e-mails 2, pending, proctoring video, forms 0, files 0, Assessment", [PYTHON], mail("alex")),
        "busy": Candidate("Bo Busy", "invitations 1, e-mails 1, in progress, forms 0, files 0, Assessment", [PYTHON], mail("bo")),
        "both": Candidate("Toni Two", "invitations 2, e-mails 2, complete, complete, forms 2, files 2, Assessment Complete", [PYTHON, SQL], mail("toni")),
        "untagged": Candidate("Nat Notag", untouched, [], mail("nat")),
        "unmailed": Candidate("Mo Nomail", untouched, [PYTHON], []),
        "unknown": Candidate("Uma Unknown", untouched, ["iMocha: Gone [999]"], mail("uma")),
    }  # fmt: skip


def run_scenario(scenario: Scenario, people: dict[str, Candidate]) -> None:
    """Run the scenario, from the first move to the last report."""
    for dag_id in ("lever_imocha_invite", "lever_imocha_write_back"):
        wait_for(lambda dag_id=dag_id: scenario.is_known(dag_id), f"{dag_id} to be read")  # type: ignore[misc]
        scenario.api("PATCH", dag_id, {"is_paused": False})
    console.print("[bold]1[/bold] The recruiter moves seven candidates to Assessment")
    for candidate in people.values():
        scenario.add(candidate)
    scenario.run("lever_imocha_invite")
    console.print("[bold]2[/bold] Bo starts the test; iMocha's Default link now asks for video proctoring")
    scenario.admin("POST", f"invitations/{scenario.invitations(people['busy'])[0]['id']}/start")
    scenario.admin("PATCH", "links/101", {"proctoringMode": "video", "validityDays": 14})
    console.print("[bold]3[/bold] Alex and Bo are moved back into Assessment: one refreshed, one left alone")
    scenario.move_back(people["again"])
    scenario.move_back(people["busy"])
    scenario.run("lever_imocha_invite")
    console.print("[bold]4[/bold] Dana and Toni take their tests; the waiting run wakes and writes back")
    for key in ("done", "both"):
        for invitation in scenario.invitations(people[key]):
            scenario.admin("POST", f"invitations/{invitation['id']}/finish", {"score": 34, "total": 50})

    def arrived() -> bool:
        ids = (people["done"].id, people["both"].id)
        return all(scenario.admin("GET", f"opportunities/{key}")["stageText"] == "Assessment Complete" for key in ids)

    wait_for(arrived, "the reports to be in Lever", 150)
    console.print("[bold]5[/bold] Another sweep changes nothing")
    before = _writes(scenario)
    scenario.run("lever_imocha_invite", {"full": True})
    if _writes(scenario) != before:
        raise AssertionError("a second sweep wrote to a vendor")


def run_told(scenario: Scenario, candidate: Candidate, receivers: str) -> None:
    """Let webhook and callback start the runs, as they do in production."""
    console.print("[bold]6[/bold] Webhooks are set up: Wim is moved and takes the test, and nobody starts a run")
    webhook = {"event": "candidateStageChange", "url": f"{receivers}/lever", "signatureToken": TOKEN}
    scenario.admin("POST", "webhooks", webhook)
    scenario.add(candidate)
    wait_for(lambda: bool(scenario.invitations(candidate)), "the invitation")
    (invitation,) = scenario.invitations(candidate)
    scenario.admin("POST", f"invitations/{invitation['id']}/finish", {"score": 34, "total": 50})
    wait_for(
        lambda: scenario.admin("GET", f"opportunities/{candidate.id}")["stageText"] == "Assessment Complete",
        "the report to be in Lever",
    )


def _writes(scenario: Scenario) -> int:
    calls = scenario.admin("GET", "calls")
    return sum(call["method"] != "GET" and "testattempts" not in call["path"] for call in calls)


def show(people: dict[str, Candidate]) -> bool:
    """Print the table; return whether every result is the expected one."""
    table = Table("Candidate", "Expected", "What happened", "")
    for candidate in people.values():
        mark = "[green]ok[/green]" if candidate.ok else "[red]differs[/red]"
        table.add_row(candidate.name, candidate.expected, candidate.happened, mark)
    console.print(table)
    return all(candidate.ok for candidate in people.values())


def connections(sandbox: str, **extras: dict[str, str]) -> dict[str, str]:
    """Return the Airflow connections to both vendors in the sandbox, as environment variables.

    :param extras: vendor -> the extra fields of its connection.
    """
    return {
        f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT": json.dumps(
            {
                "conn_type": vendor,
                "host": f"{sandbox}/{path}",
                "password": f"{vendor}-key",
                "extra": extras.get(vendor, {}),
            }
        )
        for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3"))
    }


def run(*, keep: bool) -> bool:
    """Start everything, run the scenario, compare the results.

    :param keep: it is going to be left running, for a person to play with.
    """
    base_url = postgres.start(RUN / "postgres")
    for name in ("airflow", "ledger"):
        postgres.drop_database(base_url, PREFIX + name)
    port, sandbox_port = services.free_port(18080), services.free_port(18090)
    environment = prepare(prefix=PREFIX, port=port)
    sandbox = f"http://127.0.0.1:{sandbox_port}"
    airflow = environment["AIRFLOW__API__BASE_URL"]
    # No scheduled run does first what the runs of the scenario are to show.
    (RUN / "demo.yaml").write_text(settings_text("0 0 1 1 *", airflow))
    environment["LEVER_IMOCHA_SETTINGS"] = str(RUN / "demo.yaml")
    environment |= connections(sandbox, lever={"webhook_tokens": TOKEN}, imocha={"callback_secret": SECRET})
    console.print("Starting the sandbox and Airflow (api server, scheduler, dag processor, triggerer)")
    services.start("sandbox", ["python", "-m", "include.sandbox", "--port", str(sandbox_port)], environment)
    services.start_airflow(environment)
    user, password = login()
    where = f"Airflow {airflow} ({user} / {password})\nSandbox {sandbox}"
    console.print(where, soft_wrap=True)
    scenario, people = Scenario(sandbox, airflow), candidates()
    told = Candidate("Wim Webhook", WRITTEN_BACK, [SQL], ["wim@example.com"])
    try:
        run_scenario(scenario, people)
        run_told(scenario, told, f"{airflow}/lever-imocha/webhooks")
    except TimeoutError as error:
        console.print(f"[red]{error}[/red]; logs are in {RUN / 'logs'}")
    people = {**people, "told": told} if told.id else people
    for candidate in people.values():
        scenario.compare(candidate)
    good = show(people) and bool(told.id)
    if keep and good:
        (RUN / "demo.yaml").write_text(settings_text("* * * * *", airflow))  # read within half a minute
        console.print(
            f"Left running, with webhooks and a sweep each minute: play on the sandbox's page.\n{where}\nStop it: make down",
            soft_wrap=True,
        )
    return good


def settings_text(schedule: str, public_url: str) -> str:
    """Return the settings file of the demonstration."""
    return SETTINGS.replace("SCHEDULE", schedule) + f"public_url: {public_url}\n"


def main() -> None:
    """Run ``python -m dev.demo [--keep]``; exit with 0 if every result is the expected one."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    keep = parser.parse_args().keep
    services.stop()
    good = False
    try:
        good = run(keep=keep)
    finally:
        if not (keep and good):
            services.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
