"""The workflow's own operators and sensor: what the DAGs run. They need the ledger and the settings file.

Modules that only a running task needs are imported when it runs: the DAG processor parses these DAGs every 30 seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseSensorOperator

from lever_imocha.assets import announce, candidate_invited, report_written
from lever_imocha.errors import SettingsError, TagsRefusedError, WaitFailedError, listed
from lever_imocha.operators.links import LeverCandidateLink, TimelineLink
from lever_imocha.runtime.batches import batches
from lever_imocha.runtime.parameters import read, text_or_none
from lever_imocha.runtime.retry_policy import was_cleared
from lever_imocha.runtime.tracebacks import without_traceback
from lever_imocha.triggers.ended_attempts import EndedAttemptsTrigger

if TYPE_CHECKING:
    from lever_imocha.runtime.services import Services
    from lever_imocha.workflows.work import Result

AT_ONCE = 3


def _open_services(lever_conn_id: str, imocha_conn_id: str) -> Services:
    from lever_imocha.runtime.services import Services

    return Services.open(lever_conn_id=lever_conn_id, imocha_conn_id=imocha_conn_id)


class AssessmentOperator(BaseOperator):
    """Base of the operators that work with both vendors and the ledger.

    :param lever_conn_id: connection of type ``lever``.
    :param imocha_conn_id: connection of type ``imocha``.
    """

    template_fields: Sequence[str] = ("lever_conn_id", "imocha_conn_id")

    def __init__(
        self, *, lever_conn_id: str = "lever_default", imocha_conn_id: str = "imocha_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lever_conn_id, self.imocha_conn_id = lever_conn_id, imocha_conn_id
        self._outcomes: dict[str, str] = {}

    @contextmanager
    def services(self) -> Iterator[Services]:
        """Open clients, ledger and settings for this task; detect a restored backup of the ledger."""
        from lever_imocha.runtime.restore_check import detect_restore

        services = _open_services(self.lever_conn_id, self.imocha_conn_id)
        with detect_restore(services.ledger):
            yield services

    def _noted(self, work: Callable[[str], Result]) -> Callable[[str], Result]:
        """Return the same work on a candidate, which also notes its outcome."""

        def do(opportunity_id: str) -> Result:
            self._outcomes[opportunity_id] = "failed"
            outcome = work(opportunity_id)
            self._outcomes[opportunity_id] = str(outcome or "nothing to do")
            return outcome

        return do

    @contextmanager
    def _counts_left(self, context: Any) -> Iterator[None]:
        """Leave the outcomes that were noted for the run's note, also when some have failed."""
        from lever_imocha.runtime.outcomes import OUTCOMES, counted

        try:
            yield
        finally:
            with suppress(Exception):  # a note is not worth a failed task
                context["ti"].xcom_push(key=OUTCOMES, value=counted(self._outcomes.values()))


class CandidatesOperator(AssessmentOperator):
    """Base of the operators that work on a batch of candidates.

    :param opportunity_ids: Lever's ids of the batch.
    """

    template_fields = (*AssessmentOperator.template_fields, "opportunity_ids")
    operator_extra_links = (TimelineLink(), LeverCandidateLink())

    def __init__(self, *, opportunity_ids: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opportunity_ids = opportunity_ids

    @property
    def label(self) -> str:
        """Name the row in Airflow's grid, from its end on with what came of it; Airflow asks before and after."""
        ids, outcomes = self.opportunity_ids, self._outcomes
        if not ids:
            return "settings"
        name = ids[0] if len(ids) == 1 else f"{len(ids)} candidates"
        came = [outcomes[one] for one in ids if one in outcomes]
        if not came:
            return name
        return f"{name} · {came[0] if len(ids) == 1 else _counted(came)}"


def _counted(outcomes: Iterable[str]) -> str:
    kinds = Counter(outcome.partition(":")[0] for outcome in outcomes)
    return ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())


