"""How somebody stands, in the words of those who ask, and what stands in the way."""

from __future__ import annotations

from enum import StrEnum

from lever_imocha.domain.decisions import GOES_ON, Reason


class Standing(StrEnum):
    """Who has to do something next."""

    NEEDS_YOU = "needs you"
    WORKING = "we are working"
    WAITING = "waiting for the candidate"
    DONE = "done"


class ProblemKind(StrEnum):
    """What kind of thing stands in the way."""

    HELD = "held"
    """A decision: a person has to correct something, or to say so."""
    PARKED = "parked"
    """Its work failed too often, and is not tried any more by itself."""
    FAILING = "failing"
    """Its work failed, and is tried again by itself."""
    OVERDUE = "overdue"
    """Its work should have been begun by now."""
    WAITS = "waits"
    """On hold, and nobody has to do anything."""


NOBODY_NEEDED = (*GOES_ON, Reason.BEFORE_ACTIVATION)
"""Holds for which nobody has to do anything: they end by themselves, or the settings ask for them."""
