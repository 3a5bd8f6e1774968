"""The operator that compares Lever's and iMocha's lists with the ledger. It needs the ledger and the settings file."""

from __future__ import annotations

from typing import Any

from lever_imocha.operators.assessment import AssessmentOperator
from lever_imocha.runtime.tracebacks import without_traceback


class CompareOperator(AssessmentOperator):
    """Queue what was missed, explain the rest, and tell what nobody can explain."""

    @without_traceback
    def execute(self, context: Any) -> dict[str, str]:
        """Return one line for each vendor.

        :raises LeverImochaError: a list could not be read to its end; what it showed until then counts.
        """
        from lever_imocha.notifications.alerts import alert_comparison
        from lever_imocha.workflows.comparison import told_unexplained

        with self.services() as services:
            workflow = services.compare_workflow()
            found = workflow.run()
            alert_comparison(services.settings, told_unexplained(found), complete=all(one.is_complete for one in found))
        for one in found:
            self.log.info("%s", one)
        for error in workflow.failures:
            raise error
        return {one.vendor: str(one) for one in found}
