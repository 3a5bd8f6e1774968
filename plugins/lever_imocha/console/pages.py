"""What stands on each page: read from the ledger, said in words. The same for people and for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import HTTPException, Query

from lever_imocha.console.acts import LABELS, REPLAY, Offer, offered, offered_for_all, offered_for_listed, sent_again
from lever_imocha.console.words import Words
from lever_imocha.domain.acts import Act
from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.imocha import AttemptStatus, read_status
from lever_imocha.domain.standing import ProblemKind, Standing
from lever_imocha.ledger.cache import COMPARISON, DOCTOR, NAMES, POSTINGS, PROBLEMS, TESTS
from lever_imocha.ledger.database import HEAD
from lever_imocha.ledger.events import SENT
from lever_imocha.ledger.overview.attention import InTheWay
from lever_imocha.ledger.overview.people import PeopleFilter, Person, Progress
from lever_imocha.ledger.overview.shared import AT_MOST, PAGE
from lever_imocha.ledger.overview.timeline import Done, Moment
from lever_imocha.ledger.overview.traffic import Received, Refused
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import BulkRequest
from lever_imocha.ledger.watermarks import ACTIVATED
from lever_imocha.workflows.comparison import Compared, kept_comparison, told_unexplained
from lever_imocha.workflows.doctor.checkup import Kept, kept_table

Count = Annotated[int, Query(ge=0, le=1_000_000)]
_EACH = 10
_OVERDUE = timedelta(minutes=15)
_ORDER = [ProblemKind.PARKED, ProblemKind.HELD, ProblemKind.OVERDUE, ProblemKind.FAILING, ProblemKind.WAITS]
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def words(ledger: Ledger, *, now: datetime, full_names: bool) -> Words:
    """Return the words for one page, with the names of tests and stages that the last runs have read."""
    known = ledger.cache.many(TESTS, NAMES, POSTINGS)
    tests, stages = known.get(TESTS, {}).get("names", {}), known.get(NAMES, {}).get("stages", {})
    return Words(
        now=now,
        tests={int(key): name for key, name in tests.items()},
        stages={stage_id: name for name, ids in stages.items() for stage_id in ids},
        postings=known.get(POSTINGS, {}).get("names", {}),
        full_names=full_names,
    )


# Attention


def attention(ledger: Ledger, say: Words, *, kind: ProblemKind | None, why: str, skip: int) -> dict[str, Any]:
    """List for whom something is in the way, by reason: a few of each, or a page of one."""
    each = PAGE if kind else _EACH
    found = ledger.attention.listed(
        overdue_before=say.now - _OVERDUE, each=each, kind=kind, why=why, skip=skip if kind else 0
    )
    groups: dict[tuple[ProblemKind, str], list[InTheWay]] = {}
    for item in found:
        groups.setdefault((item.kind, item.why), []).append(item)
    ordered = sorted(groups.values(), key=lambda group: (_ORDER.index(group[0].kind), group[0].since))
    activation = ledger.entries.of_activation() if any(why == Reason.LIMIT for _, why in groups) else None
    standings = None if kind else ledger.people.standings()
    return {
        "standings": standings.people if standings else {},
        "standings_of": AT_MOST if standings and not standings.is_all else None,
        "groups": [_group(group, say, skip) for group in ordered], "one": kind is not None, "skip": skip,
        "activation": None if activation is None else {"says": str(activation), **asdict(activation)},
        "running": [_progress(bulk, say) for bulk in ledger.requests.running()],
    }  # fmt: skip


def _group(group: list[InTheWay], say: Words, skip: int) -> dict[str, Any]:
    first = group[0]
    says, fix = say.problem(first)
    return {
        "kind": first.kind, "why": first.why, "says": says, "fix": fix, "total": first.total,
        "query": urlencode({"kind": first.kind, "why": first.why}),
        "acts": [_offer(offer, say) for offer in offered_for_all(first.why)],
        "next": skip + len(group) if skip + len(group) < first.total else None,
        "people": [
            {
                "opportunity_id": item.opportunity_id, "name": say.name(item.name),
                "detail": item.detail if first.kind in (ProblemKind.HELD, ProblemKind.WAITS) else say.work(item.detail),
                "since": item.since, "age": say.age(item.since),
            }
            for item in group
        ],
    }  # fmt: skip


def _offer(offer: Offer, say: Words, *, named: bool = False) -> dict[str, Any]:
    """Say what can be asked for.

    :param named: with the name of the test, because there are several.
    """
    of_test = f": {say.test(offer.test_id)}" if named and offer.test_id is not None else ""
    return {
        "act": offer.act, "test_id": offer.test_id, "label": f"{LABELS[offer.act]}{of_test}", "will": offer.will,
    }  # fmt: skip


AT_ONCE = 1000
"""So many people are asked about at once at most, the longest waiting first."""


def plan(ledger: Ledger, say: Words, *, kind: ProblemKind, why: str, act: Act) -> tuple[dict[str, Any], dict[str, str]]:
    """Say what will happen when something is asked for about all who have the same problem.

    :return: the plan, for people; and opportunity id -> what is known of it, for the requests.
    """
    found = ledger.attention.listed(overdue_before=say.now - _OVERDUE, each=AT_ONCE, kind=kind, why=why)
    will = next((offer.will for offer in offered_for_all(why) if offer.act is act), None)
    if not found or will is None:
        raise HTTPException(409, f"{act} is not possible: nobody has this problem any more, or it is not for them.")
    group = _group(found, say, 0)
    about = {
        "act": act, "test_id": None, "will": will, "count": len(found), "total": found[0].total,
        "sample": group["people"][:10], "says": group["says"],
    }  # fmt: skip
    return about, {item.opportunity_id: group["says"] for item in found}


def progress(ledger: Ledger, say: Words, bulk_id: int) -> dict[str, Any] | None:
    """Tell how far a request about many is; None when there is none of this id."""
    bulk = ledger.requests.bulk(bulk_id)
    return {"bulk": _progress(bulk, say)} if bulk else None


def _progress(bulk: BulkRequest, say: Words) -> dict[str, Any]:
    return {
        "id": bulk.id, "act": bulk.act, "label": LABELS[bulk.act], "about": bulk.about, "reason": bulk.reason,
        "actor": bulk.actor, "asked_at": bulk.asked_at, "age": say.age(bulk.asked_at), "asked": bulk.asked,
        "done": bulk.done - bulk.withdrawn, "withdrawn": bulk.withdrawn, "outcomes": bulk.outcomes,
        "open": bulk.is_open, "stopped_at": bulk.stopped_at, "stopped_by": bulk.stopped_by,
    }  # fmt: skip


# People


Search = Annotated[str, Query(max_length=200)]
Number = Annotated[str, Query(max_length=20, pattern=r"^\d*$")]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
Cursor = Annotated[str, Query(max_length=60)]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The filter of the page, as it stands in its address."""

    q: str = ""
    standing: str = ""
    test: str = ""
    entered_from: str = ""
    entered_to: str = ""
    after: str = ""


