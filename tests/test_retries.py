"""Which tries of a task Airflow makes by itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from lever_imocha.runtime.retry_policy import is_automatic_retry


@pytest.mark.parametrize(
    ("try_number", "max_tries", "automatic"),
    [(1, 3, False), (2, 3, True), (4, 3, True), (5, 7, False), (6, 7, True)],
    ids=["first", "retried", "last retry", "cleared after four tries", "retried after that"],
)
def test_a_cleared_task_is_no_automatic_retry(try_number: int, max_tries: int, automatic: bool) -> None:
    task_instance = SimpleNamespace(try_number=try_number, max_tries=max_tries)
    assert is_automatic_retry({"ti": task_instance}, 3) is automatic
