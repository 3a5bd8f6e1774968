"""Ended attempts, written back to Lever step by step, the stage last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.acts import is_possible
from lever_imocha.domain.clock import Clock, Sleep, utc_now
from lever_imocha.domain.decisions import Departure, awaited_test, may_move_on
from lever_imocha.domain.forms import FormTemplate
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.metrics import Metrics, NoMetrics
from lever_imocha.domain.pauses import pause_after_failure, pause_for_report
from lever_imocha.domain.rules import ResolvedRule, select_rule
from lever_imocha.errors import ApiError, AssessmentError, LeverImochaError, NotFoundError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import WRITE_BACK_WORK, Assessment, Effect, Request, Work, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.asked_tests import Asked, AskedTests
from lever_imocha.workflows.deletion import NOT_FOUND, DeletionEvidence
from lever_imocha.workflows.effects import EffectMaker
from lever_imocha.workflows.explain import (
    NOT_MOVED_ON,
    REPORT_MISSING,
    Explainer,
    concerns_recruiters,
    expanded,
    told_why,
)
from lever_imocha.workflows.report_writer import ReportWriter
from lever_imocha.workflows.resolved_settings import ResolvedSettings, refresh_resolved, stored_resolved
from lever_imocha.workflows.temporary_tags import TemporaryTags, lasting_tags, temporary_tags
from lever_imocha.workflows.work import NotYet, Result, WorkRunner, past_failures, raise_first

log = logging.getLogger(__name__)

_NOT_FINAL = "iMocha has not finished it yet; whoever looks after the integration can ask iMocha."


class WriteBackWorkflow:
    """Writes ended attempts back: report, profile form, PDF file, note, tags, stage.

    :param worker: names this process in claims.
    :param sleep: before a step whose answer was lost is looked up.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        worker: str,
        clock: Clock = utc_now,
        metrics: Metrics | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._metrics = metrics or NoMetrics()
        self._lever, self._imocha, self._ledger, self._settings = lever, imocha, ledger, settings
        self._worker, self._clock = worker, clock
        self._effects = EffectMaker(lever=lever, ledger=ledger, sleep=sleep)
        self._writer = ReportWriter(lever=lever, imocha=imocha, ledger=ledger, settings=settings, effects=self._effects)
        self._explainer = Explainer(lever=lever, ledger=ledger, settings=settings, effects=self._effects)
        self._deletion = DeletionEvidence(lever=lever, ledger=ledger, clock=clock)
        self._runner = WorkRunner(queue=ledger.queue, vendors=(lever, imocha), clock=clock)
        self._known_resolved: ResolvedSettings | None = None
        self.written: list[str] = []
        """The opportunities whose reports were written back by this workflow."""

    def prepare(self) -> None:
        """Resolve stages, user and form templates, once for all candidates of a run.

        :raises SettingsError: nothing can be written back as the settings are; nothing was changed.
        """
        self._known_resolved = refresh_resolved(
            self._ledger, self._lever, self._settings, now=self._clock(), templates=True
        )

    def newest(self, since: datetime) -> str | None:
        """Return who was called back about last, after a time: so that one who comes alone overtakes a burst."""
        return self._ledger.queue.newest(WRITE_BACK_WORK, since=since)

    def write_back(self, opportunity_id: str, *, force: bool = False) -> Result:
        """Write back all that is due of one opportunity, and again what a person has asked for.

        :param force: a person has asked for it: also what waits for its next try, or is parked.
        :return: what happened, or None when nothing is due, or another worker has it.
        :raises LeverImochaError: a step failed, and had not failed like this before; the steps done stay done.
        """
        items = self._ledger.queue.claim(opportunity_id, WRITE_BACK_WORK, worker=self._worker, force=force)
        return self._runner.do_all(items, {Work.WRITE_BACK: self._write_all, Work.WRITE_AGAIN: self._write_again})

    def _write_all(self, item: WorkItem) -> str:
        assessments = self._ledger.assessments.to_write(item.opportunity_id)
        if not assessments:
            return "nothing to write"
        written, outcome = list[Assessment](), "attempt not ended"
        read = cache(partial(self._lever.get_opportunity, item.opportunity_id, expand=("applications",)))
        failures = past_failures(assessments, partial(self._write, item, read, written))
        if failures and not written:
            return self._stopped(item, assessments, failures, REPORT_MISSING)
        if any(self._is_anonymized(one, read) for one in written):
            return self._finish_deleted(item, assessments, "anonymized_in_lever")
        if written:
            try:
                outcome = self._move_on(item, written, read)
            except LeverImochaError as error:
                return self._stopped(item, assessments, [(written[-1], error)], NOT_MOVED_ON)
        if item.error == NOT_FOUND:
            self._ledger.opportunities.record_found(item.opportunity_id)
        if written:
            self._record_written(item, written)
        self._record_failures(item, failures, REPORT_MISSING)
        raise_first(failures)
        self._wait_for_others(item, assessments, written)
        return outcome

    def _record_written(self, item: WorkItem, written: Sequence[Assessment]) -> None:
        """Record reports that are in Lever; time them from when the ledger first knew of the end: iMocha names only the start."""
        self._ledger.assessments.mark_written([assessment.id for assessment in written])
        for assessment in written:
            self._metrics.count("written_back")
            if assessment.ended_at is not None:
                self._metrics.timing("end_to_write_back", (self._clock() - assessment.ended_at).total_seconds())
        if self._settings.explain.notes:
            self._show(item)
        self.written.append(item.opportunity_id)

    def _stopped(
        self,
        item: WorkItem,
        assessments: Sequence[Assessment],
        failures: Sequence[tuple[Assessment, LeverImochaError]],
        kind: str,
    ) -> str:
        """Finish what is due of a deleted opportunity.

        :raises NotYet: Lever does not find it, which alone is no proof.
        :raises LeverImochaError: what failed first, when it failed for any other reason.
        """
        if isinstance(failures[0][1], NotFoundError) and self._is_missing(item.opportunity_id):
            if not self._deletion.is_deleted(item.opportunity_id):
                raise NotYet(NOT_FOUND, pause=pause_after_failure(item.tries, refused=False))
            return self._finish_deleted(item, assessments, "deleted_in_lever")
        self._record_failures(item, failures, kind)
        raise failures[0][1]

    def _wait_for_others(
        self, item: WorkItem, assessments: Sequence[Assessment], written: Sequence[Assessment]
    ) -> None:
        """Read again later the reports of attempts that have ended and are not final yet.

        :raises NotYet: there are some.
        """
        if len(written) < len(assessments):
            statuses = {known.id: known.status for known in self._ledger.assessments.to_write(item.opportunity_id)}
            ended = [known for known in assessments if (status := statuses.get(known.id)) and status.is_ended]
            if ended:
                waits, waited = self._settings.write_back.report_retry, self._clock() - item.queued_at
                if item.tries >= len(waits) and (untold := self._untold(item, ended)):
                    self._tell(item, untold, REPORT_MISSING, _NOT_FINAL)
                raise NotYet("report not final", pause=pause_for_report(item.tries, waits, waited=waited))

    def _untold(self, item: WorkItem, ended: Sequence[Assessment]) -> list[Assessment]:
        """Return those of whose missing report the recruiter was not told."""
        told = {event.invitation_id for event in self._ledger.events.newest(item.opportunity_id, (REPORT_MISSING,))}
        return [assessment for assessment in ended if assessment.invitation_id not in told]

    def _record_failures(
        self, item: WorkItem, failures: Sequence[tuple[Assessment, LeverImochaError]], kind: str
    ) -> None:
        """Tell the recruiter of what is wrong with each report, once; it must not hide what went wrong."""
        for assessment, error in failures:
            if concerns_recruiters(error) and item.error != type(error).__name__:
                self._tell(item, [assessment], kind, told_why(error))

    def _tell(self, item: WorkItem, assessments: Sequence[Assessment], kind: str, why: str) -> None:
        for assessment in assessments:
            self._ledger.events.record(
                kind, opportunity_id=item.opportunity_id, invitation_id=assessment.invitation_id, detail=why
            )
        if self._settings.explain.is_on:
            self._show(item)

    def _show(self, item: WorkItem) -> None:
        """Show in Lever how it stands; what fails with that waits for its own next try."""
        opportunity_id, queue = item.opportunity_id, self._ledger.queue
        for shown in queue.enqueue_claimed(opportunity_id, Work.STATUS, worker=self._worker).values():
            try:
                self._runner.do(shown, partial(self._show_now, shown))
            except LeverImochaError as error:
                log.warning("opportunity %s: its state cannot be shown: %s", opportunity_id, error)

    def _show_now(self, item: WorkItem) -> str:
        opportunity = self._lever.get_opportunity(item.opportunity_id, expand=expanded(self._settings))
        self._explainer.show(opportunity, item, perform_as=self._resolved.perform_as)
        return "status shown"

    def _is_missing(self, opportunity_id: str) -> bool:
        """Tell whether Lever does not find the opportunity: a 404 may as well be about a stage or a template."""
        try:
            self._lever.get_opportunity(opportunity_id)
        except NotFoundError:
            return True
        return False

    def _finish_deleted(self, item: WorkItem, assessments: Sequence[Assessment], why: str) -> str:
        """Have the rest done that is due when a candidate's data are deleted in Lever; nothing is written back.

        :param why: the kind of event.
        """
        with self._ledger.transaction():
            self._ledger.assessments.record_departure(item.opportunity_id, Departure.DELETED)
            self._ledger.queue.enqueue([item.opportunity_id], Work.CANCEL, starts_run=True)
            self._ledger.assessments.mark_written([assessment.id for assessment in assessments])
            self._ledger.events.record(why, opportunity_id=item.opportunity_id)
        return why.replace("_", " ").replace("lever", "Lever")

    def _write(
        self, item: WorkItem, read: Callable[[], Opportunity], written: list[Assessment], assessment: Assessment
    ) -> None:
        """Write the form, the file and the note of one attempt, unless its report is not final yet.

        What made it due may be a callback, which is a hint (imocha.md 6.2): the report read here decides. A form cannot
        be deleted: whoever was anonymised meanwhile gets none.

        :param read: reads the opportunity, once.
        """
        invitation_id = int(assessment.invitation_id or 0)
        report = self._writer.read(invitation_id)
        is_anonymized = self._is_anonymized(assessment, read)
        if report is not None and not is_anonymized:
            self._writer.check_person(assessment, report, read)
        if report is None or not report.is_final:
            self._wait(item, assessment, invitation_id, report.status if report is not None else AttemptStatus.UNKNOWN)
            return
        if report.status is not assessment.status:
            self._ledger.invitations.set_status({invitation_id: report.status}, written_by=item)
        if not is_anonymized:
            template = self._template(assessment, read)
            self._writer.write(item, assessment, report, template, perform_as=self._resolved.perform_as)
        written.append(assessment)

    @staticmethod
    def _is_anonymized(assessment: Assessment, read: Callable[[], Opportunity]) -> bool:
        """Look at those who have left: only who was archived is anonymised (lever.md 12), and a read is a call."""
        return assessment.left_as is not None and bool(read().is_anonymized)

    def _wait(self, item: WorkItem, assessment: Assessment, invitation_id: int, status: AttemptStatus) -> None:
        """Record what a report that is not final says; the sweep looks soon at an attempt that has not ended."""
        with self._ledger.transaction():
            self._ledger.invitations.mark_answered(invitation_id, assessment.called_back_at)
            if not status.can_begin:
                self._ledger.invitations.set_status(
                    {invitation_id: status}, show=self._settings.explain.is_on, written_by=item
                )
            if not (status.is_ended or (assessment.status is not None and assessment.status.is_ended)):
                self._ledger.invitations.recheck(invitation_id)

    def _write_again(self, item: WorkItem) -> str | None:
        """Read reports again that a person has asked for; the stage is left as it is."""
        asked = self._ledger.requests.begin(item.opportunity_id, Work.WRITE_AGAIN)
        outcomes = list[str]()
        raise_first(past_failures(asked, lambda request: outcomes.append(self._carry_out(item, request))))
        return "; ".join(outcomes) or None

    def _carry_out(self, item: WorkItem, request: Request) -> str:
        assessments = self._ledger.assessments.of(item.opportunity_id)
        known = next((known for known in assessments if known.test_id == request.test_id), None)
        if known is None or not is_possible(request.act, known.status, written=known.written_at is not None):
            outcome = "nothing done: its report is not in Lever yet"
        elif (opportunity := self._lever.get_opportunity(item.opportunity_id, expand=("applications",))).is_anonymized:
            # A form cannot be deleted.
            outcome = "nothing done: the candidate was anonymised in Lever"
        else:
            outcome = self._writer.write_again(
                item,
                known,
                self._template(known, lambda: opportunity),
                read=lambda: opportunity,
                revision=self._ledger.requests.number(request) + 1,
                perform_as=self._resolved.perform_as,
            )
        self._ledger.requests.finish(request, outcome=outcome)
        return outcome

    def _move_on(self, item: WorkItem, written: list[Assessment], read: Callable[[], Opportunity]) -> str:
        """Tags, then the stage, once every assessment of the opportunity has ended and is written."""
        first = written[0]
        perform_as = self._resolved.perform_as
        shown = self._explainer.tag(first.opportunity_id, written=[assessment.id for assessment in written])
        before = temporary_tags(self._ledger)
        current = self._tag(first.opportunity_id, shown, perform_as)
        current = current or self._lever.get_opportunity(first.opportunity_id, expand=("applications",))
        rule = self._rule_now(first, current, read)
        if may_move_on(current, rule):
            if open_ones := self._still_open(current, rule, {assessment.id for assessment in written}, before, read):
                return f"written back; stays in its stage: {open_ones}"
            self._stage(item, first, rule)
        elif current.archived is not None or current.stage != rule.completed_stage_id:
            return "written back; the recruiter has moved it on"
        self._ledger.events.record("written_back", opportunity_id=first.opportunity_id)
        return "written back and moved on"

    def _tag(self, opportunity_id: str, shown: Sequence[str], perform_as: str) -> Opportunity | None:
        """Add the tags of the settings, and show the status; what fails with the latter waits for its own next try."""
        tags = list(self._settings.write_back.tags)
        if shown:
            try:
                current = self._lever.add_tags(opportunity_id, [*tags, *shown], perform_as=perform_as)
                current = current or self._lever.get_opportunity(opportunity_id, expand=("applications",))
                self._explainer.clear(opportunity_id, current.tags, keep=shown, perform_as=perform_as)
            except ApiError as error:
                log.warning("opportunity %s: its status is not shown in Lever: %s", opportunity_id, error)
                self._ledger.queue.enqueue([opportunity_id], Work.STATUS, news=False)
            else:
                return current
        return self._lever.add_tags(opportunity_id, tags, perform_as=perform_as) if tags else None

    def _still_open(
        self,
        opportunity: Opportunity,
        rule: ResolvedRule,
        written: set[int],
        before: TemporaryTags | None,
        read: Callable[[], Opportunity],
    ) -> str:
        """Say why the opportunity may not move on yet; empty when it may.

        :param rule: of the stage it is in.
        :param written: ids of the assessments that this work has written.
        :param before: from before the opportunity was read.
        :param read: reads it, with its postings.
        """
        known = {assessment.test_id: assessment for assessment in self._ledger.assessments.of(opportunity.id)}
        done = {test_id for test_id, item in known.items() if item.id in written or item.written_at is not None}
        asked = self._asked(opportunity, rule, before, read)
        begun = [test for test in asked.later if test.test_id in known]  # adopted, or invited as the settings said then
        awaited = awaited_test([*asked.tests, *begun], done)
        if awaited is None:
            return ""
        other = known.get(awaited.test_id or 0)
        if other is None or other.invitation_id is None:
            return f"no invitation yet for {awaited}"
        return f"test {other.test_id} is {(other.status or AttemptStatus.UNKNOWN).value.replace('_', ' ')}"

    def _asked(
        self,
        opportunity: Opportunity,
        rule: ResolvedRule,
        before: TemporaryTags | None,
        read: Callable[[], Opportunity],
    ) -> Asked:
        """Return what is asked of the opportunity as it is now; parameters as for `_still_open`."""
        now: dict[str, object] = {"tags": lasting_tags(opportunity, self._ledger, before=before)}
        if opportunity.entered_stage_at < self._resolved.asks_since:  # what was asked before, its postings say
            now["applications"] = read().applications
        asked = AskedTests(ledger=self._ledger, settings=self._settings)
        return asked.of(opportunity.model_copy(update=now), self._resolved, rule)

    def _stage(self, item: WorkItem, assessment: Assessment, rule: ResolvedRule) -> None:
        """Move on. That the step was done before is no reason not to: the candidate may have come back since."""
        opportunity_id = item.opportunity_id

        def find() -> str | None:
            current = self._lever.get_opportunity(opportunity_id)
            return None if may_move_on(current, rule) else current.stage  # also who was moved or archived meanwhile

        def make() -> str:
            perform_as = self._resolved.perform_as
            self._lever.update_stage(opportunity_id, rule.completed_stage_id, perform_as=perform_as)
            return rule.completed_stage_id

        effect = Effect.of_invitation(opportunity_id, int(assessment.invitation_id or 0), "stage")
        self._effects.once(effect, item, make, find, anew=True)

    def _rule_now(self, assessment: Assessment, current: Opportunity, read: Callable[[], Opportunity]) -> ResolvedRule:
        """Return the rule of where the candidate is: the one begun under, unless moved to another trigger stage since.

        :param current: may be Lever's answer to a write, which does not name the postings.
        """
        rule = self._rule(assessment, read)
        moved = current.stage != rule.trigger_stage_id
        there = current.model_copy(update={"applications": read().applications}) if moved else current
        other = select_rule(there, self._resolved.rules) if moved else None
        if other is not None and not other.completed_stage_id:
            raise AssessmentError(
                "The candidate was moved to another trigger stage, whose rule names a completed_stage that Lever does"
                " not know: correct it in the settings.",
                by_settings=True,
            )
        return other or rule

    def _rule(self, assessment: Assessment, read: Callable[[], Opportunity]) -> ResolvedRule:
        rule = self._resolved.rule_of(assessment.rule_key, read)
        if rule is None:
            raise AssessmentError(
                "The rule this assessment was begun under is no longer in the settings: put back a rule with its"
                " trigger_stage.",
                by_settings=True,
            )
        return rule

    def _template(self, assessment: Assessment, read: Callable[[], Opportunity]) -> FormTemplate:
        name = self._rule(assessment, read).form_template
        template = self._resolved.templates.get(name)
        if template is None:
            raise AssessmentError(
                f"form_template: {self._resolved.template_problems.get(name, f'{name!r} is unknown')}",
                by_settings=True,
            )
        return template

    @property
    def _resolved(self) -> ResolvedSettings:
        if self._known_resolved is None:
            self._known_resolved = stored_resolved(self._ledger)
        return self._known_resolved
