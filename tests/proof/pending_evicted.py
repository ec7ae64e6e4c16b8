"""Experiment: the cached values of a write-behind are evicted all the time, while their writes are pending.

A writer writes, and a worker brings the queue to a real PostgreSQL with some delay. A reader without a memory of its own takes
values off the server, reads them, and compares what it gets with what had been acknowledged before it asked.
What must not be here: readers with L1, which lag behind by the bus' latency.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import redis

from cachewright.core.keys import as_key
from cachewright.patterns import WriteBehind
from cachewright.patterns._sync.queue import Queue
from cachewright.patterns.changes import Record
from cachewright.patterns.naming import row_key
from proof import behind
from proof.behind import Shop, opened_shop
from proof.experiment import Experiment, Measured, Number, Run
from rig.waiting import eventually

NO_MEMORY = behind.PATIENT.but(l1_ttl=0)
ROWS, TOGETHER, INTERVAL = 400, 200, 0.5
"""Rows, how many are read at once at most, and for how many seconds a write is pending as a rule."""


@dataclass
class Watch:
    """What was acknowledged, and what was seen."""

    acknowledged: dict[int, int] = field(default_factory=dict)
    reads: int = 0
    old: int = 0
    evicted: int = 0
    met: int = 0
    """Reads whose value was gone and whose write was pending."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def until_stopped(self, turn: Callable[[], None]) -> None:
        """Again and again."""
        while not self.stop.is_set():
            turn()


def write(door: WriteBehind, watch: Watch, draw: random.Random) -> None:
    """A few rows, one version on. Only one thread writes."""
    numbers = draw.sample(range(ROWS), draw.choice([1, 1, 100]))
    rows = [behind.row(number, watch.acknowledged.get(number, 0) + 1) for number in numbers]
    door.put_many(rows)
    watch.acknowledged |= {one["id"]: one["version"] for one in rows}
    time.sleep(0.005)


def evict(client: Any, watch: Watch, names: Sequence[str]) -> None:
    """As the server does at its limit: entries go, and nothing else."""
    gone = client.unlink(*names)
    with watch.lock:
        watch.evicted += gone


def read(door: WriteBehind, watch: Watch, draw: random.Random, *, client: Any) -> None:
    """Some rows whose values were just evicted; none may be older than what had been acknowledged before."""
    numbers = draw.sample(range(ROWS), draw.choice([1, TOGETHER]))
    known = {number: watch.acknowledged[number] for number in numbers}
    evict(client, watch, [name_of(door, number) for number in numbers])
    if len(numbers) == 1:
        found = {numbers[0]: door.get(numbers[0], None) or {"version": 0}}
    else:
        found = door.get_many(numbers, {"version": 0})
    old = sum(found[number]["version"] < version for number, version in known.items())
    with watch.lock:
        watch.old += old
        watch.reads += len(numbers)


def name_of(door: WriteBehind, number: int) -> str:
    """What the row's value is called on the server."""
    key = as_key(row_key(door.name_of_rows, number))
    return door.cache.engine.keys.entry(door.cache.reads.name(key))


@contextlib.contextmanager
def _counting(watch: Watch, *, overlay: bool) -> Iterator[None]:
    """Counts loads that found their row's write pending; without `overlay`, they go on as if they had not."""
    look = Queue.pending

    def pending(self: Queue, names: Iterable[str]) -> dict[str, list[Record]]:
        found = look(self, names)
        with watch.lock:
            watch.met += len(found)
        return found if overlay else {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "pending", pending)
        yield


def measure(run: Run, *, reads: int, overlay: bool = True) -> Measured:
    """So many reads of a value that was evicted while its write was pending; and others."""
    watch, began = Watch(), time.monotonic()
    with (
        opened_shop({}, interval=INTERVAL, partitions=4) as (shop, server),
        redis.Redis.from_url(server.url) as client,
        _counting(watch, overlay=overlay),
    ):
        with _opened(shop, worker=True) as writes, _opened(shop, policy=NO_MEMORY) as reader:
            writes.put_many([behind.row(number, 1) for number in range(ROWS)])
            assert writes.flush(30)  # the database has something old of each
            watch.acknowledged = dict.fromkeys(range(ROWS), 1)
            draws = [random.Random(f"{run.seed} {n}") for n in range(2)]
            turns = [
                partial(write, writes, watch, draws[0]),
                partial(read, reader, watch, draws[1], client=client),
            ]
            run_until(watch, turns, reads=reads)
        return judge(watch, shop, seconds=time.monotonic() - began)


def run_until(watch: Watch, turns: Sequence[Callable[[], None]], *, reads: int) -> None:
    """Each turn again and again in a thread of its own, until so many reads were made. Raises what one of them raises."""
    with ThreadPoolExecutor(len(turns)) as pool:
        running = [pool.submit(watch.until_stopped, turn) for turn in turns]
        try:
            eventually(
                lambda: watch.met >= reads or any(each.done() for each in running), within=300
            )
        finally:
            watch.stop.set()
    for each in running:
        each.result()


@contextlib.contextmanager
def _opened(shop: Shop, *, worker: bool = False, **options: Any) -> Iterator[WriteBehind]:
    door = shop.door(worker=worker, **options)
    with door.cache, door:
        yield door


def judge(watch: Watch, shop: Shop, *, seconds: float) -> Measured:
    """Old reads, and rows that are not the last version after the drain."""
    wrong = sum(shop.content().get(n) != version for n, version in watch.acknowledged.items())
    numbers: dict[str, Number] = {
        "reads": watch.reads,
        "of a value that was gone, its write pending": watch.met,
        "old reads": watch.old,
        "values evicted": watch.evicted,
        "writes": sum(watch.acknowledged.values()),
        "rows that are old at the end": wrong,
        "seconds": round(seconds, 1),
    }
    return Measured(watch.old + wrong, numbers)


EXPERIMENT = Experiment(
    name="pending_evicted",
    what="cached values are evicted all the time while their writes are pending, real PostgreSQL",
    target="100,000 such reads: 0 old",
    ours=lambda run: measure(run, reads=run.pick(2_000, 100_000)),
    control=lambda run: measure(run, reads=run.pick(500, 5_000), overlay=False),
    control_is="loads that do not look at what is pending",
)
