"""What both sensors have in common: they look once, then wait on a worker or, deferrable, in the triggerer."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from lever_imocha.errors import LeverImochaError, Retry, WaitFailedError
from lever_imocha.runtime.tracebacks import without_traceback

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lever_imocha.triggers.polling import PollTrigger


class PollSensor(BaseSensorOperator):
    """Base of the sensors. `poke_interval`, `timeout`, `mode` and `soft_fail` mean what they mean in every sensor.

    :param deferrable: wait in the triggerer, without a worker.
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    @abstractmethod
    def make_trigger(self) -> PollTrigger:
        """Make the trigger that looks for what this sensor waits for; names are looked up for it."""

    @cached_property
    def _trigger(self) -> PollTrigger:
        return self.make_trigger()

    def _look(self) -> list[Any]:
        """Look once; what passes by itself, such as an outage of the vendor, is logged and waited out."""
        trigger = self._trigger
        try:
            return trigger.look()
        except LeverImochaError as error:
            if error.retry is not Retry.SOON:
                raise
            self.log.warning("%s", error)
            return []

    @without_traceback
    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        found = self._look()
        return PokeReturnValue(is_done=bool(found), xcom_value=found)

    @without_traceback
    def execute(self, context: Context) -> Any:
        """Return the ids found, now or after waiting."""
        if not self.deferrable:
            return super().execute(context)
        found = self._look()
        if not found:
            self.defer(
                trigger=self._trigger, method_name="execute_complete", timeout=timedelta(seconds=float(self.timeout))
            )
        return found

    @without_traceback
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on after the trigger fired.

        :raises WaitFailedError: the trigger met what a person must mend, or fired with something else than it promises.
        """
        if not event or not event.get("found"):
            raise WaitFailedError(str((event or {}).get("error") or "the trigger fired without a reason"))
        return event["found"]
