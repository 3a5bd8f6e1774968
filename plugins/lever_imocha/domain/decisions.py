"""The decision table: what is done about a candidate, as pure functions of what was read.

Read first, then decide, then act: a workflow reads one candidate into a `Situation`, `decide` returns the plans, each
plan is carried out and its `Outcome` recorded. Nothing is decided anywhere else. Which tests are asked for, `domain/tags.py`
says; which rule applies, `domain/rules.py`.

The rows of the table, in their order; the first that fits counts:

===========================================  =========================  =========================================
the opportunity now                          the known attempt          plan
===========================================  =========================  =========================================
neither a tag nor its rule asks for a test   any                        ignore: no assessment tag
archived                                     any                        ignore: archived
no rule has its stage, posting and tags      any                        ignore: moved on
was in the stage before it was asked for     none of any test           hold: before activation (`leave`)
all tests are unknown or inactive            any                        hold: unknown test
anonymised, or contact is forbidden          any                        hold: may not be contacted
no e-mail address                            any                        hold: no e-mail address
of an origin that its rule skips             any                        ignore: its rule skips this origin
entered the stage again since this entry     any                        ignore: entered the stage again since
then, for each test that is asked for:
the test is unknown or inactive              any                        hold: unknown test
this stage entry was handled before          any                        ignore: already handled
was in the stage before it was asked for     none                       hold: before activation, or adopt
was in the stage before it was asked for     any that gets an e-mail    hold: before activation
ok, but the test lacks the rule's link       any that gets an e-mail    hold: no such test link
ok                                           none                       invite
ok                                           pending, unknown           refresh
ok                                           cancelled, expired         refresh (iMocha revives the invitation)
ok                                           in progress                ignore: attempt in progress
ok                                           complete, left, terminated ignore: already taken; or reattempt
===========================================  =========================  =========================================

Last, what would send an e-mail waits as long after the move as its rule says, and is held when a limit is reached: that
of the candidate (a person decides), or that of the hour (it goes on by itself). A person may release or drop what a
limit holds. Whom a rule concerns that is wrong in the settings (`ResolvedRule.usable`) waits until it is corrected.

Who was there before the activation, or before a change of the settings made them ask for a test, is held before anything
else that needs a person: nothing a recruiter could correct would lead to an invitation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Literal

from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.lever import Opportunity
from lever_imocha.domain.rules import ResolvedRule
from lever_imocha.domain.tags import WantedTest


class Action(StrEnum):
    """What is done about one test, or about a stage entry as a whole."""

    INVITE = "invite"
    REFRESH = "refresh"
    REATTEMPT = "reattempt"
    ADOPT = "adopt"
    """Invite without an e-mail: the invitation that another integration has sent becomes ours."""
    HOLD = "hold"
    IGNORE = "ignore"

    @property
    def sends(self) -> bool:
        """Whether iMocha is told to invite."""
        return self.mails or self is Action.ADOPT

    @property
    def mails(self) -> bool:
        """Whether the candidate gets an e-mail."""
        return self in (Action.INVITE, Action.REFRESH, Action.REATTEMPT)


class Reason(StrEnum):
    """Why nobody was invited."""

    NO_TAG = "no assessment tag"
    ARCHIVED = "archived"
    MOVED_ON = "moved on"
    ORIGIN = "its rule skips this origin"
    DELETED = "deleted in Lever"
    SUPERSEDED = "entered the stage again since"
    UNKNOWN_TEST = "unknown test"
    NO_LINK = "no such test link"
    NO_EMAIL = "no e-mail address"
    MAY_NOT_CONTACT = "may not be contacted"
    BEFORE_ACTIVATION = "was in the stage before the settings asked for a test"
    DELAY = "its rule waits a while after the move"
    LIMIT = "limit of e-mails an hour"
    PER_CANDIDATE = "limit of e-mails to one candidate"
    DROPPED = "dropped by a person"
    RUNNING = "attempt in progress"
    ALREADY_TAKEN = "already taken"
    ALREADY_HANDLED = "already handled"


GOES_ON = (Reason.LIMIT, Reason.DELAY)
"""Holds that end by themselves."""


class OverLimit(StrEnum):
    """What a person wants done about those whom a limit holds; the words are values of the DAG's parameter."""

    WAIT = "wait"
    RELEASE = "release"
    DROP = "drop"


