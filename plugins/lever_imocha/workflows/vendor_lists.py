"""What came of reading the vendors' lists that sweeps read: one that fails stops nothing else, so somebody has to be told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lever_imocha.errors import LeverImochaError

STAGES = "Lever's list of the trigger stages"


@dataclass(frozen=True, kw_only=True)
class ListRead:
    """One try to read a list.

    :param name: of the list, in words.
    :param last: when it was last read before; None if never.
    :param error: why it could not be read; None if it was.
    """

    name: str
    last: datetime | None
    error: LeverImochaError | None = None

    def is_late(self, now: datetime, waiting: timedelta) -> bool:
        """Tell whether it could not be read, and was not for some time."""
        return self.error is not None and (self.last is None or now - self.last > waiting)
