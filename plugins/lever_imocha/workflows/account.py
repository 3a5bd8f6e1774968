"""Notices that a connection has another Lever account's key: what Lever then does not find is no fact about people."""

from __future__ import annotations

from collections.abc import Iterable

from lever_imocha.domain.names import is_uuid
from lever_imocha.errors import SettingsError, UnexpectedAnswerError
from lever_imocha.ledger.cache import ACCOUNT
from lever_imocha.ledger.repository import Ledger

_BUILT_IN = {"lead-new", "lead-reached-out", "lead-responded", "applicant-new", "offer"}


def check_account(ledger: Ledger, stage_ids: Iterable[str], *, remember: bool = True) -> None:
    """Make sure that the account's stages are those of before, at least one of them.

    Stages that every account has carry words for ids (lever.md 6.1). The account's own have UUIDs, or whatever Lever
    may give them one day: an id says nothing.

    :param stage_ids: of all stages that Lever lists.
    :param remember: take these stages for the account's from now on.
    :raises SettingsError: none of the known ones is there.
    :raises UnexpectedAnswerError: there is none at all, which says nothing of the account.
    """
    listed = set(stage_ids)
    if not listed:
        raise UnexpectedAnswerError(vendor="Lever", call="list_stages", status=200, detail="no stage at all is listed")
    own = set(filter(is_uuid, listed)) or listed - _BUILT_IN
    known = set((ledger.cache.get(ACCOUNT) or {}).get("stages", ()))
    if known and own.isdisjoint(known):
        raise SettingsError(
            [
                "connection lever_default: none of the stages of this ledger's Lever account exists with this API key; put"
                " back the account's key, or, if the account has changed, run python -m lever_imocha.ledger moved"
            ]
        )
    if remember and own != known:
        ledger.cache.put(ACCOUNT, {"stages": sorted(own)})