def _words(action: Action, reason: Reason | None, detail: str) -> str:
    why = f": {reason}" if reason else ""
    return f"{action}{why}{f' ({detail})' if detail else ''}"


@dataclass(frozen=True)
class Plan:
    """What to do, and why when it is nothing.

    :param test_id: the test it is about; None when it is about the stage entry as a whole.
    :param detail: the tag in question, never the candidate.
    :param check_first: there may be an attempt that the ledger does not know: invite without an e-mail first, and
        send the e-mail only when iMocha does not answer with a running or ended attempt.
    """

    action: Action
    reason: Reason | None = None
    detail: str = ""
    test_id: int | None = None
    check_first: bool = False

    def __str__(self) -> str:
        return _words(self.action, self.reason, self.detail)


@dataclass(frozen=True)
class Outcome:
    """What came of a plan: a planned refresh that finds the attempt running has the outcome "ignore"."""

    action: Action
    reason: Reason | None = None
    detail: str = ""

    @classmethod
    def of(cls, plan: Plan) -> Outcome:
        """Return the outcome of a plan that went as planned."""
        return cls(plan.action, plan.reason, plan.detail)

    def __str__(self) -> str:
        return _words(self.action, self.reason, self.detail)


@dataclass(frozen=True, kw_only=True)
class EntryFacts:
    """The stage entry to decide about: one arrival of the opportunity in a trigger stage.

    :param id: in the ledger.
    :param decided: the action of the last decision about it; None when it was never decided.
    :param over_limit: what a person said when a limit held it.
    """

    id: int
    stage_id: str
    entered_at: datetime
    decided: Action | None = None
    over_limit: OverLimit = OverLimit.WAIT