def people(ledger: Ledger, say: Words, wanted: Wanted) -> dict[str, Any]:
    """List people, the latest arrival first, a page at a time."""
    found = ledger.people.listed(_filter(wanted, say), limit=PAGE + 1)
    shown, more = found[:PAGE], len(found) > PAGE
    filters = {name: value for name, value in vars(wanted).items() if value and name != "after"}
    after = f"{shown[-1].entered_at.isoformat()}~{shown[-1].entry_id}" if more else None
    return {
        "people": [_summary(person, say) for person in shown], "wanted": vars(wanted),
        "next": urlencode(filters | {"after": after}) if after else None, "after": after,
        "tests": [{"id": test_id, "name": say.test(test_id)} for test_id in sorted(say.tests)],
        "filters": filters, "acts": [_offer(offer, say) for offer in offered_for_listed(_number(wanted.test))],
    }  # fmt: skip


def address(wanted: Wanted) -> str:
    """Return the query of the page's address; a name that is searched is not in it."""
    opportunity_id = _UUID.search(wanted.q)
    given = vars(wanted) | {"q": opportunity_id.group() if opportunity_id else ""}
    in_address = urlencode({name: value for name, value in given.items() if value})
    return f"?{in_address}" if in_address else ""


def plan_for_listed(ledger: Ledger, say: Words, wanted: Wanted, act: Act) -> tuple[dict[str, Any], dict[str, str]]:
    """Say what will happen when something is asked for about all whom a filter lists and for whom it is possible.

    :return: as `plan` does.
    """
    offer = next((offer for offer in offered_for_listed(_number(wanted.test)) if offer.act is act), None)
    found = ledger.people.listed(_filter(wanted, say), limit=AT_ONCE)
    concerned = [_summary(person, say) for person in found if offer is not None and offer in offered(person)]
    if not concerned or offer is None:
        raise HTTPException(409, f"{act} is not possible: for nobody who is listed, or not without choosing a test.")
    filters = [value for name, value in vars(wanted).items() if value and name != "q"]  # what is searched is a name
    about = {
        "act": act, "test_id": offer.test_id, "will": offer.will, "count": len(concerned), "total": len(found),
        "sample": [
            {"opportunity_id": one["opportunity_id"], "name": one["name"], "detail": one["why"], "age": one["age"]}
            for one in concerned[:10]
        ],
        "says": f"people: {', '.join(filters) or 'all'}",
    }  # fmt: skip
    return about, {one["opportunity_id"]: f"{one['standing']}: {one['why']}" for one in concerned}


