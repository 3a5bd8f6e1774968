"""A newcomer's way: `make up`, connections, the set-up's form, the console's buttons; and all of it switched off again.

``PICTURES=docs .venv/bin/pytest -n 0 -m "" tests/dags/test_setup_in_browser.py`` takes the picture of docs/setup.md anew;
64 colours make it small.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.tables import assessments, effects, invitations, stage_entries
from lever_imocha.runtime.addresses import CONSOLE
from lever_imocha.workflows.doctor.machine import DAGS
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect
from sqlalchemy import func, select

from dev.demo import wait_for
from include.sandbox.world import World
from tests.support import PYTHON, SQL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("airflow")]
ROOT = Path(__file__).parents[2]
SETUP, OFF = "lever_imocha_setup", "lever_imocha_deactivate"
SWITCHED = tuple(DAGS)


@dataclass
class Airflow:
    """Airflow as `make up` starts it.

    :param settings: the settings file that it reads.
    """

    url: str
    user: str
    password: str
    ledger_url: str
    settings: Path

    def __post_init__(self) -> None:
        login = {"username": self.user, "password": self.password}
        token = requests.post(f"{self.url}/auth/token", json=login, timeout=30).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/api/v2/{path}", json=body, headers=self._headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def start(self, dag: str) -> str:
        """Switch a DAG on and start it."""
        self.ask("PATCH", f"dags/{dag}", {"is_paused": False})
        return str(self.ask("POST", f"dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def states(self, dag: str, run: str) -> dict[str, str | None]:
        tasks = self.ask("GET", f"dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def until(self, dag: str, run: str, task: str, *wanted: str) -> None:
        """Wait for a task's state."""
        wait_for(lambda: self.states(dag, run).get(task) in (*wanted, "failed"), f"{dag}: {task}", seconds=150)
        assert self.states(dag, run)[task] in wanted

    def said(self, dag: str, run: str, task: str) -> list[str]:
        """Return what a task returned."""
        value = self.ask("GET", f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value")["value"]
        return list(value)

    def until_asked(self, dag: str, run: str, task: str) -> None:
        """Wait until a form can be answered: Airflow fails a task that goes on before the scheduler has seen it pause."""
        self.until(dag, run, task, "awaiting_input", "deferred")
        key = f"TaskInstanceKey(dag_id='{dag}', task_id='{task}', run_id='{run}'"
        seen = f"Received executor event with state success for task instance {key}"
        log = self.settings.parent / "run" / "logs" / "scheduler.log"
        wait_for(lambda: seen in log.read_text(), f"{dag}: {task} pauses")

    def told(self, page: str) -> Any:
        """Return what a page of the console tells a program."""
        headers = self._headers | {"Accept": "application/json"}
        return requests.get(f"{self.url}{CONSOLE}/{page}", headers=headers, timeout=60).json()

    def notes(self, dag: str) -> list[str | None]:
        """Return the notes of a DAG's runs."""
        return [run["note"] for run in self.ask("GET", f"dags/{dag}/dagRuns")["dag_runs"]]

    def paused(self) -> dict[str, bool]:
        return {dag: self.ask("GET", f"dags/{dag}")["is_paused"] for dag in SWITCHED}


@pytest.fixture
def airflow(sandbox_world: World, sandbox_url: str) -> Iterator[Airflow]:
    """A new Airflow of its own, whose connections a person has made, and whose settings file is as it comes."""
    home = Path(tempfile.mkdtemp(prefix="setup"))  # another pytest closes the folder of `tmp_path` to PostgreSQL's user
    run, settings = home / "run", home / "lever_imocha.yaml"
    shutil.copy(ROOT / "include" / "lever_imocha.yaml", settings)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "LEVER_IMOCHA"))}
    environment = inherited | {"LEVER_IMOCHA_RUN": str(run), "LEVER_IMOCHA_SETTINGS": str(settings)}

    def services(command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dev.services", command, "--port", "0"],
            cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=240,
        )  # fmt: skip
        return done.stdout

    try:
        found = re.search(r"is up: (\S+) +login (\S+) / (\S+)", services("up"))
        assert found
        url, user, password = found.groups()
        running = (run / "environment.json").read_text()
        ledger = re.search(r'"LEVER_IMOCHA_LEDGER": "([^"]+)"', running)
        assert ledger
        made = Airflow(url, user, password, ledger[1], settings)
        _connect(made, sandbox_url)
        yield made
    finally:
        services("down")
        shutil.rmtree(home)


