"""What the sandbox knows: both vendors' records, a clock, switches for what their contracts leave open, faults."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SWITCHES: dict[str, Any] = {
    "rate_limit": True,  # Lever's token bucket, 10 a second and a burst of 20
    "retry_after": True,  # a 429 says when to come back
    "error_json": True,  # a 429 has a JSON body
    "perform_as_required": False,  # opportunity writes without perform_as are refused
    "form_answers_wrapped": False,  # forms, files and templates answer {"data": ...}
    "times_as_text": False,  # forms, files and templates give times as text
    "strict_forms": True,  # a form's fields must be the template's in order, type and text
    "form_ids_allowed": True,  # ... and may carry the template's field ids
    "unseen_tags_vanish": True,  # a tag nobody carries is not listed
    "legacy_attempt_keys": False,  # Retrieve Invites says teststatus "Complete" instead of testStatus "Completed"
    "empty_sweep_is_404": False,  # Retrieve Invites without a result is 404
    "report_not_ready": "status",  # or 404, or errors: what a report says before it is final
    "pdf_as": "url",  # or bytes: what the PDF endpoint answers
    "numbers_as_text": False,  # iMocha gives ids and scores as text
    "sweep_limit_days": 0,  # Retrieve Invites refuses a longer window; 0 = no limit
    "invite_says_pending": False,  # an invite of a finished attempt says Pending
    "strict_reattempt": False,  # older servers refuse a reattempt of an open invitation
    "refused_reattempt": 403,  # or 400
}


@dataclass
class Fault:
    """What goes wrong with the next calls that match."""

    vendor: str
    method: str = ""
    path_contains: str = ""
    times: int = 1
    mode: str = "status"  # or drop: the connection breaks without an answer
    status: int = 500
    apply: bool = False  # the call takes effect before it fails
    retry_after: float | None = None


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


def new_id() -> str:
    """An id as Lever makes them."""
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
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    tests: dict[int, dict[str, Any]] = field(default_factory=dict)
    links: dict[int, dict[str, Any]] = field(default_factory=dict)
    invitations: dict[int, Invitation] = field(default_factory=dict)
    mails: list[dict[str, Any]] = field(default_factory=list)
    last_invitation: int = 3178600
    bucket: tuple[float, datetime] | None = None

    def now(self) -> datetime:
        """The sandbox's time; it can be moved on."""
        return datetime.now(UTC) + self.shift

    def now_ms(self) -> int:
        """The same in Lever's milliseconds."""
        return int(self.now().timestamp() * 1000)

    def take_token(self) -> bool:
        """One request of Lever's token bucket."""
        now = self.now()
        tokens, at = self.bucket or (20.0, now)
        tokens = min(20.0, tokens + (now - at).total_seconds() * 10)
        self.bucket = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1

    def fault_for(self, vendor: str, method: str, path: str) -> Fault | None:
        """The fault that hits a call, used up by it."""
        for fault in self.faults:
            if fault.vendor == vendor and fault.method in ("", method) and fault.path_contains in path:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def add_opportunity(self, *, stage: str, **given: Any) -> dict[str, Any]:
        """A new candidate, in a stage given by text or id."""
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
            "updatedAt": now,
            "lastInteractionAt": now,
            "lastAdvancedAt": now,
            "snoozedUntil": None,
            "urls": {"show": f"https://hire.lever.co/candidates/{new}"},
            "isAnonymized": False,
            "dataProtection": None,
        } | given
        self.opportunities[new] = opportunity
        return opportunity

    def stage_id(self, name: str) -> str:
        """A stage's id, from its text or id."""
        return next(stage["id"] for stage in self.stages if name in (stage["id"], stage["text"]))

    def rank(self, stage_id: str) -> int:
        """A stage's place in the pipeline."""
        return [stage["id"] for stage in self.stages].index(stage_id)

    def move(self, opportunity_id: str, stage: str, user_id: str | None = None) -> None:
        """Move to a stage; to the same one changes nothing."""
        opportunity, stage_id = self.opportunities[opportunity_id], self.stage_id(stage)
        if opportunity["stage"] == stage_id:
            return
        now = max(self.now_ms(), opportunity["stageChanges"][-1]["updatedAt"] + 1)
        change: dict[str, Any] = {"toStageId": stage_id, "toStageIndex": self.rank(stage_id), "updatedAt": now}
        opportunity["stageChanges"].append(change | ({"userId": user_id} if user_id else {}))
        opportunity.update(stage=stage_id, lastAdvancedAt=now, lastInteractionAt=now, updatedAt=now)

    def add_test(self, test_id: int, name: str, *, status: str = "Active") -> None:
        """A new test with its Default link."""
        self.tests[test_id] = {"testId": test_id, "testName": name, "status": status, "duration": 45, "labels": []}
        self.links[test_id] = {
            "testLinkId": 900000 + test_id,
            "testId": test_id,
            "testLinkName": "Default",
            "testLink": f"link{test_id}",
            "testLinkStatus": "active",
            "invitationType": "email",
            "isApiLink": True,
            "proctoringSettings": {"proctoringMode": "disabled"},
            "stakeholderEmails": "",
            "invitationSchedule": {
                "scheduleType": "validityindays",
                "scheduleDetails": {"invitationValidityInDays": 7, "timeZoneId": 1200},
            },
        }

    def expire(self) -> None:
        """Pending invitations whose window is over expire by themselves."""
        now = self.now()
        for invitation in self.invitations.values():
            if invitation.state == "Pending" and invitation.end and invitation.end < now:
                invitation.state, invitation.changed_at = "Expired", invitation.end

    def seed(self) -> None:
        """Stages, a user, a posting and three tests to begin with; no candidates."""
        self.stages = [
            {"id": "lead-new", "text": "New lead"},
            {"id": "applicant-new", "text": "New applicant"},
            {"id": new_id(), "text": "Recruiter screen"},
            {"id": new_id(), "text": "Assessment"},
            {"id": new_id(), "text": "Assessment Complete"},
            {"id": "offer", "text": "Offer"},
        ]
        self.users = [{"id": new_id(), "name": "Pat Ops", "email": "people-ops@example.com", "accessRole": "admin"}]
        self.postings = [{"id": new_id(), "text": "Python Engineer", "state": "published", "tags": []}]
        self.add_test(101, "Python Developer")
        self.add_test(102, "SQL Basics")
        self.add_test(103, "Retired Test", status="Inactive")
