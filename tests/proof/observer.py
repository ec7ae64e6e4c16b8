"""Experiment: when does each process see each write, on a network that is healthy and on one that is not?

One process writes each key once; all of them, that one too, had it in memory and read it until they see the write. Of
the time until then only the longest stretch without a fault counts: a process that is cut off cannot know.
What must not be here: the latency of the bus itself (`bus_latency`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cachewright import Policy
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from proof.copies import COPYING, NO_COPIES, CashewsCopies, Copies, OurCopies
from proof.experiment import Experiment, Measured, Number, Run
from proof.peering import peer
from proof.weakening import weaken
from rig.board import Board
from rig.percentiles import milliseconds, missed, percentile
from rig.processes import Counter, Fleet
from rig.proxy import FaultProxy

PROCESSES = 4
RATE = 50.0
"""Writes a second."""
SOON, HEALTHY, FAULTY = 0.1, 1.0, 5.0
"""Seconds: for 99.99 % of writes; for all on a healthy network; for all after a fault has ended."""
MOST = 0.9999
# With the default budgets: faults are to be noticed as they would be.
POLICY = Policy(ttl=3600, timeouts=Timeouts())
Weather = Literal["healthy", "faulty"]
Fault = tuple[float, float]


@dataclass(frozen=True)
class Job:
    """What each process is given. `written`, `told`: by key, when it was committed and acknowledged; 0 for not yet.

    `seen`: by process and key, when the write was first seen.
    """

    url: str
    subject: str
    keys: int
    written: Board
    told: Board
    seen: Board
    warm: Counter
    stop: Counter
    weaknesses: tuple[str, ...] = ()

    def open(self) -> Copies:
        weaken(*self.weaknesses)
        return CashewsCopies(self.url) if self.subject == "cashews" else OurCopies(self.url, POLICY)


def work(index: int, *, job: Job) -> None:
    """One process. The first one writes."""
    cache = job.open()
    observer = Observer(index, job, cache)
    for key in range(job.keys):
        observer.read(key)
    job.warm.add()
    job.warm.reach(PROCESSES, within=60)
    pending = list(range(job.keys))
    began, written = time.monotonic(), 0
    while not job.stop.value:
        if not index and written < job.keys and time.monotonic() > began + written / RATE:
            observer.write(written)
            written += 1
        pending = [key for key in pending if not observer.sees(key)]
        time.sleep(0.001)
    cache.close()


class Observer:
    """One process's view of the keys."""

    def __init__(self, index: int, job: Job, cache: Copies) -> None:
        self._cache = cache
        self._written, self._told = job.written.open(), job.told.open()
        self._seen, self._first = job.seen.open(), index * job.keys

    def read(self, key: int) -> bool:
        """Whether the write shows. A load reads the truth: the board."""
        return self._cache.read(f"k{key}", lambda: int(self._written[key] > 0)) == 1

    def write(self, key: int) -> None:
        """Commit, invalidate by name or by tag, and be told."""
        self._written[key] = time.monotonic()
        self._cache.forget(f"k{key}", by_tag=not key % 2)
        self._told[key] = time.monotonic()

    def sees(self, key: int) -> bool:
        """Whether it is no longer worth watching; what was not yet acknowledged is not looked at."""
        if not self._told[key]:
            return False
        if self.read(key):
            self._seen[self._first + key] = time.monotonic()
            return True
        return False


def measure(run: Run, weather: Weather, subject: str, *weaknesses: str, seconds: float) -> Measured:
    """One fleet behind one proxy. In faulty weather it cuts, stalls and refuses, for at most 2.5 s at a time."""
    keys = int(RATE * seconds)
    with EmbeddedServer() as server, FaultProxy(server.url) as proxy, Fleet() as fleet:
        job = Job(
            proxy.url,
            subject,
            keys,
            Board.new(fleet.place / "written", keys),
            Board.new(fleet.place / "told", keys),
            Board.new(fleet.place / "seen", keys * PROCESSES),
            fleet.counter("warm"),
            fleet.counter("stop"),
            weaknesses=weaknesses,
        )
        fleet.start(work, PROCESSES, job=job)
        job.warm.reach(PROCESSES, within=120)
        ends = time.monotonic() + seconds
        draw = random.Random(f"{run.seed} {weather}")
        faults = _make_trouble(proxy, ends, draw) if weather == "faulty" else []
        time.sleep(max(0.0, ends - time.monotonic()))
        over = _wait_for_the_last(job, within=FAULTY + 1)
        job.stop.add()
        fleet.results(30)
        return judge(job, faults, over, weather)


