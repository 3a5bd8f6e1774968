"""Writes one report into Lever: form, PDF file and note, each once; and again when it was corrected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.acts import address_check, same_address
from lever_imocha.domain.forms import FormTemplate, fill_form, is_same_form, report_file_name, says_the_same
from lever_imocha.domain.imocha import Report
from lever_imocha.domain.lever import Opportunity
from lever_imocha.errors import ApiError, AssessmentError, CredentialsError, NotFoundError, RequestRejectedError
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, Effect, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.effects import EffectMaker

log = logging.getLogger(__name__)

_TRIES_OF_A_NOTE = 4
"""So often a write-back is tried again, in a quarter of an hour, before it goes on without its note."""


@dataclass(frozen=True, kw_only=True)
class _Writing:
    """What is written: one report, or a corrected one.

    :param revision: 1, or more when it is written again.
    """

    item: WorkItem
    assessment: Assessment
    perform_as: str
    revision: int = 1

    @property
    def opportunity_id(self) -> str:
        return self.assessment.opportunity_id

    @property
    def invitation_id(self) -> int:
        return int(self.assessment.invitation_id or 0)

    def effect(self, step: str) -> Effect:
        return Effect.of_invitation(self.opportunity_id, self.invitation_id, step, revision=self.revision)

    def is_form(self, existing: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> bool:
        return is_same_form(existing, wanted, self.invitation_id, revision=self.revision)


class ReportWriter:
    """Writes reports into Lever, under a work item that this worker holds."""

    def __init__(
        self, *, lever: LeverClient, imocha: ImochaClient, ledger: Ledger, settings: Settings, effects: EffectMaker
    ) -> None:
        self._lever, self._imocha, self._ledger, self._settings = lever, imocha, ledger, settings
        self._effects = effects

    def read(self, invitation_id: int) -> Report | None:
        """Return a report; None when iMocha has none, or not yet."""
        try:
            return self._imocha.get_report(invitation_id)
        except (NotFoundError, RequestRejectedError):
            return None

    def write(
        self,
        item: WorkItem,
        assessment: Assessment,
        report: Report,
        template: FormTemplate,
        *,
        perform_as: str,
    ) -> None:
        """Write the form, the file, and the note where the settings want one; whose report it is was checked before."""
        writing = _Writing(item=item, assessment=assessment, perform_as=perform_as)
        fields = fill_form(template, report, invitation_id=writing.invitation_id)
        self._form(writing, template, fields)
        self._file(writing, report)
        if self._settings.write_back.note:
            try:
                self._note(writing)
            except ApiError as error:  # one line, which keeps nobody in the stage whose report is in Lever
                if isinstance(error, CredentialsError) or (error.is_transient and item.tries < _TRIES_OF_A_NOTE):
                    raise
                log.warning("opportunity %s: the note cannot be written: %s", writing.opportunity_id, error)
                self._ledger.events.record(
                    "note_refused", opportunity_id=writing.opportunity_id, invitation_id=writing.invitation_id
                )

    def write_again(
        self,
        item: WorkItem,
        assessment: Assessment,
        template: FormTemplate,
        *,
        read: Callable[[], Opportunity],
        revision: int,
        perform_as: str,
    ) -> str:
        """Write a form and a file anew if the report says something else than the form that was written last.

        :param read: reads the opportunity.
        :param revision: the same for each try.
        :return: what came of it.
        :raises AssessmentError: it is the report of somebody else.
        """
        writing = _Writing(item=item, assessment=assessment, perform_as=perform_as, revision=revision)
        report = self.read(writing.invitation_id)
        if report is None or not report.is_final:
            return "nothing done: iMocha has no final report now"
        self.check_person(assessment, report, read)
        fields = fill_form(template, report, invitation_id=writing.invitation_id, revision=revision)
        is_begun = self._ledger.effects.state(writing.effect("form")) is not None
        if not is_begun and self._is_in_lever(writing, fields):
            return "nothing written: the report says what the form in Lever says"
        self._form(writing, template, fields)
        self._file(writing, report)
        return "written again: there is a new form and a new file"

    def check_person(self, assessment: Assessment, report: Report, read: Callable[[], Opportunity]) -> None:
        """Make sure that the report has the invited address, or one that the candidate has in Lever; without one, the test.

        Where two opportunities have the invitation, the address has to be in Lever.

        iMocha's answer to the invite may have named a wrong number, or the key may be another account's since, where the
        number is somebody else's. A form cannot be deleted (lever.md 7.3), and an ended attempt stays ended in the ledger.

        :param read: reads the opportunity.
        :raises AssessmentError: it has another one.
        """
        number, email = int(assessment.invitation_id or 0), report.candidate_email or ""
        if "@" not in email:
            if report.test_id not in (None, assessment.test_id):
                raise AssessmentError(
                    f"The report of iMocha's invitation {number} names no e-mail address, and another test than the candidate"
                    " was invited to: it seems to be somebody else's. See whether connection imocha_default has the key of"
                    " another account."
                )
            return
        is_invited = assessment.address_check in (None, address_check(email))  # as far as is known
        if is_invited and len(self._ledger.invitations.belongs_to(number)) < 2:
            return
        if not any(same_address(email, own) for own in read().emails):
            raise AssessmentError(
                f"The report of iMocha's invitation {number} seems to be somebody else's: its e-mail address was not invited,"
                " and this candidate does not have it in Lever. If it is the same person, add the address to the"
                " candidate in Lever. If not, run: python -m lever_imocha.ledger forget"
                f" {assessment.opportunity_id} --even-if-open; then move the candidate out of the stage and in again."
            )

    def _is_in_lever(self, writing: _Writing, fields: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether the form that was written last is still there, and has the same result."""
        first = Effect.of_invitation(writing.opportunity_id, writing.invitation_id, "form")
        last = self._ledger.effects.last_made(first)
        forms = self._lever.list_forms(writing.opportunity_id).whole()
        return any(form.id == last and says_the_same(form.fields, fields) for form in forms)

    def _form(self, writing: _Writing, template: FormTemplate, fields: list[dict[str, Any]]) -> None:
        opportunity_id = writing.opportunity_id

        def find() -> str | None:
            # A retake may have all the same values.
            others = self._ledger.effects.created_ids(opportunity_id, "form")
            forms = (form for form in self._lever.list_forms(opportunity_id).whole() if form.id not in others)
            return next((form.id for form in forms if writing.is_form(form.fields, fields)), None)

        def make() -> str:
            try:
                return self._create_form(writing, template, fields)
            except RequestRejectedError:
                log.info("Lever refused the form; sending it again without its fields' ids")
            # Whether a form's fields may carry the template's field ids is not documented, nor what Lever says when
            # not; a refused form is not created (lever.md 7.3).
            bare = [{key: value for key, value in field.items() if key != "id"} for field in fields]
            return self._create_form(writing, template, bare)

        self._once(writing, "form", make, find)

    def _create_form(self, writing: _Writing, template: FormTemplate, fields: list[dict[str, Any]]) -> str:
        return self._lever.create_form(
            writing.opportunity_id,
            template_id=template.id,
            fields=fields,
            secret=self._settings.write_back.secret,
            perform_as=writing.perform_as,
        ).id

    def _file(self, writing: _Writing, report: Report) -> None:
        name = report_file_name(writing.invitation_id, revision=writing.revision)

        def find() -> str | None:
            files = self._lever.list_files(writing.opportunity_id).whole()
            return next((file.id for file in files if file.name == name and file.status != "error"), None)

        def make() -> str:
            with self._imocha.open_report_pdf(writing.invitation_id, report) as content:
                return self._lever.upload_file(
                    writing.opportunity_id, name=name, content=content, perform_as=writing.perform_as
                ).id

        self._once(writing, "file", make, find)

    def _note(self, writing: _Writing) -> None:
        invitation_id = writing.invitation_id
        text = f"The iMocha assessment has ended; its report is in the form and the file (invitation {invitation_id})."

        def find() -> str | None:
            notes = self._lever.list_notes(writing.opportunity_id).whole()
            return next((note.id for note in notes if f"(invitation {invitation_id})" in note.value), None)

        def make() -> str:
            return self._lever.create_note(writing.opportunity_id, text, perform_as=writing.perform_as).id

        self._once(writing, "note", make, find)

    def _once(self, writing: _Writing, step: str, make: Callable[[], str], find: Callable[[], str | None]) -> None:
        """Do a step once; an adopted attempt may have been written back before the ledger knew of it."""
        look_first = writing.assessment.adopted and writing.revision == 1
        self._effects.once(writing.effect(step), writing.item, make, find, look_first=look_first)
