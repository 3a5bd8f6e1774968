"""Waits for ended attempts."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseSensorOperator

from lever_imocha.domain.slices import slices
from lever_imocha.errors import LeverImochaError
from lever_imocha.hooks.factory import Workshop
from lever_imocha.hooks.plain import plain_errors
from lever_imocha.triggers.imocha import ImochaAttemptTrigger


class AttemptWatchError(LeverImochaError):
    """The trigger met what only a person can mend; the message says what."""


class ImochaAttemptSensor(BaseSensorOperator):
    """Look once at iMocha, then wait in the triggerer until there is something to write back.

    :param lever_conn_id: connection of type ``lever``.
    :param imocha_conn_id: connection of type ``imocha``.
    :param wait: False only looks; a template.
    """

    template_fields = ("wait",)

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

    @plain_errors
    def execute(self, context: Any) -> list[list[str]]:
        """Return slices of opportunity ids to write back, now or after waiting."""
        shop = self._workshop()
        watch = shop.attempt_watch()
        due = watch.due() or watch.look()
        if not due and str(self.wait) == "True":
            poll = shop.settings.poll
            self.defer(
                trigger=ImochaAttemptTrigger(
                    lever_conn_id=self.lever_conn_id,
                    imocha_conn_id=self.imocha_conn_id,
                    poll_interval=poll.attempts.total_seconds(),
                    wait=poll.wait.total_seconds(),
                ),
                method_name="execute_complete",
            )
        return self._prepared(shop, due)

    @plain_errors
    def execute_complete(self, context: Any, event: dict[str, Any]) -> list[list[str]]:
        """Go on after the trigger fired.

        :raises AttemptWatchError: the trigger could not watch, or fired with something else than it promises.
        """
        if "due" not in event:
            raise AttemptWatchError(str(event.get("error", "the trigger fired without saying why")))
        return self._prepared(self._workshop(), event["due"])

    def _prepared(self, shop: Workshop, due: list[str]) -> list[list[str]]:
        if due:
            shop.write_back_workflow().prepare()
        self.log.info("%s opportunities to write back", len(due))
        return slices(due)

    def _workshop(self) -> Workshop:
        return Workshop.open(lever_conn_id=self.lever_conn_id, imocha_conn_id=self.imocha_conn_id)
