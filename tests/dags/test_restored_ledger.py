"""A backup of the ledger is put back: what both vendors say wins, and what is there is adopted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.repository import Ledger
from sqlalchemy import make_url

from dev import postgres
from include.sandbox.world import World
from tests.support import PYTHON

pytestmark = pytest.mark.slow


class Story:
    """One candidate, the two DAGs, and a backup of the ledger."""

    def __init__(self, dags: Any, world: World, base_url: str, ledger_url: str) -> None:
        self.world, self._dags, self._base_url, self._ledger_url = world, dags, base_url, ledger_url
        self._name = str(make_url(ledger_url).database)
        self.opportunity = world.add_opportunity(stage="Recruiter screen", tags=[PYTHON], emails=["ann@example.com"])

    def invite(self) -> None:
        assert self._dags.dags["lever_imocha_invite"].test(run_conf={"full": True}).state.value == "success"

    def write_back(self) -> None:
        assert self._dags.dags["lever_imocha_write_back"].test(run_conf={"wait": False}).state.value == "success"

    def back_up(self) -> None:
        self._copy(self._name, f"{self._name}_backup")

    def put_back(self) -> None:
        self._copy(f"{self._name}_backup", self._name)

    def _copy(self, source: str, target: str) -> None:
        engine_for(self._ledger_url).dispose()
        postgres.drop_database(self._base_url, target)
        postgres.disconnect(self._base_url, source)
        postgres.create_database(self._base_url, target, template=source)

    def finish(self) -> None:
        for invitation in self.world.invitations.values():
            self.world.finish(invitation)

    def outcome(self) -> tuple[int, int, int, str]:
        key = self.opportunity["id"]
        stage = next(item["text"] for item in self.world.stages if item["id"] == self.opportunity["stage"])
        return (
            len(self.world.invitations),
            len(self.world.forms.get(key, [])),
            len(self.world.files.get(key, [])),
            stage,
        )


@pytest.fixture
def story(dags: Any, world: World, settings: Callable[[str], None], postgres_url: str, ledger_url: str) -> Story:
    story = Story(dags, world, postgres_url, ledger_url)
    story.invite()
    story.world.move(story.opportunity["id"], "Assessment")
    return story


def test_a_report_written_since_the_backup_is_adopted(story: Story) -> None:
    story.invite()
    story.back_up()
    story.finish()
    story.write_back()
    story.put_back()
    story.write_back()
    assert story.outcome() == (1, 1, 1, "Assessment Complete")


def test_a_form_without_its_file_and_stage_is_completed(story: Story) -> None:
    story.invite()
    story.back_up()
    story.finish()
    story.write_back()
    story.world.files[story.opportunity["id"]].clear()
    story.world.move(story.opportunity["id"], "Assessment")
    story.put_back()
    story.invite()
    story.write_back()
    assert story.outcome() == (1, 1, 1, "Assessment Complete")
    assert len(story.world.mails) == 1


@pytest.mark.parametrize("says_pending", [True, False])
def test_an_invitation_and_its_report_made_since_the_backup_are_adopted(story: Story, says_pending: bool) -> None:
    story.world.switches["invite_says_pending"] = says_pending
    story.back_up()
    story.invite()
    story.finish()
    story.write_back()
    story.put_back()
    story.world.move(story.opportunity["id"], "Assessment")
    story.invite()
    story.write_back()
    story.write_back()
    assert story.outcome() == (1, 1, 1, "Assessment Complete")
    assert len(story.world.mails) == 1


def test_a_pending_invitation_made_since_the_backup_is_adopted_at_the_cost_of_an_e_mail(story: Story) -> None:
    story.back_up()
    story.invite()
    story.put_back()
    story.invite()
    assert story.outcome() == (1, 0, 0, "Assessment")
    assert len(story.world.mails) == 2
    story.finish()
    story.write_back()
    assert story.outcome() == (1, 1, 1, "Assessment Complete")


def test_another_ledger_is_no_backup(story: Story, ledger_url: str) -> None:
    """Airflow remembers a ledger's last event by the ledger's identity."""
    story.invite()
    assert not Ledger(engine=engine_for(ledger_url)).restore.is_recent()
