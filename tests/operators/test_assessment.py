"""The parameters of the workflow's own operators: read before anything is done."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import BaseOperator
from lever_imocha.errors import SettingsError
from lever_imocha.operators.assessment import (
    CollectStageEntriesOperator,
    InviteCandidatesOperator,
    SyncTagsOperator,
    WaitForAttemptsSensor,
    WriteBackReportsOperator,
)

NOTHING: Any = {}
KINDS: list[type[BaseOperator]] = [
    CollectStageEntriesOperator,
    InviteCandidatesOperator,
    SyncTagsOperator,
    WaitForAttemptsSensor,
    WriteBackReportsOperator,
]


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        (
            CollectStageEntriesOperator(task_id="t", full="perhaps"),
            "full: 'perhaps' cannot be read; give true or false",
        ),
        (CollectStageEntriesOperator(task_id="t", allow_cancelling="None"), "allow_cancelling: 'None' cannot be read"),
        (CollectStageEntriesOperator(task_id="t", over_limit="all"), "over_limit: .* give one of wait, release, drop"),
        (SyncTagsOperator(task_id="t", preview="2"), "preview: '2' cannot be read"),
        (SyncTagsOperator(task_id="t", keep_on_opportunity="nö"), "keep_on_opportunity: 'nö' cannot be read"),
        (WaitForAttemptsSensor(task_id="t", wait="perhaps"), "wait: 'perhaps' cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_boolean_is_refused_before_anything_else(operator: BaseOperator, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        operator.execute(NOTHING)


@pytest.mark.parametrize("kind", KINDS)
def test_the_connections_ids_are_templates(kind: type[BaseOperator]) -> None:
    assert {"lever_conn_id", "imocha_conn_id"} <= set(kind.template_fields)
