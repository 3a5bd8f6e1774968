"""A load test of the webhook receivers: what is stored, what is refused, how fast, and what survives a crash.

``python -m benchmarks.storm --rate 200 --seconds 60``: 70 % good deliveries, 10 % forged, 10 % replayed, 10 %
malformed, in five load tests:

=========  =============================================================
lever      Lever's deliveries, nothing goes wrong
imocha     iMocha's callbacks, nothing goes wrong
crash      the api server is killed (SIGKILL) in the middle and restarted
outage     PostgreSQL is stopped in the middle and started again
hang       PostgreSQL stops answering in the middle, connections stay open
=========  =============================================================

Exits 1 if a rule is broken: every good delivery answered with 2xx is in the ledger, once; any other is refused with a
4xx and not stored; the only 5xx is 503, while the ledger cannot be reached; 95 % are answered within 100 ms, and all
within seconds during a fault; what was not accepted is accepted when the vendor sends it again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from lever_imocha.domain.lever import WEBHOOK_EVENTS
from lever_imocha.ledger.database import engine_for
from lever_imocha.ledger.tables import assessments, deliveries, invitations, stage_entries
from sqlalchemy import and_, func, insert, select

from benchmarks.deliveries import CALLBACK_SECRET, LEVER_TOKEN, SHARES, Delivery, Imocha, Kind, Lever
from dev import postgres, services
from dev.environment import BIN, ROOT, RUN, prepare

PREFIX = "storm_"
STORMS = ("lever", "imocha", "crash", "outage", "hang")
GOAL_P95, LONGEST, RECOVERY = 0.1, 10.0, 15.0
NO_ANSWER = 0
FIRST_INVITATION = 1_000_000


@dataclass(frozen=True)
class Answer:
    """The answer to one request; status 0 is a broken connection, or no answer within 30 s."""

    delivery: Delivery
    status: int
    sent_at: float
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether the status is correct for a server without a fault."""
        low, high = self.delivery.accepts
        return low <= self.status <= high


