"""What the vendors send by themselves: posted by a thread, so that no answer waits for a receiver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

_TIMEOUT = 5
_AT_ONCE = datetime.min.replace(tzinfo=UTC)
_CLOCK_POLL = 0.2  # seconds after which the sandbox's clock is read again: somebody may have moved it


@dataclass(eq=False)
class Delivery:
    """One message to a receiver: posted once, then once after each gap for as long as the receiver does not take it."""

    vendor: str
    event: str
    url: str
    body: dict[str, Any]
    gaps: list[float]
    late_seconds: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    renewed: Callable[[], dict[str, Any]] | None = None  # what a retry says, when that is something else
    number: int = 0
    due: datetime = _AT_ONCE
    state: str = "waiting"  # then delivered, dropped after the last try, or lost on purpose
    answers: list[int] = field(default_factory=list)  # the status of each post; 0 = no answer

    def shown(self) -> dict[str, Any]:
        """For the admin calls."""
        return {key: value for key, value in vars(self).items() if key not in ("renewed", "due", "gaps", "headers")}


class Outbox:
    """Every delivery there was, and those still to be made. Its thread lives while there is something to send."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._changed = now, threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: list[Delivery] = []
        self._all: list[Delivery] = []

    def put(self, delivery: Delivery, mode: str = "normal") -> None:
        """Send soon, or as the mode says: twice, late, after the next one, or not at all."""
        with self._changed:
            now, overtaken = self._now(), None
            delivery.due = now
            if mode == "reorder":
                held = [d for d in self._waiting if d.vendor == delivery.vendor and not d.answers]
                overtaken = next((d for d in held if d.due > now), None)
            if mode == "late" or (mode == "reorder" and overtaken is None):
                delivery.due = now + timedelta(seconds=delivery.late_seconds)
            self._add(delivery, "lost" if mode == "lost" else "waiting")
            if mode == "duplicate":
                self._add(replace(delivery, answers=[]), "waiting")
            if overtaken is not None:
                overtaken.due = now + timedelta(microseconds=1)

    def rerun(self, number: int) -> None:
        """Send an old delivery once more, as Lever's Rerun button does."""
        with self._changed:
            old = next((delivery for delivery in self._all if delivery.number == number), None)
            if old is None:
                raise KeyError(f"delivery {number}")
            self._add(replace(old, answers=[], due=self._now()), "waiting")

    def deliveries(self, wait: float = 0) -> list[Delivery]:
        """All there were, oldest first; waits up to so many seconds until none is to be sent within a minute."""
        with self._changed:
            self._changed.wait_for(self._is_quiet, timeout=wait)
            return list(self._all)

    def wake(self) -> None:
        """The clock was moved: something may be due."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what is still to be sent."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _is_quiet(self) -> bool:
        soon = self._now() + timedelta(minutes=1)
        return all(delivery.due > soon for delivery in self._waiting)

    def _add(self, delivery: Delivery, state: str) -> None:
        delivery.number, delivery.state = len(self._all) + 1, state
        self._all.append(delivery)
        if state == "waiting":
            self._waiting.append(delivery)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sandbox outbox", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _work(self) -> None:
        while (delivery := self._next()) is not None:
            if delivery.answers and delivery.renewed is not None:
                delivery.body = delivery.renewed()
            self._note(delivery, _post(delivery))

    def _next(self) -> Delivery | None:
        """The one that is due first; None, and the end of the thread, when nothing is left."""
        with self._changed:
            while self._waiting:
                now = self._now()
                first = min(self._waiting, key=lambda d: (d.due, d.number))
                if first.due <= now:
                    return first
                self._changed.wait(min(_CLOCK_POLL, (first.due - now).total_seconds()))
            self._thread = None
            return None

    def _note(self, delivery: Delivery, status: int) -> None:
        """Any 2xx is received; anything else is tried again until the gaps are used up."""
        with self._changed:
            delivery.answers.append(status)
            tries = len(delivery.answers)
            if not 200 <= status < 300 and tries <= len(delivery.gaps):
                delivery.due = self._now() + timedelta(seconds=delivery.gaps[tries - 1])
            else:
                delivery.state = "delivered" if 200 <= status < 300 else "dropped"
                if delivery in self._waiting:  # not after close
                    self._waiting.remove(delivery)
            self._changed.notify_all()


def _post(delivery: Delivery) -> int:
    """The receiver's status; redirects are not followed, proxies not asked."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.post(
                delivery.url, json=delivery.body, headers=delivery.headers, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException:
            return 0
        return answer.status_code
