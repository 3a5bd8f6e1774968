"""Does what people ask for on the console.

All of it is a change of the ledger that makes work due; the work itself is then done as any other.
"""

from __future__ import annotations

import logging

from lever_imocha.domain.decisions import OverLimit, Reason
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Act, Request, Work

log = logging.getLogger(__name__)

_AT_MOST = 1000
_LIMITS = [Reason.LIMIT, Reason.PER_CANDIDATE]


def carry_out_requests(ledger: Ledger) -> None:
    """Do open requests, oldest first, each in a transaction of its own; what is left is done by the next run."""
    for _ in range(_AT_MOST):
        if not _carry_out_one(ledger):
            return


def _carry_out_one(ledger: Ledger) -> bool:
    with ledger.transaction():
        request = ledger.requests.take()
        if request is None:
            return False
        outcome = _DO[request.act](ledger, request)
        ledger.requests.finish(request, outcome=outcome)
    log.info("request %s, %s of opportunity %s: %s", request.id, request.act, request.opportunity_id, outcome)
    return True


def _look_again(ledger: Ledger, request: Request) -> str:
    released = ledger.queue.release_waiting([request.opportunity_id], or_dropped=False)
    ledger.queue.enqueue([request.opportunity_id], Work.INVITE)
    return f"to be read now; {released} waiting work items to be tried now"


def _release(ledger: Ledger, request: Request) -> str:
    found = ledger.entries.settle_held(OverLimit.RELEASE, _LIMITS, opportunity_id=request.opportunity_id)
    return "decided again, above the limit" if found else "nothing done: no limit holds the candidate any more"


def _drop(ledger: Ledger, request: Request) -> str:
    found = ledger.entries.settle_held(OverLimit.DROP, _LIMITS, opportunity_id=request.opportunity_id)
    return (
        "decided again: not invited for this stay in the stage"
        if found
        else "nothing done: no limit holds the candidate any more"
    )


def _send_again(ledger: Ledger, request: Request) -> str:
    found = ledger.assessments.send_again(request.opportunity_id)
    return "decided again" if found else "nothing done: there is no invitation that is not begun"


def _replay(ledger: Ledger, request: Request) -> str:
    due = request.delivery_id is not None and ledger.deliveries.replay(request.delivery_id, request.opportunity_id)
    return "due again" if due else "nothing done: the report is in Lever already, or the delivery is not kept any more"


_DO = {
    Act.LOOK_AGAIN: _look_again,
    Act.RELEASE: _release,
    Act.DROP: _drop,
    Act.SEND_AGAIN: _send_again,
    Act.REPLAY: _replay,
}
