"""One call to Lever each, for any DAG. They need the connection, neither the ledger nor the settings file.

What a task returns goes to XCom: ids only. Errors are those of `lever_imocha.errors`; their text says what to do.
Modules that only a running task needs are imported when it runs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from mimetypes import guess_type
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from lever_imocha.errors import SettingsError
from lever_imocha.operators.links import LeverCandidateLink
from lever_imocha.runtime.parameters import read, read_list, read_mapping, read_text, text_or_none
from lever_imocha.runtime.tracebacks import without_traceback

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lever_imocha.clients.lever import LeverClient

_CLOCKS_DIFFER = timedelta(minutes=10)
"""More than our clock and Lever's may differ."""


class LeverOperator(BaseOperator):
    """Base of the operators that change one opportunity in Lever.

    :param opportunity_id: Lever's id of the opportunity.
    :param lever_conn_id: a connection of type ``lever``.
    :param perform_as: the acting user, by e-mail address or id; some accounts demand one.
    """

    template_fields: Sequence[str] = ("lever_conn_id", "opportunity_id", "perform_as")
    operator_extra_links = (LeverCandidateLink(),)

    def __init__(
        self,
        *,
        opportunity_id: str,
        lever_conn_id: str = "lever_default",
        perform_as: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.opportunity_id, self.lever_conn_id, self.perform_as = opportunity_id, lever_conn_id, perform_as

    @without_traceback
    def execute(self, context: Context) -> str | None:
        """Send the call.

        :return: the id of what was made or chosen, if there is one.
        :raises LeverImochaError: Lever or the connection said no; the text says what to do.
        """
        from lever_imocha.hooks.lever import LeverHook
        from lever_imocha.workflows.lever_names import LeverNames

        self.opportunity_id = read_text(self.opportunity_id, name="opportunity_id")
        lever = LeverHook(self.lever_conn_id).client()
        user = text_or_none(self.perform_as)
        acting = LeverNames(lever).user_id(user) if user else None
        made = self._made_before(lever, context)
        result = made or self._send(lever, acting)
        self.log.info("opportunity %s: %s %s", self.opportunity_id, "made before:" if made else "done", result or "")
        return result

    @abstractmethod
    def _send(self, lever: LeverClient, perform_as: str | None) -> str | None:
        """Send the call; return the id of what was made or chosen."""

    def _made_before(self, lever: LeverClient, context: Context) -> str | None:
        """Return the id of what an earlier try of the task made, whose answer was lost; None if there is none."""
        if getattr(context.get("ti"), "try_number", 1) == 1:
            return None
        run = context.get("dag_run")
        began = run.run_after - _CLOCKS_DIFFER if run else None  # what is older, no try of this run has made
        return next((key for key, at in self._equal_ones(lever) if not began or not at or at >= began), None)

    def _equal_ones(self, lever: LeverClient) -> Iterable[tuple[str, datetime | None]]:
        """Return id and time of what is there and equals what would be made; nothing where repeating does no harm."""
        return ()


class LeverUpdateStageOperator(LeverOperator):
    """Move an opportunity to a stage.

    .. code-block:: python

        LeverUpdateStageOperator(
            task_id="move", opportunity_id="{{ params.opportunity }}", stage="Offer", perform_as="ops@example.com"
        )

    :param stage: name or id.
    :return: the stage's id.
    """

    template_fields = (*LeverOperator.template_fields, "stage")

    def __init__(self, *, stage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage

    def _send(self, lever: LeverClient, perform_as: str | None) -> str:
        from lever_imocha.workflows.lever_names import LeverNames

        stage_id = LeverNames(lever).stage_id(read_text(self.stage, name="stage"))
        lever.update_stage(self.opportunity_id, stage_id, perform_as=perform_as)
        return stage_id


class _LeverTagsOperator(LeverOperator):
    """Base of the two that take tags.

    :param tags: a list; one text is one tag.
    """

    template_fields = (*LeverOperator.template_fields, "tags")

    def __init__(self, *, tags: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tags = tags

    def _read_tags(self) -> list[str]:
        return read_list(self.tags, name="tags", split=False)


class LeverAddTagsOperator(_LeverTagsOperator):
    """Add tags to an opportunity; Lever creates those it does not know.

    .. code-block:: python

        LeverAddTagsOperator(task_id="tag", opportunity_id="{{ params.opportunity }}", tags=["Reference check"])

    :param tags: a list; one text is one tag.
    """

    def _send(self, lever: LeverClient, perform_as: str | None) -> None:
        lever.add_tags(self.opportunity_id, self._read_tags(), perform_as=perform_as)


class LeverRemoveTagsOperator(_LeverTagsOperator):
    """Remove tags from an opportunity; it is no error if it does not have them.

    .. code-block:: python

        LeverRemoveTagsOperator(task_id="untag", opportunity_id="{{ params.opportunity }}", tags=["Reference check"])

    :param tags: a list; one text is one tag.
    """

    def _send(self, lever: LeverClient, perform_as: str | None) -> None:
        lever.remove_tags(self.opportunity_id, self._read_tags(), perform_as=perform_as)


class LeverCreateNoteOperator(LeverOperator):
    """Write a note on an opportunity. A second try looks first for a note of this run with the same text.

    .. code-block:: python

        LeverCreateNoteOperator(task_id="note", opportunity_id="{{ params.opportunity }}", text="References are fine.")

    :param text: of the note.
    :param secret: only for those who may see sensitive information.
    :return: the note's id.
    """

    template_fields = (*LeverOperator.template_fields, "text", "secret")

    def __init__(self, *, text: str, secret: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text, self.secret = text, secret

    def _send(self, lever: LeverClient, perform_as: str | None) -> str:
        secret, text = read(bool, self.secret, name="secret"), read_text(self.text, name="text")
        return lever.create_note(self.opportunity_id, text, secret=secret, perform_as=perform_as).id

    def _equal_ones(self, lever: LeverClient) -> Iterable[tuple[str, datetime | None]]:
        text, notes = read_text(self.text, name="text"), lever.list_notes(self.opportunity_id).whole()
        return ((note.id, note.created_at) for note in notes if note.value.strip() == text)


class LeverCreateFormOperator(LeverOperator):
    """Write a profile form on an opportunity; a form can never be changed. A second try looks first for an equal one of this run.

    .. code-block:: python

        LeverCreateFormOperator(
            task_id="form",
            opportunity_id="{{ params.opportunity }}",
            template="Reference check",
            values={"Referee": "Pat Example", "Outcome": "Good", "Spoken on": "2026-01-31"},
        )

    :param template: name or id of the form template.
    :param values: the fields' values by the fields' texts, or a template of a dictionary or of JSON. Dates as ISO text, a
        choice as one of the field's options.
    :return: the form's id.
    """

    template_fields = (*LeverOperator.template_fields, "template", "values")
    template_fields_renderers = {"values": "json"}  # noqa: RUF012 - as Airflow declares it

    def __init__(self, *, template: str, values: Mapping[str, Any] | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.template, self.values = template, values

    def _send(self, lever: LeverClient, perform_as: str | None) -> str:
        template_id, fields = self._form(lever)
        form = lever.create_form(
            self.opportunity_id, template_id=template_id, fields=fields, secret=None, perform_as=perform_as
        )
        return form.id

    def _equal_ones(self, lever: LeverClient) -> Iterable[tuple[str, datetime | None]]:
        template_id, fields = self._form(lever)
        wanted = [(field.get("text"), field["value"]) for field in fields]
        for form in lever.list_forms(self.opportunity_id).whole():
            written = [(field.get("text"), field.get("value")) for field in form.fields]
            if form.base_template_id in (None, template_id) and written == wanted:
                yield form.id, form.created_at

    def _form(self, lever: LeverClient) -> tuple[str, list[dict[str, Any]]]:
        from lever_imocha.domain.forms import form_with
        from lever_imocha.workflows.lever_names import LeverNames

        template = LeverNames(lever).template(read_text(self.template, name="template"))
        return template.id, form_with(template, read_mapping(self.values, name="values"))


class LeverUploadFileOperator(LeverOperator):
    """Upload a file to an opportunity, at most 30 MB (lever.md 8). A second try looks first for a file of this run with the same name.

    .. code-block:: python

        LeverUploadFileOperator(
            task_id="upload",
            opportunity_id="{{ params.opportunity }}",
            path="/data/references.pdf",
            perform_as="ops@example.com",
        )

    :param path: of the file, where the task runs.
    :param name: of the file in Lever; None for the path's last part.
    :param perform_as: the acting user, by e-mail address or id; Lever demands one for an upload.
    :return: the file's id.
    """

    template_fields = (*LeverOperator.template_fields, "path", "name")

    def __init__(self, *, path: str, perform_as: str, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(perform_as=perform_as, **kwargs)
        self.path, self.name = path, name

    def _send(self, lever: LeverClient, perform_as: str | None) -> str:
        name = self._file_name()
        try:
            with open(str(self.path), "rb") as content:
                return lever.upload_file(
                    self.opportunity_id,
                    name=name,
                    content=content,
                    perform_as=read_text(perform_as, name="perform_as"),
                    content_type=guess_type(name)[0] or "application/octet-stream",
                ).id
        except OSError as error:
            raise SettingsError([f"path: {self.path} cannot be read ({type(error).__name__})"]) from None

    def _equal_ones(self, lever: LeverClient) -> Iterable[tuple[str, datetime | None]]:
        name, files = self._file_name(), lever.list_files(self.opportunity_id).whole()
        return ((file.id, file.uploaded_at) for file in files if file.name == name)

    def _file_name(self) -> str:
        return text_or_none(self.name) or PurePath(str(self.path)).name
