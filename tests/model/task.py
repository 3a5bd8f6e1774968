"""The work of one task, done by the real operators, in a process of its own that may be killed at any moment."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from lever_imocha.operators.assessment import (
    CollectStageEntriesOperator,
    InviteCandidatesOperator,
    WaitForAttemptsSensor,
    WriteBackReportsOperator,
)

_CONTEXT: dict[str, Any] = {"dag_run": SimpleNamespace(run_type="scheduled")}


def invite() -> None:
    """Both tasks of the invite DAG."""
    for ids in CollectStageEntriesOperator(task_id="collect", full=True).execute(_CONTEXT):
        InviteCandidatesOperator(task_id="invite", opportunity_ids=ids).execute(_CONTEXT)


def write_back() -> None:
    """Both tasks of the write-back DAG."""
    for ids in WaitForAttemptsSensor(task_id="wait", wait=False).execute(_CONTEXT):
        WriteBackReportsOperator(task_id="write_back", opportunity_ids=ids).execute(_CONTEXT)


def run(work: str, environment: dict[str, str], go: Any) -> None:
    """What the process does, once it is told to go."""
    os.environ.update(environment)
    go.recv()
    {"invite": invite, "write_back": write_back}[work]()
