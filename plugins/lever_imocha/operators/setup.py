"""The operators of the set-up: ask, do, check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from lever_imocha.airflow_compat import MOST_BUTTONS, AirflowSkipException
from lever_imocha.errors import SettingsError, listed
from lever_imocha.operators.assessment import AssessmentOperator
from lever_imocha.operators.doctor import paused_in
from lever_imocha.runtime.tracebacks import without_traceback

if TYPE_CHECKING:
    from lever_imocha.workflows.setup.activation_plan import ActivationPlan

ACTIVATE, SAVE, AGAIN, STOP = "Activate", "Save only", "Look again", "Stop"
GO_ON, BACK = "Go on", "Back"
_SHOWN = "shown"
"""The key of the XCom with the ids of those whom the plan reaches that was shown."""


class AskOperator(HITLOperator):
    """Base of the operators that ask a person about something that they have read at both vendors.

    :param lever_conn_id: connection of type ``lever``.
    :param imocha_conn_id: connection of type ``imocha``.
    """

    template_fields = (*HITLOperator.template_fields, *AssessmentOperator.template_fields)

    def __init__(
        self, *, lever_conn_id: str = "lever_default", imocha_conn_id: str = "imocha_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lever_conn_id, self.imocha_conn_id = lever_conn_id, imocha_conn_id


class ChooseOperator(AskOperator):
    """Ask a person what is to be used of what is in the account; below the doctor's table.

    What there is to choose from is read when the task runs. Airflow keeps a form as it was first shown, so that asking
    anew takes another run of the DAG, see `LookAgainOperator`.
    """

    def __init__(self, **kwargs: Any) -> None:
        buttons = [ACTIVATE, SAVE, AGAIN, STOP][:MOST_BUTTONS]
        super().__init__(subject="Set up Lever and iMocha", options=buttons, **kwargs)

    @without_traceback
    def execute(self, context: Any) -> Any:
        """Look, and ask; what was chosen in the run before is chosen at first."""
        from lever_imocha.runtime.doctor import facts_of
        from lever_imocha.runtime.setup import form_of

        facts = facts_of(lever_conn_id=self.lever_conn_id, imocha_conn_id=self.imocha_conn_id)
        form = form_of(facts, before=_answer_before(context))
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
    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Return what was chosen, ids only; `button` is *Look again*, and `why` says why, where it cannot be done yet."""
        from lever_imocha.runtime.doctor import log_findings
        from lever_imocha.runtime.setup import set_up
        from lever_imocha.workflows.setup.form import FIRST_RULE, OF_A_RULE, Answer

        given = super().execute_complete(context, event)
        (button,) = given["chosen_options"]
        chosen = {"button": button, "why": "", **given["params_input"]}
        shown = _answer_before(context).get("rule", FIRST_RULE)
        if button != STOP and chosen.get("rule", shown) != shown:
            kept = {name: value for name, value in chosen.items() if name not in OF_A_RULE}
            return kept | {"button": AGAIN, "why": "Nothing was made: here are the lists of the rule that you chose."}
        if button in (AGAIN, STOP):
            return chosen
        try:
            answer = Answer.read(given["params_input"])
            to_do = set_up(self.lever_conn_id, self.imocha_conn_id)
            wrong = to_do.obstacles(answer) if button == ACTIVATE else []
        except SettingsError as problem:
            return chosen | {"button": AGAIN, "why": "; ".join(problem.problems)}
        log_findings(wrong)
        if wrong:
            lines = "\n".join(f"- {finding.line}" for finding in wrong)
            return chosen | {"button": AGAIN, "why": f"Not activated. Correct this first:\n\n{lines}"}
        return {"button": button, "why": "", **answer.model_dump()}


def _answer_before(context: Any) -> dict[str, Any]:
    """Return what was chosen in the run that has started this one; nothing when a person has."""
    return dict((context["dag_run"].conf or {}).get("answer", {}))


