"""What differs between Airflow 3.1, 3.2 and 3.3. Nothing else in this package asks which version runs.

When support for a version ends, its branches go. mypy reads those of the newest version only (pyproject.toml).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow import __version__
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from lever_imocha.errors import AirflowDownError, LeverImochaError, Retry

_VERSION = tuple(int(number) for number in __version__.split(".")[:2])
SINCE_3_2, SINCE_3_3 = _VERSION >= (3, 2), _VERSION >= (3, 3)

if SINCE_3_2:
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
else:
    from airflow.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
    from airflow.sdk.definitions.deadline import AsyncCallback
    from airflow.timetables.assets import AssetOrTimeSchedule
    from airflow.timetables.trigger import CronTriggerTimetable

if SINCE_3_3:
    from airflow.sdk import RetryDecision, RetryPolicy
    from airflow.sdk.observability import stats
else:
    RetryDecision = RetryPolicy = object  # a DAG may name a policy all the same; nobody asks it
    if SINCE_3_2:
        from airflow.sdk.observability.stats import Stats as stats  # noqa: N813
    else:
        from airflow.stats import Stats as stats  # noqa: N813

MOST_BUTTONS = 4 if SINCE_3_2 else 3
"""How many buttons a form may have: Airflow 3.1 shows none where there are four, and a list of all where there are more."""

__all__ = [
    "MOST_BUTTONS",
    "SINCE_3_2",
    "SINCE_3_3",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AssetOrTimeSchedule",
    "AsyncCallback",
    "CronTriggerTimetable",
    "DeadlineAlert",
    "DeadlineReference",
    "RetryDecision",
    "RetryPolicy",
    "as_airflow_reads_it",
    "deadline_interval",
    "ensure_found_nothing",
    "failing",
    "form_widgets",
    "stats",
]


def as_airflow_reads_it(error: LeverImochaError) -> LeverImochaError:
    """Return the error so that Airflow does not try the task again where that cannot help.

    Since 3.3 a task's retry policy decides, and the error stays as it is. Before, one that no retry within the run
    helps becomes Airflow's `AirflowFailException` as well; its kind, text and attributes stay.
    """
    if SINCE_3_3 or error.retry is Retry.SOON:
        return error
    return failing(error)


def failing(error: LeverImochaError) -> LeverImochaError:
    """Return the error as one that is an `AirflowFailException`, too."""
    kind = type(error)
    both = type(kind.__name__, (kind, AirflowFailException), {"__module__": kind.__module__})
    failure: LeverImochaError = both.__new__(both, *error.args)
    vars(failure).update(vars(error))
    return failure


def ensure_found_nothing() -> None:
    """Make sure that Airflow has looked where it says that there is no such connection or variable.

    It says so as well when it could not look: it passes over the errors of its database and of its API server.

    :raises AirflowDownError: it could not look.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is not None:  # in a task, and in the triggerer
        try:
            answer = supervisor.send(GetVariable(key="lever_imocha"))
        except AirflowRuntimeError as error:
            answer = error.error
        if isinstance(answer, ErrorResponse) and answer.error is ErrorType.API_SERVER_ERROR:
            raise AirflowDownError
    elif os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "server":  # as Airflow itself tells it
        from airflow.utils.session import create_session
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with create_session() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            raise AirflowDownError from None


def deadline_interval(interval: timedelta) -> Any:
    """Return the interval of a deadline so that a run with that deadline can be cleared.

    Airflow 3.3 stores a `timedelta` as a dictionary, which its clearing takes for seconds and fails with (its issue 70368);
    it reads seconds as well.
    """
    return interval.total_seconds() if SINCE_3_3 else interval


def form_widgets(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a connection's form as Airflow 3.1 asks a hook for them; later ones read the metadata.

    :param fields: the ``conn-fields`` of the metadata.
    """
    if SINCE_3_2:
        return {}
    # Airflow 3.1 does not have these packages, but puts something in their place while it asks.
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import IntegerField, PasswordField, StringField
    from wtforms.validators import Optional

    widgets = {}
    for name, field in fields.items():
        schema = field["schema"]
        secret = schema.get("format") == "password"
        kind = PasswordField if secret else IntegerField if "integer" in schema["type"] else StringField
        widgets[name] = kind(
            field["label"],
            validators=[Optional()],
            description=field["description"],
            widget=(BS3PasswordFieldWidget if secret else BS3TextFieldWidget)(),
        )
    return widgets
