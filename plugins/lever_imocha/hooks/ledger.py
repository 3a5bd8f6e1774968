"""Finds the ledger's database by an Airflow connection or an environment variable."""

from __future__ import annotations

import os

from airflow.sdk import BaseHook
from sqlalchemy import Engine

from lever_imocha.airflow_compat import AirflowNotFoundException, ensure_found_nothing
from lever_imocha.errors import AirflowDownError, LedgerError
from lever_imocha.ledger.database import LEDGER_VARIABLE, check_schema, engine_for

LEDGER_CONNECTION = "lever_imocha_ledger"


def ledger_engine(url: str | None = None, *, pre_ping: bool = False) -> Engine:
    """Return the ledger's engine; its schema is checked once per process.

    :param url: where the caller has looked it up already.
    :param pre_ping: as for `engine_for`; for a server, which outlives restarts of the database.
    :raises LedgerError: none is named, it is not reachable, or it is not migrated.
    """
    engine = engine_for(url or ledger_url(), pre_ping=pre_ping)
    if engine not in _CHECKED:
        check_schema(engine)
        _CHECKED.add(engine)
    return engine


_CHECKED: set[Engine] = set()


def ledger_url() -> str:
    """Return the URL of the connection `lever_imocha_ledger`, else the variable LEVER_IMOCHA_LEDGER.

    :raises LedgerError: neither is set.
    """
    return find_ledger_url() or url_from_environment()


def find_ledger_url() -> str | None:
    """Return the URL as `ledger_url` does; None if there is no ledger.

    :raises LedgerError: Airflow cannot look it up at the moment.
    """
    try:
        return str(BaseHook.get_connection(LEDGER_CONNECTION).get_uri())
    except AirflowNotFoundException:
        if url := os.environ.get(LEDGER_VARIABLE):
            return url
    try:
        ensure_found_nothing()
    except AirflowDownError as error:
        raise LedgerError(str(error), temporary=True) from None
    return None


def url_from_environment() -> str:
    """Return the variable LEVER_IMOCHA_LEDGER.

    :raises LedgerError: it is not set.
    """
    url = os.environ.get(LEDGER_VARIABLE)
    if not url:
        raise LedgerError(
            f"The ledger has no address: make the Airflow connection {LEDGER_CONNECTION} (type Postgres), or set"
            f" {LEDGER_VARIABLE}."
        )
    return url
