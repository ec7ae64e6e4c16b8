"""Experiment: readers that load slowly race writers; nobody may see, or keep, what an acknowledged write replaced.

What must not be here: how staleness is found (`rig.staleness`, `protocol.history`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from protocol.history import Op, Operation, complaints

from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Number, Run
from proof.peering import peer
from proof.weakening import weaken
from rig.peers import PEERS
from rig.processes import Barrier, Counter, Fleet
from rig.rows import Connections, Rows, versioned_rows
from rig.staleness import Read, Write, staleness
from rig.subjects import CacheAside, Ours, OursInTasks, Subject

PROCESSES, WRITERS, READERS, KEYS = 4, 2, 2, 64
LONGEST_LOAD, LONGEST_PAUSE = 0.020, 0.150
BUS_LATENCY, BUSY = 0.1, 2.5
"""Seconds after which nobody elsewhere may be stale; the latter on a machine that is busy with other tests."""
VERIFIED = 0.1
"""Which share of reads is verified at the server."""
PAUSES, LONGEST_REST = 0.25, 0.002
"""After which share of reads a reader rests, and for how many seconds at most."""
QUIET = 0.5
"""Seconds between the last write and the look at what is at rest."""


def _weak_tasks(url: str) -> Subject:
    weaken("hears_nothing", "fills_without_lease", tasks=True)
    return OursInTasks(url)


CONTROLS: dict[str, Callable[[str], Subject]] = {
    "cache-aside": CacheAside,
    "weakened asyncio": _weak_tasks,
}


@dataclass(frozen=True)
class Job:
    """What each process is given. `subject`: "ours", one of `CONTROLS` or a peer; `reads`: of each reader."""

    url: str
    rows: Rows
    subject: str
    reads: int
    seed: int
    start: Barrier
    finished: Barrier
    reading: Counter

    def open(self, index: int) -> Subject:
        """Ours is half threads, half asyncio, over the same entries."""
        if self.subject == "ours":
            return OursInTasks(self.url) if index % 2 else Ours(self.url)
        if self.subject in CONTROLS:
            return CONTROLS[self.subject](self.url)
        return PEERS[self.subject](self.url)


@dataclass
class Recorded:
    """What one process wrote down. `at_rest`: what it reads when all is over, by key."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    at_rest: dict[int, int] = field(default_factory=dict)
    remote_errors: int = 0


class Member:
    """One process: its threads, all on one cache."""

    def __init__(self, index: int, job: Job) -> None:
        self.recorded = Recorded()
        self._index = index
        self._job = job
        self._subject = job.open(index)
        self._can_verify = isinstance(self._subject, Ours | OursInTasks)
        self._rows: Connections = job.rows.connect()

    def run(self) -> Recorded:
        job = self._job
        self.read(0, verify=False)
        threads = [threading.Thread(target=self._write_on, args=(n,)) for n in range(WRITERS)]
        threads += [threading.Thread(target=self._read_on, args=(n,)) for n in range(READERS)]
        job.start.wait(within=60)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        job.finished.wait(within=60)
        time.sleep(QUIET)
        self.recorded.at_rest = {key: self.read(key, verify=False) for key in range(KEYS)}
        if isinstance(self._subject, Ours | OursInTasks):
            self.recorded.remote_errors = self._subject.cache.stats().remote_errors
        self._subject.close()
        return self.recorded

    def read(self, key: int, *, verify: bool, delay: float = 0.0) -> int:
        def load() -> int:
            version = self._rows.read(key)
            time.sleep(delay)  # between the source's answer and the fill, where it hurts
            return version

        return self._subject.read(f"k{key}", load, verify=verify)

    def _read_on(self, number: int) -> None:
        draw = random.Random(f"{self._job.seed} reader {self._index} {number}")
        for _ in range(self._job.reads):
            key, verify = draw.randrange(KEYS), self._can_verify and draw.random() < VERIFIED
            delay = draw.uniform(0, LONGEST_LOAD)
            began = time.monotonic()
            version = self.read(key, verify=verify, delay=delay)
            read = Read(self._index, key, version, began, time.monotonic(), verify)
            self.recorded.reads.append(read)
            if draw.random() < PAUSES:
                time.sleep(draw.uniform(0, LONGEST_REST))
        self._job.reading.add()

    def _write_on(self, number: int) -> None:
        draw = random.Random(f"{self._job.seed} writer {self._index} {number}")
        while self._job.reading.value < PROCESSES * READERS:
            key = draw.randrange(KEYS)
            # Writes of one key in a row: the later ones meet the loads that the first one caused.
            for _ in range(draw.randint(1, 3)):
                self._write(key, draw)
                time.sleep(draw.uniform(0, LONGEST_LOAD))
            time.sleep(draw.uniform(0, LONGEST_PAUSE))

    def _write(self, key: int, draw: random.Random) -> None:
        committed: list[float] = []

        def commit(before_commit: Any) -> int:
            version = self._rows.write(key, before_commit)
            committed.append(time.monotonic())
            return version

        began = time.monotonic()
        version = self._subject.write(f"k{key}", commit, draw)
        write = Write(self._index, key, version, began, committed[0], time.monotonic())
        self.recorded.writes.append(write)


