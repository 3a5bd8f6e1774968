"""One call to iMocha each, for any DAG. They need the connection, neither the ledger nor the settings file.

What a task returns goes to XCom: ids and a status only. Errors are those of `lever_imocha.errors`; their text says what
to do. Modules that only a running task needs are imported when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from lever_imocha.errors import OutcomeUnknownError, RequestRejectedError
from lever_imocha.runtime.parameters import read, read_text, text_or_none
from lever_imocha.runtime.tracebacks import without_traceback

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from lever_imocha.clients.imocha import ImochaClient


_NO_ALERTS = {"email_on_failure": False, "email_on_retry": False}


class ImochaOperator(BaseOperator):
    """Base of the operators that send one call to iMocha.

    :param imocha_conn_id: a connection of type ``imocha``.
    """

    template_fields: Sequence[str] = ("imocha_conn_id",)

    def __init__(self, *, imocha_conn_id: str = "imocha_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.imocha_conn_id = imocha_conn_id

    def _client(self) -> ImochaClient:
        from lever_imocha.hooks.imocha import ImochaHook

        return ImochaHook(self.imocha_conn_id).client()


class ImochaInviteOperator(ImochaOperator):
    """Invite a candidate to a test, with the settings of the test's default link.

    If the candidate was invited to the test before, iMocha answers with the same invitation: a pending, cancelled or
    expired one is pending again, a running or finished one stays as it is. So a second try makes no second invitation;
    it may send a second e-mail. Address and name are shown in Airflow under *Rendered Templates*, like all parameters.

    `email` is a parameter of every Airflow task, too: whom Airflow tells that the task failed. Here it is the candidate,
    so these e-mails are off; use a callback.

    .. code-block:: python

        ImochaInviteOperator(
            task_id="invite", test_id=101, email="{{ params.email }}", name="{{ params.name }}", send_email=False
        )

    :param test_id: the test's number.
    :param email: the candidate's address.
    :param name: the candidate's name.
    :param send_email: whether iMocha sends the candidate an e-mail.
    :param callback_url: where iMocha posts when the attempt starts or ends.
    :return: the invitation's id.
    """

    template_fields = (*ImochaOperator.template_fields, "test_id", "email", "name", "send_email", "callback_url")

    def __init__(
        self,
        *,
        test_id: int | str,
        email: str,
        name: str,
        send_email: bool | str = True,
        callback_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs | _NO_ALERTS)
        self.test_id, self.email, self.name = test_id, email, name
        self.send_email, self.callback_url = send_email, callback_url

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Make a mapped task, which does not take the DAG's default `email` for the candidate's."""
        made: OperatorPartial = super().partial(**kwargs | _NO_ALERTS)
        if "email" not in kwargs:
            made.kwargs.pop("email", None)
        return made

    @without_traceback
    def execute(self, context: Context) -> int:
        """Send the call; return the invitation's id."""
        test_id = read(int, self.test_id, name="test_id")
        invitation = self._client().invite(
            test_id,
            email=read_text(self.email, name="email"),
            name=read_text(self.name, name="name"),
            send_email=read(bool, self.send_email, name="send_email"),
            callback_url=text_or_none(self.callback_url),
        )
        self.log.info("test %s: invitation %s is %s", test_id, invitation.id, invitation.status)
        return invitation.id


class ImochaReattemptOperator(ImochaOperator):
    """Invite a candidate to a second attempt after a finished one.

    .. code-block:: python

        ImochaReattemptOperator(task_id="again", invitation_id="{{ params.invitation }}", valid_days=3)

    :param invitation_id: of the finished attempt.
    :param valid_days: for how many days, from now on, the test can be taken.
    :param time_zone_id: iMocha's number of the candidate's time zone (imocha.md 1); 1200 is UTC.
    :param send_email: whether iMocha sends the candidate an e-mail.
    :param callback_url: where iMocha posts when the attempt starts or ends.
    :return: the new invitation's id, or that of the open second attempt if there is one already.
    """

    template_fields = (
        *ImochaOperator.template_fields,
        "invitation_id",
        "valid_days",
        "time_zone_id",
        "send_email",
        "callback_url",
    )

    def __init__(
        self,
        *,
        invitation_id: int | str,
        valid_days: int | str = 7,
        time_zone_id: int | str = 1200,
        send_email: bool | str = True,
        callback_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.invitation_id, self.valid_days, self.time_zone_id = invitation_id, valid_days, time_zone_id
        self.send_email, self.callback_url = send_email, callback_url

    @without_traceback
    def execute(self, context: Context) -> int:
        """Send the call; return the new invitation's id."""
        now = datetime.now(UTC)
        invitation = self._client().reattempt(
            read(int, self.invitation_id, name="invitation_id"),
            start_at=now,
            end_at=now + timedelta(days=read(int, self.valid_days, name="valid_days")),
            time_zone_id=read(int, self.time_zone_id, name="time_zone_id"),
            send_email=read(bool, self.send_email, name="send_email"),
            callback_url=text_or_none(self.callback_url),
        )
        self.log.info("invitation %s: second attempt is invitation %s", self.invitation_id, invitation.id)
        return invitation.id


class ImochaCancelOperator(ImochaOperator):
    """Cancel a pending invitation.

    .. code-block:: python

        ImochaCancelOperator(task_id="cancel", invitation_id="{{ params.invitation }}")

    :param invitation_id: of the pending invitation; iMocha refuses any other.
    """

    template_fields = (*ImochaOperator.template_fields, "invitation_id")

    def __init__(self, *, invitation_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.invitation_id = invitation_id

    @without_traceback
    def execute(self, context: Context) -> None:
        """Send the call; once more if its answer is lost.

        :raises RequestRejectedError: the invitation is not pending.
        """
        imocha, invitation_id = self._client(), read(int, self.invitation_id, name="invitation_id")
        try:
            imocha.cancel(invitation_id)
        except OutcomeUnknownError:
            with suppress(RequestRejectedError):  # cancelling twice is refused the second time (imocha.md 5.5)
                imocha.cancel(invitation_id)
        self.log.info("invitation %s: cancelled", self.invitation_id)


class ImochaGetReportOperator(ImochaOperator):
    """Read the report of an attempt.

    .. code-block:: python

        ImochaGetReportOperator(task_id="report", invitation_id=invite.output)

    :param invitation_id: of the attempt.
    :param values: return the whole report. Scores and the candidate's address are then stored in XCom, where everybody
        who may see the DAG reads them.
    :return: the attempt's status (`complete`, `test_left`, `terminated`, ...), or the report as a dictionary.
    """

    template_fields = (*ImochaOperator.template_fields, "invitation_id", "values")

    def __init__(self, *, invitation_id: int | str, values: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.invitation_id, self.values = invitation_id, values

    @without_traceback
    def execute(self, context: Context) -> str | dict[str, Any]:
        """Send the call; return the status, or the report.

        :raises NotFoundError: iMocha has no such report, or not yet.
        """
        report = self._client().get_report(read(int, self.invitation_id, name="invitation_id"))
        self.log.info("invitation %s: %s", self.invitation_id, report.status)
        return report.model_dump(mode="json") if read(bool, self.values, name="values") else str(report.status)
