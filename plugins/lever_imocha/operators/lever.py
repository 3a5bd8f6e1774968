"""Operators whose work begins in Lever."""

from __future__ import annotations

from functools import partial
from typing import Any

from lever_imocha.domain.slices import slices
from lever_imocha.errors import LeverImochaError
from lever_imocha.hooks.plain import plain_errors
from lever_imocha.notifications.settings import tell_overdue
from lever_imocha.operators.base import LeverImochaOperator
from lever_imocha.operators.links import LeverCandidateLink
from lever_imocha.operators.work import work_through
from lever_imocha.workflows.invite import InviteWorkflow

AT_ONCE = 3


class LeverCollectStageEntriesOperator(LeverImochaOperator):
    """Sweep Lever's trigger stages and return who is waiting, in slices of opportunity ids.

    A run that a delivery rang for does not sweep, and acts on the first few itself: handing one candidate to another
    task costs a second or two, which is most of the time from the move to the invitation. Whom it could not help is
    handed on like everybody else.

    :param full: look at everyone in the stages, however long ago they came; a template.
    """

    template_fields = ("full",)

    def __init__(self, *, full: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full = full

    @plain_errors
    def execute(self, context: Any) -> list[list[str]]:
        """Return slices of opportunity ids."""
        rung = context["dag_run"].run_type == "asset_triggered"
        with self.workshop() as shop:
            workflow = shop.invite_workflow()
            try:
                waiting = workflow.collect(full=str(self.full) == "True", sweep=not rung)
            finally:
                if not rung:
                    tell_overdue(shop.settings)
            self.log.info("%s opportunities to decide about", len(waiting))
            if rung:
                waiting = [key for key in waiting[:AT_ONCE] if not self._helped(workflow, key)] + waiting[AT_ONCE:]
        return slices(waiting)

    def _helped(self, workflow: InviteWorkflow, opportunity_id: str) -> bool:
        try:
            outcome = workflow.act(opportunity_id)
        except LeverImochaError as error:
            self.log.warning("opportunity %s: %s", opportunity_id, error)
            return False
        self.log.info("opportunity %s: %s", opportunity_id, outcome)
        return True


class LeverWriteBackOperator(LeverImochaOperator):
    """Write ended attempts back to Lever: form, file, tags, stage.

    :param opportunity_ids: a slice of opportunities.
    """

    template_fields = ("opportunity_ids",)
    operator_extra_links = (LeverCandidateLink(),)

    def __init__(self, *, opportunity_ids: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opportunity_ids = opportunity_ids

    @property
    def label(self) -> str:
        """For the grid."""
        return self.opportunity_ids[0] if len(self.opportunity_ids) == 1 else f"{len(self.opportunity_ids)} candidates"

    @plain_errors
    def execute(self, context: Any) -> dict[str, int]:
        """Return how many came to which outcome."""
        with self.workshop() as shop:
            workflow = shop.write_back_workflow()
            return work_through((key, partial(workflow.write_back, key)) for key in self.opportunity_ids)