def _connect(airflow: Airflow, sandbox_url: str) -> None:
    """Do what a person does on Airflow's page *Connections*, and in the settings file."""
    for vendor, path in (("lever", "lever/v1"), ("imocha", "imocha/v3")):
        given = {"conn_type": vendor, "host": f"{sandbox_url}/{path}", "password": f"{vendor}-key"}
        airflow.ask("POST", "connections", {"connection_id": f"{vendor}_default"} | given)
    own = {"conn_type": "http", "host": airflow.url, "login": airflow.user, "password": airflow.password}
    airflow.ask("POST", "connections", {"connection_id": "lever_imocha_airflow"} | own)
    text = airflow.settings.read_text()
    text = text.replace("# public_url: https://hooks.example.com", f"public_url: {airflow.url}")
    text = text.replace(
        'schedule: "*/5 * * * *"', 'schedule: "0 0 1 1 *"'
    )  # no sweep does first what a button is to do
    airflow.settings.write_text(text)


@pytest.fixture
def page(chromium: Browser, airflow: Airflow) -> Iterator[Page]:
    """A browser in which a person has logged in."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1200})
    page.set_default_timeout(60_000)
    page.goto(airflow.url)
    page.locator("input[name=username]").fill(airflow.user)
    page.locator("input[name=password]").fill(airflow.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{airflow.url}/**")
    yield page
    page.close()


def answer(
    page: Page, airflow: Airflow, run: str, *, dag: str, task: str, button: str, picture: str = "", **chosen: str
) -> str:
    """Answer a form under *Required Actions*; return what it says.

    :param picture: the name of the file for the form's picture, where pictures are taken.
    :param chosen: field -> the option's words.
    """
    airflow.until_asked(dag, run, task)
    page.goto(f"{airflow.url}/dags/{dag}/runs/{run}/tasks/{task}/required_actions")
    pressed = page.get_by_role("button", name=button, exact=True)
    pressed.wait_for()
    for field, words in chosen.items():
        page.locator(f'#element_{field}, [id="select:element_{field}:trigger"]').first.click()  # the latter on 3.1
        page.get_by_role("option", name=words, exact=True).click()
    said = page.locator("body").inner_text()
    if picture and (folder := os.environ.get("PICTURES")):
        _take(page, Path(folder) / picture)
    pressed.click()
    airflow.until(dag, run, task, "success")
    return said


def console(page: Page, airflow: Airflow) -> FrameLocator:
    """Open the console as a person does."""
    page.goto(airflow.url)
    page.get_by_role("link", name="Tests").click()
    return page.frame_locator("iframe")


def press(frame: FrameLocator, label: str, *, reason: str, dry_run: bool = False) -> Locator:
    """Press a button of the console; return where the answer is said."""
    act = frame.locator("details.act", has=frame.locator("summary", has_text=label))
    act.evaluate("element => element.open = true")
    act.locator("input[name=reason]").fill(reason)
    act.get_by_role("button", name="What would happen?" if dry_run else label).click()
    return frame.locator(".said:not(:empty)")


def _take(page: Page, path: Path) -> None:
    """Take the form's picture, from its task's name to its buttons."""
    before = page.viewport_size
    page.set_viewport_size({"width": 1400, "height": 1900})
    top = page.get_by_role("heading", name="choose").or_(page.get_by_text("choose", exact=True)).last.bounding_box()
    end = page.get_by_role("button", name="Stop", exact=True).bounding_box()
    assert top
    assert end
    right = end["x"] + end["width"] + 16
    left = top["x"] - 32
    clip = {"x": left, "y": top["y"] - 12, "width": right - left, "height": end["y"] + end["height"] + 12 - top["y"]}
    page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]
    page.set_viewport_size(before or {"width": 1400, "height": 1200})


def rows(airflow: Airflow) -> dict[str, int]:
    """How many rows the ledger's tables of what was made and decided have."""
    engine = engine_for(airflow.ledger_url)
    with engine.connect() as connection:
        found = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (assessments, effects, invitations, stage_entries)
        }
    engine.dispose()
    return found