class ConfirmOperator(AskOperator):
    """Show what the activation is going to do about everybody who is in the trigger stages, and wait until a person agrees.

    Nothing is shown when nothing is to be activated, or nobody is there. Then and after *Go on* the answer is passed on
    as it is. After *Back*, and when more people would be reached by now than were shown, it is to be given again.

    :param answer: what `ChooseOperator` returned.
    """

    template_fields = (*AskOperator.template_fields, "answer")

    def __init__(self, *, answer: Any, **kwargs: Any) -> None:
        super().__init__(subject="What happens to who is in the stage now", options=[GO_ON, BACK], **kwargs)
        self.answer = answer

    @without_traceback
    def execute(self, context: Any) -> Any:
        """Make the plan, and ask."""
        from lever_imocha.runtime.setup import confirmation

        plan = self._plan() if self.answer["button"] == ACTIVATE else None
        if plan is None or not plan.expected:
            return self.answer
        for line in plan.lines:
            self.log.info("%s", line)
        self.body = confirmation(plan)
        context["ti"].xcom_push(key=_SHOWN, value=sorted(plan.reached))
        return super().execute(context)

    @without_traceback
    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; nobody is reached whom the person was not shown."""
        (button,) = super().execute_complete(context, event)["chosen_options"]
        if button == BACK:
            return {**self.answer, "button": AGAIN, "why": "Nothing was made: choose again."}
        shown = context["ti"].xcom_pull(task_ids=self.task_id, key=_SHOWN)
        more = sorted(self._plan().reached.difference(shown))
        if more:
            self.log.warning("not in the plan that was shown: %s", listed(more))
            why = (
                f"Not activated: since the plan was shown, {len(more)} more would be reached. Activate to see it anew."
            )
            return {**self.answer, "button": AGAIN, "why": why}
        return dict(self.answer)

    def _plan(self) -> ActivationPlan:
        from lever_imocha.runtime.setup import set_up
        from lever_imocha.workflows.setup.form import Answer

        return set_up(self.lever_conn_id, self.imocha_conn_id).plan(Answer.read(self.answer))


class LookAgainOperator(TriggerDagRunOperator):
    """Start the set-up anew when that was asked for.

    :param answer: what `ConfirmOperator` returned.
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "answer")

    def __init__(self, *, answer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer = answer

    def execute(self, context: Any) -> None:
        """Start another run, whose form begins with the same answer."""
        if self.answer["button"] != AGAIN:
            raise AirflowSkipException("nobody asked to look again")
        self.conf = {"answer": self.answer}
        super().execute(context)


class SetUpOperator(AssessmentOperator):
    """Do what was chosen; what is there already is left as it is.

    :param answer: what `ConfirmOperator` returned.
    """

    template_fields = (*AssessmentOperator.template_fields, "answer")

    def __init__(self, *, answer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer = answer

    @without_traceback
    def execute(self, context: Any) -> list[str]:
        """Return what was made, a line each."""
        from lever_imocha.runtime.setup import set_up
        from lever_imocha.workflows.setup.form import Answer

        if self.answer["button"] in (AGAIN, STOP):
            raise AirflowSkipException("nothing is changed")
        done = []
        for line in set_up(self.lever_conn_id, self.imocha_conn_id).run(Answer.read(self.answer)):
            self.log.info("%s", line)
            done.append(line)
        return done


class CheckSetUpOperator(AssessmentOperator):
    """Look again, switch the DAGs on when nothing is wrong, and say what is on, what was made and what is left to do.

    :param answer: what `ConfirmOperator` returned.
    :param done: what `SetUpOperator` returned.
    """

    template_fields = (*AssessmentOperator.template_fields, "answer", "done")

    def __init__(self, *, answer: Any, done: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer, self.done = answer, done

    @without_traceback
    def execute(self, context: Any) -> list[str]:
        """Return how it ended, a line each.

        :raises SettingsError: something is wrong, so that nothing was switched on.
        """
        from lever_imocha.runtime.setup import check
        from lever_imocha.workflows.setup.form import Answer

        ending = check(
            self.lever_conn_id,
            self.imocha_conn_id,
            paused=paused_in(context),
            activate=Answer.read(self.answer) if self.answer["button"] == ACTIVATE else None,
            done=list(self.done),
        )
        for line in ending.lines:
            said, *fix = line.split(" -> ")
            self.log.info("%s", said)
            for part in fix:  # a line of its own: the page cuts long ones
                self.log.info("    -> %s", part)
        if ending.wrong:
            raise SettingsError(ending.wrong)
        return ending.lines