def _filter(wanted: Wanted, say: Words) -> PeopleFilter:
    opportunity_id = _UUID.search(wanted.q)
    by_name = wanted.q.strip() and not opportunity_id
    if by_name and not say.full_names:
        raise HTTPException(403, "Search by the id or the address of the candidate in Lever: you may not search names.")
    if by_name and not re.search(r"\w", wanted.q):
        raise HTTPException(400, "A name to search for has letters.")
    return PeopleFilter(
        opportunity_id=opportunity_id.group().lower() if opportunity_id else None,
        name=wanted.q if by_name else None,
        standing=_standing(wanted.standing),
        test_id=_number(wanted.test),
        entered_from=_day(wanted.entered_from),
        entered_before=_day(wanted.entered_to, later=1),
        after=_cursor(wanted.after),
    )


def _number(word: str) -> int | None:
    return int(word) if word else None


def _standing(word: str) -> Standing | None:
    try:
        return Standing(word) if word else None
    except ValueError:
        raise HTTPException(400, f"standing is one of: {', '.join(Standing)}") from None


def _day(day: str, *, later: int = 0) -> datetime | None:
    try:
        at = datetime.combine(datetime.fromisoformat(day).date(), time(), UTC) if day else None
        return at + timedelta(days=later) if at else None
    except (ValueError, OverflowError):
        raise HTTPException(400, f"{day} is no day; write one as 2026-01-31") from None


def _cursor(after: str) -> tuple[datetime, int] | None:
    if not after:
        return None
    try:
        at, _, entry_id = after.partition("~")
        return datetime.fromisoformat(at).astimezone(UTC), int(entry_id)
    except (ValueError, OverflowError):
        raise HTTPException(400, "after is what the page before says it is") from None


def _summary(person: Person, say: Words) -> dict[str, Any]:
    return {
        "opportunity_id": person.opportunity_id, "name": say.name(person.name), "standing": person.standing,
        "why": say.why(person), "fix": say.fix(person), "stage": say.stage(person.stage_id),
        "entered_at": person.entered_at, "age": say.age(person.entered_at),
        "tests": [
            {
                "test_id": test.test_id, "test": say.test(test.test_id), "status": test.status,
                "says": say.status(test.status), "invitation_id": test.invitation_id, "invited_at": test.invited_at,
                "times_invited": test.times_invited, "ended_at": test.ended_at, "written_at": test.written_at,
            }
            for test in person.tests
        ],
    }  # fmt: skip


# One person


