"""Which failures of the ledger Airflow tries again."""

from __future__ import annotations

import pytest
from airflow.sdk import RetryAction
from lever_imocha.errors import LedgerError
from lever_imocha.runtime.retry_policy import VendorRetryPolicy


@pytest.mark.parametrize("temporary", [True, False])
def test_a_ledger_out_of_reach_is_tried_again_and_one_not_migrated_is_not(temporary: bool) -> None:
    decision = VendorRetryPolicy().evaluate(LedgerError("no ledger", temporary=temporary), 1, 3)
    assert (decision.action is not RetryAction.FAIL) == temporary
