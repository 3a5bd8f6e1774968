"""iMocha's objects: tests, test links, invitations, attempts, reports, callbacks; one vocabulary of statuses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from lever_imocha.domain.types import Text, Utc, VendorModel, fold_key, parse_utc

log = logging.getLogger(__name__)


class AttemptStatus(StrEnum):
    """One vocabulary for iMocha's many spellings (imocha.md 3)."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    TEST_LEFT = "test_left"
    TERMINATED = "terminated"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_ended(self) -> bool:
        """The candidate took the test; there is, or will be, a report."""
        return self in (AttemptStatus.COMPLETE, AttemptStatus.TEST_LEFT, AttemptStatus.TERMINATED)


_SPELLINGS = {fold_key(status): status for status in AttemptStatus} | {
    "completed": AttemptStatus.COMPLETE,
    "canceled": AttemptStatus.CANCELLED,
}


def read_status(word: Any) -> AttemptStatus:
    """The status a word of iMocha's means; a word nobody knows is kept apart and logged, not guessed."""
    if isinstance(word, AttemptStatus):
        return word
    status = _SPELLINGS.get(fold_key(str(word or "")), AttemptStatus.UNKNOWN)
    if status is AttemptStatus.UNKNOWN and word:
        log.warning("iMocha used a status word we do not know: %.40r", word)
    return status


Status = Annotated[AttemptStatus, BeforeValidator(read_status)]


class ImochaModel(VendorModel):
    """An iMocha object: its keys are read without regard to case, which differs between docs and live answers."""

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        names = {fold_key(field.alias or name): field.alias or name for name, field in cls.model_fields.items()}
        return {names.get(fold_key(key), key): value for key, value in data.items()}


class Section(ImochaModel):
    """One section of a report: points reached and possible, seconds used."""

    section_name: Text = Field(alias="sectionName", default="")
    candidate_score: float | None = Field(alias="candidateScore", default=None)
    section_score: float | None = Field(alias="sectionScore", default=None)
    section_time_taken: float | None = Field(alias="sectionTimeTaken", default=None)


def _sections(value: Any) -> Any:
    return [item for item in value or () if item is not None]


class Report(ImochaModel):
    """The report of one attempt (imocha.md 7.1): points, whole per cent, seconds, a link to the PDF."""

    test_invitation_id: int | None = Field(alias="testInvitationId", default=None)
    test_id: int | None = Field(alias="testId", default=None)
    test_name: Text = Field(alias="testName", default="")
    candidate_email: str | None = Field(alias="candidateEmail", default=None, repr=False)
    status: Status = AttemptStatus.UNKNOWN
    attempted_on: Utc = Field(alias="attemptedOn", default=None)
    candidate_points: float | None = Field(alias="candidatePoints", default=None)
    total_test_points: float | None = Field(alias="totalTestPoints", default=None)
    score_percentage: float | None = Field(alias="scorePercentage", default=None)
    performance_category: Text = Field(alias="performanceCategory", default="")
    time_taken: float | None = Field(alias="timeTaken", default=None)
    pdf_report_url: str | None = Field(alias="pdfReportUrl", default=None)
    sections: Annotated[tuple[Section, ...], BeforeValidator(_sections)] = ()

    @property
    def is_final(self) -> bool:
        """Ended and scored; anything less is read again later (imocha.md 7.3)."""
        return self.status.is_ended and self.total_test_points is not None


class ImochaTest(ImochaModel):
    """A test (imocha.md 4.1). The vendor's status words are not all known: only a clear word makes it inactive."""

    __test__ = False

    id: int = Field(alias="testId")
    name: Text = Field(alias="testName", default="")
    status: Text = ""

    @property
    def is_active(self) -> bool:
        """Not said to be switched off."""
        return fold_key(self.status) not in {"inactive", "archived", "deleted", "disabled", "draft", "closed"}


