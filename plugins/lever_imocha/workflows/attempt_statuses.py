"""Records what iMocha says of attempts, unless the number seems to be somebody else's there."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from lever_imocha.domain.acts import address_check
from lever_imocha.domain.imocha import Said
from lever_imocha.ledger.repository import Ledger

log = logging.getLogger(__name__)


def of_others(ledger: Ledger, said: Mapping[int, Said]) -> set[int]:
    """Return the invitations of which iMocha names another address, or without one another test, than was invited."""
    named = {
        key: (address_check(one.email) if one.email and "@" in one.email else None, one.test_id)
        for key, one in said.items()
    }
    others = set(ledger.invitations.of_others(named))
    if others:
        log.warning("iMocha names another address or test than was invited: invitations %s", sorted(others)[:20])
    return others


def record_statuses(ledger: Ledger, said: Mapping[int, Said], *, listed: bool = False, show: bool = False) -> set[int]:
    """Record the status of invitations, and enqueue the reports of attempts that have ended.

    Beside each, iMocha may name the candidate's address, and the test. With another account's key the number is
    another person's, whose status would stay with ours, since an ended attempt stays ended. Where another address was
    invited, or, without one, to another test, nothing is recorded. If that attempt has ended, its report is read all
    the same: iMocha may write the address another way, which the candidate has in Lever.

    :param listed: read from a list; see `Invitations.set_status`.
    :param show: enqueue that Lever shows it.
    :return: the invitations of which nothing was recorded.
    """
    others = of_others(ledger, said)
    if others:
        ledger.invitations.have_reports_read([key for key in others if said[key].status.is_ended])
    statuses = {key: one.status for key, one in said.items() if key not in others}
    ledger.invitations.set_status(statuses, listed=listed, show=show)
    return others
