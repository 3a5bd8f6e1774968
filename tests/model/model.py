"""The workflow in a page: what may be done about a candidate, and what is owed once everything is quiet.

What people do comes in (`add`, `enter`, `leave`, `start`, ...), and so does every effect that is seen at a vendor
(`mailed`, `cancelled`, `wrote`, `moved`), in the order of time. An effect the workflow does not allow fails at once.
Nothing here knows how the work is done, in how many runs, or what went wrong on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

TRIGGER, COMPLETED = "Assessment", "Assessment Complete"
ENDED = ("Complete", "Test Left", "Terminated")
BEGUN = ("In Progress", *ENDED)


@dataclass
class Attempt:
    """One person's invitation to one test: iMocha has at most one, whatever the number of opportunities."""

    state: str = ""
    ready: bool = False
    mails: int = 0
    mails_allowed: int = 0
    mailed_at: int = 0
    withdrawn: bool = False  # iMocha was asked to cancel it since; what came of that may be unknown

    @property
    def has_report(self) -> bool:
        """There is something to write back."""
        return self.state in ENDED and self.ready


@dataclass
class Candidate:
    """One opportunity in Lever."""

    email: str | None
    wants: frozenset[int]
    held: bool  # has a tag that names no test: the others are taken, and the stage waits for a person
    stage: str = ""
    left: str = ""  # archived or deleted
    back_at: int = 0  # when it last came where it is
    wrote_at: int = 0
    asked_at: dict[int, int] = field(default_factory=dict)  # when a test was last asked for
    known: set[int] = field(default_factory=set)  # tests the workflow must know that it wants
    written: set[tuple[str, int]] = field(default_factory=set)

    @property
    def awaited(self) -> bool:
        """To be invited, now."""
        return not self.left and self.stage == TRIGGER and self.email is not None


