"""What both sensors have in common: they look once, then wait on a worker or, deferrable, in the triggerer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from lever_imocha.airflow_compat import AirflowSensorTimeout, AirflowSkipException
from lever_imocha.errors import LeverImochaError, Retry, WaitFailedError
from lever_imocha.runtime.tracebacks import without_traceback

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lever_imocha.triggers.polling import PollTrigger


class PollSensor(BaseSensorOperator):
    """Base of the sensors, with the parameters of every sensor.

    `poke_interval`, `timeout`, `soft_fail` and `never_fail` count with and without `deferrable`. When the time is out,
    `soft_fail` skips the task; what a person has to correct fails it all the same, unless `never_fail` is set.

    :param deferrable: wait in the triggerer, without a worker.
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable, self._asked_to_wait = deferrable, 0.0

    @abstractmethod
    def make_trigger(self) -> PollTrigger:
        """Make the trigger that looks for what this sensor waits for; names are looked up for it."""

    @cached_property
    def _trigger(self) -> PollTrigger:
        return self.make_trigger()

    def _look(self) -> list[Any]:
        """Look once; what passes by itself, such as an outage of the vendor, is logged and waited out."""
        self._asked_to_wait = 0.0
        try:
            return self._trigger.look()
        except LeverImochaError as error:
            if error.retry is not Retry.SOON:
                raise
            self.log.warning("%s", error)
            self._asked_to_wait = error.retry_after or 0.0
            return []

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        found = self._look()
        return PokeReturnValue(is_done=bool(found), xcom_value=found)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Wait as long as the vendor has asked for, but not after the time is out; Airflow asks after each poke."""
        interval: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        return max(interval, min(self._asked_to_wait, self.timeout - run_duration()))

    @without_traceback
    def execute(self, context: Context) -> Any:
        """Return the ids found, now or after waiting."""
        if not self.deferrable:
            return super().execute(context)
        with self._never_failing():
            _ = self._trigger  # without the ids of its names there is nothing to defer
            found = self._look()
        if not found:
            self._trigger.asked_to_wait = self._asked_to_wait
            self.defer(
                trigger=self._trigger, method_name="execute_complete", timeout=timedelta(seconds=float(self.timeout))
            )
        return found

    @without_traceback
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after waiting; Airflow calls this, also when the time is out."""
        try:
            with self._never_failing():
                return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            if self.soft_fail or self.never_fail:  # 3.1.7 heeds them on a worker only
                raise AirflowSkipException(str(error)) from None
            raise

    @contextmanager
    def _never_failing(self) -> Iterator[None]:
        """Do for what is raised outside of `poke` what Airflow does for `poke`."""
        try:
            yield
        except LeverImochaError as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from None
            raise

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Return what the trigger found.

        :raises WaitFailedError: the trigger met what a person has to correct, or fired with something else than it promises.
        """
        if not event or not event.get("found"):
            raise WaitFailedError(str((event or {}).get("error") or "the trigger fired without a reason"))
        return event["found"]