def _make_trouble(proxy: FaultProxy, ends: float, draw: random.Random) -> list[Fault]:
    faults: list[Fault] = []
    for kind in _kinds(draw):
        if time.monotonic() > ends - 2.0:
            break
        began = time.monotonic()
        FAULTS[kind](proxy)
        time.sleep(draw.uniform(*LASTING[kind]))
        proxy.heal()
        faults.append((began, time.monotonic()))
        time.sleep(draw.uniform(0, 1.0))
    return faults


def _kinds(draw: random.Random) -> Iterator[str]:
    """Each in turn; first the one in which messages are missed for certain."""
    yield "refuse"
    while True:
        yield from draw.sample(list(FAULTS), len(FAULTS))


def _refuse(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.cut()


FAULTS: dict[str, Callable[[FaultProxy], None]] = {
    "cut": FaultProxy.cut,
    "stall": FaultProxy.stall,
    "refuse": _refuse,
}
LASTING = {"cut": (0.0, 0.0), "stall": (0.0, 2.5), "refuse": (0.2, 0.6)}
"""Seconds, least and most."""


def _wait_for_the_last(job: Job, *, within: float) -> float:
    """Until everybody has seen everything, or so long; the time at which waiting ended."""
    told, seen = job.told.open(), job.seen.open()
    deadline = time.monotonic() + within + 5
    while time.monotonic() < deadline and not all(told):
        time.sleep(0.01)
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and not all(seen):
        time.sleep(0.01)
    return time.monotonic()


def judge(job: Job, faults: Sequence[Fault], over: float, weather: Weather) -> Measured:
    """Violations: writes that a process did not see within the bound."""
    told, seen = job.told.open(), job.seen.open()
    waits = [
        calm(told[key], seen[process * job.keys + key] or over, faults)
        for process in range(PROCESSES)
        for key in range(job.keys)
        if told[key]
    ]
    unseen = sum(not at for at in seen)
    bound = HEALTHY if weather == "healthy" else FAULTY
    numbers: dict[str, Number] = {
        "sightings": len(waits),
        "faults": len(faults),
        "never seen": unseen,
        "within 100 ms, %": round(100 * sum(it <= SOON for it in waits) / len(waits), 3),
        **milliseconds(waits),
    }
    late = missed("99.99 %", percentile(waits, MOST), SOON) if weather == "healthy" else ()
    return Measured(sum(it > bound for it in waits), numbers, late)


def calm(begin: float, end: float, faults: Sequence[Fault]) -> float:
    """The longest stretch without a fault between the two times."""
    longest, since = 0.0, begin
    for began, ended in sorted(faults):
        if ended <= begin or began >= end:
            continue
        longest = max(longest, began - since)
        since = max(since, ended)
    return max(longest, end - since, 0.0)


def _both(run: Run, subject: str, *, seconds: tuple[float, float]) -> Measured:
    healthy = measure(run, "healthy", subject, seconds=seconds[0])
    faulty = measure(run, "faulty", subject, seconds=seconds[1])
    numbers = {f"healthy: {name}": value for name, value in healthy.numbers.items()}
    numbers |= {f"faulty: {name}": value for name, value in faulty.numbers.items()}
    return Measured(healthy.violations + faulty.violations, numbers, healthy.missed + faulty.missed)


def _peer(name: str) -> Callable[[Run], Measured]:
    return lambda run: _both(run, name, seconds=run.pick((3, 6), (20, 30)))


EXPERIMENT = Experiment(
    name="observer",
    what="50 writes a second, each watched for in 4 processes; healthy, and with connections cut, stalled and refused",
    target="healthy: 99.99 % within 100 ms, all within 1 s; under faults: all within 5 s of the fault's end",
    ours=lambda run: _both(run, "ours", seconds=run.pick((3, 6), (60, 90))),
    control=lambda run: measure(
        run, "faulty", "ours", "keeps_all_when_the_link_changes", seconds=run.pick(6, 30)
    ),
    control_is="an engine that takes no notice of a changed link",
    peers={**{name: peer(name, _peer(name)) for name in COPYING}, **NO_COPIES},
)
