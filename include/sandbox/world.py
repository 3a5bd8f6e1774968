"""The state of the sandbox: both vendors' records, a clock, switches for what is not documented, faults."""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.sandbox.outbox import Outbox
from include.sandbox.switches import SWITCHES
from include.sandbox.webhooks import WebhookRegistry


@dataclass
class Fault:
    """An error that the next matching calls run into."""

    vendor: str
    method: str = ""
    path_contains: str = ""
    times: int = 1
    mode: str = "status"  # or drop: the connection breaks without an answer
    status: int = 500
    apply: bool = False  # the call takes effect before it fails
    retry_after: float | None = None
    message: str = "asked for"  # what the vendor says
    body: Any = None  # the whole answer, where it is no error


@dataclass
class Invitation:
    """One of iMocha's invitations."""

    id: int
    test_id: int
    email: str
    name: str
    state: str = "Pending"
    start: datetime | None = None
    end: datetime | None = None
    time_zone_id: int | None = None
    proctoring: str = "disabled"
    callback_url: str | None = None
    stakeholders: str | None = None
    attempted_on: datetime | None = None
    changed_at: datetime | None = None
    points: float | None = None
    total: float | None = None
    report_ready: bool = True
    retake_of: int | None = None
    link_id: int | None = None
    redirect_url: str | None = None
    attempts: int = 0
    url: str = field(default_factory=lambda: f"https://test.imocha.io/IMInstructions?{secrets.token_hex(8)}")
    said: dict[str, Any] = field(default_factory=dict)  # what its report says otherwise


def new_id() -> str:
    """Make an id as Lever does: a UUID."""
    return str(uuid.uuid4())


