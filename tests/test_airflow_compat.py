"""The same on every version of Airflow: what is hopeless is not tried again."""

from __future__ import annotations

from pathlib import Path

import lever_imocha
import pytest
from lever_imocha import airflow_compat
from lever_imocha.airflow_compat import SINCE_3_3, AirflowFailException, failing
from lever_imocha.errors import CredentialsError, LeverImochaError, NotFoundError, VendorDownError, WorkFailedError
from lever_imocha.runtime.tracebacks import without_traceback

CALL = {"vendor": "Lever", "call": "list_stages", "status": 500}
HOPELESS = [
    CredentialsError(**CALL),  # type: ignore[arg-type]
    WorkFailedError({"op": NotFoundError(**CALL)}),  # type: ignore[arg-type]
]
ROOT = Path(lever_imocha.__file__).parent


def raised(error: LeverImochaError) -> LeverImochaError:
    """What a task's method lets Airflow see."""

    @without_traceback
    def execute() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        execute()
    return caught.value


@pytest.mark.parametrize("error", HOPELESS, ids=lambda error: type(error).__name__)
def test_a_hopeless_error_is_one_that_airflow_does_not_try_again(error: LeverImochaError) -> None:
    """Since 3.3 the retry policy says so (tests/test_errors.py)."""
    assert isinstance(raised(error), AirflowFailException) is not SINCE_3_3
    assert isinstance(failing(error), AirflowFailException)


@pytest.mark.parametrize("error", HOPELESS, ids=lambda error: type(error).__name__)
def test_a_hopeless_error_keeps_its_class_and_its_text(error: LeverImochaError) -> None:
    failure = failing(error)
    assert isinstance(failure, type(error))
    assert (type(failure).__name__, str(failure), vars(failure)) == (type(error).__name__, str(error), vars(error))
    assert failure.public_message == error.public_message


def test_what_may_pass_stays_for_airflows_retries() -> None:
    assert not isinstance(raised(VendorDownError(**CALL)), AirflowFailException)  # type: ignore[arg-type]


def test_nothing_else_asks_for_a_version() -> None:
    asking = {
        path.name
        for path in ROOT.rglob("*.py")
        if "SINCE_3" in path.read_text() or "airflow import __version__" in path.read_text()
    }
    assert asking == {Path(airflow_compat.__file__).name}