def person(ledger: Ledger, say: Words, opportunity_id: str) -> dict[str, Any] | None:
    """Tell everything about one opportunity: how it stands and why, what can be asked for, what has happened."""
    found = ledger.people.listed(PeopleFilter(opportunity_id=opportunity_id), limit=1)
    if not found:
        return None
    (one,) = found
    moments = ledger.timeline.of(opportunity_id)
    return {
        "person": _summary(one, say) | {
            "decision": one.decision, "decided": say.decision(one.decision) if one.decision else "none yet", "reason": one.reason, "detail": one.detail, "facts": one.facts,
            "decided_at": one.decided_at, "problem": one.problem, "parked": one.parked, "next_try": one.next_try,
        },
        "acts": [
            _offer(offer, say, named=len(one.tests) > 1)
            | {"links_of": sent_again(one) if say.full_names and offer.act is Act.SEND_AGAIN else []}
            for offer in offered(one)
        ],
        "mails": [_mails(test, moments, say) for test in one.tests if test.invitation_id],
        "replay": REPLAY,
        "timeline": [
            {
                "at": moment.at, "age": say.age(moment.at), "kind": moment.kind, "says": say.moment(moment),
                "source": say.source(moment.source), "actor": moment.actor, "detail": moment.detail,
                "test_id": moment.test_id, "invitation_id": moment.invitation_id, "run": moment.run,
                "run_page": run_page(moment.run, moment.task), "in_lever": moment.kind in _IN_LEVER,
                "delivery_id": moment.delivery_id,
            }
            for moment in moments
        ],
    }  # fmt: skip


def stands(ledger: Ledger, say: Words, opportunity_id: str) -> str:
    """Answer in one sentence why somebody stands where they stand."""
    found = ledger.people.listed(PeopleFilter(opportunity_id=opportunity_id), limit=1)
    return say.why(found[0]) if found else ""


_ASKED_FOR = ("mail_accepted", "mail_unanswered")
_BEGUN = f"status_{AttemptStatus.IN_PROGRESS}"


def _mails(test: Progress, moments: list[Moment], say: Words) -> dict[str, Any]:
    """Answer who says that no e-mail came: when it was asked for, whether iMocha has accepted it, and what came of it.

    E-mails are counted by what iMocha has accepted; when the last one was asked for is kept for a week.
    """
    mine = [moment for moment in moments if moment.test_id == test.test_id]
    accepted = [moment.at for moment in mine if moment.kind in SENT]
    asked = next((moment for moment in mine if moment.kind in _ASKED_FOR), None)
    begun = (moment.at for moment in moments if (moment.kind, moment.invitation_id) == (_BEGUN, test.invitation_id))
    status = read_status(test.status) if test.status else None
    return {
        "test_id": test.test_id, "test": say.test(test.test_id), "says": say.status(test.status), "count": len(accepted),
        "accepted_at": accepted[0] if accepted else None, "age": say.age(accepted[0]) if accepted else "",
        "asked_at": asked.at if asked else None, "unanswered": asked is not None and asked.kind == "mail_unanswered",
        "begun": status is not None and (status is AttemptStatus.IN_PROGRESS or status.is_ended),
        "begun_at": next(begun, None),
    }  # fmt: skip


_IN_LEVER = ("form_done", "file_done", "note_done", "stage_done")


def run_page(run: str | None, task: str | None) -> str | None:
    """Return the path, below Airflow's, of the page of a run, or of its task."""
    if run is None:
        return None
    dag_id, _, run_id = run.partition("/")
    path = f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    if task is None:
        return path
    task_id, _, map_index = task.partition("/")
    path += f"/tasks/{quote(task_id, safe='')}"
    return f"{path}/mapped/{map_index}" if map_index.isdigit() else path


def evidence_lines(evidence: dict[str, Any], say: Words) -> list[dict[str, Any]]:
    """Return the events of evidence as they are said on a page, the first one first."""
    broken = {(chain["about"], chain["broken_at"]) for chain in evidence["chains"] if not chain["unbroken"]}
    return [
        event | {
            "says": say.moment(Moment(**event)), "source": say.source(event["source"]),
            "facts": say.facts(event["facts"]), "run_page": run_page(event["run"], event["task"]),
            "broken": (event["chain"], event["number"]) in broken,
        }
        for event in evidence["events"]
    ]  # fmt: skip


# One run


_OURS = "lever_imocha_"


