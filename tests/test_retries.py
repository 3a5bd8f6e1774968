"""Which tries of a task Airflow makes by itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from lever_imocha.runtime.retry_policy import was_cleared


@pytest.mark.parametrize(
    ("try_number", "max_tries", "cleared"),
    [(1, 3, False), (2, 3, False), (4, 3, False), (5, 7, True), (6, 7, False)],
    ids=["first", "retried", "last retry", "cleared after four tries", "retried after that"],
)
def test_a_task_that_a_person_has_cleared_is_told_from_one_that_airflow_runs_again(
    try_number: int, max_tries: int, cleared: bool
) -> None:
    task_instance = SimpleNamespace(try_number=try_number, max_tries=max_tries)
    assert was_cleared({"ti": task_instance}, 3) is cleared