def work(index: int, *, job: Job) -> Recorded:
    """One process of the fleet."""
    return Member(index, job).run()


def measure(run: Run, subject: str, *, reads: int) -> Measured:
    """One fleet on servers of its own. `reads`: of all readers together."""
    with EmbeddedServer() as server, versioned_rows(KEYS) as rows, Fleet() as fleet:
        job = Job(
            server.tcp_url,
            rows,
            subject,
            reads // (PROCESSES * READERS),
            run.seed,
            start=fleet.barrier("start", PROCESSES),
            finished=fleet.barrier("finished", PROCESSES),
            reading=fleet.counter("reading"),
        )
        fleet.start(work, PROCESSES, job=job)
        recorded: list[Recorded] = fleet.results(900)
        truth = rows.versions()
    return judge(recorded, truth, latest=run.pick(BUSY, BUS_LATENCY))


def judge(recorded: list[Recorded], truth: dict[int, int], *, latest: float) -> Measured:
    """`latest`: seconds after which a stale read elsewhere breaks the promise."""
    writes = [write for one in recorded for write in one.writes]
    reads = [read for one in recorded for read in one.reads]
    found = staleness(writes, reads)
    wrong = {key for one in recorded for key in truth if one.at_rest[key] != truth[key]}
    refused = complaints(history(writes, reads), bus_latency=latest)
    late = found.elsewhere(BUS_LATENCY)
    numbers: dict[str, Number] = {
        "operations": len(writes) + len(reads),
        "writes": len(writes),
        "stale in the invalidating process": found.here,
        "stale verified reads": found.verified,
        "stale elsewhere after 100 ms": late,
        "latest elsewhere, ms": round(max(found.late, default=0.0) * 1000, 1),
        "keys wrong at rest": len(wrong),
        "refused by the history checker": len(refused),
        "remote errors": sum(one.remote_errors for one in recorded),
    }
    violations = found.here + found.verified + found.elsewhere(latest) + len(wrong)
    missed = (f"{late} reads elsewhere stale after 100 ms",) if late else ()
    return Measured(max(violations, len(refused)), numbers, missed)


def history(writes: list[Write], reads: list[Read]) -> Iterator[Operation]:
    """The same as operations of the specification's checker."""
    for write in writes:
        name = (write.process, f"k{write.key}", write.version)
        process, key, version = name
        yield Operation(process, "write", key, version, write.began, write.committed)
        yield Operation(process, "invalidate", key, version, write.committed, write.acknowledged)
    for read in reads:
        op: Op = "verified" if read.verified else "read"
        yield Operation(read.process, op, f"k{read.key}", read.version, read.began, read.ended)


def _ours(run: Run) -> Measured:
    return measure(run, "ours", reads=run.pick(20_000, 1_000_000))


def _control(run: Run) -> Measured:
    """Plain code in threads, and the engine for asyncio with a protection taken out."""
    aside = measure(run, "cache-aside", reads=run.pick(5_000, 50_000))
    weak = measure(run, "weakened asyncio", reads=run.pick(1_000, 20_000))
    kinds = (
        "stale in the invalidating process",
        "stale elsewhere after 100 ms",
        "keys wrong at rest",
    )
    of_weak = {f"weakened asyncio: {kind}": weak.numbers[kind] for kind in kinds}
    unbroken = () if weak.violations else ("asyncio",)
    return Measured(aside.violations, {**aside.numbers, **of_weak}, (), unbroken)


def _peer(name: str, run: Run) -> Measured:
    return measure(run, name, reads=run.pick(4_000, 20_000))


EXPERIMENT = Experiment(
    name="stale_set",
    what="4 processes, 8 writers, 8 readers, 64 hot keys, PostgreSQL rows, loads of 0 to 20 ms, L1 and L2; ours in threads and asyncio",
    target="in 1,000,000 operations 0 stale here, verified, elsewhere after 100 ms, and at rest;"
    " control at least 1 % of keys",
    ours=_ours,
    control=_control,
    control_is="cache-aside in redis-py: GET, SET, DELETE after a write; beside it the engine for asyncio, which"
    " hears of no invalidation and whose fills need no lease",
    peers={name: peer(name, partial(_peer, name)) for name in PEERS},
)
