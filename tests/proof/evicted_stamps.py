"""A server that is short of memory and evicts whatever it likes, stamps and leases among it, under load.

What must not be here: eviction from L1 (tests/memory), and a server that refuses writes (`error_replies`).
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import redis
from _sync.weaknesses import missing_stamps_match

from cachewright import Cache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from proof.experiment import Experiment, Measured, Run

KEYS = 200
THREADS = 6
MEMORY = "4mb"
"""Little more than what the server needs for itself."""
POLICY = Policy(timeouts=Timeouts(call=2.0, connect=2.0))


@dataclass
class Truth:
    """The source: versions that only grow, and the newest of which everybody was told."""

    versions: list[int] = field(default_factory=lambda: [0] * KEYS)
    told: list[int] = field(default_factory=lambda: [0] * KEYS)
    locks: list[threading.Lock] = field(
        default_factory=lambda: [threading.Lock() for _ in range(KEYS)]
    )

    def write(self, number: int, invalidate: Callable[[], object]) -> None:
        """A new version, then everybody is told."""
        with self.locks[number]:
            self.versions[number] += 1
            version = self.versions[number]
            invalidate()
            self.told[number] = version


@dataclass
class Counts:
    """What readers saw. Not locked: each thread has its own."""

    reads: int = 0
    stale: int = 0
    writes: int = 0


class Crowd:
    """Readers and writers over two caches, and one who fills the server's memory."""

    def __init__(self, url: str, caches: list[Cache], how: Run) -> None:
        self._url = url
        self._caches = caches
        self._truth = Truth()
        self._seed = how.seed
        self._steps = how.pick(ci=1_500, full=25_000)
        self._done = threading.Event()
        self.counts = [Counts() for _ in range(THREADS)]

    def run(self) -> None:
        """Until every thread has taken its steps."""
        filler = threading.Thread(target=self._fill, daemon=True)
        crowd = [threading.Thread(target=self._use, args=(n,)) for n in range(THREADS)]
        for thread in (filler, *crowd):
            thread.start()
        for thread in crowd:
            thread.join()
        self._done.set()
        filler.join()

    def _fill(self) -> None:
        with redis.Redis.from_url(self._url) as raw:
            for n in itertools.count():
                if self._done.wait(0.001):
                    return
                with raw.pipeline(transaction=False) as pipeline:
                    for part in range(20):
                        pipeline.set(f"filler-{n}-{part}", bytes(5_000), ex=60)
                    pipeline.execute(raise_on_error=False)

    def _use(self, thread: int) -> None:
        draw = random.Random(f"{self._seed} {thread}")
        cache, counts = self._caches[thread % len(self._caches)], self.counts[thread]
        for _ in range(self._steps):
            number = min(int(draw.paretovariate(0.5)) - 1, KEYS - 1)
            if draw.random() < 0.05:
                counts.writes += 1
                self._write(cache, number)
            else:
                counts.reads += 1
                counts.stale += self._read(cache, number, verify=draw.random() < 0.5)

    def _write(self, cache: Cache, number: int) -> None:
        self._truth.write(number, lambda: cache.invalidate(tags=[f"t{number}"]))

    def _read(self, cache: Cache, number: int, *, verify: bool) -> bool:
        """Whether it was older than what everybody had been told before. Only a verified read promises that."""
        told = self._truth.told[number]
        version: int = cache.get_or_load(
            f"k{number}",
            lambda: self._truth.versions[number],
            tags=[f"t{number}"],
            verify=verify,
        )
        return verify and version < told


def _run(how: Run) -> Measured:
    config = {"maxmemory": MEMORY, "maxmemory-policy": "allkeys-lru"}
    with (
        EmbeddedServer(config=config) as server,
        Cache(server.url, policy=POLICY, max_entries=20) as one,
        Cache(server.url, policy=POLICY, max_entries=20) as two,
    ):
        crowd = Crowd(server.url, [one, two], how)
        crowd.run()
        with redis.Redis.from_url(server.url) as raw:
            evicted = int(raw.info("stats")["evicted_keys"])
            alive = {
                what: sum(1 for _ in raw.scan_iter(pattern, count=10_000))
                for what, pattern in (("stamps", "*:tag:*"), ("entries", "cachewright:{k*}"))
            }
        errors = one.stats().remote_errors + two.stats().remote_errors
    stale = sum(counts.stale for counts in crowd.counts)
    numbers = {
        "reads": sum(counts.reads for counts in crowd.counts),
        "writes": sum(counts.writes for counts in crowd.counts),
        "stale": stale,
        "evicted": evicted,
        "stamps left of 200": alive["stamps"],
        "entries left of 200": alive["entries"],
        "remote errors": errors,
    }
    return Measured(stale, numbers)


def ours(how: Run) -> Measured:
    """A stamp that is gone costs a miss."""
    return _run(how)


def control(how: Run) -> Measured:
    """A stamp that is gone is taken for one that has not moved."""
    with pytest.MonkeyPatch.context() as patch:
        missing_stamps_match(patch)
        return _run(how)


EXPERIMENT = Experiment(
    name="evicted_stamps",
    what="a server with 4 MB evicts stamps, leases and entries under readers and writers of 200 keys",
    target="0 stale",
    ours=ours,
    control=control,
    control_is="a missing stamp counts as unchanged",
)