def made_in(world: World) -> dict[str, Any]:
    """What the account has, apart from times."""
    return {
        "webhooks": [(webhook["id"], webhook["event"], webhook["url"]) for webhook in world.webhooks.entries],
        "templates": list(world.templates),
        "tags": sorted({tag for one in world.opportunities.values() for tag in one["tags"]}),
        "written": [sum(map(len, kind.values())) for kind in (world.forms, world.files, world.notes)],
        "mails": len(world.mails),
    }


def test_a_newcomer_sets_everything_up_does_it_again_and_switches_it_off(
    airflow: Airflow, page: Page, sandbox_world: World
) -> None:
    world, posting = sandbox_world, sandbox_world.postings[0]
    carrier = world.add_opportunity(
        stage="Offer",
        tags=[],
        emails=["cara@example.com"],
        name="Cara",
        applications=[{"id": "a", "posting": posting["id"]}],
    )
    run = airflow.start(SETUP)
    said = answer(page, airflow, run, dag=SETUP, task="choose", button="Activate", posting=posting["text"])
    assert "public_url" not in said
    airflow.until(SETUP, run, "check", "success")
    done = airflow.said(SETUP, run, "check")
    assert "made: form template 'iMocha Assessment' is made" in done
    assert "made: the callback secret is made and stored" in done
    assert {f"made: tag {tag!r} is made" for tag in (PYTHON, SQL)} <= set(done)
    assert done[-1].startswith("on: ")
    assert airflow.paused() == dict.fromkeys(SWITCHED, False)
    assert airflow.ask("GET", "variables/lever_imocha_callback_secret")["value"] == "***"
    assert {webhook["event"] for webhook in world.webhooks.entries} == {
        "candidateStageChange", "candidateArchiveChange", "candidateHired", "candidateDeleted",
    }  # fmt: skip
    assert carrier["tags"] == []

    invited = world.add_opportunity(stage="Offer", tags=[PYTHON], emails=["ines@example.com"], name="Ines")
    world.move(invited["id"], "Assessment")
    wait_for(lambda: "iMocha: invited" in invited["tags"], "the webhook to lead to an invitation", seconds=150)
    wait_for(lambda: bool(world.notes.get(invited["id"])), "the note")
    wait_for(lambda: "1 invited" in airflow.notes("lever_imocha_invite"), "the run's note")
    (invitation,) = world.invitations.values()
    assert f"{airflow.url}/lever-imocha/webhooks/imocha/" in str(invitation.callback_url)

    world.switches["unseen_tags_vanish"] = False
    before = (airflow.settings.read_text(), made_in(world), rows(airflow))
    run = airflow.start(SETUP)
    again = {"button": "Activate", "posting": posting["text"], "picture": "setup-form.png"}
    answer(page, airflow, run, dag=SETUP, task="choose", **again)
    assert "1" in answer(page, airflow, run, dag=SETUP, task="confirm", button="Go on")
    airflow.until(SETUP, run, "check", "success")
    assert airflow.said(SETUP, run, "check")[0] == "made: nothing, all was there"
    assert (airflow.settings.read_text(), made_in(world), rows(airflow)) == before

    _one_is_sent_the_e_mail_again(page, airflow, world)
    _many_are_looked_at_again_until_a_person_stops_it(page, airflow, world)

    run = airflow.start(OFF)
    said = answer(page, airflow, run, dag=OFF, task="confirm", button="Deactivate")
    assert f"{len(world.invitations)} candidates have an open invitation, whose result will not be written" in said
    airflow.until(OFF, run, "deactivate", "success")
    assert world.webhooks.entries == []
    assert [dag for dag, paused in airflow.paused().items() if not paused] == ["lever_imocha_retention"]


