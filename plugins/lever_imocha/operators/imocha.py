"""Operators whose work is done at iMocha."""

from __future__ import annotations

from functools import partial
from typing import Any

from lever_imocha.hooks.plain import plain_errors
from lever_imocha.operators.base import LeverImochaOperator
from lever_imocha.operators.links import LeverCandidateLink
from lever_imocha.operators.work import work_through


class ImochaInviteOperator(LeverImochaOperator):
    """Decide about opportunities in a trigger stage and invite, refresh, hold or leave alone.

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
        """Return how many came to which decision."""
        with self.workshop() as shop:
            workflow = shop.invite_workflow()
            return work_through((key, partial(workflow.act, key)) for key in self.opportunity_ids)


class ImochaSyncTagsOperator(LeverImochaOperator):
    """Create in Lever the tag of every active iMocha test.

    :param opportunity: id of an opportunity that carries new tags for a moment.
    :param posting: or the name or id of a posting whose first active opportunity does.
    :param preview: only say what would be created.
    :param keep_on_opportunity: leave the tags there.
    """

    template_fields = ("opportunity", "posting", "preview", "keep_on_opportunity")

    def __init__(
        self,
        *,
        opportunity: str = "",
        posting: str = "",
        preview: bool | str = False,
        keep_on_opportunity: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.opportunity, self.posting = opportunity, posting
        self.preview, self.keep_on_opportunity = preview, keep_on_opportunity

    @plain_errors
    def execute(self, context: Any) -> dict[str, object]:
        """Return the tags created, present, stale and vanished."""
        with self.workshop() as shop:
            result = shop.sync_tags_workflow().sync(
                opportunity_id=_given(self.opportunity),
                posting=_given(self.posting),
                dry_run=str(self.preview) == "True",
                keep_on_opportunity=str(self.keep_on_opportunity) == "True",
            )
        for kind in ("created", "present", "stale", "vanished"):
            for tag in getattr(result, kind):
                self.log.info("%s%s: %s", kind, " (dry run)" if result.dry_run else "", tag)
        if result.vanished:
            self.log.warning(
                "Lever forgets a tag that nobody carries: run again with keep_on_opportunity to leave them in place."
            )
        return result.as_dict()


def _given(text: str | None) -> str | None:
    return text.strip() if text and text.strip() not in ("", "None") else None
