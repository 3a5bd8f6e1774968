"""Errors as an operator wants to read them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from lever_imocha.airflow_compat import as_airflow_reads_it
from lever_imocha.errors import LeverImochaError

P = ParamSpec("P")
R = TypeVar("R")


def without_traceback(method: Callable[P, R]) -> Callable[P, R]:
    """Let errors of ours reach Airflow without the frames of our package.

    Airflow logs every failure with its trace. Our messages say what to do, and a trace would bury them; a bug,
    which is no error of ours, keeps its own. All our operators and sensors go through here, so here is also decided what
    Airflow reads a hopeless error as.
    """

    @wraps(method)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except LeverImochaError as error:
            raise as_airflow_reads_it(error).with_traceback(None) from None

    return plain
