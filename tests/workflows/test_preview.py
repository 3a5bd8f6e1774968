"""What would be done is what is then done; asking changes nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from lever_imocha.ledger.watermarks import ACTIVATED
from lever_imocha.settings import parse_settings
from lever_imocha.workflows.preview import Preview

from tests.support import PYTHON
from tests.workflows.conftest import SETTINGS, Stack

DECIDED = "nothing, as it was decided before: "


def plans(stack: Stack) -> dict[str, list[str]]:
    return Preview(
        lever=stack.lever, imocha=stack.imocha, ledger=stack.ledger, settings=stack.settings, clock=stack.clock
    ).plans()


def counted(stack: Stack) -> dict[str, int]:
    return {plan: len(ids) for plan, ids in plans(stack).items()}


@pytest.mark.parametrize("existing", ["leave", "adopt", "invite"])
def test_the_plan_equals_what_is_then_done(stack: Stack, existing: str) -> None:
    stack.settings = parse_settings(
        f"perform_as: people-ops@example.com\nactivation: {{existing: {existing}}}\nlimits: {{per_hour: 3}}\n"
        "rules: [{skip_origins: [internal]}]"
    )
    for _ in range(5):
        stack.candidate(PYTHON)
    stack.candidate(PYTHON, emails=[])
    stack.candidate(PYTHON, origin="internal")
    stack.candidate(PYTHON, archived={"reason": "r", "archivedAt": 1782972986091})
    stack.candidate("iMocha: Gone [999]")
    stack.candidate()
    planned = counted(stack)
    assert stack.writes() == []
    assert stack.ledger.watermarks.get(ACTIVATED) is None, "asking is no first run"
    done = Counter(str(outcome).replace("waits", "hold") for outcome in stack.run_invite())
    assert {plan.removesuffix(", test 101"): count for plan, count in planned.items()} == done


def test_what_was_decided_is_said_so(stack: Stack) -> None:
    stack.candidate(PYTHON)
    stack.candidate(PYTHON, emails=[])
    stack.run_invite()
    assert counted(stack) == {DECIDED + "invite": 1, DECIDED + "hold": 1}


def test_who_comes_again_would_be_invited_again(stack: Stack) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    stack.again(opportunity)
    assert plans(stack) == {"refresh, test 101": [opportunity]}


def test_a_rule_that_cannot_be_used_is_named(stack: Stack) -> None:
    stack.settings = parse_settings(SETTINGS + "rules: [{completed_stage: Nowhere}]")
    stack.candidate(PYTHON)
    assert counted(stack) == {"waits until the settings are corrected": 1}