MANY = 30


def _one_is_sent_the_e_mail_again(page: Page, airflow: Airflow, world: World) -> None:
    """Press the button on a candidate's page: a run does it within seconds, and the page tells."""
    frame = console(page, airflow)
    frame.get_by_role("link", name="Why was somebody not invited?").click()
    frame.get_by_role("link", name="Ines").click()
    expect(frame.locator("h1")).to_contain_text("Ines")
    said = press(frame, "Send the e-mail again", reason="she says that none came")
    expect(said).to_contain_text("Asked for")
    wait_for(lambda: [mail["to"] for mail in world.mails] == ["ines@example.com"] * 2, "the e-mail", seconds=60)
    (invitation,) = world.invitations.values()
    assert invitation.state == "Pending"
    wait_for(lambda: airflow.told("traffic")["queue"] == [], "the run to write down what it did")
    said.get_by_role("link", name="Look what has happened").click()
    timeline = frame.locator(".timeline")
    expect(timeline.locator("tr", has_text="she says that none came")).to_contain_text(f"console, {airflow.user}")
    expect(timeline.locator("tr", has_text="sent again").first).to_contain_text("run")
    expect(frame.locator("section", has_text="If the candidate got no e-mail")).to_contain_text("2 e-mails")


def _many_are_looked_at_again_until_a_person_stops_it(page: Page, airflow: Airflow, world: World) -> None:
    """Ask about a whole group: the plan, the progress, and *Stop*, which leaves out whose turn has not come."""
    group = [world.add_opportunity(stage="Offer", tags=[PYTHON], name=f"Kim {number}") for number in range(MANY)]
    for one in group:
        world.move(one["id"], "Assessment")
    held = "?kind=held&why=no+e-mail+address"
    wait_for(lambda: [found["total"] for found in airflow.told(held)["groups"]] == [MANY], "all on hold", seconds=150)
    for number, one in enumerate(group):
        one["emails"] = [f"kim{number}@example.com"]  # which no webhook tells
    frame, label, reason = console(page, airflow), f"Look again now: all {MANY}", "they have addresses now"
    said = press(frame, label, reason=reason, dry_run=True)
    expect(said).to_contain_text(f"Nothing was done. It would be asked for {MANY} of {MANY}")
    assert len(world.invitations) == 1
    bulk = press(frame, label, reason=reason).locator(".bulk")
    expect(bulk).to_contain_text(re.compile(rf"[1-9]\d* of {MANY} done"), timeout=60_000)
    bulk.get_by_role("button", name="Stop").click()
    expect(bulk).to_contain_text(f"withdrawn; stopped by {airflow.user}")
    expect(bulk.get_by_role("button", name="Stop")).to_have_count(0, timeout=60_000)
    counts = re.match(rf"(\d+) of {MANY} done, (\d+) withdrawn", bulk.get_by_role("status").inner_text())
    assert counts
    done, withdrawn = map(int, counts.groups())
    assert (done + withdrawn, withdrawn > 0) == (MANY, True)
    wait_for(lambda: airflow.told("traffic")["queue"] == [], "all that was asked for to be done", seconds=150)
    assert len({invitation.email for invitation in world.invitations.values()} - {"ines@example.com"}) == done
    assert len(world.mails) == 2 + done
