"""Ended attempts, written back to Lever step by step, the stage last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.decisions import awaited_test, may_move_on
from lever_imocha.domain.explanations import failure_note
from lever_imocha.domain.forms import FormTemplate, fill_form, is_same_form, report_file_name
from lever_imocha.domain.imocha import AttemptStatus, Report, read_status
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.metrics import Metrics, NoMetrics
from lever_imocha.domain.rules import ResolvedRule, select_rule
from lever_imocha.domain.tags import wanted_tests
from lever_imocha.errors import (
    AssessmentError,
    ClaimLostError,
    LeverImochaError,
    NotFoundError,
    ReportFileError,
    RequestRejectedError,
    Retry,
    VendorRefusedError,
    redact,
)
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, NewDelivery
from lever_imocha.settings import Settings
from lever_imocha.workflows.explain import Explainer
from lever_imocha.workflows.idempotency import create_once
from lever_imocha.workflows.resolved_settings import ResolvedSettings, refresh_resolved, stored_resolved, tag_scheme
from lever_imocha.workflows.temporary_tags import lasting_tags

log = logging.getLogger(__name__)

_CALLBACK_AGAIN = timedelta(minutes=1)
"""How long a callback waits to be acted on again, when iMocha or Lever could not be asked."""


def _invitations(assessments: Iterable[Assessment]) -> list[int]:
    return [known.invitation_id for known in assessments if known.invitation_id is not None]


class WriteBackWorkflow:
    """Writes ended attempts back: report, profile form, PDF file, note, tags, stage.

    :param worker: names this process in claims.
    :param sleep: waits for a number of seconds before a step whose answer was lost is looked up.
    """

    def __init__(
        self,
        *,
        lever: LeverClient,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        worker: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        metrics: Metrics | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._metrics, self._sleep = metrics or NoMetrics(), sleep
        self._lever, self._imocha, self._ledger, self._settings = lever, imocha, ledger, settings
        self._worker, self._clock = worker, clock
        self._explainer = Explainer(lever=lever, ledger=ledger, settings=settings, sleep=sleep)
        self._known_resolved: ResolvedSettings | None = None

    def prepare(self) -> None:
        """Resolve stages, user and form templates, once for all candidates of a run.

        :raises SettingsError: a name is unknown to Lever, or a template cannot be filled; nothing was written.
        """
        self._known_resolved = refresh_resolved(self._ledger, self._lever, self._settings, templates=True)

    def write_back(self, opportunity_id: str, *, only_due: bool = False) -> str | None:
        """Write back all that is due of one opportunity.

        :param only_due: leave it alone before the time that a failure set for the next try.

        :return: what happened, or None when another worker has it or nothing is due.
        :raises LeverImochaError: a step failed; the steps done stay done, the rest is due again.
        """
        claimed = self._ledger.claim_write_back(opportunity_id, worker=self._worker, only_due=only_due)
        if not claimed:
            return None
        callbacks = self._ledger.callbacks_about(_invitations(claimed))
        written: list[Assessment] = []
        try:
            for assessment in claimed:
                if self._write(assessment):
                    written.append(assessment)
            outcome = self._move_on(written) if written else None
        except ClaimLostError as error:
            log.warning("%s", error)
            return None
        except LeverImochaError as error:
            if isinstance(error, NotFoundError) and self._is_gone(opportunity_id):
                self._ledger.handle_deliveries(callbacks)
                return self._let_go(claimed)
            self._put_off(claimed, callbacks, error)
            raise
        for assessment in written:
            self._ledger.finish_write_back(assessment.id)
            self._count(assessment)
        # A callback that came meanwhile about what is written now has nothing left to say.
        self._ledger.handle_deliveries([*callbacks, *self._ledger.callbacks_about(_invitations(written))])
        return outcome or "waits for the report"

    def _put_off(self, claimed: Sequence[Assessment], callbacks: Sequence[int], error: LeverImochaError) -> None:
        self._ledger.postpone_deliveries(callbacks, not_before=self._clock() + _CALLBACK_AGAIN)
        for assessment in claimed:
            self._ledger.release_write_back(
                assessment.id,
                worker=self._worker,
                reason=type(error).__name__,
                not_before=self._later(assessment, error),
            )
        self._explain(claimed[0], error)

    def newest(self, since: datetime) -> str | None:
        """Return who was called back about last, after a time: so that one who comes alone overtakes a burst."""
        return self._ledger.newest_write_back(since=since)

    def _explain(self, assessment: Assessment, error: LeverImochaError) -> None:
        """Tell the recruiter of what only a person can mend; it must not hide what went wrong."""
        if error.retry is not Retry.LATER:
            return
        problem = f"invitation {assessment.invitation_id}: {type(error).__name__}"
        text = failure_note(error.advice if isinstance(error, VendorRefusedError) else str(error))
        try:
            self._explainer.note(assessment.opportunity_id, problem, text, perform_as=self._resolved.perform_as)
        except LeverImochaError as untold:
            log.warning("opportunity %s: no note about it could be left: %s", assessment.opportunity_id, untold)

    def _count(self, assessment: Assessment) -> None:
        """Count it, and time it from when the ledger first knew of the end: iMocha names only the start of an attempt."""
        self._metrics.count("written_back")
        if assessment.ended_at is not None:
            self._metrics.timing("end_to_write_back", (self._clock() - assessment.ended_at).total_seconds())

    def _later(self, assessment: Assessment, error: LeverImochaError | None = None) -> datetime | None:
        # iMocha may make the PDF later than the report: it is waited for as the report is.
        if error is not None and error.retry is not Retry.LATER and not isinstance(error, ReportFileError):
            return None
        waits = self._settings.write_back.report_retry
        return self._clock() + waits[min(assessment.tries, len(waits) - 1)]

    def _is_gone(self, opportunity_id: str) -> bool:
        """A 404 may be about a stage or a template; only a missing opportunity leaves nobody to write to."""
        try:
            self._lever.get_opportunity(opportunity_id)
        except NotFoundError:
            return True
        return False

    def _let_go(self, claimed: list[Assessment]) -> str:
        opportunity_id = claimed[0].opportunity_id
        self._ledger.record_event("deleted_in_lever", opportunity_id=opportunity_id)
        # What else is to be done about it is done where every departure is heeded.
        key = f"gone {opportunity_id} {self._clock().isoformat()}"
        self._ledger.record_delivery(NewDelivery(vendor="lever", key=key, event="left", opportunity_id=opportunity_id))
        for assessment in claimed:
            self._ledger.finish_write_back(assessment.id)
        return "deleted in Lever"

    def _write(self, assessment: Assessment) -> bool:
        """Write the form, the file and the note of one attempt; return False when its report is not final yet.

        What made it due may be a callback, which is a hint (imocha.md 6.2): the report read here decides.
        """
        invitation_id = int(assessment.invitation_id or 0)
        report = self._report(invitation_id)
        if report is None or not report.is_final:
            self._wait(assessment, report.status if report is not None else AttemptStatus.UNKNOWN)
            return False
        self._ledger.set_status({invitation_id: report.status.value})
        self._form(assessment, invitation_id, report)
        self._file(assessment, invitation_id, report)
        if self._settings.write_back.note:
            self._note(assessment, invitation_id)
        return True

    def _wait(self, assessment: Assessment, status: AttemptStatus) -> None:
        """Give back an attempt whose report is not final: it waits if it has ended; else the sweep looks at it soon."""
        invitation_id = int(assessment.invitation_id or 0)
        if status not in (AttemptStatus.PENDING, AttemptStatus.UNKNOWN):
            changed = self._ledger.set_status({invitation_id: status.value})
            if self._settings.explain.status_tags:
                self._ledger.announce(changed)
        ended = status.is_ended or read_status(assessment.status).is_ended
        if not ended:
            self._ledger.recheck(invitation_id)
        self._ledger.release_write_back(
            assessment.id,
            worker=self._worker,
            reason="report not final",
            not_before=self._later(assessment) if ended else None,
        )

    def _report(self, invitation_id: int) -> Report | None:
        try:
            return self._imocha.get_report(invitation_id)
        except (NotFoundError, RequestRejectedError):
            return None

    def _form(self, assessment: Assessment, invitation_id: int, report: Report) -> None:
        template = self._template(assessment)
        fields = fill_form(template, report, invitation_id=invitation_id)

        def find() -> str | None:
            others = self._ledger.created_ids(
                assessment.opportunity_id, "form"
            )  # a retake may have all the same values
            forms = (form for form in self._lever.list_forms(assessment.opportunity_id) if form.id not in others)
            return next((form.id for form in forms if is_same_form(form.fields, fields, invitation_id)), None)

        def make() -> str:
            try:
                return self._create_form(assessment, template, fields)
            except RequestRejectedError:
                log.info("Lever refused the form; sending it again without its fields' ids")
            # Whether a form's fields may carry the template's field ids is not documented, nor what Lever says when
            # not; a refused form is not created (lever.md 7.3).
            bare = [{key: value for key, value in field.items() if key != "id"} for field in fields]
            return self._create_form(assessment, template, bare)

        self._step(assessment, invitation_id, "form", make, find)

    def _create_form(self, assessment: Assessment, template: FormTemplate, fields: list[dict[str, object]]) -> str:
        return self._lever.create_form(
            assessment.opportunity_id,
            template_id=template.id,
            fields=fields,
            secret=self._settings.write_back.secret,
            perform_as=self._resolved.perform_as,
        ).id

    def _file(self, assessment: Assessment, invitation_id: int, report: Report) -> None:
        name = report_file_name(invitation_id)

        def find() -> str | None:
            files = self._lever.list_files(assessment.opportunity_id)
            return next((file.id for file in files if file.name == name and file.status != "error"), None)

        def make() -> str:
            with self._imocha.open_report_pdf(invitation_id, report) as content:
                return self._lever.upload_file(
                    assessment.opportunity_id, name=name, content=content, perform_as=self._resolved.perform_as
                ).id

        self._step(assessment, invitation_id, "file", make, find)

    def _note(self, assessment: Assessment, invitation_id: int) -> None:
        text = f"The iMocha assessment has ended; its report is in the form and the file (invitation {invitation_id})."

        def find() -> str | None:
            notes = self._lever.list_notes(assessment.opportunity_id)
            return next((note.id for note in notes if f"(invitation {invitation_id})" in note.value), None)

        def make() -> str:
            return self._lever.create_note(assessment.opportunity_id, text, perform_as=self._resolved.perform_as).id

        self._step(assessment, invitation_id, "note", make, find)

    def _move_on(self, written: list[Assessment]) -> str:
        """Tags, then the stage, once every assessment of the opportunity has ended and is written."""
        first = written[0]
        perform_as, shown = self._resolved.perform_as, self._explainer.tag(first.opportunity_id)
        tags = [*self._settings.write_back.tags, *shown]
        claimed = partial(self._ledger.check_write_back_claim, first.opportunity_id, worker=self._worker)
        current: Opportunity | None = None
        if tags:
            with self._lever.guarded(claimed):
                current = self._lever.add_tags(first.opportunity_id, tags, perform_as=perform_as)
                if shown:
                    self._explainer.clear(first.opportunity_id, current.tags, keep=shown, perform_as=perform_as)
        current = current or self._lever.get_opportunity(first.opportunity_id, expand=("applications",))
        rule = self._rule_now(first, current)
        if may_move_on(current, rule):
            if open_ones := self._still_open(current, {assessment.id for assessment in written}):
                return f"written back; stays in its stage: {open_ones}"
            self._stage(first, rule)
        elif current.archived is not None or current.stage != rule.completed_stage_id:
            return "written back; the recruiter has moved it on"
        self._ledger.record_event("written_back", opportunity_id=first.opportunity_id)
        return "written back and moved on"

    def _still_open(self, opportunity: Opportunity, written: set[int]) -> str:
        """Say why the opportunity may not move on yet; empty when it may.

        :param written: ids of the assessments that this work has written.
        """
        known = {assessment.test_id: assessment for assessment in self._ledger.assessments_of(opportunity.id)}
        done = {test_id for test_id, item in known.items() if item.id in written or item.written_at is not None}
        wanted = wanted_tests(lasting_tags(opportunity, self._ledger), tag_scheme(self._settings))
        awaited = awaited_test(wanted, done)
        if awaited is None:
            return ""
        other = known.get(awaited.test_id or 0)
        if other is None or other.invitation_id is None:
            return f"no invitation yet for {redact(awaited.tag)}"
        return f"test {other.test_id} is {read_status(other.status).value.replace('_', ' ')}"

    def _stage(self, assessment: Assessment, rule: ResolvedRule) -> None:
        """Move on. That the step was done before is no reason not to: the candidate may have come back since."""
        opportunity_id, invitation_id = assessment.opportunity_id, int(assessment.invitation_id or 0)

        def find() -> str | None:
            stage = self._lever.get_opportunity(opportunity_id).stage
            return stage if stage == rule.completed_stage_id else None

        def make() -> str:
            perform_as = self._resolved.perform_as
            self._lever.update_stage(opportunity_id, rule.completed_stage_id, perform_as=perform_as)
            return rule.completed_stage_id

        with self._lever.guarded(self._starts(invitation_id, opportunity_id, "stage")):
            stage_id = create_once(make, find, look_first=False, sleep=self._sleep)
        self._ledger.finish_step(invitation_id, opportunity_id, "stage", vendor_id=stage_id)

    def _step(
        self,
        assessment: Assessment,
        invitation_id: int,
        step: str,
        make: Callable[[], str],
        find: Callable[[], str | None],
    ) -> None:
        """Do a step once: one that was begun before, or whose answer was lost, is looked up before it is sent again."""
        known = self._ledger.step(invitation_id, assessment.opportunity_id, step)
        if known is not None and known.done_at is not None:
            return
        look_first = known is not None or assessment.adopted or self._ledger.recently_restored()
        with self._lever.guarded(self._starts(invitation_id, assessment.opportunity_id, step)):
            vendor_id = create_once(make, find, look_first=look_first, sleep=self._sleep)
        self._ledger.finish_step(invitation_id, assessment.opportunity_id, step, vendor_id=vendor_id)

    def _starts(self, invitation_id: int, opportunity_id: str, step: str) -> Callable[[], None]:
        """Return what records the start of a step; it fails when another worker has taken over meanwhile."""
        return partial(self._ledger.start_step, invitation_id, opportunity_id, step, worker=self._worker)

    def _rule_now(self, assessment: Assessment, current: Opportunity) -> ResolvedRule:
        """The rule of where the candidate is: the one begun under, unless moved to another trigger stage since."""
        rule = self._rule(assessment)
        moved = current.stage != rule.trigger_stage_id
        return (select_rule(current, self._resolved.rules) if moved else None) or rule

    def _rule(self, assessment: Assessment) -> ResolvedRule:
        rule = self._resolved.rule_of(assessment.rule_key)
        if rule is None:
            raise AssessmentError(
                "The rule this assessment was begun under is no longer in the settings: put back a rule with its"
                " trigger_stage."
            )
        return rule

    def _template(self, assessment: Assessment) -> FormTemplate:
        return self._resolved.templates[self._rule(assessment).form_template]

    @property
    def _resolved(self) -> ResolvedSettings:
        if self._known_resolved is None:
            self._known_resolved = stored_resolved(self._ledger, templates=True)
        return self._known_resolved