def run(ledger: Ledger, say: Words, *, dag_id: str, run_id: str, task_id: str, map_index: str) -> dict[str, Any]:
    """Tell who was worked on in a run of a DAG, or in one of its tasks, and what came of it.

    :param map_index: what is no number, Airflow has left as it was: the task is not mapped.
    """
    task = f"{task_id}/{map_index if map_index.isdigit() else -1}" if task_id else None
    found = ledger.timeline.of_run(f"{dag_id}/{run_id}", task=task) if dag_id.startswith(_OURS) else []
    people: dict[str, list[Done]] = {}
    for done in found:
        people.setdefault(done.opportunity_id, []).append(done)
    return {
        "dag_id": dag_id, "run_id": run_id, "task_id": task_id or None, "ours": dag_id.startswith(_OURS),
        "at_most": AT_MOST if len(found) >= AT_MOST else None,
        "people": [
            {
                "opportunity_id": opportunity_id, "name": say.name(done[0].name),
                "done": [{"at": one.at, "kind": one.kind, "says": say.moment(one)} for one in done],
            }
            for opportunity_id, done in people.items()
        ],
    }  # fmt: skip


# Flow


_SHARE = ["entered", "held", "invited", "started", "ended", "written", "expired", "cancelled", "lost"]
_TIMES = ["move_to_invitation", "invitation_to_start", "end_to_report"]
_BY = ("week", "test", "posting", "rule")
Weeks = Annotated[int, Query(ge=1, le=52)]


def flow(ledger: Ledger, say: Words, *, weeks: int) -> dict[str, Any]:
    """Count how far those have come who entered in the last weeks, and how long that took."""
    monday = datetime.combine(say.now.date() - timedelta(days=say.now.weekday()), time(), UTC)
    found = ledger.flow.cohorts(since=monday - timedelta(weeks=weeks - 1))
    rows = [
        (
            row.by,
            {"of": say.group(row)}
            | {name: getattr(row, name) for name in _SHARE}
            | {name: _taken(getattr(row, name)) for name in _TIMES},
        )
        for row in found
    ]
    (_, everybody), *groups = rows
    return {
        "weeks": weeks, "at_most": AT_MOST if everybody["entered"] >= AT_MOST else None, "all": everybody,
    } | {f"by_{kind}": [row for by, row in groups if by == kind] for kind in _BY}  # fmt: skip


def _taken(seconds: tuple[float, float] | None) -> dict[str, float] | None:
    return {"p50": seconds[0], "p95": seconds[1]} if seconds else None


_FORMULA = re.compile(r"(^|[;\t\r\n])(?=\s*[=+\-@\t\r＝＋－＠])")  # noqa: RUF001 - spreadsheets take the wide signs, too
"""Where a formula would begin; spreadsheets of some countries separate cells by semicolons."""


def flow_csv(data: dict[str, Any]) -> str:
    """Return the page's tables as CSV; a text that a spreadsheet would take for a formula is made none."""
    out = io.StringIO()
    columns = [*_SHARE, *(f"{name}_{part}_seconds" for name in _TIMES for part in ("p50", "p95"))]
    writer = csv.writer(out)
    writer.writerow(["by", "of", *columns])
    for by, rows in (("all", [data["all"]]), *((kind, data[f"by_{kind}"]) for kind in _BY)):
        for row in rows:
            of = _FORMULA.sub(r"\1'", row["of"])
            times = [round(row[name][part]) if row[name] else "" for name in _TIMES for part in ("p50", "p95")]
            writer.writerow([by, of, *(row[name] for name in _SHARE), *times])
    return out.getvalue()


# Traffic


_DAYS = 14


