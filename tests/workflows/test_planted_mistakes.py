"""A newcomer's mistakes, one at a time: the set-up's form names each, and nothing is activated before it is mended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.errors import SettingsError
from lever_imocha.ledger.database import engine_for
from lever_imocha.runtime.setup import form_of
from lever_imocha.settings import load_settings
from lever_imocha.workflows.doctor.findings import Level, of_level
from lever_imocha.workflows.doctor.permissions import FOR_ALL, FOR_NOTES
from lever_imocha.workflows.setup.form import Answer
from lever_imocha.workflows.setup.steps import SetUp

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
def test_a_planted_mistake_is_in_the_form_and_comes_back_or_is_mended(newcomer: Newcomer, mistake: str) -> None:
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


LABELS = {"the box for listing deleted opportunities": "deleted opportunities"}
BY_HAND = {
    "the box for listing webhooks": "list webhooks",
    "the box for creating webhooks": "create webhooks",
}
NOT_TRIED = {
    "Find an opportunity application",
    "Find all opportunity applications",
    "Update a form template",
    "the box for deleting webhooks",
    "the box for updating notes",
}
"""The first two show in how candidates are listed; the others are seldom needed, and named when they are."""


@pytest.mark.parametrize(
    "label", [one.label for one in FOR_ALL + FOR_NOTES if one.label not in NOT_TRIED and one.label not in BY_HAND]
)
def test_a_key_without_one_permission_is_not_activated(newcomer: Newcomer, label: str) -> None:
    newcomer.account.settings = "explain: {status_tags: true, notes: true}\n"
    newcomer.write()
    if label == "Create a form template":
        newcomer.account.world.templates.clear()
    newcomer.account.world.lacking_permissions.add(LABELS.get(label, label))
    came_back = newcomer.activate()
    if newcomer.answer() is None:
        came_back = newcomer.errors()
    assert len(came_back) == 1, came_back
    assert label in came_back[0]
    assert "make a new key" in came_back[0]


@pytest.mark.parametrize("label", BY_HAND.values())
def test_without_the_boxes_for_webhooks_they_are_left_to_a_person(newcomer: Newcomer, label: str) -> None:
    newcomer.write()
    newcomer.account.world.webhooks.entries.clear()
    newcomer.account.world.lacking_permissions.add(label)
    answer: Any = newcomer.answer()
    assert newcomer.set_up().obstacles(answer) == []
    done = list(newcomer.set_up().run(answer))
    assert [line for line in done if line.startswith("by hand: the API key may not register webhooks")]
