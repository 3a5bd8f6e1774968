"""The operators of the deactivation: say what will happen, and do it when a person agrees."""

from __future__ import annotations

from typing import Any

from lever_imocha.airflow_compat import AirflowSkipException
from lever_imocha.operators.assessment import AssessmentOperator
from lever_imocha.operators.doctor import paused_in
from lever_imocha.operators.setup import AskOperator
from lever_imocha.runtime.tracebacks import without_traceback

DEACTIVATE, KEEP = "Deactivate", "Leave all on"


class ConfirmDeactivationOperator(AskOperator):
    """Show what is going to be switched off and whose invitations are open, and wait until a person agrees."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Switch Lever and iMocha off", options=[DEACTIVATE, KEEP], **kwargs)

    @without_traceback
    def execute(self, context: Any) -> Any:
        """Look whose invitations are open, and ask."""
        from lever_imocha.runtime.deactivation import deactivation

        self.body = deactivation(self.lever_conn_id, self.imocha_conn_id).text
        return super().execute(context)

    @without_traceback
    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        """Go on when a person agrees."""
        if super().execute_complete(context, event)["chosen_options"] != [DEACTIVATE]:
            raise AirflowSkipException("nothing is changed")


class DeactivateOperator(AssessmentOperator):
    """Delete our webhooks in Lever, and switch the DAGs off; nothing is changed about candidates."""

    @without_traceback
    def execute(self, context: Any) -> list[str]:
        """Return what was done, what is left to do by hand, and whose invitations are open, a line each."""
        from lever_imocha.runtime.deactivation import deactivation, switched_off

        plan = deactivation(self.lever_conn_id, self.imocha_conn_id)
        done = []
        for line in (*plan.delete_webhooks(), switched_off(paused_in(context)()), plan.open_invitations()):
            self.log.info("%s", line)
            done.append(line)
        return done