class Model:
    """Everybody, and what has been asked of and done by the workflow. `now` counts what happened."""

    def __init__(self) -> None:
        self.now = 0
        self.people: dict[str, Candidate] = {}
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self._lately: set[str] | None = None  # who was awaited when the run at work began: what it read may be old
        self._lately_left = set[str]()  # and who had left

    def attempt(self, email: str | None, test: int) -> Attempt:
        """What iMocha has under an address and a test."""
        return self.attempts.setdefault((str(email), test), Attempt())

    # What people do

    def add(self, key: str, person: Candidate, stage: str) -> None:
        """A new opportunity."""
        self.people[key] = person
        self.enter(key, stage)

    def enter(self, key: str, stage: str) -> None:
        """The recruiter moves it; every arrival in the trigger stage asks for an invitation anew."""
        person = self.people[key]
        person.stage, person.back_at = stage, self._tick()
        self._ask(person, person.wants)

    def leave(self, key: str, how: str) -> None:
        """Archived or deleted."""
        self.people[key].left = how

    def return_(self, key: str) -> None:
        """Un-archived: an invitation that was withdrawn for it is asked for again."""
        person = self.people[key]
        person.left, person.back_at = "", self._tick()
        attempts = {test: self.attempt(person.email, test) for test in person.wants}
        self._ask(person, {test for test, one in attempts.items() if one.withdrawn or one.state == "Cancelled"})

    def correct(self, key: str, email: str, wants: frozenset[int]) -> None:
        """An address, a tag is added, or the tag that names nothing is replaced."""
        person = self.people[key]
        new = wants - person.wants if person.email else wants
        person.email, person.wants, person.held = person.email or email, wants, False
        self._ask(person, new)

    def allow_mail(self, key: str) -> None:
        """A person asks that the e-mail is sent again, which may not be possible when its turn has come."""
        for test in self.people[key].wants:
            self.attempt(self.people[key].email, test).mails_allowed += 1

    def _ask(self, person: Candidate, tests: set[int] | frozenset[int]) -> None:
        if person.awaited:
            for test in tests:
                person.asked_at[test] = self._tick()
                self.attempt(person.email, test).mails_allowed += 1

    # What the workflow does, as seen at the vendors

    def begin(self) -> bool:
        """A run begins, unless it does within another."""
        first = self._lately is None
        if first:
            self._lately = {key for key, person in self.people.items() if person.awaited}
            self._lately_left = {key for key, person in self.people.items() if person.left}
        return first

    def end(self) -> None:
        """The run is over."""
        self._lately = None

    def mailed(self, email: str, test: int) -> None:
        """Whoever is mailed is awaited, has not begun, and was not mailed for this arrival."""
        attempt = self.attempt(email, test)
        assert attempt.state not in BEGUN, f"{email} was mailed in the middle of test {test}, or after it"
        assert any(self._lately_awaited(key) for key, _ in self._who(email, test)), f"{email} was mailed for nothing"
        attempt.mails, attempt.mailed_at, attempt.state = attempt.mails + 1, self._tick(), "Pending"
        attempt.withdrawn = False
        assert attempt.mails <= attempt.mails_allowed, f"{email} was mailed once too often for test {test}"

    def lost(self, email: str, test: int) -> None:
        """The answer to an invite was lost after the mail had gone out: one more is allowed."""
        self.attempt(email, test).mails_allowed += 1

    def withdrawn(self, email: str, test: int) -> None:
        """iMocha is asked to cancel it; who comes back is invited again, whatever became of the answer."""
        self.attempt(email, test).withdrawn = True

    def cancelled(self, email: str, test: int) -> None:
        """Withdrawn for somebody who left; who is still awaited has to be asked again."""
        self.attempt(email, test).state = "Cancelled"
        who = self._who(email, test)
        left = any(person.left or key in self._lately_left for key, person in who)
        assert left or self._lately, f"{email} had test {test} cancelled for nothing"
        for _, person in who:
            self._ask(person, {test})

    def wrote(self, key: str, kind: str, test: int) -> None:
        """A form or a file: of an ended attempt, asked for, once."""
        person = self.people[key]
        assert self.attempt(person.email, test).has_report, f"{kind} of test {test} before its report"
        assert test in person.asked_at, f"{kind} of test {test}, which was never asked for"
        assert (kind, test) not in person.written, f"a second {kind} of test {test}"
        assert person.left != "deleted"
        person.written.add((kind, test))
        person.wrote_at = self._tick()

    def moved(self, key: str, stage: str) -> None:
        """Moved on: to the completed stage, from the trigger stage, with every report there."""
        person = self.people[key]
        assert stage == COMPLETED
        assert self._lately_awaited(key), "moved on although the recruiter had moved or archived it"
        assert self._all_written(person), "moved on before every report was there"
        assert not person.held, "moved on although a tag names no test"
        person.stage, person.back_at = stage, self._tick()

    # What is owed when everything is quiet

    def owed(self) -> list[str]:
        """What has not been done although nothing stands in its way."""
        for person in self.people.values():
            person.known |= person.wants if person.awaited else set()
        return [*self._uninvited(), *self._unwritten(), *self._unmoved(), *self._uncancelled()]

    def _uninvited(self) -> Iterator[str]:
        for key, person in self.people.items():
            for test in person.wants if person.awaited else ():
                attempt = self.attempt(person.email, test)
                served = attempt.state != "Cancelled" and attempt.mailed_at > person.asked_at[test]
                if attempt.state not in BEGUN and not served:
                    yield f"{key} is not invited to test {test}"

    def _unwritten(self) -> Iterator[str]:
        for key, person in self.people.items():
            for test in person.known if person.left != "deleted" else ():
                for kind in ("form", "file"):
                    if self.attempt(person.email, test).has_report and (kind, test) not in person.written:
                        yield f"{key} has no {kind} of test {test}"

    def _unmoved(self) -> Iterator[str]:
        for key, person in self.people.items():
            if person.awaited and not person.held and self._all_written(person) and person.wrote_at > person.back_at:
                yield f"{key} is not moved on"

    def _uncancelled(self) -> Iterator[str]:
        for (email, test), attempt in self.attempts.items():
            who = [person for _, person in self._who(email, test)]
            if attempt.state == "Pending" and all(person.left for person in who):
                yield f"{email} can still begin test {test}, though nobody waits for it"

    def _who(self, email: str, test: int) -> list[tuple[str, Candidate]]:
        return [(key, one) for key, one in self.people.items() if one.email == email and test in one.wants]

    def _lately_awaited(self, key: str) -> bool:
        return self.people[key].awaited or key in (self._lately or ())

    def _all_written(self, person: Candidate) -> bool:
        ended = all(self.attempt(person.email, test).has_report for test in person.wants)
        written = {(kind, test) for kind in ("form", "file") for test in person.wants}
        return bool(person.wants) and ended and written <= person.written

    def _tick(self) -> int:
        self.now += 1
        return self.now
