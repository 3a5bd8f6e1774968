"""What an alert says: ids and our own one-line errors, never the candidate, and no vendor's words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lever_imocha.errors import LeverImochaError, SettingsError, WorkFailedError, listed
from lever_imocha.ledger.alerts import Incident, Overdue, OverHour
from lever_imocha.ledger.values import Work
from lever_imocha.redaction import redact
from lever_imocha.workflows.doctor.findings import Finding, Level, of_level
from lever_imocha.workflows.vendor_lists import ListRead

SETTINGS = "settings"
"""The source of what the settings stop while the rest goes on: the row without candidates tells it, a sweep ends it."""
_LONGEST_ABOUT = 300
_VARIES = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+([-:.T]\d+)*", re.IGNORECASE)
"""Ids, numbers and times."""


@dataclass(frozen=True)
class Alert:
    """A message about incidents of one source.

    :param incidents: none when all is well.
    :param text_of: makes the message about those of them that have these keys; about all for None.
    :param repeats: it is told again after a while; otherwise once.
    """

    source: str
    incidents: Sequence[Incident]
    text_of: Callable[[Collection[str] | None], str]
    repeats: bool = True


def task_source(task: Any) -> str:
    """Return the source of what makes a task fail.

    :param task: the task instance.
    """
    return f"task {task.dag_id} {task.task_id}"


def is_row(task: Any) -> bool:
    """Tell whether a task instance is one of several rows of a mapped task."""
    return task.map_index is not None and task.map_index >= 0


def alert_of(context: Mapping[str, Any]) -> Alert:
    """Make the alert for a failed task or a run that missed its deadline.

    :param context: what Airflow passes to a callback.
    """
    if "deadline" in context:
        return _late(context["dag_run"], context["deadline"])
    task, error = context["ti"], context.get("exception")
    row = f"[{task.map_index}]" if is_row(task) else ""
    text = f"{task.dag_id}: task {task.task_id}{row} failed for good in run {task.run_id}. {_said(error)}"
    without_candidates = getattr(context.get("task"), "opportunity_ids", None) == []
    if without_candidates and isinstance(error, SettingsError):
        return Alert(SETTINGS, settings_incidents(error.problems), lambda _: text)
    source = task_source(task)
    causes = error.causes if isinstance(error, WorkFailedError) else [error]
    named = f"{task.dag_id}: task {task.task_id}"
    incidents = [
        _incident(source, f"{named}: {line}", type(cause).__name__, said)
        for cause in causes
        for line, said in _lines(cause)
    ]
    return Alert(source, incidents, lambda _: text)


def settings_incidents(problems: Sequence[str]) -> list[Incident]:
    """Return what is wrong with the settings and stops some of the work, as incidents, one for each line."""
    return [_incident(SETTINGS, line, None, line) for line in problems]


def ended_text(incidents: Sequence[Incident]) -> str:
    """Make the text that says that incidents are over."""
    return f"well again: {listed(list(dict.fromkeys(incident.about for incident in incidents)))}"


def _lines(cause: object) -> Iterator[tuple[str, str]]:
    """Return what an error says, and what of it makes two errors the same: of the settings each line, else no numbers."""
    if isinstance(cause, SettingsError):
        yield from ((line, line) for line in cause.problems)
    else:
        said = _said(cause)
        yield said, _VARIES.sub("#", said)


def _incident(source: str, about: str, error: str | None, said: str) -> Incident:
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    key = " ".join(part for part in (source, error, digest) if part)
    return Incident(key=key, source=source, about=redact(about, _LONGEST_ABOUT), error=error)


def doctor_alert(findings: Sequence[Finding]) -> Alert:
    """Make the alert about what the doctor has found, each told once; a number in a line that changes is no news."""
    of = [
        (_incident(doctor_source(one.check), f"{one.check}: {one.found}", None, _VARIES.sub("#", one.line)), one.line)
        for one in of_level(findings, Level.ERROR, Level.WARNING)
    ]

    def text_of(keys: Collection[str] | None) -> str:
        return f"doctor: {'; '.join(line for one, line in of if keys is None or one.key in keys)}"

    return Alert("doctor", [one for one, _ in of], text_of, repeats=False)


def doctor_source(check: str) -> str:
    """Return the source of what one of the doctor's checks finds."""
    return f"doctor: {check}"


