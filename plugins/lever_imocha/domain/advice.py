"""What to do about what stands in the way, for who runs the workflow."""

from __future__ import annotations

from lever_imocha.domain.decisions import Reason
from lever_imocha.domain.explanations import hold_problem

_HOLDS: dict[str, str] = {
    Reason.BEFORE_ACTIVATION: "Nothing, the settings want it so (activation.existing). To invite one, move the candidate out of"
    " the stage and in again.",
    Reason.NO_LINK: "iMocha, Tests, the test's links: make an active one of this name, or correct rules: link in the settings."
    " Then start lever_imocha_invite with full.",
    Reason.DELAY: "Nothing: the invitation goes out when the time that the rule names is over (rules: delay).",
    Reason.LIMIT: "Nothing: the invitation goes out in the next hours. Sooner: invite above the limit.",
    Reason.PER_CANDIDATE: "Find out why so many e-mails were sent (the timeline says when), then invite above the limit, or"
    " leave it.",
}
_PROBLEMS = {
    "settings": (
        "the settings name something that does not exist",
        "Correct the settings; the row `settings` of the last run of lever_imocha_invite says which line.",
    ),
    "not found in Lever": (
        "not found in Lever",
        "Nothing if the candidate was deleted. If not: may the API key see them (confidential ones)?",
    ),
    "limits.cancel_share": (
        "has left, as more have than limits.cancel_share allows in an hour",
        "If it is right: run lever_imocha_invite with allow_cancelling. If it is a mistake: undo it in Lever.",
    ),
    "report not final": ("iMocha is still scoring", "Nothing for a day; then ask iMocha."),
    "our clock is wrong": (
        "our clock and Lever's differ, so that it is not known when the day before masking is over",
        "Set the clock of Airflow's machines by a time server (NTP).",
    ),
    "iMocha masks not all": (
        "iMocha does not mask all of the attempts",
        "Mask them there by hand, then run python -m lever_imocha.ledger drop with the opportunity's id.",
    ),
    "another address at iMocha": (
        "iMocha names another address than was invited, so that nothing is masked",
        "If the key in connection imocha_default is another account's: put back the right one. If it is the same person: mask"
        " them at iMocha by hand, then run python -m lever_imocha.ledger drop with the opportunity's id.",
    ),
    "AssessmentError": (
        "the report does not fit the form template, or its rule was removed",
        "The task's log says what to change.",
    ),
    "NotPermittedError": (
        "the API key lacks a permission, or may not see this candidate",
        "The task's log says which call was refused. A key of Lever's cannot be edited: make a new one.",
    ),
    "NotFoundError": ("something is gone at the vendor", "Is the key still that of the same account?"),
    "RequestRejectedError": (
        "the vendor refuses what is sent",
        "Its words are in the task's log: a required field of the form, a closed posting, a switched-off test link.",
    ),
    "ReattemptNotAllowedError": ("iMocha gives no second attempt now", "Nothing while the first attempt is running."),
    "ReportFileError": ("the report's PDF cannot be fetched", "Open the report at iMocha."),
    "RateLimitedError": (
        "the vendor says that there were too many requests",
        "Nothing: it is tried again by itself. If it is this candidate only, for hours: ask the vendor.",
    ),
    "VendorDownError": ("the vendor could not be reached", "Nothing: it is tried again by itself."),
    "OutcomeUnknownError": ("an answer was lost", "Nothing: it is looked up before anything is sent again."),
    "UnexpectedAnswerError": (
        "the vendor's answer is not as documented",
        "Report it, with the call that the task's log names.",
    ),
    "BugError": ("a mistake in this package", "Report the line in the task's log."),
}
"""What work fails with, or waits for: in words, and what to do."""


def fix_of_hold(reason: str) -> str:
    """Say what to do about a hold."""
    for_recruiter = hold_problem(Reason(reason), "") if reason in list(Reason) else None
    return _HOLDS.get(reason) or (for_recruiter.fix if for_recruiter else "The runbook says what to do.")


def words_of_problem(name: str) -> tuple[str, str]:
    """Say what work failed with, and what to do about it.

    :param name: of the error, or why it waits.
    """
    return _PROBLEMS.get(name, (name, "The log of the task that tried it says what to do."))
