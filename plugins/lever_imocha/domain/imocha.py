"""iMocha's objects: tests, test links, invitations, attempts, reports, callbacks; and the statuses they can have."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from lever_imocha.domain.types import NONE_IF_INVALID, NameText, Number, Utc, VendorModel, fold_key

log = logging.getLogger(__name__)


class AttemptStatus(StrEnum):
    """The status of an invitation, in one spelling; iMocha has several for most of them (imocha.md 3)."""

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
        """Whether the candidate has taken the test: there is, or will be, a report."""
        return self in (AttemptStatus.COMPLETE, AttemptStatus.TEST_LEFT, AttemptStatus.TERMINATED)

    @property
    def is_open(self) -> bool:
        """Whether the candidate can still take, or is taking, the test; iMocha may not say which."""
        return self.can_begin or self is AttemptStatus.IN_PROGRESS

    @property
    def can_begin(self) -> bool:
        """Whether the candidate can still begin the test, so that the invitation can be cancelled."""
        return self in (AttemptStatus.PENDING, AttemptStatus.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What iMocha says of one attempt.

    :param email: the candidate's address, where it names one.
    :param test_id: the test, where it names one.
    """

    status: AttemptStatus
    email: str | None = field(default=None, repr=False)
    test_id: int | None = None


_SPELLINGS = {fold_key(status): status for status in AttemptStatus} | {
    "completed": AttemptStatus.COMPLETE,
    "canceled": AttemptStatus.CANCELLED,
}


def status_of(word: Any) -> AttemptStatus:
    """Return the status that a word means: `AttemptStatus.UNKNOWN` for null, empty text and any not in imocha.md 3."""
    return word if isinstance(word, AttemptStatus) else _SPELLINGS.get(fold_key(str(word or "")), AttemptStatus.UNKNOWN)


def read_status(word: Any) -> AttemptStatus:
    """Return the status that iMocha means by a word, as `status_of` does, and log one that is not known."""
    status = status_of(word)
    if status is AttemptStatus.UNKNOWN and word and not isinstance(word, AttemptStatus):
        log.warning("iMocha sent an unknown status: %.40r", word)
    return status


Status = Annotated[AttemptStatus, BeforeValidator(read_status)]


class ImochaModel(VendorModel):
    """An iMocha object; `fold_key` is applied to its keys, which documentation and real answers spell differently."""

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        names = {fold_key(field.alias or name): field.alias or name for name, field in cls.model_fields.items()}
        return {names.get(fold_key(key), key): value for key, value in data.items()}


_Float = Annotated[float | None, NONE_IF_INVALID]
_Word = Annotated[NameText, BeforeValidator(lambda value: value if isinstance(value, str | int | float) else None)]


class Section(ImochaModel):
    """One section of a report: points reached, points possible, seconds used."""

    section_name: _Word = Field(alias="sectionName", default="")
    candidate_score: _Float = Field(alias="candidateScore", default=None)
    section_score: _Float = Field(alias="sectionScore", default=None)
    section_time_taken: _Float = Field(alias="sectionTimeTaken", default=None)


def _sections(value: Any) -> Any:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


class Report(ImochaModel):
    """The report of one attempt: points, whole per cent, seconds, the URL of the PDF (imocha.md 7.1).

    Whose it is, whether it is final, and the points have to be as documented; whatever else is not is left empty.
    """

    test_invitation_id: Number | None = Field(alias="testInvitationId", default=None)
    test_id: Annotated[Number | None, NONE_IF_INVALID] = Field(alias="testId", default=None)
    test_name: _Word = Field(alias="testName", default="")
    candidate_email: Annotated[str | None, NONE_IF_INVALID] = Field(alias="candidateEmail", default=None, repr=False)
    status: Status = AttemptStatus.UNKNOWN
    attempted_on: Annotated[Utc, NONE_IF_INVALID] = Field(alias="attemptedOn", default=None)
    candidate_points: float | None = Field(alias="candidatePoints", default=None)
    total_test_points: float | None = Field(alias="totalTestPoints", default=None)
    score_percentage: _Float = Field(alias="scorePercentage", default=None)
    performance_category: _Word = Field(alias="performanceCategory", default="")
    time_taken: _Float = Field(alias="timeTaken", default=None)
    pdf_report_url: Annotated[str | None, NONE_IF_INVALID] = Field(alias="pdfReportUrl", default=None)
    sections: Annotated[tuple[Section, ...], BeforeValidator(_sections)] = ()

    @property
    def said(self) -> Said:
        """What it says of the attempt."""
        return Said(status=self.status, email=self.candidate_email, test_id=self.test_id)

    @property
    def is_final(self) -> bool:
        """Whether the attempt has ended and has a score; if not, the report is read again later (imocha.md 7.3)."""
        return self.status.is_ended and self.total_test_points is not None


