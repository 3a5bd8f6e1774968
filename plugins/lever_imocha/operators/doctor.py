"""The operator that runs the doctor's checks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

from lever_imocha.errors import SettingsError
from lever_imocha.operators.assessment import AssessmentOperator
from lever_imocha.runtime.parameters import given
from lever_imocha.runtime.tracebacks import without_traceback


def paused_in(context: Any) -> Callable[[], dict[str, bool]]:
    """Return how a task asks Airflow whether our DAGs are paused; nothing is returned where Airflow does not say."""
    from lever_imocha.workflows.doctor.machine import DAGS

    def ask() -> dict[str, bool]:
        with suppress(AirflowRuntimeError, AttributeError):  # before 3.3 a task cannot ask
            return {dag: context["ti"].get_dag(dag).is_paused for dag in DAGS}
        return {}

    return ask


class DoctorOperator(AssessmentOperator):
    """Check whether everything is set up so that candidates are invited and reports written; change nothing.

    The table is kept in the ledger. An alert tells what is newly wrong, and once that it is well again.

    :param only_log: keep and tell nothing, and do not fail when something is wrong.
    :param try_writes_on: an opportunity on which the permissions for writing may be tried; nothing is left there. A
        template.
    """

    template_fields = (*AssessmentOperator.template_fields, "try_writes_on")

    def __init__(self, *, only_log: bool = False, try_writes_on: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.only_log, self.try_writes_on = only_log, try_writes_on

    @without_traceback
    def execute(self, context: Any) -> None:
        """Log the table.

        :raises SettingsError: somebody is not invited, or a report not written; one line for each reason.
        """
        from lever_imocha.runtime.doctor import facts_of, keep_and_tell, log_findings
        from lever_imocha.workflows.doctor.checkup import examine
        from lever_imocha.workflows.doctor.findings import Level, of_level

        facts = facts_of(
            lever_conn_id=self.lever_conn_id, imocha_conn_id=self.imocha_conn_id, paused=paused_in(context)
        )
        findings = examine(facts, try_writes_on=self.try_writes_on if given(self.try_writes_on) else None)
        log_findings(findings)
        if self.only_log:
            return
        keep_and_tell(findings, facts)
        wrong = of_level(findings, Level.ERROR)
        if wrong:
            raise SettingsError([finding.line for finding in wrong])
