"""The shared limiter: several processes ask for turns as fast as they get them.

Exits 1 when a promise is broken: each process within 15 % of the others, the total within 2 % of the setting, nobody
waits longer than one turn of each process and half a second, and no second has more turns than Lever lets through at
once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from lever_imocha.ledger.database import engine_for, upgrade
from lever_imocha.ledger.limiter import SharedLimiter

from dev import postgres
from dev.environment import RUN

LEVERS_BURST = 20


@dataclass(frozen=True)
class Work:
    """What one process saw: when each of its turns came, and how long it waited for the longest one."""

    turns: list[float]
    longest_wait: float


def work(url: str, rate: float, seconds: float, start: Barrier, done: Queue[Work]) -> None:
    """Take turns for some time."""
    limiter = SharedLimiter(engine=engine_for(url), name="benchmark", rate=rate)
    limiter.acquire()  # opens the connection
    start.wait()
    turns, longest = list[float](), 0.0
    end = time.time() + seconds
    while (asked := time.time()) < end:
        limiter.acquire()
        turns.append(time.time())
        longest = max(longest, turns[-1] - asked)
    done.put(Work(turns, longest))


def busiest_second(moments: list[float]) -> int:
    """Return the most turns in any second."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def run(url: str, *, workers: int, rate: float, seconds: float) -> list[str]:
    """Print what the processes got; returns what is wrong."""
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(workers), context.Queue()
    processes = [context.Process(target=work, args=(url, rate, seconds, start, done)) for _ in range(workers)]
    for process in processes:
        process.start()
    results: list[Work] = [done.get(timeout=seconds + 120) for _ in processes]
    for process in processes:
        process.join()
    counts = sorted(len(result.turns) for result in results)
    moments = sorted(moment for result in results for moment in result.turns)
    per_second = (len(moments) - 1) / (moments[-1] - moments[0])
    longest = max(result.longest_wait for result in results)
    print(
        f"{workers} processes, {rate:g}/s, {seconds:g} s: {per_second:.2f}/s, longest wait {longest:.2f} s,"
        f" busiest second {busiest_second(moments)}, turns of each {counts}"
    )
    problems = {
        "a process got more than 15 % more than another": counts[-1] > counts[0] * 1.15,
        "the total is not what was set": abs(per_second / rate - 1) > 0.02,
        "a wait was too long": longest > workers / rate + 0.5,
        "more at once than Lever lets through": busiest_second(moments) > LEVERS_BURST,
    }
    return [problem for problem, is_so in problems.items() if is_so]


def main() -> None:
    """Run on a ledger of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiter", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rate", type=float, default=8, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    base_url = postgres.start(RUN / "postgres")
    postgres.drop_database(base_url, "limiter")
    url = postgres.create_database(base_url, "limiter")
    problems: list[str] = []
    try:
        upgrade(engine_for(url))
        for workers in options.workers:
            problems += run(url, workers=workers, rate=options.rate, seconds=options.seconds)
    finally:
        engine_for(url).dispose()
        postgres.drop_database(base_url, "limiter")
        postgres.stop(RUN / "postgres")
    for problem in problems:
        print(f"WRONG: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
