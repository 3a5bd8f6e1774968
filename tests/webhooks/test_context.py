"""What the receivers in Airflow's API server work with."""

from __future__ import annotations

import os
import subprocess
import sys

_OPEN = """
from lever_imocha.errors import AirflowDownError
from lever_imocha.webhooks.context import open_context
try:
    print(open_context())
except AirflowDownError as error:
    print("down:", error)
"""


def test_no_delivery_is_refused_for_secrets_that_airflow_cannot_look_up(ledger_url: str) -> None:
    """An API server that has lost its database finds no connection and no variable, and says no more than that."""
    environment = os.environ | {
        "PYTHONPATH": ":".join(sys.path),
        "_AIRFLOW_PROCESS_CONTEXT": "server",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://u@127.0.0.1:1/x",
        "LEVER_IMOCHA_LEDGER": ledger_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", _OPEN], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "down: Airflow cannot look up its connections" in done.stdout
