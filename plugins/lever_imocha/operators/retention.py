"""The operator that keeps the ledger from growing. It needs the ledger and the settings file."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from lever_imocha.runtime.tracebacks import without_traceback


class RemoveOldDataOperator(BaseOperator):
    """Remove from the ledger what the settings (`retention`) no longer have it keep."""

    @without_traceback
    def execute(self, context: Any) -> dict[str, int]:
        """Return how many rows, names and people were removed."""
        from lever_imocha.domain.clock import utc_now
        from lever_imocha.hooks.ledger import ledger_engine
        from lever_imocha.ledger.repository import Ledger
        from lever_imocha.settings import load_settings
        from lever_imocha.workflows.retention import Retention

        ledger, settings = Ledger(engine=ledger_engine()), load_settings().retention
        removed = Retention(ledger=ledger, settings=settings, clock=utc_now).run()
        self.log.info("removed: %s", removed)
        return removed
