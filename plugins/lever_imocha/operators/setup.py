"""The operators of the set-up: ask, do, check."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException

from lever_imocha.errors import SettingsError
from lever_imocha.operators.assessment import AssessmentOperator
from lever_imocha.operators.doctor import paused_in
from lever_imocha.runtime.tracebacks import without_traceback

ACTIVATE, SAVE, AGAIN, STOP = "Activate", "Save only", "Look again", "Stop"


class ChooseOperator(HITLOperator):
    """Ask a person what is to be used of what is in the account; below the doctor's table.

    What there is to choose from is read when the task runs. *Look again*, and *Activate* while something is wrong that
    the set-up cannot mend, end in a retry, which asks anew.

    :param lever_conn_id: connection of type ``lever``.
    :param imocha_conn_id: connection of type ``imocha``.
    """

    def __init__(
        self, *, lever_conn_id: str = "lever_default", imocha_conn_id: str = "imocha_default", **kwargs: Any
    ) -> None:
        super().__init__(subject="Set up Lever and iMocha", options=[ACTIVATE, SAVE, AGAIN, STOP], **kwargs)
        self.lever_conn_id, self.imocha_conn_id = lever_conn_id, imocha_conn_id

    @without_traceback
    def execute(self, context: Any) -> Any:
        """Look, and ask."""
        from lever_imocha.runtime.setup import form_of

        form = form_of(self._facts(context))
        self.body = form.text
        self.params = ParamsDict(
            {
                field.name: Param(
                    field.default,
                    type="string",
                    enum=list(field.options),
                    values_display=dict(field.options),
                    title=field.title,
                    description=field.description,
                )
                for field in form.fields
            }
        )
        if not form.fields:
            self.options = [AGAIN, STOP]
        return super().execute(context)

    @without_traceback
    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, str]:
        """Return what was chosen: ids.

        :raises SettingsError: to look again; or one line for each thing that is to be mended first.
        """
        from lever_imocha.workflows.doctor.checkup import examine
        from lever_imocha.workflows.setup.form import Answer, blocking

        given = super().execute_complete(context, event)
        (button,) = given["chosen_options"]
        if button == STOP:
            raise AirflowSkipException("stopped; nothing was changed")
        if button == AGAIN:
            raise SettingsError(["looking again, as you asked"])
        answer = Answer.read(given["params_input"])
        if button == ACTIVATE:
            wrong = blocking(examine(self._facts(context)))
            if wrong:
                raise SettingsError(["not activated; mend this first:", *(finding.line for finding in wrong)])
        return {"button": button, **answer.model_dump()}

    def _facts(self, context: Any) -> Any:
        from lever_imocha.runtime.doctor import facts_of

        return facts_of(lever_conn_id=self.lever_conn_id, imocha_conn_id=self.imocha_conn_id, paused=paused_in(context))


class SetUpOperator(AssessmentOperator):
    """Do what was chosen; what is there already is left as it is.

    :param answer: what `ChooseOperator` returned.
    """

    template_fields = ("answer",)

    def __init__(self, *, answer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer = answer

    @without_traceback
    def execute(self, context: Any) -> list[str]:
        """Return what was made, a line each."""
        from lever_imocha.runtime.setup import set_up
        from lever_imocha.workflows.setup.form import Answer

        done = []
        for line in set_up(self.lever_conn_id, self.imocha_conn_id).run(Answer.model_validate(self.answer)):
            self.log.info("%s", line)
            done.append(line)
        return done


class CheckSetUpOperator(AssessmentOperator):
    """Look again, switch the DAGs on when nothing is wrong, and say what is on, what was made and what is left to do.

    :param answer: what `ChooseOperator` returned.
    :param done: what `SetUpOperator` returned.
    """

    template_fields = ("answer", "done")

    def __init__(self, *, answer: Any, done: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer, self.done = answer, done

    @without_traceback
    def execute(self, context: Any) -> list[str]:
        """Return the report, a line each.

        :raises SettingsError: something is wrong, so that nothing was switched on.
        """
        from lever_imocha.runtime.setup import check

        report = check(
            self.lever_conn_id,
            self.imocha_conn_id,
            paused=paused_in(context),
            activate=self.answer["button"] == ACTIVATE,
            done=list(self.done),
        )
        for line in report.lines:
            self.log.info("%s", line)
        if report.wrong:
            raise SettingsError(report.wrong)
        return report.lines