@dataclass
class Storm:
    """One load test: sends at a steady rate, whether or not answers come.

    :param fault: called after a third of the time; returns when the fault is over.
    """

    airflow: str
    source: Lever | Imocha
    rate: int
    seconds: int
    chance: random.Random
    fault: Callable[[], None] | None = None
    answers: list[Answer] = field(default_factory=list)
    kept: list[Delivery] = field(default_factory=list)
    latest_start: float = 0
    broken_from: float = float("inf")
    recovered_at: float = float("inf")

    async def send_all(self) -> None:
        """Send everything; then, as the vendors do, send again what was not accepted."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(self.airflow, connector=connector, timeout=timeout) as session:
            begin = time.monotonic()
            async with asyncio.TaskGroup() as group:
                if self.fault:
                    group.create_task(self._break(self.fault))
                for number in range(self.rate * self.seconds):
                    due = begin + number / self.rate
                    await asyncio.sleep(max(0, due - time.monotonic()))
                    self.latest_start = max(self.latest_start, time.monotonic() - due)
                    group.create_task(self._send(session, self._next()))
            await self._send_again(session)

    async def _break(self, fault: Callable[[], None]) -> None:
        await asyncio.sleep(self.seconds / 3)
        self.broken_from = time.monotonic()
        await asyncio.to_thread(fault)
        self.recovered_at = time.monotonic()

    def _next(self) -> Delivery:
        kind: Kind = self.chance.choices(list(SHARES), weights=list(SHARES.values()))[0]
        if kind == "replayed":
            return self.source.replayed(self.chance.choice(self.kept)) if self.kept else self.source.good()
        makers = {"good": self.source.good, "forged": self.source.forged, "malformed": self.source.malformed}
        return makers[kind]()

    async def _send(self, session: aiohttp.ClientSession, delivery: Delivery) -> Answer:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(delivery.body), 1000):
                yield delivery.body[start : start + 1000]

        sent_at, status = time.monotonic(), NO_ANSWER
        body = pieces() if delivery.chunked else delivery.body
        try:
            async with session.post(delivery.path, data=body, headers=delivery.headers) as answer:
                status = answer.status
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        took = Answer(delivery, status, sent_at, time.monotonic() - sent_at)
        self.answers.append(took)
        if delivery.kind == "good" and took.is_right:
            self.kept.append(delivery)
        return took

    async def _send_again(self, session: aiohttp.ClientSession) -> None:
        """Send good deliveries again: one that was stored although its answer was lost is answered alike."""
        taken = {delivery.key for delivery in self.kept}
        for answer in [item for item in self.answers if item.delivery.kind == "good"]:
            if answer.delivery.key not in taken:
                again = await self._send(session, answer.delivery)
                self.answers.pop()
                if not again.is_right:
                    self.answers.append(again)

    # Judging

    def verdict(self, stored: Counter[str]) -> list[str]:
        """List what is wrong.

        :param stored: how often each delivery's key is in the ledger.
        """
        taken = {delivery.key for delivery in self.kept}
        good = {answer.delivery.key for answer in self.answers if answer.delivery.kind == "good"}
        wrong = [answer for answer in self.answers if not answer.is_right and not self._is_excused(answer)]
        words = Counter(f"{item.delivery.kind} ({item.delivery.what}) answered {item.status}" for item in wrong)
        problems = [f"{count} {word}" for word, count in words.most_common()]
        if lost := taken - stored.keys():
            problems.append(f"{len(lost)} acknowledged, but not in the ledger")
        if missing := good - stored.keys():
            problems.append(f"{len(missing)} good ones not in the ledger at the end")
        if extra := stored.keys() - good:
            problems.append(f"{len(extra)} in the ledger that were not good")
        if twice := sum(count > 1 for count in stored.values()):
            problems.append(f"{twice} in the ledger more than once")
        return problems + self._too_slow()

    def _is_excused(self, answer: Answer) -> bool:
        """Return whether a fault explains the answer: it came during the fault or the recovery after it."""
        ends = answer.sent_at + answer.seconds
        away = self.broken_from <= ends and answer.sent_at <= self.recovered_at + RECOVERY
        return away and answer.status in (NO_ANSWER, 503) and (answer.seconds < LONGEST)

    def _too_slow(self) -> list[str]:
        if self.fault is None:
            p95 = _percentile(self._seconds(), 95)
            return [f"p95 is {p95 * 1000:.0f} ms"] if p95 > GOAL_P95 else []
        longest = max(self._seconds())
        return [f"an answer took {longest:.1f} s"] if longest > LONGEST else []

    def _seconds(self) -> list[float]:
        return [answer.seconds for answer in self.answers]

    def report(self, name: str) -> None:
        """Print how many were sent and how they were answered."""
        times = self._seconds()
        shown = ", ".join(f"p{at} {_percentile(times, at) * 1000:.0f}" for at in (50, 95, 99))
        print(f"{name}: {len(times)} sent, {shown}, max {max(times) * 1000:.0f} ms; load {os.getloadavg()[0]:.1f}")
        for kind in SHARES:
            statuses = Counter(answer.status for answer in self.answers if answer.delivery.kind == kind)
            statuses_shown = ", ".join(
                f"{count} x {status or 'no answer'}" for status, count in sorted(statuses.items())
            )
            print(f"  {kind:<10} {statuses_shown}")
        if self.fault:
            print(f"  broken after {self.seconds / 3:.0f} s for {self.recovered_at - self.broken_from:.1f} s", end="")
            print(f"; accepted again {self._recovered():.1f} s after the fault")
        if self.latest_start > 0.05:
            print(f"  (the sender itself was up to {self.latest_start * 1000:.0f} ms late)")

    def _recovered(self) -> float:
        """Return the seconds from the end of the fault until all good deliveries were accepted again."""
        sent = [item for item in self.answers if item.delivery.kind == "good" and item.sent_at > self.recovered_at]
        refused = [item.sent_at + item.seconds for item in sent if not item.is_right]
        return max(refused, default=self.recovered_at) - self.recovered_at


def _percentile(values: list[float], at: int) -> float:
    ordered = sorted(values)
    return ordered[max(0, round(len(ordered) * at / 100) - 1)]


class Server:
    """The api server and its PostgreSQL, with the faults.

    :param away: how long a fault of PostgreSQL lasts, in seconds.
    """

    def __init__(self, away: int) -> None:
        self._away = away
        base_url = postgres.start(RUN / "postgres")
        for name in ("airflow", "ledger"):
            postgres.drop_database(base_url, PREFIX + name)
        self.environment = prepare(prefix=PREFIX, port=services.free_port(18080))
        self.url = self.environment["AIRFLOW__API__BASE_URL"]
        self._engine = engine_for(self.environment["LEVER_IMOCHA_LEDGER"])
        settings = RUN / "storm.yaml"
        settings.write_text("perform_as: people-ops@example.com\n")
        self.environment["LEVER_IMOCHA_SETTINGS"] = str(settings)
        for vendor, extra in (
            ("lever", {"webhook_tokens": ["an-older-signature-token", LEVER_TOKEN]}),
            ("imocha", {"callback_secret": CALLBACK_SECRET}),
        ):
            connection = {"conn_type": vendor, "host": "http://127.0.0.1:9", "password": f"{vendor}-key"}
            self.environment[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"] = json.dumps(connection | {"extra": extra})

    def start(self) -> None:
        """Start the api server and wait until the receivers answer."""
        services.start("api-server", services.SERVICES["api-server"], self.environment)
        asyncio.run(self._ready())

    async def _ready(self) -> None:
        async with aiohttp.ClientSession(self.url) as session, asyncio.timeout(120):
            while True:
                try:
                    async with session.post(Lever.path, data=b"") as answer:
                        if answer.status == 400:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.2)

    def cpu(self) -> float:
        """Return the CPU time that all processes of the api server have used, in seconds."""
        group = int((RUN / "pids" / "api-server").read_text())
        used = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                used += (int(fields[11]) + int(fields[12])) if int(fields[2]) == group else 0
        return used / os.sysconf("SC_CLK_TCK")

    def crash(self) -> None:
        """Kill the api server and start it again."""
        os.killpg(int((RUN / "pids" / "api-server").read_text()), signal.SIGKILL)
        self.start()

    def outage(self) -> None:
        """Stop PostgreSQL for a while."""
        postgres.stop(RUN / "postgres")
        time.sleep(self._away)  # a process starts a server once only: another one has to
        subprocess.run(
            [BIN / "python", "-m", "dev.postgres", "start", RUN / "postgres"], cwd=ROOT, check=True, capture_output=True
        )

    def hang(self) -> None:
        """Suspend every process of PostgreSQL for a while."""
        parent = int((RUN / "postgres" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        pids = [parent, *map(int, children)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self._away)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def invite(self, count: int) -> list[int]:
        """Add assessments with an invitation each to the ledger; an assessment has the number of its invitation.

        :return: the invitations' ids.
        """
        now = datetime.now(UTC)
        ids = list(range(FIRST_INVITATION, FIRST_INVITATION + count))
        rows = [{"id": key, "test_id": 1, "status": "pending", "invited_at": now, "times_invited": 1} for key in ids]
        with self._engine.begin() as connection:
            connection.execute(insert(invitations), rows)
            entry = insert(stage_entries).values(
                opportunity_id="storm", stage_id="s", entered_at=now, first_seen_by="sweep", first_seen_at=now,
                pending_since=now, eligibility="", decision="invite", decided_at=now,
            )  # fmt: skip
            entry_id = connection.execute(entry.returning(stage_entries.c.id)).scalar_one()
            rule = {"trigger_stage_id": "s", "completed_stage_id": "d", "form_template": "t"}
            connection.execute(
                insert(assessments),
                [
                    {"id": key, "opportunity_id": str(key), "test_id": 1, "entry_id": entry_id, "invitation_id": key}
                    | rule
                    for key in ids
                ],
            )
        return ids

    def stored(self, vendor: str, since: datetime) -> Counter[str]:
        """Count the ledger's rows for each delivery; not those that only say that a token is spent."""
        spent = and_(
            deliveries.c.vendor == "lever",
            deliveries.c.opportunity_id.is_(None),
            deliveries.c.event.in_(WEBHOOK_EVENTS),
        )
        query = (
            select(deliveries.c.key, func.count())
            .where(deliveries.c.vendor == vendor, deliveries.c.received_at >= since, ~spent)
            .group_by(deliveries.c.key)
        )
        with self._engine.connect() as connection:
            return Counter(dict(connection.execute(query).tuples().all()))


