"""Switches for vendor behaviour that is not documented: each position is possible behaviour of the real vendor."""

from __future__ import annotations

from typing import Any

DELIVERY = ("normal", "duplicate", "late", "reorder", "lost")

SWITCHES: dict[str, Any] = {
    # Lever's API
    "rate_limit": True,  # the token bucket, 10 a second and a burst of 20
    "retry_after": True,  # a 429 of either vendor says when to come back
    "error_json": True,  # a 429 of either vendor has a JSON body
    "perform_as_required": False,  # opportunity writes without perform_as are refused
    "confidential_access": True,  # the key may see confidential opportunities
    "applications_expand": True,  # expand=applications gives objects; else ids, as without the permission for them
    "form_answers_wrapped": True,  # forms, files and templates answer {"data": ...}
    "times_as_text": False,  # forms, files and templates give times as text
    "strict_forms": True,  # a form's fields must be the template's in order, type and text
    "form_ids_allowed": True,  # ... and may carry the template's field ids
    "unseen_tags_vanish": True,  # a tag nobody carries is not listed
    # Lever's webhooks
    "webhooks_enabled": True,  # an admin has switched on the event groups
    "webhook_delivery": "normal",  # how the next ones go: one of DELIVERY
    "webhook_retry_gaps": [0.2, 0.4, 0.8, 1.6, 3.2],  # seconds before each further post
    "webhook_new_token": False,  # a retry has a token, time and signature of its own
    "webhook_on_api_moves": True,  # moves and archivings made through the API are announced
    "webhook_event_id": False,  # the body has an id
    # iMocha's API
    "imocha_calls_a_minute": 0,  # more are answered 429; 0 = no limit
    "legacy_attempt_keys": False,  # Retrieve Invites says teststatus "Complete" instead of testStatus "Completed"
    "attempts_keep_history": False,  # Retrieve Invites also lists what an invitation was before it was pending again
    "empty_sweep_is_404": False,  # Retrieve Invites without a result is 404
    "sweep_limit_days": 0,  # Retrieve Invites refuses a longer window; 0 = no limit
    "future_sweep": 0,  # the status that Retrieve Invites refuses a window with that ends in the future; 0 = not refused
    "reports_listed": True,  # the account may read the list of reports
    "reports_left_out": 0,  # so many reports fewer are listed than the list says there are
    "report_not_ready": "status",  # or 404, or errors: what a report says before it is final
    "open_report_names_email": False,  # the report of an invitation that is not taken yet says whose it is
    "pdf_as": "url",  # or bytes: what the PDF endpoint answers
    "numbers_as_text": False,  # ids and scores are text
    "scores_as_floats": False,  # 34.0 instead of 34
    "refused_mail": 0,  # the status that an invite with an e-mail is refused with, and one without is not; 0 = none
    "invite_says_pending": False,  # an invite of a finished attempt says Pending
    "link_invite_takes_settings": True,  # an invite by link takes window and proctoring; else the link's count
    "strict_reattempt": False,  # older servers refuse a reattempt of an open invitation
    "refused_reattempt": 403,  # or 400
    # iMocha's callbacks
    "callback_delivery": "normal",  # how the next ones go: one of DELIVERY
    "callback_retry_gaps": [0, 0, 0, 0, 0],  # five more posts in a row
    "callback_base_img_url": False,  # the body has a BaseImgUrl
    # both
    "late_seconds": 5,  # how late a late delivery is, by the sandbox's clock
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "webhook_delivery": DELIVERY,
    "callback_delivery": DELIVERY,
    "report_not_ready": ("status", 404, "errors"),
    "pdf_as": ("url", "bytes"),
    "refused_reattempt": (403, 400),
}


def problem_with(given: dict[str, Any]) -> str | None:
    """Return what is wrong with new positions, in one line; None if nothing is."""
    for name, value in given.items():
        if name not in SWITCHES:
            return f"no such switch: {name}; there are: {', '.join(SWITCHES)}"
        if name in CHOICES and value not in CHOICES[name]:
            return f"{name} cannot be {value!r}; it can be: {', '.join(map(str, CHOICES[name]))}"
        kind = type(SWITCHES[name])
        if name not in CHOICES and type(value) not in ((int, float) if kind is int else (kind,)):
            return f"{name} cannot be {value!r}; it is like {SWITCHES[name]!r}"
    return None
