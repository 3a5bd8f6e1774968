"""The console's way to the ledger, with connections to the database of its own, and to the pages of Lever."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from lever_imocha.console.rights import CONNECTION
from lever_imocha.domain.hosts import candidate_page
from lever_imocha.errors import LeverImochaError
from lever_imocha.hooks.ledger import ledger_engine, ledger_url
from lever_imocha.ledger.repository import Ledger

_BOUNDS = "-c statement_timeout=4s -c jit=off"
_SECONDS_TO_REACH = "3"
_READING = f"{_BOUNDS} -c default_transaction_read_only=on"


def open_ledger(*, write: bool = False) -> Ledger:
    """Return the ledger; the database itself refuses writes unless they are asked for.

    Its connections are not those of the receivers in the same server: a slow page keeps no delivery waiting.

    :raises LedgerError: it cannot be used.
    """
    try:
        url = make_url(address := ledger_url())
    except ArgumentError:
        return Ledger(engine=ledger_engine(address))  # which says what is wrong with it
    given = url.query.get("options", ())
    options = [*((given,) if isinstance(given, str) else given), _BOUNDS if write else _READING]
    own = url.set(query={"connect_timeout": _SECONDS_TO_REACH} | dict(url.query) | {"options": " ".join(options)})
    return Ledger(engine=ledger_engine(own.render_as_string(hide_password=False), pre_ping=True))


def lever_page(opportunity_id: str) -> str:
    """Return the address of a candidate's page in Lever, of the account that the connection names."""
    from lever_imocha.hooks.lever import LeverHook  # every process of Airflow's imports this module

    try:
        return candidate_page(LeverHook(CONNECTION).base_address, opportunity_id)
    except LeverImochaError:
        return candidate_page("https://api.lever.co", opportunity_id)