@dataclass(frozen=True, kw_only=True)
class KnownAssessment:
    """What is known of one test of the opportunity.

    :param status: of the invitation, as iMocha says now where that was asked; None when nobody was ever invited.
    :param handled_entry_id: the stage entry that was handled last.
    :param written: its report is in Lever.
    """

    status: AttemptStatus | None
    handled_entry_id: int | None = None
    written: bool = False


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that was read about one candidate.

    :param opportunity: as Lever says now, without the tags that a tag sync has put on for a moment.
    :param rule: the rule that matches it now; None when it is in no trigger stage.
    :param wanted: the tests its tags and its rule ask for.
    :param active: ids of the wanted tests that iMocha knows and that are active.
    :param links: by test, the id of its link that has the name that the rule says; empty when it says none.
    :param entry: the stage entry to decide about.
    :param known: what is known of its tests, by test id.
    :param recently_restored: a backup of the ledger was restored lately, so that iMocha may know more than the ledger.
    :param activated_at: since when who enters the stage is invited: this ledger's first sweep, or, where the settings have
        named the stage later, the last sweep before; where they ask for all that is wanted since a later change, that change.
    :param existing: what the settings want for who was in the stage before.
    :param now: the time, where the rule has a delay.
    :param mails_left: how many e-mails may still be sent in this hour; None when there is no limit.
    :param mails_to_candidate_left: how many to this candidate in this week.
    :param settings_version: the version of the settings, where they ask for nothing that they asked for only later.
    """

    opportunity: Opportunity
    rule: ResolvedRule | None
    wanted: tuple[WantedTest, ...]
    active: Collection[int]
    links: Mapping[int, int] = field(default_factory=dict)
    entry: EntryFacts | None = None
    known: Mapping[int, KnownAssessment] = field(default_factory=dict)
    recently_restored: bool = False
    activated_at: datetime | None = None
    existing: Literal["leave", "adopt", "invite"] = "leave"
    now: datetime | None = None
    mails_left: int | None = None
    mails_to_candidate_left: int | None = None
    settings_version: int | None = None

    @property
    def is_existing(self) -> bool:
        """Whether it was in the stage before the settings asked for anything of it."""
        return self.activated_at is not None and self.opportunity.entered_stage_at < self.activated_at

    @property
    def for_existing(self) -> Literal["leave", "adopt", "invite"]:
        """What is done about who was never invited: ``invite`` who came since the activation, others as settings say."""
        return self.existing if self.is_existing else "invite"

    @property
    def is_left_alone(self) -> bool:
        """Whether it was in the stage before the settings asked for anything of it, and is to be left as it is."""
        invited = any(known.status is not None for known in self.known.values())
        return self.for_existing == "leave" and not invited

    @cached_property
    def obstacle(self) -> Plan | None:
        """What stands against inviting to any test, whatever is known of attempts; None when nothing does."""
        opportunity = self.opportunity
        if not self.wanted:
            return Plan(Action.IGNORE, Reason.NO_TAG)
        if opportunity.archived is not None:
            return Plan(Action.IGNORE, Reason.ARCHIVED)
        if self.rule is None:
            return Plan(Action.IGNORE, Reason.MOVED_ON)
        unknown = [str(test) for test in self.wanted if not self.is_active(test)]
        if len(unknown) == len(self.wanted):
            return Plan(Action.HOLD, Reason.UNKNOWN_TEST, ", ".join(unknown))
        if not opportunity.may_contact:
            return Plan(Action.HOLD, Reason.MAY_NOT_CONTACT)
        if opportunity.email is None:
            return Plan(Action.HOLD, Reason.NO_EMAIL)
        return None

    @cached_property
    def eligibility(self) -> str:
        """What the decision rests on, as a short text: when it changes, a decided stage entry is decided again.

        So a tag or an e-mail address added after the move is noticed, for which Lever sends no event (lever.md 11.2).
        The text is only compared.
        """
        if self.obstacle is not None and self.obstacle.action is Action.IGNORE:
            return str(self.obstacle)
        before = "" if self.for_existing == "invite" else f" before activation: {self.for_existing}"
        if self.obstacle is not None:
            return f"{self.obstacle}{before}"
        known = sorted(test.test_id for test in self.wanted if test.test_id is not None and self.is_active(test))
        unknown = sorted(str(test) for test in self.wanted if not self.is_active(test))
        unlinked = [test_id for test_id in known if self.lacks_link(test_id)]
        parts = (
            f" unknown {unknown}" if unknown else "",
            f" without link {unlinked}" if unlinked else "",
            " of a skipped origin" if self.is_skipped else "",
            before,
        )
        return f"tests {known}{''.join(parts)}"

    @property
    def is_superseded(self) -> bool:
        """Whether the opportunity has entered the stage again, or another one, since this entry."""
        entry, now = self.entry, self.opportunity
        return entry is not None and (now.stage != entry.stage_id or now.entered_stage_at != entry.entered_at)

    @property
    def remaining_delay(self) -> timedelta:
        """How long its rule still waits after the move."""
        if self.rule is None or self.now is None or not self.rule.delay:
            return timedelta(0)
        return self.opportunity.entered_stage_at + self.rule.delay - self.now

    @property
    def is_skipped(self) -> bool:
        """Whether its rule leaves out how it came."""
        return self.rule is not None and self.opportunity.origin in self.rule.skip_origins

    def is_active(self, test: WantedTest) -> bool:
        """Tell whether iMocha knows the test and it is active."""
        return test.test_id is not None and test.test_id in self.active

    def lacks_link(self, test_id: int) -> bool:
        """Tell whether the rule says through which link to invite, and the test has none of this name."""
        return self.rule is not None and self.rule.link is not None and test_id not in self.links

    def asker(self, test_id: int) -> str:
        """Return what asks for a test: a tag, or the rule."""
        return next((test.asker for test in self.wanted if test.test_id == test_id), "")

    def is_handled(self, test_id: int) -> bool:
        """Tell whether this stage entry was handled for the test before."""
        known = self.known.get(test_id)
        return known is not None and self.entry is not None and known.handled_entry_id == self.entry.id


def attempts_to_look_up(situation: Situation) -> tuple[int, ...]:
    """Return the tests whose status iMocha has to be asked for before the decision: those the decision rests on.

    A lost callback must not send another e-mail to somebody in the middle of the test.
    """
    if situation.obstacle is not None or situation.is_superseded:
        return ()
    return tuple(
        test.test_id
        for test in situation.wanted
        if test.test_id is not None
        and situation.is_active(test)
        and (known := situation.known.get(test.test_id)) is not None
        and known.status is not None
        and not known.status.is_ended
        and not situation.is_handled(test.test_id)
    )


def decide(situation: Situation) -> tuple[Plan, ...]:
    """Decide about a stage entry: one plan for the whole of it, or one for each test."""
    obstacle = situation.obstacle
    if situation.is_left_alone and (obstacle is None or obstacle.action is Action.HOLD):
        obstacle = Plan(Action.HOLD, Reason.BEFORE_ACTIVATION)
    if obstacle is not None:
        return (obstacle,)
    if situation.is_skipped:
        return (Plan(Action.IGNORE, Reason.ORIGIN, str(situation.opportunity.origin)),)
    if situation.is_superseded:
        return (Plan(Action.IGNORE, Reason.SUPERSEDED),)
    plans = (
        _through_link(situation, _left_alone(situation, _decide_test(situation, test))) for test in situation.wanted
    )
    return tuple(_within_limits(situation, plans))


def _left_alone(situation: Situation, plan: Plan) -> Plan:
    """Hold what would send an e-mail to who was there before, also to a test of an earlier stay."""
    if situation.for_existing == "invite" or not plan.action.mails:
        return plan
    return Plan(Action.HOLD, Reason.BEFORE_ACTIVATION, test_id=plan.test_id)


def _through_link(situation: Situation, plan: Plan) -> Plan:
    """Hold what would be sent through a link that is not there; what is adopted goes through the Default link."""
    if (
        situation.rule is None
        or plan.test_id is None
        or not plan.action.mails
        or not situation.lacks_link(plan.test_id)
    ):
        return plan
    return Plan(Action.HOLD, Reason.NO_LINK, f"{situation.rule.link} of test {plan.test_id}", test_id=plan.test_id)


def _within_limits(situation: Situation, plans: Iterable[Plan]) -> Iterator[Plan]:
    """Let through what the limits allow, one e-mail after the other."""
    sent = 0
    for plan in plans:
        over = _over_limit(situation, sent) if plan.action.mails else None
        yield plan if over is None else Plan(*over, test_id=plan.test_id)
        sent += plan.action.mails and over is None


def _over_limit(situation: Situation, sent: int) -> tuple[Action, Reason] | None:
    said = situation.entry.over_limit if situation.entry is not None else OverLimit.WAIT
    if said is OverLimit.DROP:
        return Action.IGNORE, Reason.DROPPED
    if said is OverLimit.RELEASE:
        return None
    if situation.remaining_delay > timedelta(0):
        return Action.HOLD, Reason.DELAY
    if situation.mails_to_candidate_left is not None and situation.mails_to_candidate_left <= sent:
        return Action.HOLD, Reason.PER_CANDIDATE
    if situation.mails_left is not None and situation.mails_left <= sent:
        return Action.HOLD, Reason.LIMIT
    return None


def _decide_test(situation: Situation, test: WantedTest) -> Plan:
    if test.test_id is None or not situation.is_active(test):
        return Plan(Action.HOLD, Reason.UNKNOWN_TEST, str(test))
    if situation.is_handled(test.test_id):
        return Plan(Action.IGNORE, Reason.ALREADY_HANDLED, test_id=test.test_id)
    known = situation.known.get(test.test_id)
    status = known.status if known is not None else None
    if status is None:
        return _first_plan(situation, test.test_id)
    if status is AttemptStatus.IN_PROGRESS:
        return Plan(Action.IGNORE, Reason.RUNNING, test_id=test.test_id)
    if not status.is_ended:
        return Plan(Action.REFRESH, test_id=test.test_id, check_first=status is AttemptStatus.UNKNOWN)
    if situation.rule is None or situation.rule.retake == "never":
        return Plan(Action.IGNORE, Reason.ALREADY_TAKEN, test_id=test.test_id)
    if known is None or not known.written:
        return Plan(Action.IGNORE, Reason.ALREADY_TAKEN, "its report is being written back", test_id=test.test_id)
    return Plan(Action.REATTEMPT, test_id=test.test_id)


def _first_plan(situation: Situation, test_id: int) -> Plan:
    """Decide about a test to which nobody was invited before."""
    if situation.for_existing == "adopt":
        return Plan(Action.ADOPT, test_id=test_id)
    return Plan(Action.INVITE, test_id=test_id, check_first=situation.recently_restored)


def combined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the one outcome of a stage entry with several tests: what needs a person first, then what was done."""
    order = (Action.HOLD, Action.INVITE, Action.REATTEMPT, Action.REFRESH, Action.ADOPT, Action.IGNORE)
    return min(outcomes, key=lambda outcome: order.index(outcome.action))