@dataclass
class World:
    """Both vendors' state behind one lock."""

    lever_key: str = "lever-key"
    imocha_key: str = "imocha-key"
    lock: threading.RLock = field(default_factory=threading.RLock)
    switches: dict[str, Any] = field(default_factory=lambda: dict(SWITCHES))
    faults: list[Fault] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    shift: timedelta = timedelta(0)
    stages: list[dict[str, str]] = field(default_factory=list)
    users: list[dict[str, Any]] = field(default_factory=list)
    postings: list[dict[str, Any]] = field(default_factory=list)
    opportunities: dict[str, dict[str, Any]] = field(default_factory=dict)
    forms: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    archive_reasons: list[dict[str, str]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    tags_ever: set[str] = field(default_factory=set)
    lacking_permissions: set[str] = field(default_factory=set)  # boxes not ticked for the key, by their labels
    refused_tags: set[str] = field(default_factory=set)  # tags that Lever accepts in no call
    tokens: dict[tuple[str, str], list[Any]] = field(default_factory=dict)  # of pages: what was given out, where
    tests: dict[int, dict[str, Any]] = field(default_factory=dict)
    links: dict[int, dict[str, Any]] = field(default_factory=dict)  # each test's Default link
    other_links: list[dict[str, Any]] = field(default_factory=list)
    invitations: dict[int, Invitation] = field(default_factory=dict)
    former_invitations: list[Invitation] = field(default_factory=list)  # as they were before they were pending again
    mails: list[dict[str, Any]] = field(default_factory=list)
    last_invitation: int = 3178600
    buckets: dict[str, tuple[float, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.now)
        self.webhooks = WebhookRegistry(self.now_ms, self.switches, self.outbox)

    def reset(self) -> None:
        """Forget everything and seed anew, behind the same server: making an application takes 0.1 s."""
        self.outbox.close()
        vars(self).update(vars(type(self)()))
        self.__post_init__()
        self.seed()

    def finish(
        self,
        invitation: Invitation,
        state: str = "Complete",
        *,
        points: float = 34,
        total: float = 50,
        ready: bool = True,
    ) -> None:
        """End an attempt, as the candidate does; no callback is sent.

        :param ready: iMocha has made the report.
        """
        invitation.state, invitation.report_ready = state, ready
        invitation.attempted_on = invitation.changed_at = self.now()
        invitation.points, invitation.total = points, total

    def now(self) -> datetime:
        """Return the sandbox's time, in UTC: the real time plus `shift`."""
        return datetime.now(UTC) + self.shift

    def now_ms(self) -> int:
        """Return the sandbox's time as Lever writes it: milliseconds since 1970."""
        return int(self.now().timestamp() * 1000)

    def take_token(self, vendor: str, *, a_second: float, burst: int) -> bool:
        """Take one token from a vendor's token bucket.

        :param a_second: tokens added per second.
        :param burst: the most tokens it can hold.
        :return: False if it was empty: the request is one too many.
        """
        with self.lock:
            now = self.now()
            tokens, at = self.buckets.get(vendor, (float(burst), now))
            tokens = min(float(burst), tokens + (now - at).total_seconds() * a_second)
            self.buckets[vendor] = (tokens - 1 if tokens >= 1 else tokens, now)
            return tokens >= 1

    def fault_for(self, vendor: str, method: str, path: str) -> Fault | None:
        """Find the fault for a call, and count the call against the fault's `times`.

        :param path: with the query.
        """
        for fault in self.faults:
            if fault.vendor == vendor and fault.method in ("", method) and fault.path_contains in path:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def add_opportunity(self, *, stage: str, **given: Any) -> dict[str, Any]:
        """Add a candidate.

        :param stage: text or id.
        :param given: fields of the opportunity that are not the default.
        """
        stage_id, now, new = self.stage_id(stage), self.now_ms(), new_id()
        opportunity = {
            "id": new,
            "name": "",
            "contact": new_id(),
            "headline": "",
            "stage": stage_id,
            "confidentiality": "non-confidential",
            "location": "",
            "phones": [],
            "emails": [],
            "links": [],
            "archived": None,
            "tags": [],
            "sources": [],
            "stageChanges": [{"toStageId": stage_id, "toStageIndex": self.rank(stage_id), "updatedAt": now}],
            "origin": "applied",
            "sourcedBy": None,
            "owner": None,
            "followers": [],
            "applications": [],
            "createdAt": now,
            "updatedAt": None,  # as on most real records, until something changes (lever.md 4.2)
            "lastInteractionAt": now,
            "lastAdvancedAt": now,
            "snoozedUntil": None,
            "urls": {"show": f"https://hire.lever.co/candidates/{new}"},
            "isAnonymized": False,
            "dataProtection": None,
        } | given
        self.opportunities[new] = opportunity
        self.tags_ever.update(opportunity["tags"])
        return opportunity

    def stage_id(self, name: str) -> str:
        """Find a stage's id by its text or id.

        :raises KeyError: there is none.
        """
        for stage in self.stages:
            if name in (stage["id"], stage["text"]):
                return stage["id"]
        raise KeyError(f"stage {name}")

    def reason(self, name: str | None) -> dict[str, str] | None:
        """Find an archive reason by its text or id.

        :raises KeyError: there is none.
        """
        for reason in self.archive_reasons:
            if name in (reason["id"], reason["text"]):
                return reason
        if name is None:
            return None
        raise KeyError(f"archive reason {name}")

    def announce(self, event: str, opportunity: dict[str, Any], *, by_api: bool = False, **data: Any) -> None:
        """Send an event to the webhooks registered for it (lever.md 11), unless a switch prevents it.

        :param by_api: whether a call of the API, not a person, caused the event.
        :param data: what the body says besides the ids.
        """
        if self.switches["webhooks_enabled"] and (not by_api or self.switches["webhook_on_api_moves"]):
            self.webhooks.announce(event, opportunity, data)

    def rank(self, stage_id: str) -> int:
        """Return a stage's index in the pipeline."""
        return [stage["id"] for stage in self.stages].index(stage_id)

    def move(self, opportunity_id: str, stage: str, user_id: str | None = None, *, by_api: bool = False) -> None:
        """Move to a stage, archived or not; a move to the same stage changes nothing (lever.md 5.1)."""
        with self.lock:
            opportunity, stage_id = self.opportunities[opportunity_id], self.stage_id(stage)
            before = opportunity["stage"]
            if before == stage_id:
                return
            now = max(self.now_ms(), opportunity["stageChanges"][-1]["updatedAt"] + 1)
            change: dict[str, Any] = {"toStageId": stage_id, "toStageIndex": self.rank(stage_id), "updatedAt": now}
            opportunity["stageChanges"].append(change | ({"userId": user_id} if user_id else {}))
            opportunity.update(stage=stage_id, lastAdvancedAt=now, lastInteractionAt=now, updatedAt=now)
            self.announce("candidateStageChange", opportunity, by_api=by_api, toStageId=stage_id, fromStageId=before)

    def archive(self, opportunity_id: str, reason: str | None, *, by_api: bool = False) -> None:
        """Archive with a reason, change the reason, or un-archive; the first archiving counts as advancing (lever.md 4.2)."""
        with self.lock:
            opportunity, found, now = self.opportunities[opportunity_id], self.reason(reason), self.now_ms()
            before = opportunity["archived"]
            after = {"reason": found["id"], "archivedAt": now} if found else None
            if before is None and after is None:
                return
            opportunity.update(archived=after, lastInteractionAt=now, updatedAt=now)
            if before is None:
                opportunity["lastAdvancedAt"] = now
            self.announce("candidateArchiveChange", opportunity, by_api=by_api, toArchived=after, fromArchived=before)
            if found and found["type"] == "hired" and (before or {}).get("reason") != found["id"]:
                self.announce("candidateHired", opportunity, by_api=by_api)

    def delete(self, opportunity_id: str) -> None:
        """Delete for good: only the list of deleted opportunities still shows it."""
        with self.lock:
            opportunity = self.opportunities.pop(opportunity_id)
            self.deleted.append(opportunity | {"deletedAt": self.now_ms(), "deletedBy": self.users[0]["id"]})
            self.announce("candidateDeleted", opportunity)

    def anonymise(self, opportunity_id: str) -> None:
        """Take the personal data out of an archived opportunity that was not hired (lever.md 12)."""
        with self.lock:
            opportunity = self.opportunities[opportunity_id]
            reason = self.reason((opportunity["archived"] or {}).get("reason"))
            if reason is None or reason["type"] == "hired":
                raise ValueError("Only an opportunity that is archived and not hired can be anonymised.")
            blank = {"name": "", "headline": "", "location": "", "phones": [], "emails": [], "links": []}
            opportunity.update(blank, isAnonymized=True, updatedAt=self.now_ms())

    def add_test(self, test_id: int, name: str, *, status: str = "Active") -> None:
        """Add a test with its Default link."""
        self.tests[test_id] = {"testId": test_id, "testName": name, "status": status, "duration": 45, "labels": []}
        self.links[test_id] = self.new_link(test_id, 900000 + test_id, "Default")

    def new_link(self, test_id: int, link_id: int, name: str) -> dict[str, Any]:
        """Make a link with the settings a new one has (imocha.md 4.4)."""
        return {
            "testLinkId": link_id,
            "testId": test_id,
            "testLinkName": name,
            "testLink": f"link{link_id}",
            "testLinkStatus": "active",
            "invitationType": "email",
            "isApiLink": name == "Default",
            "proctoringSettings": {"proctoringMode": "disabled"},
            "stakeholderEmails": "",
            "invitationSchedule": {
                "scheduleType": "validityindays",
                "scheduleDetails": {"invitationValidityInDays": 7, "timeZoneId": 1200},
            },
        }

    def links_of(self, test_id: int) -> list[dict[str, Any]]:
        """List a test's links, the Default one first."""
        own = [self.links[test_id]] if test_id in self.links else []
        return own + [link for link in self.other_links if link["testId"] == test_id]

    def expire(self) -> None:
        """Let every pending invitation expire whose window has ended."""
        with self.lock:
            now = self.now()
            for invitation in self.invitations.values():
                if invitation.state == "Pending" and invitation.end and invitation.end < now:
                    invitation.state, invitation.changed_at = "Expired", invitation.end

    def seed(self) -> None:
        """Add stages, users, archive reasons, a posting and three tests; no candidates."""
        self.stages = [
            {"id": "lead-new", "text": "New lead"},
            {"id": "applicant-new", "text": "New applicant"},
            {"id": new_id(), "text": "Recruiter screen"},
            {"id": new_id(), "text": "Assessment"},
            {"id": new_id(), "text": "Assessment Complete"},
            {"id": "offer", "text": "Offer"},
        ]
        self.users = [
            _user(1, "Pat Ops", "people-ops@example.com"),
            _user(2, "Drew Gone", "drew@example.com") | {"deactivatedAt": self.now_ms()},
        ]
        self.archive_reasons = [
            {"id": new_id(), "text": "Hired", "status": "active", "type": "hired"},
            {"id": new_id(), "text": "Underqualified", "status": "active", "type": "non-hired"},
            {"id": new_id(), "text": "Withdrew", "status": "active", "type": "non-hired"},
        ]
        where = {"department": "Engineering", "team": "Platform", "location": "Berlin", "commitment": "Full-time"}
        self.postings = [
            {
                "id": new_id(), "text": "Python Engineer", "state": "published", "tags": [], "categories": where,
                "confidentiality": "non-confidential", "user": self.users[0]["id"], "owner": self.users[0]["id"],
                "hiringManager": None, "followers": [], "createdAt": self.now_ms(), "updatedAt": self.now_ms(),
            }
        ]  # fmt: skip
        self.add_test(101, "Python Developer")
        self.add_test(102, "SQL Basics")
        self.add_test(103, "Retired Test", status="Inactive")


def _user(created_at: int, name: str, email: str) -> dict[str, Any]:
    return {
        "id": new_id(), "name": name, "username": email.partition("@")[0], "email": email, "accessRole": "admin",
        "photo": None, "createdAt": created_at, "deactivatedAt": None, "externalDirectoryId": None,
        "linkedContactIds": None, "jobTitle": None, "managerId": None,
    }  # fmt: skip