class TestLink(ImochaModel):
    """A test's link, whose settings an invitation takes over (imocha.md 4.4)."""

    __test__ = False

    id: int = Field(alias="testLinkId")
    name: Text = Field(alias="testLinkName", default="")
    is_api_link: bool | None = Field(alias="isApiLink", default=None)
    status: str | None = Field(alias="testLinkStatus", default=None)
    proctoring_settings: dict[str, Any] | None = Field(alias="proctoringSettings", default=None)
    stakeholder_emails: str | None = Field(alias="stakeholderEmails", default=None, repr=False)
    invitation_schedule: dict[str, Any] | None = Field(alias="invitationSchedule", default=None)


class Invitation(ImochaModel):
    """The answer to an invite or a reattempt; the candidate's personal test address is not even read."""

    id: int = Field(alias="testInvitationId")
    status: Status = AttemptStatus.UNKNOWN


class Attempt(ImochaModel):
    """One row of Retrieve Invites (imocha.md 6.4); the name is not read."""

    test_invitation_id: int = Field(alias="testInvitationId")
    test_id: int | None = Field(alias="testId", default=None)
    email: str | None = Field(default=None, repr=False)
    status: Status = Field(alias="testStatus", default=AttemptStatus.UNKNOWN)


class Callback(ImochaModel):
    """What iMocha posts when an attempt starts or ends (imocha.md 6.1); address and scores are not read."""

    test_invitation_id: Annotated[int, Field(alias="testInvitationId", gt=0, lt=2**63)]
    status: Status
    attempted_on_utc: Annotated[str | None, Field(alias="attemptedOnUtc", pattern=r"^[ -~]{0,40}$")] = None


UTC_ZONE = 1200
"""iMocha's number for UTC (imocha.md 1), for a call that demands a zone where neither link nor settings name one."""


@dataclass(frozen=True, kw_only=True)
class InviteSettings:
    """What an invitation takes from its link unless a call says otherwise (imocha.md 5.1); None is not sent."""

    start_at: datetime | None = None
    end_at: datetime | None = None
    time_zone_id: int | None = None
    proctoring_mode: str | None = None
    stakeholder_emails: str | None = None


def default_link(links: Sequence[TestLink]) -> TestLink | None:
    """The link an invite without a link uses: the API link, else the one named Default, else API (imocha.md 4.4)."""
    usable = [link for link in links if (link.status or "active").casefold() == "active"]
    named = {link.name.strip().casefold(): link for link in reversed(usable)}
    return next((link for link in usable if link.is_api_link), None) or named.get("default") or named.get("api")


def settings_of(
    link: TestLink | None, *, now: datetime, validity_days: int | None = None, time_zone_id: int | None = None
) -> InviteSettings:
    """The link's settings as they are now; a rule's `validity_days` and `time_zone_id` count more than the link's."""
    schedule = {key.casefold(): value for key, value in ((link and link.invitation_schedule) or {}).items()}
    details = schedule.get("scheduledetails")
    window = {key.casefold(): value for key, value in details.items()} if isinstance(details, dict) else {}
    proctoring = {key.casefold(): value for key, value in ((link and link.proctoring_settings) or {}).items()}
    start, end = parse_utc(window.get("startdatetime")), parse_utc(window.get("enddatetime"))
    days = validity_days or _whole(window.get("invitationvalidityindays"))
    if days and (validity_days or str(schedule.get("scheduletype", "validityindays")).casefold() == "validityindays"):
        start, end = now, now + timedelta(days=days)
    return InviteSettings(
        start_at=start if isinstance(start, datetime) else None,
        end_at=end if isinstance(end, datetime) else None,
        time_zone_id=time_zone_id or _whole(window.get("timezoneid")),
        proctoring_mode=proctoring.get("proctoringmode") or None,
        stakeholder_emails=(link.stakeholder_emails or None) if link else None,
    )


def _whole(value: object) -> int | None:
    """A count iMocha gives as a number, a decimal or either as text (imocha.md 11.6)."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return int(number) if number > 0 and float(number).is_integer() else None
