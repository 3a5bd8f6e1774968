"""Deliveries of webhooks and callbacks: posted by a thread, so that API calls do not wait for the receiver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

_TIMEOUT = 5
_AT_ONCE = datetime.min.replace(tzinfo=UTC)
_CLOCK_POLL = 0.2  # seconds after which the sandbox's clock is read again, since it can be moved


@dataclass(eq=False)
class Delivery:
    """One message to a receiver: posted once, then again after each gap until the receiver answers 2xx."""

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
        """Return the fields that the admin calls show."""
        return {key: value for key, value in vars(self).items() if key not in ("renewed", "due", "gaps", "headers")}


class Outbox:
    """All deliveries, sent and waiting. Its thread runs while something is waiting.

    :param now: the sandbox's time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._changed = now, threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: list[Delivery] = []
        self._all: list[Delivery] = []

    def put(self, delivery: Delivery, mode: str = "normal") -> None:
        """Add a delivery.

        :param mode: ``normal``, ``duplicate`` (sent twice), ``late``, ``reorder`` (after the next one), ``lost`` (not sent).
        """
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
        """Send an old delivery again, as Lever's Rerun button does.

        :raises KeyError: no delivery has the number.
        """
        with self._changed:
            old = next((delivery for delivery in self._all if delivery.number == number), None)
            if old is None:
                raise KeyError(f"delivery {number}")
            self._add(replace(old, answers=[], due=self._now()), "waiting")

    def deliveries(self, wait: float = 0) -> list[Delivery]:
        """List all deliveries, oldest first.

        :param wait: wait until none is to be sent within a minute, for at most so many seconds.
        """
        with self._changed:
            self._changed.wait_for(self._is_quiet, timeout=wait)
            return list(self._all)

    def wake(self) -> None:
        """Look again for deliveries that are due, after the clock was moved."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Discard what is still waiting."""
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
        """Wait for the delivery that is due first; None, at which the thread ends, when nothing is waiting."""
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
        """Record an answer: 2xx is delivered; anything else is posted again until no gap is left."""
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
    """Post a delivery and return the HTTP status, 0 without an answer; no redirects, no proxies."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.post(
                delivery.url, json=delivery.body, headers=delivery.headers, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException:
            return 0
        return answer.status_code