def traffic(ledger: Ledger, say: Words) -> dict[str, Any]:
    """Tell what the vendors have sent, what is queued, and how the rate limits stand."""
    seen = ledger.traffic.seen(since=say.now - timedelta(days=_DAYS), deliveries=_LATEST)
    received, refused = seen.received, seen.refused
    days = sorted({row.day for row in received})
    by_day = [
        {"day": f"{day:%Y-%m-%d}"}
        | {vendor: sum(row.count for row in received if (row.day, row.vendor) == (day, vendor)) for vendor in _VENDORS}
        for day in days
    ]
    return {
        "days": _DAYS, "by_day": by_day,
        "last": [_last_of(vendor, received, refused, say) for vendor in _VENDORS],
        "refused": [
            {"vendor": row.vendor, "why": row.why, "count": row.count, "last": row.last, "age": say.age(row.last)}
            for row in refused
        ],
        "deliveries": [vars(row) | {"age": say.age(row.received_at)} for row in seen.deliveries],
        "replay": REPLAY,
        "kinds": [
            {"vendor": vendor, "event": event, "count": sum(row.count for row in received if row.event == event and row.vendor == vendor)}
            for vendor, event in sorted({(row.vendor, row.event) for row in received})
        ],
        "queue": [
            {"kind": row.kind, "work": say.work(row.kind), "state": row.state, "count": row.count, "oldest": row.oldest, "age": say.age(row.oldest)}
            for row in seen.queued
        ],
        "rates": [
            vars(row) | {"age": say.age(row.slowed_at), "answered_age": say.age(row.answered_at)}
            for row in seen.rates
        ],
    }  # fmt: skip


def _last_of(vendor: str, received: Sequence[Received], refused: Sequence[Refused], say: Words) -> dict[str, Any]:
    """Tell when a vendor's last delivery was accepted, and what was refused in its name since."""
    at = max((row.last for row in received if row.vendor == vendor), default=None)
    since = next((row for row in refused if row.vendor == vendor and (at is None or row.last > at)), None)
    return {
        "vendor": vendor, "at": at, "age": say.age(at), "fix": _SILENT[vendor],
        "refused": {"why": since.why, "at": since.last, "age": say.age(since.last)} if since else None,
    }  # fmt: skip


_VENDORS = ("lever", "imocha")
_LATEST = 30
_SILENT = {
    "lever": "If candidates were moved since: in Lever's settings, is the webhook there, and does Verify succeed? Refused"
    " deliveries are counted below. Candidates are invited by the sweep all the same.",
    "imocha": "If tests have ended since: is public_url set, and reachable from outside? Reports are found by the sweep all"
    " the same.",
}


# Health


_DAGS = "DAGs"
"""The name of the doctor's check of Airflow's DAGs."""


def health(ledger: Ledger, say: Words) -> dict[str, Any]:
    """Tell what the last runs, the last check and the last comparison have left in the ledger."""
    activated, restored = ledger.watermarks.get(ACTIVATED), ledger.restore.is_recent()
    kept = ledger.cache.many(PROBLEMS, DOCTOR, COMPARISON)
    table = kept_table(kept[DOCTOR]) if DOCTOR in kept else None
    return {
        "schema": HEAD, "activated_at": activated, "age": say.age(activated), "restored": restored,
        "problems": list(kept.get(PROBLEMS, {}).get("lines", ())),
        "compared": _compared(*kept_comparison(kept[COMPARISON]), say) if COMPARISON in kept else None,
        "dags": [finding.found for finding in table.findings if finding.check == _DAGS] if table else [],
        "checks": _checks(table, say) if table else None,
    }  # fmt: skip


def _compared(at: datetime, lists: list[Compared], say: Words) -> dict[str, Any]:
    return {
        "at": at, "age": say.age(at),
        "healed": sum(sum(one.healed.values()) for one in lists),
        "explained": sum(sum(one.explained.values()) for one in lists),
        "unexplained": sum(one.unexplained for one in lists),
        "lists": [
            {
                "vendor": one.vendor, "read": one.read, "agrees": one.agrees, "healed": one.healed,
                "explained": one.explained, "unexplained": one.unexplained, "unknown": one.unknown,
            }
            for one in lists
        ],
        "people": [
            {"opportunity_id": key, "why": why} for key, why in told_unexplained(lists).items()
        ],
    }  # fmt: skip


def _checks(table: Kept, say: Words) -> dict[str, Any]:
    return {
        "at": table.at, "age": say.age(table.at), "before": table.before,
        "gone": [{"check": one.check, "found": one.found} for one in table.gone],
        "rows": [
            {
                "check": one.check, "level": one.level, "found": one.found, "fix": one.fix, "since": since,
                "age": say.age(since), "change": change,
            }
            for one, since, change in zip(table.findings, table.since, table.changes, strict=True)
        ],
    }  # fmt: skip