def overdue_alert(items: Sequence[Overdue]) -> Alert:
    """Make the alert about work that has waited too long, told once for each wait, and once more when it is parked."""
    source, waits = "waiting", {item: _waits(item) for item in items}

    def text_of(keys: Collection[str] | None) -> str:
        lines = [line for item, line in waits.items() if keys is None or any(key in keys for key in item.keys)]
        return f"{len(lines)} waiting too long: {listed(lines)}."

    incidents = [Incident(key=key, source=source, about=line) for item, line in waits.items() for key in item.keys]
    return Alert(source, incidents, text_of, repeats=False)


def limit_alert(waiting: OverHour, *, per_hour: int) -> Alert:
    """Make the alert about candidates whom the limit of e-mails an hour holds."""
    source = "limits.per_hour"
    more = f", and {waiting.undecided} more are not decided about yet" if waiting.undecided else ""
    text = (
        f"{waiting.held} candidates are held by limits.per_hour ({per_hour} e-mails in an hour){more}. They go on by "
        "themselves in the next hours. If they were moved by mistake, move them back, or run lever_imocha_invite with "
        "over_limit: drop; to invite them now, with over_limit: release."
    )
    about = "limits.per_hour holds nobody any more"
    return Alert(source, [Incident(key=source, source=source, about=about)] if waiting.held else [], lambda _: text)


_MANY_LEFT = (
    "If it is a mistake, undo it in Lever, or put back the right API key; if it is right, run lever_imocha_invite with"
    " allow_cancelling."
)


def cancelling_waits_alert(waiting: int) -> Alert:
    """Make the alert that more have left within an hour than may be cancelled.

    :param waiting: how many are not cancelled yet.
    """
    source = "limits.cancel_share in an hour"
    text = (
        f"{waiting} candidates have left whose invitations are not cancelled yet, nor are they forgotten: more than"
        f" limits.cancel_share within an hour. {_MANY_LEFT}"
    )
    about = "nobody who has left waits for limits.cancel_share any more"
    return Alert(source, [Incident(key=source, source=source, about=about)] if waiting else [], lambda _: text)


def cancelling_alert(held_back: tuple[int, int] | None) -> Alert:
    """Make the alert that a sweep was stopped because it would have cancelled or forgotten too much.

    :param held_back: how many seem to have left, of how many open invitations; None when it was not stopped.
    """
    source, (leaving, open_invitations) = "limits.cancel_share", held_back or (0, 0)
    text = (
        f"{leaving} candidates were archived, deleted or moved away according to Lever, while {open_invitations} invitations"
        f" are open: above limits.cancel_share, so none was cancelled and nobody forgotten. {_MANY_LEFT}"
    )
    about = "limits.cancel_share stops no sweep any more"
    return Alert(source, [Incident(key=source, source=source, about=about)] if held_back else [], lambda _: text)


def list_alert(read: ListRead) -> Alert:
    """Make the alert about a list that cannot be read while other work goes on, told once until it is read again."""
    source = f"list {read.name}"
    last = f"was last read at {read.last:%Y-%m-%d %H:%M} UTC" if read.last else "was never read"
    text = (
        f"{read.name} cannot be read: {_said(read.error)} It {last}. What is known already is worked on all the same."
    )
    incident = Incident(key=source, source=source, about=f"{read.name} could not be read")
    return Alert(source, [incident] if read.error is not None else [], lambda _: text, repeats=False)