class ImochaTest(ImochaModel):
    """A test (imocha.md 4.1).

    Not all values of `status` are known, so a test counts as active unless its status clearly says otherwise.
    """

    __test__ = False

    id: Number = Field(alias="testId")
    name: NameText = Field(alias="testName", default="")
    status: NameText = ""

    @property
    def is_active(self) -> bool:
        """Whether candidates can be invited to the test."""
        return fold_key(self.status) not in {"inactive", "archived", "deleted", "disabled", "draft", "closed"}


def _count(value: Any) -> int | None:
    """Read a number, a decimal or either as text (imocha.md 11.6); None if it is no positive whole number."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return int(number) if number > 0 and number.is_integer() else None


_Count = Annotated[int | None, BeforeValidator(_count)]
_Setting = Annotated[str | None, NONE_IF_INVALID]
_VALIDITY_IN_DAYS = "validityindays"


class ScheduleDetails(ImochaModel):
    """When a link's invitations can be used: for a number of days, or between two times (imocha.md 4.4)."""

    validity_days: _Count = Field(alias="invitationValidityInDays", default=None)
    start_at: Annotated[Utc, NONE_IF_INVALID] = Field(alias="startDateTime", default=None)
    end_at: Annotated[Utc, NONE_IF_INVALID] = Field(alias="endDateTime", default=None)
    time_zone_id: _Count = Field(alias="timeZoneId", default=None)


class Schedule(ImochaModel):
    """A link's schedule; `type` says which of the details count (imocha.md 4.4)."""

    type: _Setting = Field(alias="scheduleType", default=None)
    details: Annotated[ScheduleDetails | None, NONE_IF_INVALID] = Field(alias="scheduleDetails", default=None)

    @property
    def is_in_days(self) -> bool:
        """Whether the details name a number of days; a schedule without a type counts as one in days."""
        return fold_key(self.type or _VALIDITY_IN_DAYS) == _VALIDITY_IN_DAYS


class Proctoring(ImochaModel):
    """How a link's attempts are supervised (imocha.md 4.4)."""

    mode: _Setting = Field(alias="proctoringMode", default=None)


class TestLink(ImochaModel):
    """A test's link, whose settings an invitation takes over (imocha.md 4.4).

    A setting that is null, absent or of an unexpected shape is None.
    """

    __test__ = False

    id: Number = Field(alias="testLinkId")
    name: NameText = Field(alias="testLinkName", default="")
    is_api_link: bool | None = Field(alias="isApiLink", default=None)
    status: str | None = Field(alias="testLinkStatus", default=None)
    proctoring: Annotated[Proctoring | None, NONE_IF_INVALID] = Field(alias="proctoringSettings", default=None)
    stakeholder_emails: _Setting = Field(alias="stakeholderEmails", default=None, repr=False)
    schedule: Annotated[Schedule | None, NONE_IF_INVALID] = Field(alias="invitationSchedule", default=None)


def _number(value: Any) -> Any:
    """Refuse what is no number, but would be taken for one: `true`, ` 5 `, `5_0`."""
    if isinstance(value, bool) or (isinstance(value, str) and not (value.isascii() and value.isdigit())):
        raise ValueError("not a number")
    return value


