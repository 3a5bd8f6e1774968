"""What the activation is going to do about everybody who is in the trigger stages by then: shown before anything is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from lever_imocha.domain.decisions import GOES_ON, Action
from lever_imocha.errors import listed
from lever_imocha.settings import Settings
from lever_imocha.workflows.preview import Expected

_WORDS = {
    Action.INVITE: "invite: an e-mail to each",
    Action.REFRESH: "send the invitation again: an e-mail to each",
    Action.REATTEMPT: "give another attempt: an e-mail to each",
    Action.ADOPT: "adopt the invitation: no e-mail",
    Action.HOLD: "hold: no e-mail",
    Action.IGNORE: "leave alone: no e-mail",
}
_LATER, _NOTHING = "invite later: an e-mail to each", "nothing"


@dataclass(frozen=True)
class Line:
    """All about whom the same is going to be done, for the same reason."""

    what: str
    why: str
    opportunity_ids: Sequence[str]

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{len(self.opportunity_ids)} x {self.what}{why}: {listed(self.opportunity_ids)}"


@dataclass(frozen=True)
class ActivationPlan:
    """The decisions about everybody in the trigger stages, by the settings as they are going to be.

    :param expected: as `Preview` returns it when who only waits for their turn counts as invited.
    :param sent_lately: e-mails of the last hour, of which the first hour's are fewer.
    """

    expected: Sequence[Expected]
    settings: Settings
    sent_lately: int = 0

    @property
    def reached(self) -> set[str]:
        """The opportunities about which iMocha is told something: nobody else gets an e-mail."""
        return {
            one.opportunity_id
            for one in self.expected
            if one.plan is not None and (one.plan.action.sends or one.plan.reason in GOES_ON)
        }

    @property
    def lines(self) -> list[Line]:
        """The plan, what reaches candidates first."""
        found = defaultdict[tuple[str, str], list[str]](list)
        for one in self.expected:
            found[_what(one), _why(one)].append(one.opportunity_id)
        order = [*(_WORDS[action] for action in Action if action.sends), _LATER, _WORDS[Action.HOLD]]
        ranks = {what: rank for rank, what in enumerate(order)}
        groups = sorted(found.items(), key=lambda item: (ranks.get(item[0][0], len(ranks)), -len(item[1])))
        return [Line(what, why, ids) for (what, why), ids in groups]

    @property
    def pace(self) -> str:
        """Say how many e-mails go out, how fast, and how the rest is stopped."""
        mails = sum(
            one.plan is not None and (one.plan.action.mails or one.plan.reason in GOES_ON) for one in self.expected
        )
        if not mails:
            return "Nobody gets an e-mail."
        per_hour = self.settings.limits.per_hour
        first = min(mails, max(per_hour - self.sent_lately, 0))
        hours = ceil((mails - first) / per_hour)
        rest = "" if mails == first else f", the rest in the next {'hour' if hours == 1 else f'{hours} hours'}"
        return (
            f"E-mails: {mails}. {first} of them go out in the first hour{rest}: limits.per_hour is {per_hour}; lower it first if"
            " that is too many at once. docs/setup.md says how whoever has had none is stopped."
        )


def _what(one: Expected) -> str:
    if one.plan is None:
        return _NOTHING
    return _LATER if one.plan.reason in GOES_ON else _WORDS[one.plan.action]


def _why(one: Expected) -> str:
    if one.plan is None:
        return one.why_not.removeprefix("nothing, ")
    parts = (one.plan.reason, one.plan.detail, f"test {one.plan.test_id}" if one.plan.test_id is not None else "")
    return ", ".join(str(part) for part in parts if part)
