"""Who stands how: the numbers are those of the lists."""

from __future__ import annotations

import pytest
from lever_imocha.domain.standing import Standing
from lever_imocha.ledger.overview.people import PeopleFilter
from lever_imocha.ledger.repository import Ledger

from include.sandbox.world import World
from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack, make_stack


@pytest.fixture
def stack(ledger: Ledger, sandbox_world: World, sandbox_url: str) -> Stack:
    return make_stack(ledger, sandbox_world, sandbox_url)


def test_the_numbers_are_those_of_the_lists_and_each_counts_once(stack: Stack) -> None:
    """Where several things are so about one person, what is to be done first counts."""
    stack.candidate()
    taken = stack.candidate(PYTHON)
    for _ in range(2):
        stack.candidate(PYTHON, SQL)
    held = stack.candidate(PYTHON, SQL)
    stack.run_invite()
    (known,) = stack.ledger.assessments.of(taken)
    stack.world.finish(stack.world.invitations[known.invitation_id or 0], "Complete")
    stack.run_write_back()
    stack.world.opportunities[held].update(emails=[])
    stack.again(held)
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    stack.candidate(SQL)
    stack.invite_workflow().collect()
    counted = stack.ledger.people.standings()
    assert counted.is_all
    assert counted.people == {Standing.NEEDS_YOU: 2, Standing.WORKING: 1, Standing.WAITING: 2}
    for standing, number in counted.people.items():
        assert len(_listed(stack.ledger, standing)) == number
    assert len(_listed(stack.ledger, Standing.DONE)) == 2


@pytest.mark.parametrize("limit", [1, 3])
def test_of_more_than_are_counted_nobody_counts_where_they_do_not_stand(stack: Stack, limit: int) -> None:
    held = [stack.candidate(PYTHON, emails=[]) for _ in range(2)]
    for _ in range(2):
        stack.candidate(PYTHON)
    stack.run_invite()
    counted = stack.ledger.people.standings(limit=limit)
    assert not counted.is_all
    needs_you = min(limit, len(held))
    assert counted.people == {
        Standing.NEEDS_YOU: needs_you, Standing.WORKING: 0, Standing.WAITING: limit - needs_you,
    }  # fmt: skip


def _listed(ledger: Ledger, standing: Standing) -> list[str]:
    return [person.opportunity_id for person in ledger.people.listed(PeopleFilter(standing=standing))]