def waits_by_itself(outcomes: Iterable[Outcome]) -> Reason | None:
    """Return why a stage entry stays undecided and goes on by itself later; None when it does not."""
    return next((outcome.reason for outcome in outcomes if outcome.reason in GOES_ON), None)


def frees_stage(situation: Situation, outcome: Outcome) -> bool:
    """Tell whether an entry that kept its opportunity in the trigger stage does so no longer.

    After a hold or an invitation the stage was waiting; when a tag is taken off and the entry is decided again as
    "ignore", the opportunity may have to be moved on at last.
    """
    before = situation.entry.decided if situation.entry is not None else None
    waited = before is not None and before is not Action.IGNORE
    return waited and outcome.action is Action.IGNORE and situation.rule is not None


class Departure(StrEnum):
    """How an opportunity left; the words are keys of the settings' `cancel_when`."""

    ARCHIVED = "archived"
    DELETED = "deleted"
    STAGE_LEFT = "stage_left"

    @property
    def reason(self) -> Reason:
        """Return why nobody was invited."""
        reasons = {Departure.ARCHIVED: Reason.ARCHIVED, Departure.DELETED: Reason.DELETED}
        return reasons.get(self, Reason.MOVED_ON)


def departed(opportunity: Opportunity, trigger_stages: Collection[str]) -> Departure | None:
    """Return how an opportunity has left where assessments are taken, or None; hired ones are archived (lever.md 5.1)."""
    if opportunity.is_anonymized:  # as good as deleted: nothing personal is left
        return Departure.DELETED
    if opportunity.archived is not None:
        return Departure.ARCHIVED
    return None if opportunity.stage in trigger_stages else Departure.STAGE_LEFT


