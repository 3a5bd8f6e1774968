"""A newcomer's mistakes, one at a time: the set-up's form names each, and nothing is activated before it is corrected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from lever_imocha.errors import SettingsError
from lever_imocha.ledger.database import engine_for
from lever_imocha.runtime.setup import form_of
from lever_imocha.settings import load_settings
from lever_imocha.workflows.doctor.findings import Level, of_level
from lever_imocha.workflows.doctor.permissions import CONFIDENTIAL, FOR_ALL, FOR_NOTES, NOTHING, Permission
from lever_imocha.workflows.setup.form import Answer
from lever_imocha.workflows.setup.steps import SetUp

from include.sandbox.lever_permissions import PERMISSIONS, TO_EXPAND_APPLICATIONS
from tests.support import PYTHON
from tests.workflows.conftest import Stack
from tests.workflows.planted_mistakes import MISTAKES, Account, well_set_up

SWITCHED_ON_AT_THE_END = "DAGs"


@dataclass
class Newcomer:
    """Plays the set-up on an account: a person who chooses something in each list and presses *Activate*."""

    account: Account
    path: Path
    posting: str = "none"

    def write(self) -> None:
        """Write the settings file, and have the doctor read it from now on."""
        if "settings" not in self.account.given:
            self.path.write_text(self.account.text)
            self.account.given["settings"] = lambda: load_settings(self.path)

    def set_up(self) -> SetUp:
        account = self.account

        def store(tokens: dict[str, str]) -> None:
            account.given["webhook_tokens"] = lambda: list(tokens.values())

        return SetUp(
            facts=account.facts(),
            engine=lambda: engine_for(account.url),
            path=self.path,
            key_mark=lambda: account.world.lever_key,
            stored_tokens=dict,
            store_tokens=store,
            other_tokens=lambda: bool(account.facts().webhook_tokens()),
            make_callback_secret=lambda: account.given.update(callback_secret=lambda: "made-by-the-set-up"),
        )

    def answer(self) -> Answer | None:
        """Choose what is offered first where nothing is chosen; None when there is nothing to choose from."""
        fields = form_of(self.account.facts(), before={}).fields
        chosen = {field.name: field.default for field in fields} | {"posting": self.posting}
        for field in fields:
            free = [option for option in field.options if option not in chosen.values()]
            chosen[field.name] = chosen[field.name] or next(iter(free), None)
        return Answer.read(chosen) if fields else None

    def activate(self) -> list[str]:
        """Return the lines with which *Activate* comes back; none when it goes on."""
        try:
            answer = self.answer()
            if answer is None:
                return ["there is nothing to choose from yet"]
            wrong = [finding.line for finding in self.set_up().obstacles(answer)]
            if not wrong:
                list(self.set_up().run(answer))
                self.account.given.pop("ledger", None)  # its tables are there now, and the settings file
                self.account.given["settings"] = lambda: load_settings(self.path)
        except SettingsError as problem:
            return problem.problems
        return wrong

    def errors(self) -> list[str]:
        return [
            one.line for one in of_level(self.account.examine(), Level.ERROR) if one.check != SWITCHED_ON_AT_THE_END
        ]


@pytest.fixture
def newcomer(stack: Stack, sandbox_url: str, ledger_url: str, tmp_path: Path) -> Newcomer:
    account = well_set_up(stack, sandbox_url, ledger_url)
    return Newcomer(account, tmp_path / "lever_imocha.yaml", posting=str(account.world.postings[0]["id"]))


def test_nothing_wrong_is_activated(newcomer: Newcomer) -> None:
    newcomer.write()
    assert newcomer.activate() == []
    assert newcomer.errors() == []


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_in_the_form_and_comes_back_or_is_corrected(newcomer: Newcomer, mistake: str) -> None:
    spoil, check, parts = MISTAKES[mistake]
    spoil(newcomer.account)
    newcomer.write()
    text = form_of(newcomer.account.facts(), before={}).text
    if check != SWITCHED_ON_AT_THE_END:
        assert all(part in text.replace("\\|", "|") for part in parts), text
    before = newcomer.errors()
    came_back = newcomer.activate()
    assert came_back or newcomer.errors() == [], before
    if came_back:
        assert before
        assert newcomer.account.world.mails == []


IN_THE_SANDBOX = {
    "the box for listing deleted opportunities": "deleted opportunities",
    "the box for listing webhooks": "list webhooks",
    "the box for creating webhooks": "create webhooks",
    "the box for deleting webhooks": "delete webhooks",
}
BOXES = FOR_ALL + FOR_NOTES


def without(newcomer: Newcomer, label: str) -> None:
    """Give the account a key without one box, and something that needs it."""
    account = newcomer.account
    account.settings = "explain: {status_tags: true, notes: true}\nrules: [{postings: [Python Engineer]}]\n"
    if label in ("Create a form template", "Find a form template"):
        account.world.templates.clear()
    if label == "Update a form template":
        (template,) = account.world.templates.values()
        template["fields"].pop()
        account.settings += "write_back: {update_template: true}\n"
    if label in IN_THE_SANDBOX:
        account.world.webhooks.entries.clear()
        account.forget_deliveries()
    newcomer.write()
    account.world.lacking_permissions.add(IN_THE_SANDBOX.get(label, label))


@pytest.mark.slow
@pytest.mark.parametrize("tried_on", ["nobody", "a candidate"])
@pytest.mark.parametrize("box", BOXES, ids=lambda box: box.label)
def test_each_box_that_a_key_lacks_is_named_before_anybody_is_invited(
    newcomer: Newcomer, box: Permission, tried_on: str
) -> None:
    if tried_on == "nobody":
        newcomer.posting = "none"
    without(newcomer, box.label)
    shown = form_of(newcomer.account.facts(), before={}).text.splitlines()
    came_back: list[str] = []
    answer = newcomer.answer()
    if answer is not None:
        came_back = [one.line for one in newcomer.set_up().obstacles(answer)]
        assert came_back or box.lack is not Level.ERROR or box.label in MADE
        try:
            came_back += [] if came_back else newcomer.set_up().run(answer)
        except SettingsError as problem:
            came_back += problem.problems
    naming = [[line for line in told if box.name in line] for told in (shown, came_back)]
    assert max(map(len, naming)) == 1, (shown, came_back)
    assert all("a new key with" in line for told in naming for line in told)
    assert newcomer.account.world.mails == []


MADE = ("Create a form template", "Update a form template")
"""Needed once, by the set-up itself, which names the box then."""


def test_the_sandbox_knows_each_box() -> None:
    named = {IN_THE_SANDBOX.get(box.label, box.label) for box in BOXES}
    assert named <= {*PERMISSIONS, *TO_EXPAND_APPLICATIONS}


@pytest.mark.parametrize("seen", [True, False])
def test_access_to_confidential_data_is_told_on_a_confidential_candidate(newcomer: Newcomer, seen: bool) -> None:
    account = newcomer.account
    account.stack.candidate(PYTHON, stage="Offer")
    (confidential,) = [
        key for key, one in account.world.opportunities.items() if one["confidentiality"] == "confidential"
    ]
    account.world.switches["confidential_access"] = seen
    newcomer.write()
    named = [line for line in form_of(account.facts(), before={}).text.splitlines() if CONFIDENTIAL in line]
    assert len(named) == (0 if seen else 1)
    told = [line for line in account.wrong(try_writes_on=confidential) if CONFIDENTIAL in line and "error" in line]
    assert [line.partition(": it is")[0] for line in told] == (
        []
        if seen
        else [
            "Lever permissions to write: error: the API key may read others, but not opportunity " + confidential,
        ]
    )


def test_a_confidential_posting_shows_that_the_key_has_access(newcomer: Newcomer) -> None:
    account = newcomer.account
    for one in account.world.opportunities.values():
        one["confidentiality"] = "non-confidential"
    newcomer.write()
    assert any(CONFIDENTIAL in line for line in account.wrong())
    account.world.postings[0]["confidentiality"] = "confidential"
    assert account.wrong() == []
    account.world.switches["confidential_access"] = False
    assert any(CONFIDENTIAL in line for line in account.wrong())


IMOCHA_CALLS = {
    "List all tests": "/tests?",
    "Retrieve Invites": "/candidates/testattempts",
    "List all test links": "/testlinks",
}


@pytest.mark.parametrize("call", IMOCHA_CALLS)
def test_a_list_that_imocha_s_key_may_not_read_is_named_in_one_line(newcomer: Newcomer, call: str) -> None:
    newcomer.write()
    newcomer.account.stack.fault(vendor="imocha", path_contains=IMOCHA_CALLS[call], status=403, times=100)
    (told,) = newcomer.account.wrong()
    assert told.startswith(f"iMocha permissions: error: iMocha does not let the API key call {call!r}: ")
    assert newcomer.activate() == [told]


def test_where_lever_refuses_even_to_look_for_nothing_a_refused_write_proves_nothing(newcomer: Newcomer) -> None:
    newcomer.write()
    newcomer.posting = "none"
    newcomer.account.stack.fault(vendor="lever", path_contains=f"/opportunities/{NOTHING}", status=403, times=100)
    assert newcomer.activate() == []