def run(server: Server, name: str, *, rate: int, seconds: int, seed: int) -> list[str]:
    """Run one load test, print its report, and return what is wrong."""
    chance, since = random.Random(seed), datetime.now(UTC)
    source = Imocha(chance, server.invite(rate * seconds)) if name == "imocha" else Lever(chance)
    fault = {"crash": server.crash, "outage": server.outage, "hang": server.hang}.get(name)
    storm = Storm(server.url, source, rate, seconds, chance, fault)
    before = server.cpu()
    asyncio.run(storm.send_all())
    storm.report(name)
    if name != "crash":
        print(
            f"  the api server used {(server.cpu() - before) * 1000 / len(storm.answers):.1f} ms of processor time each"
        )
    problems = storm.verdict(server.stored(source.vendor, since))
    for problem in problems:
        print(f"  WRONG: {problem}")
    return problems


def main() -> None:
    """Start the api server, run the load tests, stop it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=__doc__)
    parser.add_argument("--rate", type=int, default=200, help="deliveries a second")
    parser.add_argument("--seconds", type=int, default=60, help="how long each storm lasts")
    parser.add_argument("--away", type=int, default=10, help="how long PostgreSQL is away")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--storms", nargs="+", choices=STORMS, default=STORMS)
    options = parser.parse_args()
    services.stop()
    problems: list[str] = []
    try:
        server = Server(options.away)
        server.start()
        for name in options.storms:
            problems += run(server, name, rate=options.rate, seconds=options.seconds, seed=options.seed)
            sys.stdout.flush()
    finally:
        services.stop()
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
