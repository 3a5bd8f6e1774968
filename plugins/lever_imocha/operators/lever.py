"""Operators whose work begins in Lever."""

from __future__ import annotations

from functools import partial
from typing import Any

from lever_imocha.domain.slices import slices
from lever_imocha.operators.base import LeverImochaOperator
from lever_imocha.operators.work import work_through


class LeverCollectStageEntriesOperator(LeverImochaOperator):
    """Sweep Lever's trigger stages and return what is pending, in slices of stage entries.

    :param full: look at everyone in the stages, however long ago they came; a template.
    """

    template_fields = ("full",)

    def __init__(self, *, full: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full = full

    def execute(self, context: Any) -> list[list[dict[str, Any]]]:
        """Return slices of ``{"entry": id, "opportunity": id}``."""
        pending = self.workshop().invite_workflow().collect(full=str(self.full) == "True")
        self.log.info("%s stage entries to decide", len(pending))
        return slices([{"entry": entry.id, "opportunity": entry.opportunity_id} for entry in pending])


class LeverWriteBackOperator(LeverImochaOperator):
    """Write ended attempts back to Lever: form, file, tags, stage.

    :param opportunity_ids: a slice of opportunities.
    """

    template_fields = ("opportunity_ids",)

    def __init__(self, *, opportunity_ids: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opportunity_ids = opportunity_ids

    @property
    def label(self) -> str:
        """For the grid."""
        return self.opportunity_ids[0] if len(self.opportunity_ids) == 1 else f"{len(self.opportunity_ids)} candidates"

    def execute(self, context: Any) -> dict[str, int]:
        """Return how many came to which outcome."""
        workflow = self.workshop().write_back_workflow()
        return work_through(
            (opportunity_id, partial(workflow.write_back, opportunity_id)) for opportunity_id in self.opportunity_ids
        )
