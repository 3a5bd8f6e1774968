"""Random schedules of people, post, faults and workers: Hypothesis chooses, the model judges."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from include.sandbox.world import Fault
from tests.model.actors import ACTIONS, EMAILS, Actors
from tests.model.harness import Crash, Harness, InjectedFault
from tests.model.model import TRIGGER

INVITE, WRITE_BACK = ("sweep", "full_sweep", "by_webhook", "act"), ("look", "called_back", "write_back")
SPANS = [timedelta(seconds=30), timedelta(minutes=11), timedelta(hours=2), timedelta(days=8)]

who = st.integers(0, 5)
emails = st.sampled_from([*EMAILS, None])
tests = st.sampled_from([(101,), (102,), (101, 102), (101, 999), (999,), ()])
moments = st.tuples(st.sampled_from(["call", "answer", "write"]), st.integers(1, 12))
calls = st.tuples(st.sampled_from(["call", "answer"]), st.integers(1, 12))
injected_faults = st.one_of(
    st.none(),
    st.tuples(st.just("crash"), moments, st.none()),
    st.tuples(st.just("deed"), calls, st.tuples(st.sampled_from(sorted(ACTIONS)), who)),
    st.tuples(st.just("work"), calls, st.tuples(st.sampled_from([*INVITE, *WRITE_BACK]), who)),
)
faults = st.builds(
    Fault,
    vendor=st.sampled_from(["lever", "imocha"]),
    method=st.sampled_from(["", "GET", "POST", "PUT"]),
    times=st.sampled_from([1, 1, 4, 8]),
    mode=st.sampled_from(["status", "drop"]),
    status=st.sampled_from([500, 503, 429]),
    apply=st.booleans(),
)


class Schedule(RuleBasedStateMachine):
    """One schedule, from empty vendors to rest."""

    def __init__(self, harness: Harness, count: Counter[str]) -> None:
        super().__init__()
        self._count = count
        count["examples"] += 1
        self._scene = harness
        harness.reset()
        self._people, self._restless = Actors(harness), 0

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """After every step; the model has judged it already."""
        self._count["steps"] += 1
        super().check_invariants(*args, **kwargs)

    @initialize(email=st.sampled_from(EMAILS), wanted=tests)
    def begin(self, email: str, wanted: tuple[int, ...]) -> None:
        """Somebody is there."""
        self._people.add(email, wanted, TRIGGER)

    @rule(email=emails, wanted=tests, stage=st.sampled_from([TRIGGER, "Recruiter screen"]))
    def add(self, email: str | None, wanted: tuple[int, ...], stage: str) -> None:
        """Somebody applies."""
        self._people.add(email, wanted, stage)

    @rule(action=st.sampled_from(sorted(ACTIONS)), number=who, told=st.booleans())
    def action(self, action: str, number: int, told: bool) -> None:
        """Somebody does something, and the post brings word at once, or not yet."""
        self._people.do(action, number)
        if told:
            self._people.deliver("lever", 0)
            self._people.deliver("imocha", 0)

    @rule(vendor=st.sampled_from(["lever", "imocha"]), back=st.integers(0, 8))
    def deliver(self, vendor: str, back: int) -> None:
        """Late, out of order, or again."""
        self._people.deliver(vendor, back)

    @rule(kind=st.sampled_from(INVITE), number=who, injected=injected_faults)
    def invite(self, kind: str, number: int, injected: Any) -> None:
        """A run of the invite DAG, or its task cleared by hand."""
        self._run(kind, number, injected)

    @rule(kind=st.sampled_from(WRITE_BACK), number=who, injected=injected_faults)
    def write_back(self, kind: str, number: int, injected: Any) -> None:
        """A run of the write-back DAG, or its task cleared by hand."""
        self._run(kind, number, injected)

    @rule(fault=faults)
    def fault(self, fault: Fault) -> None:
        """A vendor fails."""
        fault.apply = fault.apply and (fault.mode == "drop" or fault.status != 429)
        self._scene.world.faults.append(fault)

    @rule(span=st.sampled_from(SPANS))
    def wait(self, span: timedelta) -> None:
        """Time passes."""
        self._scene.world.shift += span

    @precondition(lambda self: self._restless > 8)
    @rule()
    def settle(self) -> None:
        """Nothing goes wrong for a while; seldom, since it takes long."""
        self._restless = 0
        self._scene.settle()

    def teardown(self) -> None:
        """Every schedule ends at rest."""
        self._scene.settle()

    def _run(self, kind: str, number: int, injected: Any) -> None:
        self._restless += 1
        self._scene.work(kind, number, injected=self._injected(injected))

    def _injected(self, drawn: Any) -> InjectedFault | None:
        if drawn is None:
            return None
        what, (at, number), how = drawn

        def crash() -> None:
            raise Crash

        happen = {
            "crash": crash,
            "deed": lambda: self._people.do(*how),
            "work": lambda: self._scene.work(*how, worker=1),
        }
        return InjectedFault(at, number, happen[what])


def play(harness: Harness, *, examples: int, steps: int, derandomize: bool) -> Counter[str]:
    """Play so many schedules of at most so many steps each.

    A failure prints the steps of its schedule, which can be called one after the other in a test. It is not made shorter
    where the schedules are the same every time: that takes minutes, and the steps are few.

    :param derandomize: the same schedules every time.
    :return: how many examples and steps it were.
    """
    count: Counter[str] = Counter()
    run_state_machine_as_test(
        lambda: Schedule(harness, count),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=derandomize,
            deadline=None,
            database=None,
            phases=[Phase.generate] if derandomize else [Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return count
