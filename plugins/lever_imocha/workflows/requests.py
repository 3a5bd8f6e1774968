"""Does what people ask for on the console, when the candidate's turn has come.

Some of it is a change of the ledger that makes other work due, which is then done as any other. What one test needs of
iMocha is done here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from lever_imocha.clients.imocha import ImochaClient
from lever_imocha.domain.acts import Act, against_inviting, is_possible, same_address
from lever_imocha.domain.decisions import Action, Departure, OverLimit, Plan, Reason, Situation
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.pauses import LONGEST
from lever_imocha.domain.rules import ResolvedRule, RuleKey
from lever_imocha.errors import Scope, VendorRefusedError
from lever_imocha.ledger.events import SENT
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import Assessment, Request, Work, WorkItem
from lever_imocha.settings import Settings
from lever_imocha.workflows.cancellation import Cancellation, cancelled_when
from lever_imocha.workflows.explain import told_why
from lever_imocha.workflows.invitation_sender import InvitationSender
from lever_imocha.workflows.limits import Limits
from lever_imocha.workflows.situation import SituationReader, entry_facts
from lever_imocha.workflows.work import NotYet, past_failures, raise_first

log = logging.getLogger(__name__)

_LIMITS = [Reason.LIMIT, Reason.PER_CANDIDATE]
_SENT, _FORMER = "the e-mail is asked for", "the former invitation is cancelled"


class NotDone(Exception):  # noqa: N818 - no error: nothing went wrong
    """Nothing is done about a request, and why."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One candidate's turn.

    :param item: the work item under which all is done.
    :param situation: as just read, without a stage entry; None when the opportunity is deleted.
    :param departure: how the candidate has left the trigger stages, if they have.
    :param rule_of: returns the rule that an assessment was begun under, as the settings have it now.
    """

    item: WorkItem
    situation: Situation | None
    departure: Departure | None
    rule_of: Callable[[RuleKey, Callable[[], Opportunity]], ResolvedRule | None]


class RequestedActs:
    """Carries out requests about one candidate, each for itself, and records what came of it.

    :param invited: the opportunities are added whose candidates were sent an e-mail.
    """

    def __init__(
        self,
        *,
        imocha: ImochaClient,
        ledger: Ledger,
        settings: Settings,
        situations: SituationReader,
        sender: InvitationSender,
        cancellation: Cancellation,
        limits: Limits,
        invited: list[str],
    ) -> None:
        self._imocha, self._ledger, self._situations, self._sender = imocha, ledger, situations, sender
        self._cancellation, self._limits, self._invited = cancellation, limits, invited
        self._cancel_when, self._shows_status = cancelled_when(settings), settings.explain.is_on
        self._of_ledger: dict[Act, Callable[[Request], str]] = {
            Act.LOOK_AGAIN: self._look_again,
            Act.RELEASE: partial(self._settle, OverLimit.RELEASE, "decided again, above the limit"),
            Act.DROP: partial(self._settle, OverLimit.DROP, "decided again: not invited for this stay in the stage"),
            Act.SEND_AGAIN: self._send_again,
            Act.REPLAY: self._replay,
        }
        self._of_test = {
            Act.CANCEL: self._cancel,
            Act.EXTEND: self._extend,
            Act.CORRECT_ADDRESS: self._correct_address,
            Act.REATTEMPT: self._reattempt,
        }

    def carry_out(self, asked: Sequence[Request], turn: Turn) -> str | None:
        """Do what was asked for, oldest first; what fails stays open and is tried again.

        :return: what came of what was asked about a test; None when only other work was made due.
        :raises NotYet: the limit of e-mails an hour is reached.
        :raises LeverImochaError: what failed first.
        """
        outcomes, waits = list[str](), list[NotYet]()

        def carry_out(request: Request) -> None:
            try:
                outcome = self._carry_out(turn, request)
            except NotYet as wait:
                waits.append(wait)
            else:
                outcomes.extend([f"{request.act}: {outcome}"] if request.act.is_of_test else [])

        raise_first(past_failures(asked, carry_out))
        if waits:
            raise waits[0]
        return "; ".join(outcomes) or None

    def _carry_out(self, turn: Turn, request: Request) -> str:
        if (of_ledger := self._of_ledger.get(request.act)) is not None:
            with self._ledger.transaction():
                outcome = of_ledger(request)
                self._ledger.requests.finish(request, outcome=outcome)
        else:
            outcome = self._outcome(turn, request)
            self._ledger.requests.finish(request, outcome=outcome)
        log.info("request %s, %s of opportunity %s: %s", request.id, request.act, request.opportunity_id, outcome)
        return outcome

    def _outcome(self, turn: Turn, request: Request) -> str:
        """Do what is asked for about one test, and say what came of it; what iMocha refuses is not tried again."""
        try:
            known = self._known(turn, request)
        except NotDone as why:
            return f"nothing done: {why}"
        try:
            return self._of_test[request.act](turn, request, known)
        except NotDone as why:
            if turn.situation is None or not self._sender.recover_invitations(turn.situation.opportunity, [known]):
                return f"nothing done: {why}"
            return f"an earlier try was cut off, which may have sent the e-mail; not tried again: {why}"
        except VendorRefusedError as error:
            if error.scope is Scope.ACCOUNT:
                raise
            return f"not done: {told_why(error)}"

    def _known(self, turn: Turn, request: Request) -> Assessment:
        if turn.situation is None:
            raise NotDone(Reason.DELETED)
        assessments = self._ledger.assessments.of(request.opportunity_id)
        known = next((known for known in assessments if known.test_id == request.test_id), None)
        if known is None or known.invitation_id is None:
            raise NotDone("there is no invitation to this test")
        return known

    # What changes the ledger only

    def _look_again(self, request: Request) -> str:
        released = self._ledger.queue.release_waiting([request.opportunity_id], or_dropped=False)
        self._ledger.queue.enqueue([request.opportunity_id], Work.INVITE)
        return f"read again; {released} waiting work items to be tried now"

    def _settle(self, over_limit: OverLimit, done: str, request: Request) -> str:
        found = self._ledger.entries.settle_held(over_limit, _LIMITS, opportunity_id=request.opportunity_id)
        return done if found else "nothing done: no limit holds the candidate any more"

    def _send_again(self, request: Request) -> str:
        found = self._ledger.assessments.send_again(request.opportunity_id)
        return "decided again" if found else "nothing done: there is no invitation that is not begun"

    def _replay(self, request: Request) -> str:
        delivery_id = request.delivery_id
        due = delivery_id is not None and self._ledger.deliveries.replay(delivery_id, request.opportunity_id)
        return (
            "due again" if due else "nothing done: the report is in Lever already, or the delivery is not kept any more"
        )

    # What one test needs of iMocha

    def _cancel(self, turn: Turn, request: Request, known: Assessment) -> str:
        if known.status is not AttemptStatus.CANCELLED:  # or an earlier try was cut off
            self._check(request, known.status, known)
            self._withdraw(known, why="asked for by a person")
            self._have_shown_to_others(known)
        self._mark_handled(known, before=request.asked_at)
        return "cancelled at iMocha"

    def _extend(self, turn: Turn, request: Request, known: Assessment) -> str:
        self._check(request, self._sender.status_now(known), known)
        situation = self._situation(turn, known)
        if why := against_inviting(situation, turn.departure, self._cancel_when):
            raise NotDone(why)
        if situation.rule is None or not self._sender.extend(situation.opportunity, situation.rule, known):
            raise NotDone("the address in Lever is another one: invite at the corrected address")
        return "a new window, without an e-mail"

    def _correct_address(self, turn: Turn, request: Request, known: Assessment) -> str:
        if self._was_sent(request):
            return _SENT
        status = known.status
        if status not in (AttemptStatus.CANCELLED, AttemptStatus.EXPIRED):  # an earlier try may have cancelled it
            status = self._sender.status_now(known)
        self._check(request, status, known)
        was_cancelled = status is AttemptStatus.CANCELLED and known.intended_at is None
        try:
            situation = self._may_mail(turn, known)
            if status is not None and status.can_begin:
                self._cancel_former(situation, known)
                was_cancelled = True
            self._mail(turn, Action.REFRESH, situation, known)
        except NotDone as why:
            if not was_cancelled:
                raise
            return f"{_FORMER}; not invited: {why}"
        except VendorRefusedError as error:
            if error.scope is Scope.ACCOUNT or not was_cancelled:
                raise
            return f"{_FORMER}; not invited: {told_why(error)}"
        return f"{_FORMER}; {_SENT}"

    def _cancel_former(self, situation: Situation, known: Assessment) -> None:
        self._check_address(situation, known)
        # Whoever leaves and comes back before the e-mail is asked for is invited all the same.
        self._ledger.assessments.reopen(int(known.invitation_id or 0), left=known.opportunity_id)
        self._withdraw(known, why="the address was corrected")

    def _reattempt(self, turn: Turn, request: Request, known: Assessment) -> str:
        if not self._was_sent(request):
            self._check(request, known.status, known)
            self._mail(turn, Action.REATTEMPT, self._may_mail(turn, known), known)
        return _SENT

    def _check(self, request: Request, status: AttemptStatus | None, known: Assessment) -> None:
        if not is_possible(request.act, status, written=known.written_at is not None):
            raise NotDone(f"the attempt is {str(status).replace('_', ' ')}" + _not_written(known, status))

    def _was_sent(self, request: Request) -> bool:
        """Tell whether an earlier try of this request was cut off when the e-mail was sent already."""
        sent = self._ledger.events.newest(request.opportunity_id, SENT)
        return any(event.test_id == request.test_id and event.at >= request.begun_at for event in sent)

    def _situation(self, turn: Turn, known: Assessment) -> Situation:
        entry = self._ledger.entries.last(known.opportunity_id)
        if entry is None or turn.situation is None:
            raise NotDone("the candidate is not known any more")
        opportunity = turn.situation.opportunity
        rule = turn.situation.rule or turn.rule_of(known.rule_key, lambda: opportunity)
        if rule is None:
            raise NotDone("the rule of this test is no longer in the settings")
        links = self._situations.links_of(rule, known.test_id)
        if rule.link is None and turn.situation.rule is None and known.link_id is not None:
            links = {known.test_id: known.link_id}  # who has left the stage is invited as before
        return replace(self._limits.applied(turn.situation), rule=rule, links=links, entry=entry_facts(entry))

    def _may_mail(self, turn: Turn, known: Assessment) -> Situation:
        situation = self._situation(turn, known)
        if why := against_inviting(situation, turn.departure, self._cancel_when):
            raise NotDone(why)
        if situation.lacks_link(known.test_id):
            raise NotDone(Reason.NO_LINK)
        if situation.mails_left is not None and situation.mails_left <= 0:
            raise NotYet(Reason.LIMIT, pause=LONGEST, failed=False)
        return situation

    def _mail(self, turn: Turn, action: Action, situation: Situation, known: Assessment) -> None:
        try:
            outcome = self._sender.send(Plan(action, test_id=known.test_id), situation, known, turn.item)
        except VendorRefusedError:
            self._mark_handled(known)  # it is not tried again
            raise
        if outcome.reason is Reason.LIMIT:
            raise NotYet(Reason.LIMIT, pause=LONGEST, failed=False)
        sent_before = known.intended_at is not None and outcome.reason in (Reason.RUNNING, Reason.ALREADY_TAKEN)
        if not outcome.action.mails and not sent_before:
            raise NotDone(outcome.reason or outcome.action)
        self._invited.append(known.opportunity_id)

    def _check_address(self, situation: Situation, known: Assessment) -> None:
        """Make sure that the invitation is this opportunity's only, and went elsewhere as far as iMocha tells.

        iMocha may tell the address in the report, and for an open invitation nowhere else (imocha.md 7.1). Where it
        does not, the person's word counts: the same address is then invited again.
        """
        invitation_id, opportunity = int(known.invitation_id or 0), situation.opportunity
        if self._ledger.assessments.sharing(invitation_id) != [opportunity.id]:
            raise NotDone(
                "another opportunity of the same person has the same invitation: cancel it, then move the candidate out"
                " of the stage and in again"
            )
        try:
            told = self._imocha.get_report(invitation_id).candidate_email
        except VendorRefusedError:
            return
        if told and opportunity.email and same_address(told, opportunity.email):
            raise NotDone("the invitation went to the address that Lever shows")

    def _withdraw(self, known: Assessment, *, why: str) -> None:
        is_withdrawn = self._cancellation.withdraw(known.opportunity_id, int(known.invitation_id or 0), why=why)
        if not is_withdrawn and not self._sender.is_cancelled(known):  # as it is after an earlier try that was cut off
            raise NotDone("iMocha does not cancel it: it is begun, or not open any more; a sweep finds out which")

    def _have_shown_to_others(self, known: Assessment) -> None:
        """Have the status shown of the person's other opportunities that have the same invitation."""
        others = set(self._ledger.assessments.sharing(int(known.invitation_id or 0))) - {known.opportunity_id}
        if self._shows_status:
            self._ledger.queue.enqueue(others, Work.STATUS, starts_run=True)

    def _mark_handled(self, known: Assessment, *, before: datetime | None = None) -> None:
        """Let no sweep invite to this test again: it takes another arrival in the stage, or a person.

        :param before: an arrival that came later asks for an invitation anew.
        """
        entry = self._ledger.entries.last(known.opportunity_id)
        if entry is not None and (before is None or entry.entered_at <= before):
            self._ledger.assessments.mark_handled(known.id, entry.id)


def _not_written(known: Assessment, status: AttemptStatus | None) -> str:
    unwritten = status is not None and status.is_ended and known.written_at is None
    return ", and its report is not in Lever yet" if unwritten else ""
