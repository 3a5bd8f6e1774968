"""The parameters of the workflow's own operators: read before anything is done."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import BaseOperator
from lever_imocha.errors import RequestRejectedError, SettingsError, WorkFailedError
from lever_imocha.operators.assessment import (
    CollectStageEntriesOperator,
    InviteCandidatesOperator,
    SyncTagsOperator,
    WaitForAttemptsSensor,
    WriteBackReportsOperator,
)
from lever_imocha.operators.comparison import CompareOperator
from lever_imocha.operators.deactivation import ConfirmDeactivationOperator, DeactivateOperator
from lever_imocha.operators.doctor import DoctorOperator
from lever_imocha.operators.setup import CheckSetUpOperator, ChooseOperator, ConfirmOperator, SetUpOperator
from lever_imocha.runtime.batch_run import run_batch

NOTHING: Any = {}
KINDS: list[type[BaseOperator]] = [
    CheckSetUpOperator,
    ChooseOperator,
    CollectStageEntriesOperator,
    CompareOperator,
    ConfirmDeactivationOperator,
    ConfirmOperator,
    DeactivateOperator,
    DoctorOperator,
    InviteCandidatesOperator,
    SetUpOperator,
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


def test_a_row_is_named_by_its_candidate_and_from_its_end_on_by_what_came_of_it() -> None:
    row = InviteCandidatesOperator(task_id="t", opportunity_ids=["a"])
    assert row.label == "a"
    assert row._noted(lambda _: "hold: no e-mail address")("a") == "hold: no e-mail address"
    assert row.label == "a · hold: no e-mail address"
    assert InviteCandidatesOperator(task_id="t", opportunity_ids=[]).label == "settings"


def test_a_row_of_several_counts_what_came_of_them_also_when_it_fails() -> None:
    def work(opportunity_id: str) -> str:
        if opportunity_id == "b":
            raise RequestRejectedError(vendor="iMocha", call="invite", status=400)
        return "hold: no e-mail address"

    row = InviteCandidatesOperator(task_id="t", opportunity_ids=["a", "b", "c"])
    assert row.label == "3 candidates"
    with pytest.raises(WorkFailedError):
        run_batch(row.opportunity_ids, row._noted(work))
    assert row.label == "3 candidates · hold 2, failed 1"