class CollectStageEntriesOperator(AssessmentOperator):
    """Sweep Lever's trigger stages and return who is waiting, in batches of opportunity ids.

    A run that a webhook started skips the sweep and processes up to 3 candidates in this task, because starting a
    mapped task costs 1 to 2 seconds. When one of them fails, the task fails, and the others wait for the next run, which
    starts within seconds. A task that a person has cleared also returns who waits for their next try. `allow_cancelling` and
    `over_limit` mean what was so when the run was made: one that is cleared a week later, was tried again after an outage, or
    waited while the DAG was paused, decides nothing about who is held only since.

    :param full: look at everyone in the stages, however long ago they came; a template.
    :param allow_cancelling: cancel and forget also when suspiciously many have left; a template.
    :param over_limit: what is done about those whom a limit of e-mails holds: ``wait``, ``release`` or ``drop``; a
        template.
    :param preview: do nothing of all this, but log what would be done about everybody in the stages, and why; a template.
    """

    template_fields = (*AssessmentOperator.template_fields, "full", "allow_cancelling", "over_limit", "preview")
    found = ""
    """What the task has found or done, for its row in the list of a run's tasks; Airflow asks at its end."""

    def __init__(
        self,
        *,
        full: bool | str = False,
        allow_cancelling: bool | str = False,
        over_limit: str = "wait",
        preview: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.full, self.allow_cancelling, self.over_limit = full, allow_cancelling, over_limit
        self.preview = preview

    @without_traceback
    def execute(self, context: Any) -> list[list[str]]:
        """Return batches of opportunity ids; an empty one at the end is the row that tells problems of the settings."""
        from lever_imocha.domain.decisions import OverLimit
        from lever_imocha.notifications.alerts import alert_sweep, alert_waiting
        from lever_imocha.runtime.batch_run import run_batch

        full, over_limit = read(bool, self.full, name="full"), read(OverLimit, self.over_limit, name="over_limit")
        allow_cancelling = read(bool, self.allow_cancelling, name="allow_cancelling")
        if read(bool, self.preview, name="preview"):
            self._log_plans()
            return []
        asked = allow_cancelling or over_limit is not OverLimit.WAIT
        by_webhook = context["dag_run"].run_type == "asset_triggered"
        cleared = was_cleared(context, self.retries or 0)
        with self.services() as services:
            workflow = services.invite_workflow()
            try:
                waiting = workflow.collect(
                    full=full,
                    sweep=not by_webhook,
                    waiting=cleared,
                    allow_cancelling=allow_cancelling,
                    over_limit=over_limit,
                    asked_at=context["dag_run"].run_after if asked else None,
                )
                if not by_webhook:
                    alert_sweep(services.settings, workflow.problems, workflow.held_back, workflow.lists)
            finally:
                alert_waiting(services.settings, overdue=not by_webhook)
            self.log.info("%s opportunities to decide about", len(waiting))
            self.found = f"{len(waiting)} to decide about"
            if by_webhook:
                with self._counts_left(context):
                    done = run_batch(waiting[:AT_ONCE], self._noted(partial(workflow.act, force=cleared)))
                announce(context, candidate_invited, workflow.invited)
                self.found = ", ".join(f"{kind} {count}" for kind, count in done.items())
                return batches(waiting[AT_ONCE:])
            return [*batches(waiting), *([[]] if workflow.problems else [])]

    def _log_plans(self) -> None:
        with self.services() as services:
            preview = services.preview()
            for plan, ids in preview.plans().items():
                self.log.info("%s x %s: %s", len(ids), plan, listed(ids))
            for problem in preview.problems:
                self.log.warning("%s", problem)
            self.log.info("This was a dry run: nothing was sent or recorded.")


class InviteCandidatesOperator(CandidatesOperator):
    """Decide about opportunities in a trigger stage and invite, refresh, hold or leave alone."""

    @without_traceback
    def execute(self, context: Any) -> dict[str, int]:
        """Return how many came to which decision.

        :raises SettingsError: there are no opportunities: this row tells what is wrong with the settings, so that the
            run fails while the other rows go on.
        """
        from lever_imocha.runtime.batch_run import run_batch

        with self.services() as services:
            workflow = services.invite_workflow()
            if not self.opportunity_ids and workflow.problems:
                raise SettingsError(workflow.problems)
            work = partial(workflow.act, force=was_cleared(context, self.retries or 0))
            with self._counts_left(context):
                outcomes = run_batch(self.opportunity_ids, self._noted(work), newest=workflow.newest)
            announce(context, candidate_invited, workflow.invited)
            return outcomes


class WaitForAttemptsSensor(BaseSensorOperator):
    """Poll iMocha once, then wait in the triggerer until there is something to write back.

    How often it polls and how long it waits say the settings (`poll`), not `poke_interval` and `timeout`.

    :param lever_conn_id: connection of type ``lever``; a template.
    :param imocha_conn_id: connection of type ``imocha``; a template.
    :param wait: False polls once and does not wait; a template.
    """

    template_fields = (*AssessmentOperator.template_fields, "wait")
    found = ""
    """What the task has found, for its row in the list of a run's tasks; Airflow asks at its end."""

    def __init__(
        self,
        *,
        lever_conn_id: str = "lever_default",
        imocha_conn_id: str = "imocha_default",
        wait: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lever_conn_id, self.imocha_conn_id, self.wait = lever_conn_id, imocha_conn_id, wait

    @without_traceback
    def execute(self, context: Any) -> list[list[str]]:
        """Return batches of opportunity ids to write back, now or after waiting."""
        from lever_imocha.notifications.alerts import alert_lists

        wait = read(bool, self.wait, name="wait")
        services = _open_services(self.lever_conn_id, self.imocha_conn_id)
        sweep = services.attempt_sweep()
        poll = services.settings.poll
        # What is due is not kept waiting by a sweep, unless sweeps have fallen behind.
        due = sweep.poll(rested=2 * poll.attempts if sweep.due() else None)
        alert_lists(services.settings.alerts, sweep.lists)
        if not due and wait:
            self.defer(
                trigger=EndedAttemptsTrigger(
                    lever_conn_id=self.lever_conn_id,
                    imocha_conn_id=self.imocha_conn_id,
                    poll_interval=poll.attempts.total_seconds(),
                    wait=poll.wait.total_seconds(),
                ),
                method_name="execute_complete",
            )
        return self._prepared(services, due)

    @without_traceback
    def execute_complete(self, context: Any, event: dict[str, Any]) -> list[list[str]]:
        """Go on after the trigger fired.

        :raises WaitFailedError: the trigger could not poll, or fired with something else than it promises.
        """
        if "due" not in event:
            raise WaitFailedError(str(event.get("error", "the trigger fired without a reason")))
        return self._prepared(_open_services(self.lever_conn_id, self.imocha_conn_id), event["due"])

    def _prepared(self, services: Services, due: list[str]) -> list[list[str]]:
        if due:
            services.write_back_workflow().prepare()
        self.log.info("%s opportunities to write back", len(due))
        self.found = f"{len(due)} to write back"
        return batches(due)


class WriteBackReportsOperator(CandidatesOperator):
    """Write ended attempts back to Lever: form, file, tags, stage."""

    @without_traceback
    def execute(self, context: Any) -> dict[str, int]:
        """Return how many came to which outcome."""
        from lever_imocha.runtime.batch_run import run_batch

        with self.services() as services:
            workflow = services.write_back_workflow()
            work = partial(workflow.write_back, force=was_cleared(context, self.retries or 0))
            with self._counts_left(context):
                outcomes = run_batch(self.opportunity_ids, self._noted(work), newest=workflow.newest)
            announce(context, report_written, workflow.written)
            return outcomes


class SyncTagsOperator(AssessmentOperator):
    """Create in Lever the tag of every active iMocha test.

    :param opportunity: id of an opportunity that carries new tags for a moment.
    :param posting: or the name or id of a posting whose first active opportunity does.
    :param preview: only say what would be created (`dry_run` is an attribute that Airflow operators have already).
    :param keep_on_opportunity: leave the tags there.
    """

    template_fields = (
        *AssessmentOperator.template_fields,
        "opportunity",
        "posting",
        "preview",
        "keep_on_opportunity",
    )

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

    @without_traceback
    def execute(self, context: Any) -> dict[str, object]:
        """Return the tags created, present, stale, refused and vanished.

        :raises TagsRefusedError: Lever refused some; what was done is the task's result all the same.
        """
        preview = read(bool, self.preview, name="preview")
        keep = read(bool, self.keep_on_opportunity, name="keep_on_opportunity")
        with self.services() as services:
            result = services.sync_tags_workflow().sync(
                opportunity_id=text_or_none(self.opportunity),
                posting=text_or_none(self.posting),
                dry_run=preview,
                keep_on_opportunity=keep,
            )
        for kind in ("created", "present", "stale", "refused", "vanished"):
            for tag in getattr(result, kind):
                self.log.info("%s%s: %s", kind, " (dry run)" if result.dry_run else "", tag)
        if result.vanished:
            self.log.warning(
                "Lever forgets a tag that nobody carries: run again with keep_on_opportunity to leave them in place."
            )
        if result.refused:
            context["ti"].xcom_push(key="return_value", value=result.as_dict())
            raise TagsRefusedError(result.refused)
        return result.as_dict()
