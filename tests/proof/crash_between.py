"""Experiment: writers are killed after the source's commit and before the invalidation.

Each writer is a process that writes one row and sends itself SIGKILL the moment the commit has returned. Two processes
that had all rows in memory read them all the time, and once more when the marks of the dead have run out.
What must not be here: kills at other moments, which leave nothing wrong.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from cachewright._sync.writing import Writing
from cachewright.embedded import EmbeddedServer
from cachewright.observe.events import Event
from proof.experiment import Experiment, Measured, Number, Run
from proof.peering import peer
from rig.peers import PEERS
from rig.processes import Counter, Fleet, Member
from rig.rows import Rows, versioned_rows
from rig.staleness import Read, Write, staleness
from rig.subjects import CacheAside, Ours, Subject
from rig.waiting import eventually

WATCHERS, AT_ONCE = 2, 4
LIMIT = 1.0
"""Seconds that a dead writer's marks last."""
BUS_LATENCY, BUSY = 0.1, 2.5
"""Seconds after which nobody may be stale; the latter on a machine that is busy with other tests: what a process
without CPU time needs to hear, or to notice that it hears nothing. The at-rest reads know no such excuse."""


@dataclass(frozen=True)
class Job:
    """What writers and watchers are given. `marked`: whether phase 1 runs; `committed`: a file of what was written."""

    url: str
    rows: Rows
    subject: str
    committed: Path
    warm: Counter
    stop: Counter
    seed: int
    marked: bool = True

    def open(self) -> Subject:
        return Ours(self.url) if self.subject == "ours" else SUBJECTS[self.subject](self.url)


SUBJECTS: dict[str, Callable[[str], Subject]] = {"cache-aside": CacheAside, **PEERS}


def write_and_die(index: int, *, job: Job, first: int) -> None:
    """Row `first + index`: what a crash between commit and invalidation leaves behind."""
    row = first + index
    source, subject = job.rows.connect(), job.open()
    keys, tags = ([f"k{row}"], []) if row % 2 else ([], [f"row:k{row}"])
    if isinstance(subject, Ours):
        if not job.marked:
            setattr(Writing, "_mark", lambda self, **options: None)  # noqa: B010 - no type has it
        with subject.cache.writing(keys=keys, tags=tags, limit=LIMIT) as write:
            _die_with(job, row, source.write(row, write.before_commit))
    _die_with(job, row, source.write(row))


def _die_with(job: Job, row: int, version: int) -> None:
    with job.committed.open("ab", buffering=0) as file:
        file.write(f"{row} {version} {time.monotonic()!r}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Watched:
    """What a watcher read while writers died, and in the end."""

    reads: list[Read] = field(default_factory=list)
    at_rest: dict[int, int] = field(default_factory=dict)
    links_lost: int = 0
    """Tells a bus that broke from one that was slow."""


def watch(index: int, *, job: Job) -> Watched:
    """Reads all rows, in random order, until it is told to stop."""
    watched, source = Watched(), job.rows.connect()

    def note(event: Event) -> None:
        watched.links_lost += event.kind == "link_lost"

    subject = Ours(job.url, listeners=[note]) if job.subject == "ours" else job.open()

    def read(row: int) -> int:
        return subject.read(f"k{row}", lambda: source.read(row))

    for row in range(job.rows.count):
        read(row)
    job.warm.add()
    draw = random.Random(f"{job.seed} {index}")
    while not job.stop.value:
        row = draw.randrange(job.rows.count)
        began = time.monotonic()
        watched.reads.append(Read(index, row, read(row), began, time.monotonic()))
        time.sleep(0.002)
    watched.at_rest = {row: read(row) for row in range(job.rows.count)}
    subject.close()
    return watched


def measure(run: Run, subject: str, *, kills: int, marked: bool = True) -> Measured:
    """`kills` writers, a few at a time."""
    with EmbeddedServer() as server, versioned_rows(kills) as rows, Fleet() as fleet:
        job = Job(
            server.tcp_url,
            rows,
            subject,
            fleet.place / "committed",
            fleet.counter("warm"),
            fleet.counter("stop"),
            run.seed,
            marked=marked,
        )
        fleet.start(watch, WATCHERS, job=job)
        job.warm.reach(WATCHERS, within=60)
        for first in range(0, kills, AT_ONCE):
            _kill_some(fleet, job, first, min(AT_ONCE, kills - first))
        time.sleep(LIMIT + 0.5)
        job.stop.add()
        watched: list[Watched] = fleet.results(60)
        return judge(watched, rows.versions(), job.committed, latest=run.pick(BUSY, BUS_LATENCY))


def _kill_some(fleet: Fleet, job: Job, first: int, count: int) -> None:
    writers = fleet.start(write_and_die, count, job=job, first=first)
    for writer in writers:
        _await_death(writer)


def _await_death(writer: Member) -> None:
    eventually(lambda: not writer.running, within=30)
    writer.kill()  # it is gone, and now known to owe no result


def judge(
    watched: list[Watched], truth: dict[int, int], committed: Path, *, latest: float
) -> Measured:
    """The commit counts as acknowledged: phase 1 was, before it."""
    writes = []
    for line in committed.read_text().splitlines():
        row, version, at = line.split()
        writes.append(Write(-1, int(row), int(version), float(at), float(at), float(at)))
    reads = [read for one in watched for read in one.reads]
    found = staleness(writes, reads)
    wrong = sum(one.at_rest[row] != truth[row] for one in watched for row in truth)
    late = found.elsewhere(BUS_LATENCY)
    numbers: dict[str, Number] = {
        "kills": len(writes),
        "reads": len(reads),
        "stale after 100 ms": late,
        "latest stale, ms": round(max(found.late, default=0.0) * 1000, 1),
        "stale at rest": wrong,
        "links lost": sum(one.links_lost for one in watched),
        "longest pause of a reader, ms": round(_longest_pause(watched) * 1000, 1),
    }
    missed = (f"{late} reads stale after 100 ms",) if late else ()
    return Measured(found.elsewhere(latest) + wrong, numbers, missed)


def _peer(name: str, run: Run) -> Measured:
    return measure(run, name, kills=run.pick(4, 20))


def _longest_pause(watched: list[Watched]) -> float:
    """What the machine itself may have cost: reads follow each other after 2 ms."""
    return max((b.began - a.began for one in watched for a, b in pairwise(one.reads)), default=0.0)


EXPERIMENT = Experiment(
    name="crash_between",
    what="writers are killed with SIGKILL between the source's commit and the invalidation",
    target="200 kills, 0 stale",
    ours=lambda run: measure(run, "ours", kills=run.pick(12, 200)),
    control=lambda run: measure(run, "ours", kills=run.pick(4, 20), marked=False),
    control_is="writing() without phase 1",
    peers={
        "cache-aside": partial(_peer, "cache-aside"),
        **{name: peer(name, partial(_peer, name)) for name in PEERS},
    },
)
