"""What all our operators share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk import BaseOperator

from lever_imocha.hooks.factory import Workshop
from lever_imocha.hooks.witness import witnessed


class LeverImochaOperator(BaseOperator):
    """An operator that works with both vendors and the ledger.

    :param lever_conn_id: connection of type ``lever``.
    :param imocha_conn_id: connection of type ``imocha``.
    """

    def __init__(
        self, *, lever_conn_id: str = "lever_default", imocha_conn_id: str = "imocha_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lever_conn_id, self.imocha_conn_id = lever_conn_id, imocha_conn_id

    @contextmanager
    def workshop(self) -> Iterator[Workshop]:
        """Clients, ledger and settings for this task."""
        shop = Workshop.open(lever_conn_id=self.lever_conn_id, imocha_conn_id=self.imocha_conn_id)
        with witnessed(shop.ledger):
            yield shop
