"""What an alert says: ids and our own one-line errors, never the candidate, and no vendor's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lever_imocha.errors import LeverImochaError, WorkFailedError, listed
from lever_imocha.ledger.alerts import Overdue, OverHour
from lever_imocha.ledger.values import Work


@dataclass(frozen=True)
class Alert:
    """A message, and what makes two of them the same news."""

    text: str
    key: str


def alert_of(context: Mapping[str, Any]) -> Alert:
    """Make the alert for a failed task or a run that missed its deadline.

    :param context: what Airflow passes to a callback.
    """
    if "deadline" in context:
        return _late(context["dag_run"], context["deadline"])
    task, error = context["ti"], context.get("exception")
    row = f"[{task.map_index}]" if (task.map_index or -1) >= 0 else ""
    causes = error.causes if isinstance(error, WorkFailedError) else [error]
    kinds = " ".join(sorted({type(cause).__name__ for cause in causes}))
    return Alert(
        f"{task.dag_id}: task {task.task_id}{row} failed for good in run {task.run_id}. {_said(error)}",
        f"failure {task.dag_id} {task.task_id} {kinds}",
    )


def overdue_text(items: Sequence[Overdue]) -> str:
    """Make the text of the alert about work that has waited too long."""
    return f"{len(items)} waiting too long: {listed([_waits(item) for item in items])}."


def limit_text(waiting: OverHour, *, per_hour: int) -> str:
    """Make the text of the alert about candidates whom the limit of e-mails an hour holds."""
    more = f", and {waiting.undecided} more are not decided about yet" if waiting.undecided else ""
    return (
        f"{waiting.held} candidates are held by limits.per_hour ({per_hour} e-mails in an hour){more}. They go on by "
        "themselves in the next hours. If they were moved by mistake, move them back, or run lever_imocha_invite with "
        "over_limit: drop; to invite them now, with over_limit: release."
    )


def cancelling_text(leaving: int, open_invitations: int) -> str:
    """Make the text of the alert that a sweep was stopped because it would have cancelled or forgotten too much."""
    return (
        f"{leaving} candidates were archived, deleted or moved away according to Lever, while {open_invitations} invitations"
        " are open: above limits.cancel_share, so none was cancelled and nobody forgotten. If it is a mistake, mend it in"
        " Lever, or put back the right API key; if it is right, run lever_imocha_invite with allow_cancelling."
    )


def masking_text(times: Sequence[datetime]) -> str:
    """Make the text of the alert that deleted candidates are going to be masked.

    :param times: when each of them is, at the earliest.
    """
    return (
        f"{len(times)} candidates were deleted or anonymised in Lever, and are going to be masked at iMocha for good, the"
        f" first after {min(times):%Y-%m-%d %H:%M} UTC. `python -m lever_imocha.ledger queue` lists them (mask). If it is"
        " a mistake: mend it in Lever, or `python -m lever_imocha.ledger drop <opportunity>`."
    )


def per_candidate_text(opportunity_ids: Sequence[str]) -> str:
    """Make the text of the alert about candidates who were sent as many e-mails as one may be sent in a week."""
    return (
        f"{len(opportunity_ids)} held by limits.per_candidate, a person decides: opportunity "
        f"{listed(list(opportunity_ids))}. Find out why so many e-mails were sent, then run lever_imocha_invite with "
        "over_limit: release or drop."
    )


_WAITS = {
    Work.INVITE: "undecided",
    Work.CANCEL: "with invitations to cancel",
    Work.STATUS: "without its status in Lever",
    Work.WRITE_BACK: "with its report unwritten",
    Work.MASK: "with attempts that could not be masked at iMocha",
}


def _waits(item: Overdue) -> str:
    why = f", last try: {item.error}" if item.error else ""
    parked = "; it is not tried any more by itself" if item.parked_at else ""
    return (
        f"opportunity {item.opportunity_id} {_WAITS[item.kind]} since {item.queued_at:%Y-%m-%d %H:%M} UTC{why}{parked}"
    )


def _late(run: Mapping[str, Any], deadline: Mapping[str, Any]) -> Alert:
    named = f"{run['dag_id']}: run {run.get('dag_run_id') or run.get('run_id')}"
    return Alert(f"{named} is not done in time (due {deadline['deadline_time']}).", f"deadline {deadline['id']}")


def _said(error: object) -> str:
    if isinstance(error, LeverImochaError):
        return error.public_message
    if error is None:
        return "Its process was lost, or it ran into a time-out; see the scheduler's log."
    return f"{type(error).__name__}, which is no error of ours: see the task's log, and report it."
