"""iMocha's test links: which one an invitation uses, and the settings it hands to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lever_imocha.domain.attempts import TestLink
from lever_imocha.domain.types import parse_utc

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