_InvitationId = Annotated[int, BeforeValidator(_number), Field(alias="testInvitationId", gt=0, lt=2**63)]


class Invitation(ImochaModel):
    """The answer to an invite or a reattempt.

    :param test_url: the candidate's personal test link, for who asked for it: never shown, dumped or compared.
    """

    id: _InvitationId
    status: Status = AttemptStatus.UNKNOWN
    test_url: Annotated[SecretStr | None, NONE_IF_INVALID] = Field(alias="testUrl", default=None, exclude=True)


class Attempt(ImochaModel):
    """One row of Retrieve Invites (imocha.md 6.4); the candidate's name is not read."""

    test_invitation_id: Number = Field(alias="testInvitationId")
    test_id: Number | None = Field(alias="testId", default=None)
    email: Annotated[str | None, NONE_IF_INVALID] = Field(default=None, repr=False)
    status: Status = Field(alias="testStatus", default=AttemptStatus.UNKNOWN)

    @property
    def said(self) -> Said:
        """What the row says of the attempt."""
        return Said(status=self.status, email=self.email, test_id=self.test_id)


class Callback(ImochaModel):
    """What iMocha posts when an attempt starts or ends (imocha.md 6.1); address, scores and times are not read."""

    test_invitation_id: _InvitationId
    status: Annotated[AttemptStatus, BeforeValidator(status_of)]


UTC_ZONE = 1200
"""iMocha's id of UTC (imocha.md 1), for a call that requires a zone when neither link nor settings name one."""


@dataclass(frozen=True, kw_only=True)
class InviteSettings:
    """The settings an invite sends; None is not sent, and iMocha then uses the link's (imocha.md 5.1)."""

    start_at: datetime | None = None
    end_at: datetime | None = None
    time_zone_id: int | None = None
    proctoring_mode: str | None = None
    stakeholder_emails: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What was sent, without anybody's address; what is missing was left to the link."""
        sent = {
            "start_at": self.start_at and self.start_at.isoformat(), "end_at": self.end_at and self.end_at.isoformat(),
            "time_zone_id": self.time_zone_id, "proctoring_mode": self.proctoring_mode,
        }  # fmt: skip
        return {name: value for name, value in sent.items() if value is not None}


def named_links(links: Sequence[TestLink]) -> dict[str, TestLink]:
    """Return the active links by their name, in small letters; of several with one name, the first."""
    usable = (link for link in reversed(links) if (link.status or "active").casefold() == "active")
    return {link.name.strip().casefold(): link for link in usable}


def default_link(links: Sequence[TestLink]) -> TestLink | None:
    """Return the link that an invite without a link uses (imocha.md 4.4).

    :return: the first active one of: the API link, the link named Default, the link named API.
    """
    usable = [link for link in links if (link.status or "active").casefold() == "active"]
    named = named_links(links)
    return next((link for link in usable if link.is_api_link), None) or named.get("default") or named.get("api")


def settings_of(
    link: TestLink | None, *, now: datetime, validity_days: int | None = None, time_zone_id: int | None = None
) -> InviteSettings:
    """Return the settings for an invitation sent now.

    :param link: the link that it goes through; None leaves its settings to iMocha.
    :param now: when the validity in days begins; timezone-aware.
    :param validity_days: from the rule; used instead of the link's schedule.
    :param time_zone_id: iMocha's id of a zone, from the rule; used instead of the link's.
    """
    schedule = (link.schedule if link else None) or Schedule()
    details = schedule.details or ScheduleDetails()
    start, end = details.start_at, details.end_at
    days = validity_days or (details.validity_days if schedule.is_in_days else None)
    if days:
        start, end = now, now + timedelta(days=days)
    return InviteSettings(
        start_at=start,
        end_at=end,
        time_zone_id=time_zone_id or details.time_zone_id,
        proctoring_mode=(link.proctoring.mode or None) if link and link.proctoring else None,
        stakeholder_emails=(link.stakeholder_emails or None) if link else None,
    )