def masking_alert(waits: Mapping[str, datetime]) -> Alert:
    """Make the alert that deleted candidates are going to be masked, each told once; its end is not told.

    :param waits: a text for each wait -> when they are masked, at the earliest.
    """
    source = "masking"

    def text_of(keys: Collection[str] | None) -> str:
        times = [at for key, at in waits.items() if keys is None or key in keys]
        return (
            f"{len(times)} candidates were deleted or anonymised in Lever, and are going to be masked at iMocha for good,"
            f" the first after {min(times):%Y-%m-%d %H:%M} UTC. `python -m lever_imocha.ledger queue` lists them (mask)."
            " If it is a mistake: undo it in Lever, or `python -m lever_imocha.ledger drop <opportunity>`."
        )

    return Alert(source, [Incident(key=key, source=source, about="") for key in waits], text_of, repeats=False)


def per_candidate_alert(held: Mapping[int, str]) -> Alert:
    """Make the alert about candidates who were sent as many e-mails as one may be sent in a week, each told once.

    :param held: stage entry id -> opportunity id.
    """
    source = "limits.per_candidate"
    of = {f"{source} {entry}": opportunity_id for entry, opportunity_id in held.items()}

    def text_of(keys: Collection[str] | None) -> str:
        ids = [opportunity_id for key, opportunity_id in of.items() if keys is None or key in keys]
        return (
            f"{len(ids)} held by limits.per_candidate, a person decides: opportunity {listed(ids)}. Find out why so many"
            " e-mails were sent, then run lever_imocha_invite with over_limit: release or drop."
        )

    about = "limits.per_candidate does not hold opportunity {} any more"
    incidents = [Incident(key=key, source=source, about=about.format(who)) for key, who in of.items()]
    return Alert(source, incidents, text_of, repeats=False)


def comparison_alert(unexplained: Mapping[str, str]) -> Alert:
    """Make the alert about what comparing Lever, iMocha and the ledger cannot explain, each told once.

    :param unexplained: opportunity id -> why.
    """
    source = "comparison"
    of = {f"{source} {key}": f"opportunity {key}: {why}" for key, why in unexplained.items()}

    def text_of(keys: Collection[str] | None) -> str:
        lines = [line for key, line in of.items() if keys is None or key in keys]
        return (
            f"{len(lines)} unexplained when Lever, iMocha and the ledger were compared: {listed(lines)}. Look at the"
            " timeline on the console, and ask there to look again."
        )

    incidents = [Incident(key=key, source=source, about=line) for key, line in of.items()]
    return Alert(source, incidents, text_of, repeats=False)


_WAITS = {
    Work.INVITE: "undecided",
    Work.CANCEL: "with invitations to cancel",
    Work.STATUS: "without its status in Lever",
    Work.WRITE_BACK: "with its report unwritten",
    Work.MASK: "with attempts that could not be masked at iMocha",
    Work.REQUEST: "with something that was asked for on the console",
    Work.WRITE_AGAIN: "with a report that was asked to be written again",
}


def _waits(item: Overdue) -> str:
    why = f", last try: {item.error}" if item.error else ""
    parked = "; it is not tried any more by itself" if item.parked_at else ""
    return (
        f"opportunity {item.opportunity_id} {_WAITS[item.kind]} since {item.queued_at:%Y-%m-%d %H:%M} UTC{why}{parked}"
    )


def _late(run: Mapping[str, Any], deadline: Mapping[str, Any]) -> Alert:
    named = f"{run['dag_id']}: run {run.get('dag_run_id') or run.get('run_id')}"
    text = f"{named} is not done in time (due {deadline['deadline_time']})."
    source = f"deadline {deadline['id']}"
    return Alert(source, [Incident(key=source, source=source, about=named)], lambda _: text)


def _said(error: object) -> str:
    if isinstance(error, LeverImochaError):
        return error.public_message
    if error is None:
        return "Its process was lost, or it ran into a time-out; see the scheduler's log."
    return f"{type(error).__name__}, which is no error of ours: see the task's log, and report it."
