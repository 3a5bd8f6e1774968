"""Notices that a backup of the ledger was put back.

The vendors then know more than the ledger: an invitation, form or file it does not know may be there already, and is
looked for before it is made. The ledger's last event is kept where its backup does not reach: in an Airflow variable.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError

from lever_imocha.ledger.repository import Ledger

log = logging.getLogger(__name__)

VARIABLE = "lever_imocha_ledger"
_NO_VARIABLES = (AirflowRuntimeError, ImportError)
"""Airflow refuses, or the operator runs outside of a task."""


@contextmanager
def detect_restore(ledger: Ledger) -> Iterator[None]:
    """Compare the ledger with the last event kept in the Airflow variable, and keep the new one at the end.

    Skipped when Airflow's variables cannot be used.
    """
    seen: dict[str, Any] = {}
    with suppress(*_NO_VARIABLES):
        seen = Variable.get(VARIABLE, default={}, deserialize_json=True)
    if not ledger.restore.is_same_history(seen):
        log.warning("a backup of the ledger was put back: what is there at Lever and iMocha is looked up and adopted")
        ledger.restore.mark()
    try:
        yield
    finally:
        with suppress(*_NO_VARIABLES):
            Variable.set(VARIABLE, ledger.restore.last_event(), serialize_json=True)