def may_cancel(departures: Collection[Departure | None], cancel_when: Collection[Departure]) -> bool:
    """Tell whether an open invitation is cancelled.

    :param departures: of every opportunity the invitation belongs to; None for one that has not left.
    :param cancel_when: the departures that the settings name.
    """
    return all(departure in cancel_when for departure in departures)


CANCEL_SHARE = "limits.cancel_share"
"""Why invitations wait to be cancelled."""
_ALWAYS = 5


def may_cancel_many(leaving: int, open_invitations: int, share: float) -> bool:
    """Tell whether one sweep, or an hour, may cancel, mask and forget for so many: more is more likely a mistake.

    :param share: of the open invitations, from the settings; five may always.
    """
    return leaving <= max(_ALWAYS, int(share * open_invitations))


def may_mask(departures: Collection[Departure | None]) -> bool:
    """Tell whether iMocha is asked to mask an attempt: every opportunity it belongs to is deleted."""
    return all(departure is Departure.DELETED for departure in departures)


def may_move_on(opportunity: Opportunity, rule: ResolvedRule) -> bool:
    """Tell whether a candidate is still where the assessment began: one moved or archived meanwhile is left alone."""
    return opportunity.archived is None and opportunity.stage == rule.trigger_stage_id


def awaited_test(wanted: Sequence[WantedTest], written: Collection[int]) -> WantedTest | None:
    """Return the first test whose report an opportunity still waits for before it may move on.

    What counts are the tests its tags name now: one added since is waited for, one taken off is not.

    :param written: ids of the tests whose report is in Lever.
    """
    return next((test for test in wanted if test.test_id is None or test.test_id not in written), None)
